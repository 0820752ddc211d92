"""The workspace of an output: its lock, the pieces done so far, and how the output appears.

Beside an output ``OUT`` (a file or a folder) lies, while a command makes it, the hidden folder
``.OUT.work``::

    lock        locked by the process that makes OUT; its process id and host
    <key>/      pieces that are done; commands with another key have another folder
    new/OUT     the new output, renamed to OUT once all of it is on the disk
    old/OUT     the folder that it replaces

The lock is the operating system's (``flock``) and ends with its process, however that ends. So the
folder of a dead process is recognised, and the next command on the same output cleans it up and
continues from its pieces. A second command is refused while the first lives. When a command is done
nothing is left but the output.
"""

import errno
import fcntl
import os
import re
import shutil
import socket
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from mcls.errors import DataError
from mcls.remote.outputs import send
from mcls.remote.places import refuse_to_write

#: The workspaces that this process holds, by their outputs.
_held: dict[Path, "Workspace"] = {}


#: Errors of writing that name no file: the disk, a quota or a limit of the process is exhausted.
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class Workspace:
    """The workspace of an output, held by one command at a time.

    If the body of the ``with`` statement ends without an exception, the command is done and its
    pieces are removed; otherwise they are kept for the next command with the same key.

    Parameters
    ----------
    out : Path
        The output, a file or a folder. If it is a symbolic link, what it names is written.
    key : str
        Name of what is made: commands with the same key make the same output.
    wait : bool
        Wait for another process that is writing `out`, instead of refusing.

    Raises
    ------
    DataError
        If another process is writing `out`, the workspace cannot be made, or an output at a URL
        cannot be uploaded.
    ConfigError
        If `out` is a URL, or lies beside a copy from one: see `mcls.remote.outputs`.

    Examples
    --------
    >>> import tempfile
    >>> out = Path(tempfile.mkdtemp(), "scores.csv")
    >>> with Workspace(out) as work, work.output() as new:
    ...     _ = new.write_text("track_id,score")
    >>> [path.name for path in out.parent.iterdir()]
    ['scores.csv']
    """

    def __init__(self, out: Path | str, key: str = "pieces", *, wait: bool = False) -> None:
        self.out = _place(out)
        self.key = key
        self.wait = wait
        self.folder = self.out.with_name(f".{self.out.name}.work")
        self._lock: int | None = None
        self._before: tuple[int, ...] | None = None
        self._replaced = False

    def __enter__(self) -> "Workspace":
        try:
            self._lock = self._take_lock()
            _held[self.out] = self
            self._recover()
            self._before = _stamp(self.out)
        except OSError as error:
            self._release()
            with suppress(OSError):
                self.folder.rmdir()
            reason = error.strerror
            if isinstance(error, FileExistsError | NotADirectoryError):
                reason = "one of the folders in its path is a file"
            raise DataError(f"{self.out} cannot be written: {reason}") from error
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if not self._is_held():
            self._release()
            return
        if kind is None:
            send(self.out)
            _remove(self.folder / self.key)
        if self._replaced:
            for path in self._leftovers():
                _remove(path)
        with suppress(OSError):
            (self.folder / self.key).rmdir()  # if it is empty
        with suppress(OSError):
            if not self._leftovers():
                (self.folder / "lock").unlink()  # last: whoever waits for it must make another
                self.folder.rmdir()
        self._release()

    @property
    def is_there(self) -> bool:
        """Whether a command, alive or dead, has left anything here."""
        return self.folder.exists()

    @property
    def pieces(self) -> Path:
        """The folder for pieces that are done, kept until the output is there."""
        folder = self.folder / self.key
        folder.mkdir(exist_ok=True)
        return folder

    @property
    def other_pieces(self) -> list[Path]:
        """The folders of pieces that commands with other keys have left."""
        return [path for path in self._leftovers() if path.name != self.key]

    @contextmanager
    def output(self) -> Iterator[Path]:
        """Yield a path to write; rename it to the output once all of it is on the disk.

        An older file, or an older folder if a folder is written, is replaced. If the body raises,
        what was written is removed and the older one stays. A new file gets the mode that the umask
        gives it, whatever a library gave it; one that replaces a file keeps that file's mode.

        Raises
        ------
        DataError
            If anything else has changed the output, or the workspace, meanwhile, or there is no
            room to write it.
        """
        new, old = self.folder / "new" / self.out.name, self.folder / "old" / self.out.name
        new.parent.mkdir()
        mode = stat.S_IMODE(new.parent.stat().st_mode) & 0o666  # the umask has made it
        try:
            yield new
            for path in [*new.rglob("*"), new]:
                if path.is_file():
                    path.chmod(mode)
                _sync(path)
            if new.is_file() and self.out.is_file():
                new.chmod(stat.S_IMODE(self.out.stat().st_mode))
            if not self._is_held() or _stamp(self.out) != self._before:
                raise DataError(
                    f"{self.out} was changed by another program meanwhile; run the command again"
                )
            if new.is_dir() and self.out.is_dir():
                old.parent.mkdir()
                self.out.rename(old)
            new.replace(self.out)
            _sync(self.out.parent)
            _remove(old.parent)
            self._replaced, self._before = True, _stamp(self.out)
        except OSError as error:
            if error.errno in _NO_ROOM:
                raise DataError(f"{self.out} could not be written: {error.strerror}") from error
            raise
        finally:
            if self._is_held():
                _remove(new.parent)

    def remove_output(self) -> None:
        """Remove the output; a kill leaves all of it or nothing."""
        trash = self.folder / "new"
        trash.mkdir()
        self.out.rename(trash / self.out.name)
        _remove(trash)
        self._before = None

    def _leftovers(self) -> list[Path]:
        return [path for path in self.folder.iterdir() if path.name != "lock"]

    def _take_lock(self) -> int:
        """Make the folder and lock it.

        Another process that is done meanwhile may remove either: then it is tried again.
        """
        path = self.folder / "lock"
        for _ in range(100):
            self.folder.parent.mkdir(parents=True, exist_ok=True)
            try:
                self.folder.mkdir(exist_ok=True)
                lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
            except FileNotFoundError:
                continue
            try:
                fcntl.flock(lock, fcntl.LOCK_EX if self.wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                holder = os.pread(lock, 300, 0).decode(errors="replace").strip()
                os.close(lock)
                raise DataError(
                    f"{holder or 'another process'} is writing {self.out}; wait for it, or choose "
                    "another output"
                ) from None
            except OSError as error:
                os.close(lock)
                raise DataError(
                    f"{self.out} cannot be written: its file system cannot lock {path} "
                    f"({error.strerror}); choose an output on another file system"
                ) from error
            if _is_same(lock, path):
                with suppress(OSError):  # the note is only for the message above
                    os.ftruncate(lock, 0)
                    os.pwrite(lock, f"process {os.getpid()} on {socket.gethostname()}".encode(), 0)
                return lock
            os.close(lock)
        raise DataError(f"{self.out} cannot be written: {self.folder} vanishes again and again")

    def _is_held(self) -> bool:
        return self._lock is not None and _is_same(self._lock, self.folder / "lock")

    def _recover(self) -> None:
        """Undo what a killed process had begun at the output."""
        old = self.folder / "old" / self.out.name
        if old.exists() and not self.out.exists():
            old.rename(self.out)
        for name in ("new", "old"):
            _remove(self.folder / name)

    def _release(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None
            _held.pop(self.out, None)


@contextmanager
def written_whole(path: Path | str) -> Iterator[Path]:
    """Yield a path to write; rename it to `path` once all of it is on the disk.

    If this process holds the workspace of `path` it is used, and otherwise a new one.

    Examples
    --------
    >>> with written_whole(Path("scores.csv")) as new:  # doctest: +SKIP
    ...     new.write_text("track_id,score")
    """
    held = _held.get(_place(path))
    if held is not None:
        with held.output() as new:
            yield new
    else:
        with Workspace(path) as work, work.output() as new:
            yield new


def is_workspace(name: str) -> bool:
    """Return whether a file name is that of a workspace.

    Examples
    --------
    >>> is_workspace(".cv.json.work"), is_workspace("cv.json")
    (True, False)
    """
    return re.fullmatch(r"\..+\.work", name) is not None


def clean_workspace(out: Path | str) -> None:
    """Remove what a dead process has left beside an output that is there."""
    with suppress(DataError):
        work = Workspace(out)
        if work.out.exists() and work.is_there:
            with work:
                work._replaced = True


def clean_workspaces(folder: Path) -> None:
    """Remove the workspaces of dead processes in a folder, of outputs that are there."""
    for path in folder.glob(".*.work"):
        clean_workspace(path.with_name(path.name[1:-5]))


def _place(out: Path | str) -> Path:
    """Return where an output lies; a link is followed, so that it stays one."""
    refuse_to_write(Path(out))
    path = Path(out).absolute()
    return Path(os.path.realpath(path)) if path.is_symlink() else path


def _is_same(file: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file), path.stat())
    except FileNotFoundError:
        return False


def _stamp(path: Path) -> tuple[int, ...] | None:
    """Return what changes if a file or a folder is replaced or written to."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _let_go() -> None:
    """In a forked process: close the locks, so that they end with the process that took them."""
    for work in list(_held.values()):
        work._release()


os.register_at_fork(after_in_child=_let_go)
