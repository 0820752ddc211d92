"""Datasets whose classes are folders, with a published number of tracks each."""

from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path

from mcls.data.datasets.inventory import by_tail, check_complete, find_audio
from mcls.data.splits import make_folds
from mcls.tables.labels import parse_labels
from mcls.tables.manifest import Manifest


def read_class_folders(
    root: Path,
    dataset: str,
    n_tracks: Mapping[str, int],
    *,
    group_of: Callable[[str], str],
    label_of: Mapping[str, str] | None = None,
    partial: bool,
) -> Manifest:
    """Read the tracks ``CLASS/NAME`` of a folder, with 10 random folds by group.

    Parameters
    ----------
    root : Path
        Folder with the class folders, at any depth.
    dataset : str
        Name of the dataset.
    n_tracks : mapping of str to int
        Published number of tracks of each class folder.
    group_of : callable
        From the name of a file without suffix to the group of its track, such as the artist.
    label_of : mapping of str to str or None
        The label of class folders that are not labels themselves.
    partial : bool
        Accept missing tracks.

    Returns
    -------
    Manifest
        Columns: labels, group, and fold: 10 random folds, stratified and by group, of the tracks
        that are there.

    Raises
    ------
    DataError
        If tracks are missing and `partial` is False.
    """
    found = by_tail(root, find_audio(root, dataset), 2)
    inside = {name: path for name, path in found.items() if name.partition("/")[0] in n_tracks}
    names = sorted(inside)
    folders = [name.partition("/")[0] for name in names]
    there = Counter(folders)
    notes = check_complete(
        root,
        dataset,
        n_expected=sum(n_tracks.values()),
        n_found=len(names),
        missing=[
            f"{n - there[folder]} of {n} in {folder}"
            for folder, n in n_tracks.items()
            if there[folder] < n
        ],
        extra=[path for name, path in found.items() if name not in inside],
        partial=partial,
    )
    labels = [(label_of or {}).get(folder, folder) for folder in folders]
    groups = [group_of(name.partition("/")[2]) for name in names]
    columns = {
        "track_id": names,
        "path": [inside[name] for name in names],
        "labels": labels,
        "group": groups,
    }
    if len(set(groups)) >= 10:
        strata = parse_labels(labels).matrix
        columns["fold"] = make_folds(strata, groups, n_folds=10, ids=names)
        notes.append(f"{dataset} has no published split; column 'fold' was drawn at random")
    return Manifest(columns, root, root, None, notes)
