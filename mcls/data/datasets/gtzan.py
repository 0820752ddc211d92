"""GTZAN: 1000 excerpts of 30 s, 10 genres of 100; a file is ``GENRE/GENRE.000NN.wav``.

The set has repeated recordings, and excerpts of one artist all over it. The published
fault-filtered lists leave out the repetitions and keep artists apart; without them a score on
GTZAN is too good. There is no list of artists here, so there is no group column.

References
----------
.. [1] G. Tzanetakis, P. Cook, "Musical genre classification of audio signals", IEEE
   Trans. Speech and Audio Processing 10(5), 2002.
.. [2] B. L. Sturm, "The state of the art ten years after a state of the art: future research in
   music information retrieval", J. New Music Research 43(2), 2014 (the faults).
.. [3] C. Kereliuk, B. L. Sturm, J. Larsen, "Deep learning and music adversaries", IEEE Trans.
   Multimedia 17(11), 2015 (the lists).
"""

from pathlib import Path, PurePosixPath

from mcls.data.datasets.inventory import find_audio, some, stem, take_stock
from mcls.disk.manifest import Manifest
from mcls.errors import DataError
from mcls.registry import register

_URL = "https://huggingface.co/datasets/marsyas/gtzan"
_GENRES = [
    *("blues", "classical", "country", "disco", "hiphop"),
    *("jazz", "metal", "pop", "reggae", "rock"),
]
_CORRUPT = "jazz/jazz.00054"
_PARTS = ("train", "valid", "test")


@register("datasets", "gtzan")
def gtzan(root: Path, *, split_lists: str | None = None, partial: bool = False) -> Manifest:
    """Read GTZAN: 10 genres of 100 excerpts, optionally with the fault-filtered split.

    Parameters
    ----------
    root : Path
        Holds the ten genre folders, at whatever depth (``genres/``, ``genres_original/``).
    split_lists : str or None
        A folder with ``train_filtered.txt``, ``valid_filtered.txt`` and ``test_filtered.txt``.
    partial : bool
        Go on when files are missing.

    Returns
    -------
    Manifest
        Columns labels (the genre) and, given the lists, split; tracks on no list have none.

    Raises
    ------
    DataError
        If files are missing and `partial` is False, or a list is missing, names a track that is
        not there, or shares one with another list.
    """
    root = Path(root)
    audio = find_audio(root, "gtzan", "genre folders with files such as blues.00000.wav", _URL)
    found = {"/".join(PurePosixPath(name).parts[-2:]): path for name, path in audio.items()}
    expected = [f"{genre}/{genre}.{number:05d}" for genre in _GENRES for number in range(100)]
    names = [name for name in expected if name in found]
    if not names:
        raise DataError(f"{root}: no file is named like blues/blues.00000.wav")
    taken = {found[name] for name in names}
    notes = take_stock(
        root,
        "gtzan",
        n_expected=len(expected),
        n_found=len(names),
        missing=[name for name in expected if name not in found],
        extra=[path for path in audio.values() if path not in taken],
        partial=partial,
    )
    if _CORRUPT in found:
        notes.append(
            f"{found[_CORRUPT]} cannot be decoded in most copies of GTZAN; if it fails, "
            "mcls extract says so and goes on with --skip-errors"
        )
    columns = {
        "track_id": names,
        "path": [found[name] for name in names],
        "labels": [name.split("/")[0] for name in names],
    }
    if split_lists is None:
        notes.append(
            "GTZAN repeats recordings and artists: a random split scores too well; "
            "-p split_lists=FOLDER takes the fault-filtered lists"
        )
    else:
        part_of = _read_lists(Path(split_lists))
        absent = [name for name in part_of if name not in found]
        if absent and not partial:
            raise DataError(f"{split_lists}: listed but not in {root}: {some(absent)}")
        columns["split"] = [part_of.get(name, "") for name in names]
        notes.append(f"{columns['split'].count('')} tracks are on none of the lists")
    return Manifest(columns, root, root, None, notes)


def _read_lists(folder: Path) -> dict[str, str]:
    """Return the part of every listed track."""
    part_of: dict[str, str] = {}
    for part in _PARTS:
        file = folder / f"{part}_filtered.txt"
        if not file.is_file():
            raise DataError(f"{file}: no such file; expected {', '.join(_PARTS)}_filtered.txt")
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), start=1):
            if not line.strip():
                continue
            name = stem(line.strip())
            if name in part_of:
                raise DataError(f"{file}:{number}: {name} is in {part_of[name]} already")
            part_of[name] = part
    return part_of
