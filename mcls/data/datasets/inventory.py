"""Comparing a folder of audio with the dataset it should hold.

What a dataset should hold stands in the facts of its entry: ``tracks`` and ``labels`` as published,
``layout``, the files that its folder has, and ``url``, where they are from.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath

from mcls.errors import DataError
from mcls.registry import find
from mcls.tables.class_folders import audio_below
from mcls.tables.manifest import Manifest

_SHOWN = 5


def find_audio(root: Path, dataset: str) -> dict[str, str]:
    """Return the audio files below a folder, relative and sorted, by path without suffix.

    Raises
    ------
    DataError
        If `root` is not a folder or holds no audio, or two files differ only in their suffix. The
        message names the layout and the address of the dataset.
    """
    expected = f"expected {expected_layout(dataset)}"
    if not root.is_dir():
        raise DataError(f"{root} is not a folder; {expected}")
    found: dict[str, str] = {}
    for path in sorted(audio_below(root, Counter())):
        _add(found, stem(path), path, root)
    if not found:
        raise DataError(f"{root} holds no audio; {expected}")
    return found


def expected_layout(dataset: str) -> str:
    """Return what the folder of a dataset holds and where it is from, for messages."""
    facts = find("datasets", dataset).facts
    return f"the dataset {dataset}: {facts['layout']}; download it from {facts['url']}"


def by_tail(root: Path, audio: Mapping[str, str], n_names: int) -> dict[str, str]:
    """Return audio files by the last `n_names` names of their path, without suffix.

    So the folder with the audio may lie at any depth below `root`.

    Raises
    ------
    DataError
        If two files have the same last names.
    """
    found: dict[str, str] = {}
    for name, path in audio.items():
        _add(found, "/".join(PurePosixPath(name).parts[-n_names:]), path, root)
    return found


def _add(found: dict[str, str], name: str, path: str, root: Path) -> None:
    if name in found:
        raise DataError(
            f"{root}: {found[name]} and {path} are both the track {name}; remove one of them"
        )
    found[name] = path


def stem(path: str) -> str:
    """Return a path without its suffix."""
    return str(PurePosixPath(path).with_suffix(""))


def tracks_found(
    root: Path,
    dataset: str,
    expected: Sequence[str],
    found: Mapping[str, str],
    *,
    n_expected: int | None = None,
    broken: Collection[str] = (),
    partial: bool = False,
) -> tuple[list[int], list[str]]:
    """Compare the tracks that a dataset should hold with the audio that is there.

    Parameters
    ----------
    root, dataset
        Folder and dataset, for the messages.
    expected : sequence of str
        The tracks of the dataset.
    found : mapping of str to str
        The audio files by track.
    n_expected : int or None
        Number of tracks as published; None takes the fact ``tracks`` of the dataset.
    broken : collection of str
        Tracks whose files are known to be broken; they are left out.
    partial : bool
        Accept missing tracks.

    Returns
    -------
    kept : list of int
        Which of the expected tracks are there and not broken.
    notes : list of str
        Notes for the user.

    Raises
    ------
    DataError
        If tracks are missing and `partial` is False.
    """
    whole = [track for track in expected if track not in broken]
    known = set(expected)
    n_published = find("datasets", dataset).facts["tracks"] if n_expected is None else n_expected
    there = [track for track in whole if track in found]
    n_broken = len(set(broken))
    notes = check_complete(
        root,
        dataset,
        n_expected=n_published - n_broken,
        n_found=len(there),
        missing=[track for track in whole if track not in found],
        extra=[path for track, path in found.items() if track not in known],
        partial=partial,
    )
    if n_broken:
        notes.append(
            f"left out {n_broken} tracks whose files are known to be broken: "
            f"{first_few(sorted(broken))}"
        )
    kept = set(there)
    return [i for i, track in enumerate(expected) if track in kept], notes


def manifest_of(
    root: Path,
    dataset: str,
    tracks: Sequence[str],
    found: Mapping[str, str],
    columns: Mapping[str, Sequence[str]],
    *,
    n_expected: int | None = None,
    broken: Collection[str] = (),
    partial: bool = False,
) -> Manifest:
    """Return the manifest of the tracks whose audio exists.

    Parameters
    ----------
    tracks : sequence of str
        The ``track_id`` of all tracks of the dataset.
    found : mapping of str to str
        The audio files by track.
    columns : mapping of str to sequence of str, each as long as `tracks`
        The other columns.
    root, dataset, n_expected, broken, partial
        As in `tracks_found`.

    Raises
    ------
    DataError
        If a track comes twice, or tracks are missing and `partial` is False.
    """
    twice = [track for track, n in Counter(tracks).items() if n > 1]
    if twice:
        raise DataError(f"{root}: the tables of {dataset} list {twice[0]} more than once")
    kept, notes = tracks_found(
        root, dataset, tracks, found, n_expected=n_expected, broken=broken, partial=partial
    )
    every = {"track_id": tracks, "path": [found.get(track, "") for track in tracks], **columns}
    cells = {name: [column[i] for i in kept] for name, column in every.items()}
    return Manifest(cells, root, root, None, notes)


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
        If tracks are missing and `partial` is False, or none is there.
    """
    notes = []
    if missing or n_found < n_expected:
        lacking = f"; missing: {first_few(missing)}" if missing else ""
        problem = f"{root}: {n_found} of the {n_expected} files of {dataset} found{lacking}"
        if not n_found:
            raise DataError(f"{problem}; expected {expected_layout(dataset)}")
        if not partial:
            raise DataError(f"{problem}; pass -p partial=true to use the files found")
        notes.append(problem)
    elif n_found > n_expected:
        notes.append(f"{root}: {n_found} files found, but {dataset} has {n_expected} as published")
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
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f"{', '.join(names[:_SHOWN])}{more}"
