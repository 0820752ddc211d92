"""Open a run and serve it until the process is asked to end."""

import socket
from contextlib import ExitStack, suppress
from pathlib import Path

import uvicorn

from mcls.disk.run import open_run
from mcls.errors import ConfigError
from mcls.parallel.progress import Progress
from mcls.serve.app import make_app
from mcls.serve.guards import is_loopback
from mcls.serve.neighbours import TrainTracks
from mcls.serve.scoring import FileScorer, Limits
from mcls.stores.store import Store


class Server:
    """A server that listens already; as a context, it ends its worker process.

    Attributes
    ----------
    address : str
        Where the page is.
    loopback : bool
        Whether only this machine can reach it.
    """

    def __init__(
        self, scorer: FileScorer, server: uvicorn.Server, listening: socket.socket
    ) -> None:
        self._scorer, self._server, self._socket = scorer, server, listening
        host, port = listening.getsockname()[:2]
        self.loopback = is_loopback(host)
        self.address = f"http://{f'[{host}]' if ':' in host else host}:{port}"

    def __enter__(self) -> "Server":
        self._scorer.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._scorer.__exit__(None, None, None)
        self._socket.close()

    def wait(self) -> None:
        """Answer requests until SIGINT or SIGTERM."""
        with suppress(KeyboardInterrupt):  # uvicorn finishes first, then raises the signal again
            self._server.run(sockets=[self._socket])

    def stop(self) -> None:
        """Let `wait` end, from another thread."""
        self._server.should_exit = True


def serve(
    run: Path | str,
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    store: Path | str | None = None,
    audio_root: Path | str | None = None,
    window: float = 3.0,
    limits: Limits | None = None,
    progress: Progress | None = None,
) -> Server:
    """Return a server of a run that listens already.

    Parameters
    ----------
    run : path
        A run folder.
    host, port
        Address to listen on; port 0 takes a free one.
    store : path or None
        The store that the run was trained on, to show similar train tracks.
    audio_root : path or None
        Folder that the paths in the store are relative to; None: the folder of the store.
    window : float
        Length of the windows in seconds.
    limits : Limits or None
        What files may be.
    progress : callable or None
        ``progress(tracks done, tracks in all, 0.0)`` while train tracks are read.

    Raises
    ------
    ConfigError
        If the address cannot be listened on.
    DataError, FormatError
        If the run or the store cannot be used.
    """
    opened = open_run(run)
    train = None
    if store is not None:
        train = TrainTracks(opened, Store(store), audio_root, progress)
    listening = _listen(host, port)
    scorer = FileScorer(Path(run), window, limits or Limits())
    app = make_app(opened, scorer, train, loopback=is_loopback(listening.getsockname()[0]))
    config = uvicorn.Config(app, log_level="warning", server_header=False)
    return Server(scorer, uvicorn.Server(config), listening)


def _listen(host: str, port: int) -> socket.socket:
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with ExitStack() as undo:
            listening = undo.enter_context(socket.socket(family, kind))
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind(address)
            listening.listen(16)
            undo.pop_all()
    except OSError as error:
        raise ConfigError(f"cannot listen on {host}, port {port}: {error.strerror}") from error
    return listening
