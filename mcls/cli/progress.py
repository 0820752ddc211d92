"""Progress on stderr: a bar on a terminal, and one line when a command is done."""

import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from shutil import get_terminal_size

from mcls.cli.messages import QUIET, VERBOSE, level, lines_above, say
from mcls.parallel.progress import Progress

#: Seconds between two lines of progress where there is no terminal.
_EVERY = 10.0


@contextmanager
def progress_bar(doing: str, unit: str = "tracks") -> Iterator[Progress]:
    """Yield the progress callback of a stage, ``(done, total, seconds of audio)``.

    On a terminal a bar shows how much is done, the rate (for audio also in times real time) and the
    time left; lines that are printed meanwhile appear above it. Elsewhere nothing is shown, or with
    ``--verbose`` a line every ten seconds.

    Parameters
    ----------
    doing : str
        Description of the stage.
    unit : str
        Name of what is counted, in the plural.
    """
    if level() == QUIET or not sys.stderr.isatty():
        yield _lines(doing, unit) if level() == VERBOSE else lambda done, total, seconds: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
    )
    console = Console(stderr=True)
    with Bar(*columns, console=console, transient=True) as bar, lines_above(console):
        task = bar.add_task(doing, total=None, rate="")
        first: list[float] = []  # what is done when the work begins, and when that is

        def show(done: int, total: int, seconds: float) -> None:
            if not first:
                first[:] = done, seconds, time.monotonic()
            spent = max(time.monotonic() - first[2], 1e-3)
            rate = f"{(done - first[0]) / spent:.1f} {unit}/s"
            if seconds:
                rate += f", {(seconds - first[1]) / spent:.0f} x real time"
            bar.update(task, completed=done, total=total, rate=rate)

        yield show


def _lines(doing: str, unit: str) -> Progress:
    """Return a callback that prints a line every ten seconds."""
    last = time.monotonic()

    def show(done: int, total: int, seconds: float) -> None:
        nonlocal last
        if time.monotonic() - last >= _EVERY:
            last = time.monotonic()
            say(f"{doing}: {done} of {total} {unit}" if total else f"{doing}: {done} {unit}")

    return show


#: Columns of an epoch's line that are always shown: the names in history.csv, and ours.
_FIRST = {"epoch": "epoch", "train_loss": "train loss", "valid_loss": "valid loss"}
_LAST = {"lr": "lr", "seconds": "seconds"}


class EpochTable:
    """Prints a line on stderr per epoch of a training, no longer than the terminal is wide.

    Where not all columns fit, metrics are left out from the last one on; history.csv has them all.
    """

    def __init__(self) -> None:
        self._columns: dict[str, str] = {}

    def __call__(self, row: Mapping[str, float]) -> None:
        """Print a row, and the names of the columns above the first."""
        if not self._columns:
            self._columns = self._fitting(row)
            say("  ".join(f"{name:>{_width(name)}}" for name in self._columns.values()))
        cells = (_cell(key, row[key]).rjust(_width(name)) for key, name in self._columns.items())
        say("  ".join(cells))

    def _fitting(self, row: Mapping[str, float]) -> dict[str, str]:
        """Return the columns that fit on a line, in order."""
        first = {key: name for key, name in _FIRST.items() if key in row}
        metrics = {
            key: key.removeprefix("valid_")
            for key in row
            if key.startswith("valid_") and key not in first
        }
        width = get_terminal_size().columns if sys.stderr.isatty() else 1000
        while True:
            columns = {**first, **metrics, **_LAST}
            if not metrics or sum(_width(name) + 2 for name in columns.values()) - 2 <= width:
                return columns
            metrics.popitem()


def _width(name: str) -> int:
    return max(len(name), 7)


def _cell(key: str, value: float) -> str:
    if key == "epoch":
        return str(int(value))
    return f"{value:.3g}" if key in ("lr", "seconds") else f"{value:.4f}"


def done_line(text: str, started: float) -> None:
    """Print on stderr what was written and how long it took since `started`, a monotonic time."""
    say(f"{text} in {spell_seconds(time.monotonic() - started)}")


def spell_seconds(seconds: float) -> str:
    """Return a duration with a unit that suits it.

    Examples
    --------
    >>> spell_seconds(0.123), spell_seconds(12.34), spell_seconds(754), spell_seconds(7384)
    ('0.12 s', '12.3 s', '12 min 34 s', '2 h 03 min')
    """
    if seconds < 10:
        return f"{seconds:.2f} s"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"
