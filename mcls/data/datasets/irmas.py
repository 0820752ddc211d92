"""IRMAS: the predominant instruments of music, 6705 excerpts for training and 2874 for testing.

``IRMAS-TrainingData`` has a folder per instrument with excerpts of 3 s, one predominant instrument
each; names such as ``[cel][dru][pop_roc]0001__1.wav`` also tell the genre and often whether there
are drums. The three folders ``IRMAS-TestingData-Part1`` to ``3`` have excerpts of 5 to 20 s, each
with a text file that names one or more instruments. Layout and counts are those of the readmes.

References
----------
.. [1] J. J. Bosch, J. Janer, F. Fuhrmann, P. Herrera, "A comparison of sound segregation techniques
   for predominant instrument recognition in musical audio signals", ISMIR 2012.
"""

import re
from collections import Counter
from pathlib import Path, PurePosixPath

from mcls.data.datasets.inventory import check_complete, find_audio
from mcls.disk.text_files import read_text
from mcls.errors import DataError
from mcls.registry import register
from mcls.tables.labels import SEPARATOR
from mcls.tables.manifest import Manifest

_INSTRUMENTS = {
    "cel": "cello",
    "cla": "clarinet",
    "flu": "flute",
    "gac": "acoustic guitar",
    "gel": "electric guitar",
    "org": "organ",
    "pia": "piano",
    "sax": "saxophone",
    "tru": "trumpet",
    "vio": "violin",
    "voi": "voice",
}
_N_TRAIN = {
    **{"cel": 388, "cla": 505, "flu": 451, "gac": 637, "gel": 760, "org": 682},
    **{"pia": 721, "sax": 626, "tru": 577, "vio": 580, "voi": 778},
}
_N_TEST = 2874
_TEST_FOLDER = re.compile(r"(?:IRMAS-TestingData-)?(Part[123])")


@register(
    "datasets",
    "irmas",
    task="instruments",
    tracks=9579,
    labels=11,
    splits="split: 6705 train and 2874 test",
    paper="Bosch et al. 2012",
    audio_licence="CC BY-NC-SA 3.0",
    metadata_licence="CC BY-NC-SA 3.0",
    url="https://zenodo.org/records/1290750",
    layout="IRMAS-TrainingData with a folder per instrument, IRMAS-TestingData-Part1 to Part3",
)
def irmas(root: Path, *, partial: bool = False) -> Manifest:
    """IRMAS: predominant instruments; one per excerpt in train, several in test.

    Parameters
    ----------
    root : Path
        Folder with the folders of training and testing data.
    partial : bool
        Accept missing files.

    Returns
    -------
    Manifest
        Columns: labels (instruments), split (train or test), group (the recording), genre and drums
        (of train tracks, where their names say it).

    Raises
    ------
    DataError
        If files are missing and `partial` is False, or a text file of the test part is missing or
        names no instrument of the dataset.
    """
    root = Path(root)
    rows, extra = [], []
    for name, path in find_audio(root, "irmas").items():
        row = _train_row(name) or _test_row(root, name)
        if row is None:
            extra.append(path)
        else:
            rows.append({**row, "path": path})
    there = Counter(row["track_id"].partition("/")[0] for row in rows)
    lacking = {code: n - there[code] for code, n in _N_TRAIN.items() if there[code] < n}
    missing = [f"{n} of {_N_TRAIN[code]} in {code}" for code, n in lacking.items()]
    n_test = sum(row["split"] == "test" for row in rows)
    if n_test < _N_TEST:
        missing.append(f"{_N_TEST - n_test} of {_N_TEST} in IRMAS-TestingData")
    notes = check_complete(
        root,
        "irmas",
        n_expected=sum(_N_TRAIN.values()) + _N_TEST,
        n_found=len(rows),
        missing=missing,
        extra=extra,
        partial=partial,
    )
    names = ("track_id", "path", "labels", "split", "group", "genre", "drums")
    return Manifest({name: [row[name] for row in rows] for name in names}, root, root, None, notes)


def _train_row(name: str) -> dict[str, str] | None:
    """Return the cells of a track of the train part; None if it is none."""
    folder, file = PurePosixPath(name).parts[-2:] if "/" in name else ("", name)
    marks = re.findall(r"\[([a-z_]+)\]", file)
    if folder not in _N_TRAIN or folder not in marks:
        return None
    genre = marks[-1] if len(marks) > 1 else ""
    drums = next((word for mark, word in (("dru", "yes"), ("nod", "no")) if mark in marks), "")
    return {
        "track_id": f"{folder}/{file}",
        "labels": _INSTRUMENTS[folder],
        "split": "train",
        "group": f"{folder}/{file.rpartition('__')[0] or file}",
        "genre": genre,
        "drums": drums,
    }


def _test_row(root: Path, name: str) -> dict[str, str] | None:
    """Return the cells of a track of the test part; None if it is none."""
    parts = [found[1] for folder in name.split("/") if (found := _TEST_FOLDER.fullmatch(folder))]
    if not parts:
        return None
    text = root / f"{name}.txt"
    if not text.is_file():
        raise DataError(f"{text} is missing; it names the instruments of the track")
    codes = read_text(text).split()
    odd = [code for code in codes if code not in _INSTRUMENTS]
    if odd or not codes:
        said = repr(odd[0]) if odd else "nothing"
        raise DataError(f"{text} names {said}; expected {', '.join(_INSTRUMENTS)}")
    file = PurePosixPath(name).name
    return {
        "track_id": f"{parts[-1]}/{file}",
        "labels": SEPARATOR.join(_INSTRUMENTS[code] for code in codes),
        "split": "test",
        "group": re.sub(r"-\d+$", "", file),
        "genre": "",
        "drums": "",
    }
