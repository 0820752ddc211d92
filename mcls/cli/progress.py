"""Progress on stderr: a bar on a terminal, and one line when a command is done."""

import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from mcls.cli.messages import QUIET, VERBOSE, level, say
from mcls.parallel.progress import Progress

#: Seconds between two lines of progress where there is no terminal.
_EVERY = 10.0


@contextmanager
def progress_bar(doing: str, unit: str = "tracks") -> Iterator[Progress]:
    """Give a stage its progress callback ``(done, total, seconds of audio)``.

    On a terminal a bar shows how much is done, the rate (for audio also in times real time) and the
    time left. Elsewhere nothing is shown, or with ``--verbose`` a line every ten seconds.
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
    with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(doing, total=None, rate="")
        started = time.monotonic()

        def show(done: int, total: int, seconds: float) -> None:
            spent = max(time.monotonic() - started, 1e-3)
            rate = f"{done / spent:.1f} {unit}/s"
            if seconds:
                rate += f", {seconds / spent:.0f} x real time"
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


class EpochTable:
    """A line on stderr per epoch of a training; above the bar, where there is one."""

    #: Columns that are shown; the others are for history.csv.
    _SHOWN = ("epoch", "train_loss", "valid_", "lr", "seconds")

    def __init__(self) -> None:
        self._columns: list[str] = []

    def __call__(self, row: Mapping[str, float]) -> None:
        """Print a row; the names of the columns come before the first."""
        columns = [name for name in row if name.startswith(self._SHOWN)]
        if columns != self._columns:
            self._columns = columns
            names = [name.replace("_", " ") for name in columns]
            say("  ".join(f"{name:>{_width(name)}}" for name in names))
        cells = (_cell(name, row[name]).rjust(_width(name)) for name in columns)
        say("  ".join(cells))


def _width(name: str) -> int:
    return max(len(name), 7)


def _cell(name: str, value: float) -> str:
    if name == "epoch":
        return str(int(value))
    return f"{value:.3g}" if name == "lr" else f"{value:.4f}"


def done_line(text: str, started: float) -> None:
    """Say on stderr what was written and how long it took; `started` is ``time.monotonic()``."""
    say(f"{text} in {spell_seconds(time.monotonic() - started)}")


def spell_seconds(seconds: float) -> str:
    """Write a duration as people say it.

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
