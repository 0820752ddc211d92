"""Find the audio in a folder of class folders, the simplest form of a dataset.

Every subfolder is a class, and its name is the label of all audio files in it, at any depth. The
notes report the files and folders that are ignored: files that are not audio by their suffix, audio
beside the class folders, and folders without audio. Hidden files and folders, whose names begin
with a dot, are not reported. Symbolic links are followed, but no folder is visited twice.
"""

import os
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath

from mcls.disk.audio_suffixes import AUDIO_SUFFIXES
from mcls.errors import DataError
from mcls.remote.objects import files_below
from mcls.remote.urls import url_of
from mcls.tables.labels import unknown_labels


def scan_class_folders(folder: Path) -> tuple[list[str], list[str], list[str]]:
    """List the audio in a folder of class folders.

    Parameters
    ----------
    folder : Path
        The folder; its subfolders are the classes.

    Returns
    -------
    paths : list of str
        Relative to `folder`, with ``/``, class by class, sorted.
    labels : list of str
        The class of every path.
    notes : list of str
        Notes about the files and folders that are ignored.

    Raises
    ------
    DataError
        If there are no class folders, none holds audio, or a name is not UTF-8.
    """
    folders, files = _inside(folder)
    classes = sorted(name for name in folders if name[0] != ".")
    loose = sum(map(_has_suffix, files))
    if not classes:
        beside = f"{loose} audio files but no class folders" if loose else "no class folders"
        raise DataError(
            f"{folder}: {beside}; put the audio in one folder per class, write a manifest (CSV "
            "with the columns path and labels), or pass --labels none"
        )
    paths: list[str] = []
    labels: list[str] = []
    others: Counter[str] = Counter()
    empty = []
    for name in classes:
        found = sorted(audio_below(folder / name, others))
        if not found:
            empty.append(name)
        paths += [f"{name}/{path}" for path in found]
        labels += [name.strip()] * len(found)
    if not paths:
        raise DataError(
            f"{folder} has no audio in {len(classes)} class folders{_listed(others)}; "
            f"expected files named {' '.join(sorted(AUDIO_SUFFIXES))}"
        )
    _check_utf8(folder, paths)
    if any("|" in name for name in classes):
        raise DataError(
            f"{folder}: a class folder has '|' in its name, which separates labels; rename it"
        )
    if unknown := [name for name in classes if unknown_labels(name)]:
        raise DataError(
            f"{folder}: the class folder {unknown[0]!r} ends with '?', which marks a label as "
            "unknown; rename it"
        )
    notes = []
    times = Counter(name.strip() for name in classes)
    if same := [name for name, n in times.items() if n > 1]:
        notes.append(f"class folders that differ only in white space are one label: {_named(same)}")
    if empty:
        notes.append(f"folder {_named(empty)} has no audio and is not a class")
    if loose:
        notes.append(f"{loose} audio files beside the class folders were ignored")
    return paths, labels, notes + _ignored(others)


def scan_audio(folder: Path) -> tuple[list[str], list[str]]:
    """List all audio in a folder, without labels.

    Returns
    -------
    paths : list of str
        Relative to `folder`, with ``/``, sorted.
    notes : list of str
        A note about other files.

    Raises
    ------
    DataError
        If there is none, or a name is not UTF-8.
    """
    others: Counter[str] = Counter()
    paths = sorted(audio_below(folder, others))
    if not paths:
        raise DataError(
            f"{folder} has no audio{_listed(others)}; expected files named "
            f"{' '.join(sorted(AUDIO_SUFFIXES))}"
        )
    _check_utf8(folder, paths)
    return paths, _ignored(others)


def _inside(folder: Path) -> tuple[set[str], list[str]]:
    """Return the names of the folders and files in a folder, which may be a URL."""
    if url := url_of(folder):
        names = [*files_below(url)]
        folders = {name.partition("/")[0] for name in names if "/" in name}
        return folders, [name for name in names if "/" not in name]
    entries = [*folder.iterdir()]
    folders = {entry.name for entry in entries if entry.is_dir()}
    return folders, [entry.name for entry in entries if entry.is_file()]


def _ignored(others: Counter[str]) -> list[str]:
    return [f"{sum(others.values())} other files were ignored{_listed(others)}"] if others else []


def _check_utf8(folder: Path, paths: list[str]) -> None:
    for path in paths:
        try:
            path.encode("utf-8")
        except UnicodeEncodeError:
            raise DataError(f"{folder}: the name of {path!a} is not UTF-8; rename it") from None


def _has_suffix(name: str, suffixes: frozenset[str] = AUDIO_SUFFIXES) -> bool:
    return name[0] != "." and name[name.rfind(".") :].lower() in suffixes


def audio_below(
    folder: Path, others: Counter[str], suffixes: frozenset[str] = AUDIO_SUFFIXES
) -> Iterator[str]:
    """Yield the audio files below a folder, relative to it, and count the suffixes of other files.

    With other `suffixes`, files that have one of these are yielded in the place of audio.

    Hidden files and folders are ignored. Links to folders are followed, but no folder is visited
    twice, nor a parent of this one, so that loops of links end. The order is always the same: the
    files of a folder by name, then its folders.
    """
    for place, folders, files in _walk(folder):
        folders[:] = sorted(name for name in folders if name[0] != ".")
        prefix = "" if place.as_posix() == "." else f"{place.as_posix()}/"
        for name in sorted(files):
            if _has_suffix(name, suffixes):
                yield f"{prefix}{name}"
            elif name[0] != ".":
                others[PurePosixPath(name).suffix.lower() or "no suffix"] += 1


def _walk(folder: Path) -> Iterator[tuple[PurePosixPath, list[str], list[str]]]:
    """Yield every folder below one, relative to it, with the names in it."""
    if url := url_of(folder):
        yield from _walk_listed(files_below(url))
        return
    above = [parent.stat() for parent in folder.absolute().parents]
    entered = {(status.st_dev, status.st_ino) for status in above}
    for place, folders, files in os.walk(folder, followlinks=True, onerror=_refuse):
        status = Path(place).stat()
        if (status.st_dev, status.st_ino) in entered:
            folders.clear()
            continue
        entered.add((status.st_dev, status.st_ino))
        yield PurePosixPath(Path(place).relative_to(folder)), folders, files


def _walk_listed(paths: Iterable[str]) -> Iterator[tuple[PurePosixPath, list[str], list[str]]]:
    """Do what `_walk` does with the paths of all files below a folder."""
    inside: dict[str, tuple[list[str], list[str]]] = {"": ([], [])}
    for path in paths:
        place, _, name = path.rpartition("/")
        inside.setdefault(place, ([], []))[1].append(name)
        while place:
            above, _, name = place.rpartition("/")
            folders = inside.setdefault(above, ([], []))[0]
            if name in folders:
                break
            folders.append(name)
            place = above
    left = [""]
    while left:
        place = left.pop()
        folders, files = inside[place]
        yield PurePosixPath(place), folders, files
        left += [f"{place}/{name}".lstrip("/") for name in reversed(folders)]


def _refuse(error: OSError) -> None:
    raise DataError(f"{error.filename}: cannot be read ({error.strerror})")


def _named(names: list[str]) -> str:
    return ", ".join(map(repr, names))


def _listed(others: Counter[str]) -> str:
    if not others:
        return ""
    kinds = ", ".join(
        f"{times} {suffix}"
        for suffix, times in sorted(others.items(), key=lambda kind: (-kind[1], kind[0]))[:4]
    )
    return f" (not audio: {kinds})"
