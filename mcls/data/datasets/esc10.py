"""ESC-10: 400 environmental recordings of 5 s, 10 classes of 40, 5 official folds.

Files are named ``CLASS/FOLD-FREESOUND_ID-TAKE.ogg``, such as ``001 - Dog bark/1-100032-A.ogg``.
Tracks cut from one source recording share the Freesound id and are in one fold.

References
----------
.. [1] K. J. Piczak, "ESC: Dataset for environmental sound classification", ACM Multimedia 2015.
"""

import re
from collections import Counter
from pathlib import Path, PurePosixPath

from mcls.data.datasets.inventory import check_complete, find_audio
from mcls.errors import DataError
from mcls.registry import register
from mcls.tables.manifest import Manifest, track_ids_of

_N_TRACKS, _N_CLASSES, _N_FOLDS = 400, 10, 5
_PER_CELL = _N_TRACKS // _N_CLASSES // _N_FOLDS
_NAME = re.compile(r"([1-5])-(\d+)-([A-Z]+\d*)")


@register(
    "datasets",
    "esc10",
    task="environmental sound",
    tracks=400,
    labels=10,
    splits="fold: the 5 official folds",
    paper="Piczak 2015",
    audio_licence="CC BY 3.0",
    metadata_licence="CC BY 3.0",
    url="https://github.com/karolpiczak/ESC-10",
    layout="class folders such as '001 - Dog bark', with files such as 1-100032-A.ogg",
)
def esc10(root: Path, *, partial: bool = False) -> Manifest:
    """ESC-10: environmental sounds of 5 s, the smaller part of ESC-50.

    Parameters
    ----------
    root : Path
        Folder with the ten class folders.
    partial : bool
        Accept missing files.

    Returns
    -------
    Manifest
        Columns: labels (the class without its number), fold (1 to 5), group (source recording).

    Raises
    ------
    DataError
        If files are missing and `partial` is False.
    """
    root = Path(root)
    audio = find_audio(root, "esc10")
    matches = {path: _NAME.fullmatch(PurePosixPath(name).name) for name, path in audio.items()}
    paths = [path for path, match in matches.items() if match and "/" in path]
    if not paths:
        raise DataError(f"{root}: found no file named like '001 - Dog bark/1-100032-A.ogg'")
    folders = [PurePosixPath(path).parent.name for path in paths]
    names = [match for path in paths if (match := matches[path])]
    folds = [match[1] for match in names]
    cells = Counter(zip(folders, folds, strict=True))
    short = [
        f"{_PER_CELL - cells[folder, fold]} of {_PER_CELL} in fold {fold} of {folder!r}"
        for folder in sorted(set(folders))
        for fold in "12345"
        if cells[folder, fold] < _PER_CELL
    ]
    n_classes = len(set(folders))
    if n_classes < _N_CLASSES:
        short.append(f"{_N_CLASSES - n_classes} of {_N_CLASSES} class folders")
    extra = [path for path in matches if path not in set(paths)]
    notes = check_complete(
        root,
        "esc10",
        n_expected=_N_TRACKS,
        n_found=len(paths),
        missing=short,
        extra=extra,
        partial=partial,
    )
    columns = {
        "track_id": track_ids_of(paths),
        "path": paths,
        "labels": [re.sub(r"^\d+ - ", "", folder) for folder in folders],
        "fold": folds,
        "group": [match[2] for match in names],
    }
    return Manifest(columns, root, root, None, notes)
