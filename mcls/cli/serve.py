"""``mcls serve``: a page on this machine that scores audio files with a run."""

from importlib.util import find_spec
from pathlib import Path

import click

from mcls.cli.messages import say
from mcls.cli.options import AUDIO, FILE
from mcls.cli.progress import progress_bar
from mcls.errors import missing_extra

#: What the server needs beyond the packages that mcls always has.
_NEEDED = ("fastapi", "fastapi_offline", "python_multipart", "uvicorn")


@click.command()
@click.argument("run", type=FILE)
@click.option("--host", default="127.0.0.1", help="Address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), default=8000, help="Port; 0: any free one.")
@click.option("--store", type=FILE, help="Store of the train tracks, to show similar ones.")
@click.option("--audio-root", type=AUDIO, help="Folder of the store's audio (default: its own).")
@click.option(
    "--window",
    type=click.FloatRange(0, min_open=True),
    default=3.0,
    help="Length of the windows in seconds.",
)
@click.option(
    "--max-mb",
    type=click.FloatRange(0, min_open=True),
    default=50.0,
    help="Size of a file in megabytes, at most.",
)
@click.option(
    "--max-minutes",
    type=click.FloatRange(0, min_open=True),
    default=15.0,
    help="Length of the audio in minutes, at most.",
)
@click.option(
    "--time-limit",
    type=click.FloatRange(0, min_open=True),
    default=60.0,
    help="Seconds in which a file must be scored.",
)
def command(
    run: Path,
    host: str,
    port: int,
    store: Path | None,
    audio_root: Path | None,
    window: float,
    max_mb: float,
    max_minutes: float,
    time_limit: float,
) -> None:
    """Score audio files with a run, on a page in the browser.

    Drop or record a file: the page shows its labels with probabilities,
    scores over time and, with --store, similar train tracks to listen to.
    POST /predict answers the same as JSON; /docs describes it. Only this
    machine can reach the page, unless --host says otherwise; there is no
    password. Files are decoded in a process of their own and not kept.
    Ctrl-C ends the server.

    \b
    Example:
      mcls serve runs/vq
      mcls serve runs/vq --store mfcc.h5 --port 9000
      curl -F file=@song.mp3 http://127.0.0.1:8000/predict
    """
    if missing := [name for name in _NEEDED if find_spec(name) is None]:
        raise missing_extra("mcls serve", ", ".join(missing), "serve")
    from mcls.serve.scoring import Limits
    from mcls.serve.server import serve

    if audio_root is not None and store is None:
        raise click.UsageError("--audio-root needs --store")
    limits = Limits(round(max_mb * 1e6), max_minutes * 60, time_limit)
    with progress_bar("train tracks") as progress:
        server = serve(
            run,
            host=host,
            port=port,
            store=store,
            audio_root=audio_root,
            window=window,
            limits=limits,
            progress=progress,
        )
    with server:
        if not server.loopback:
            say(f"warning: {host} can be reached by other machines, without a password")
        say(f"{run} is served at {server.address}; Ctrl-C ends it")
        server.wait()
