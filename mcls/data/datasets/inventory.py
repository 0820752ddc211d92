"""What a data set should hold, against what the folder holds."""

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath

from mcls.disk.class_folders import audio_below
from mcls.errors import DataError

_SHOWN = 5


def find_audio(root: Path, dataset: str, layout: str, url: str) -> dict[str, str]:
    """Return the audio below a folder: path without suffix -> path, relative and sorted.

    Raises
    ------
    DataError
        If `root` is not a folder or holds no audio; the message says what was expected (`layout`)
        and where the data set is to be had (`url`).
    """
    expected = f"expected the {dataset} data set, {layout}; it is to be had from {url}"
    if not root.is_dir():
        raise DataError(f"{root} is not a folder; {expected}")
    found = {stem(path): path for path in sorted(audio_below(root, Counter()))}
    if not found:
        raise DataError(f"{root}: no audio; {expected}")
    return found


def stem(path: str) -> str:
    """Return a path without its suffix."""
    return str(PurePosixPath(path).with_suffix(""))


def take_stock(
    root: Path,
    dataset: str,
    *,
    n_expected: int,
    n_found: int,
    missing: Sequence[str] = (),
    extra: Iterable[str] = (),
    partial: bool = False,
) -> list[str]:
    """Compare what is there with what should be.

    Parameters
    ----------
    root, dataset
        For the messages.
    n_expected, n_found : int
        Tracks in the whole data set and in the folder.
    missing, extra : sequence of str
        What is not there and should be; what is there and is no part of the data set.
    partial : bool
        Whether to go on with what is there.

    Returns
    -------
    list of str
        Notes for the user.

    Raises
    ------
    DataError
        If something is missing and `partial` is False.
    """
    notes = []
    if missing or n_found < n_expected:
        lacking = f": {some(missing)}" if missing else ""
        problem = (
            f"{root}: {n_expected} files expected in {dataset}, {n_found} found; missing{lacking}"
        )
        if not partial:
            raise DataError(f"{problem}; to go on with what is there: -p partial=true")
        notes.append(problem)
    strangers = list(extra)
    if strangers:
        notes.append(f"{root}: not part of {dataset} and left out: {some(strangers)}")
    return notes


def some(names: Sequence[str]) -> str:
    """Return the first few names and how many more there are.

    Examples
    --------
    >>> some(["a", "b", "c", "d", "e", "f", "g"])
    'a, b, c, d, e and 2 more'
    """
    more = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {more} more" if more > 0 else "")
