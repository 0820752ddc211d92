"""Find the audio in a folder of class folders, the simplest form of a dataset.

Every subfolder is a class, and its name is the label of all audio files in it, at any depth. The
notes report the files and folders that are ignored: files that are not audio by their suffix, audio
beside the class folders, and folders without audio. Hidden files and folders, whose names begin
with a dot, are not reported. Symbolic links are followed, but no folder is visited twice.
"""

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from mcls.disk.audio_suffixes import AUDIO_SUFFIXES
from mcls.errors import DataError
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
    classes = sorted(
        entry.name for entry in folder.iterdir() if entry.is_dir() and entry.name[0] != "."
    )
    loose = sum(_has_suffix(entry.name) for entry in folder.iterdir() if entry.is_file())
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


def _ignored(others: Counter[str]) -> list[str]:
    return [f"{sum(others.values())} other files were ignored{_listed(others)}"] if others else []


def _check_utf8(folder: Path, paths: list[str]) -> None:
    for path in paths:
        try:
            path.encode("utf-8")
        except UnicodeEncodeError:
            raise DataError(f"{folder}: the name of {path!a} is not UTF-8; rename it") from None


def _has_suffix(name: str, suffixes: frozenset[str] = AUDIO_SUFFIXES) -> bool:
    return name[0] != "." and PurePosixPath(name).suffix.lower() in suffixes


def audio_below(
    folder: Path, others: Counter[str], suffixes: frozenset[str] = AUDIO_SUFFIXES
) -> Iterator[str]:
    """Yield the audio files below a folder, relative to it, and count the suffixes of other files.

    With other `suffixes`, files that have one of these are yielded in the place of audio.

    Hidden files and folders are ignored. Links to folders are followed, but no folder is visited
    twice, nor a parent of this one, so that loops of links end. The order is always the same: the
    files of a folder by name, then its folders.
    """
    above = [parent.stat() for parent in folder.absolute().parents]
    entered = {(status.st_dev, status.st_ino) for status in above}
    for place, folders, files in os.walk(folder, followlinks=True, onerror=_refuse):
        status = Path(place).stat()
        if (status.st_dev, status.st_ino) in entered:
            folders.clear()
            continue
        entered.add((status.st_dev, status.st_ino))
        folders[:] = sorted(name for name in folders if name[0] != ".")
        for name in sorted(files):
            if _has_suffix(name, suffixes):
                yield (Path(place) / name).relative_to(folder).as_posix()
            elif name[0] != ".":
                others[PurePosixPath(name).suffix.lower() or "no suffix"] += 1


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
