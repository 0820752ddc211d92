"""What a benchmark says: how fast something is, beside a peer or alone, and what is expected."""

import resource
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass

_name = "wall"


def set_clock(name: str) -> None:
    """Choose what `clock` counts: seconds of the wall, or those that the CPU works for us.

    Where other work shares the machine, the seconds of the CPU tell more; they are those of all
    threads, and of the processes started here that have ended.
    """
    global _name
    _name = name


def clock() -> float:
    """Return the seconds of the chosen clock."""
    if _name == "wall":
        return time.perf_counter()
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


@dataclass(frozen=True)
class Figure:
    """One line of the page.

    Attributes
    ----------
    what : str
        What was timed.
    ours : float
        Median seconds of mcls.
    peer : str
        The name of the other side; empty if there is none.
    theirs : float or None
        Median seconds of the other side.
    ratio : float or None
        How many times as fast as the other side mcls is: the median over the turns, as both sides
        of a turn have the same load of the machine.
    expected : float or None
        At least this ratio, or without a peer at most these seconds; None if nothing is expected.
    """

    what: str
    ours: float
    peer: str = ""
    theirs: float | None = None
    ratio: float | None = None
    expected: float | None = None

    @property
    def is_met(self) -> bool | None:
        """Whether it is as fast as expected; None if nothing is expected."""
        if self.expected is None:
            return None
        return self.ours <= self.expected if self.ratio is None else self.ratio >= self.expected


def beside(
    what: str,
    ours: Sequence[float],
    peer: str,
    theirs: Sequence[float],
    expected: float | None = None,
) -> Figure:
    """Return the figure of two sides that took turns, from the seconds of each turn."""
    ratio = statistics.median(b / a for a, b in zip(ours, theirs, strict=True))
    middle = statistics.median(ours), statistics.median(theirs)
    return Figure(what, middle[0], peer, middle[1], ratio, expected)


def alone(what: str, seconds: Sequence[float], expected: float | None = None) -> Figure:
    """Return the figure of what has no peer."""
    return Figure(what, statistics.median(seconds), expected=expected)
