"""Comparing a folder of audio with the dataset it should hold."""

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath

from mcls.disk.class_folders import audio_below
from mcls.errors import DataError

_SHOWN = 5


def find_audio(root: Path, dataset: str, layout: str, url: str) -> dict[str, str]:
    """Return the audio files below a folder, relative and sorted, by path without suffix.

    Raises
    ------
    DataError
        If `root` is not a folder or holds no audio; the message names the expected `layout` and
        the `url` of the dataset.
    """
    expected = f"expected the dataset {dataset}: {layout}; download it from {url}"
    if not root.is_dir():
        raise DataError(f"{root} is not a folder; {expected}")
    found = {stem(path): path for path in sorted(audio_below(root, Counter()))}
    if not found:
        raise DataError(f"{root} holds no audio; {expected}")
    return found


def stem(path: str) -> str:
    """Return a path without its suffix."""
    return str(PurePosixPath(path).with_suffix(""))


def check_complete(
    root: Path,
    dataset: str,
    *,
    n_expected: int,
    n_found: int,
    missing: Sequence[str] = (),
    extra: Iterable[str] = (),
    partial: bool = False,
) -> list[str]:
    """Compare the tracks found with those of the whole dataset.

    Parameters
    ----------
    root, dataset
        Folder and dataset, for the messages.
    n_expected, n_found : int
        Number of tracks in the whole dataset and in the folder.
    missing, extra : sequence of str
        Missing tracks, and files that are not part of the dataset.
    partial : bool
        Accept missing tracks.

    Returns
    -------
    list of str
        Notes for the user.

    Raises
    ------
    DataError
        If tracks are missing and `partial` is False.
    """
    notes = []
    if missing or n_found < n_expected:
        lacking = f"; missing: {first_few(missing)}" if missing else ""
        problem = f"{root}: {n_found} of the {n_expected} files of {dataset} found{lacking}"
        if not partial:
            raise DataError(f"{problem}; pass -p partial=true to use the files found")
        notes.append(problem)
    others = list(extra)
    if others:
        notes.append(f"{root}: ignored files that are not part of {dataset}: {first_few(others)}")
    return notes


def first_few(names: Sequence[str]) -> str:
    """Return the first few names and the number of others.

    Examples
    --------
    >>> first_few(["a", "b", "c", "d", "e", "f", "g"])
    'a, b, c, d, e and 2 more'
    """
    more = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {more} more" if more > 0 else "")
