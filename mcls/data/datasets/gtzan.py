"""GTZAN: 1000 excerpts of 30 s, 10 genres of 100, named ``GENRE/GENRE.000NN.wav``.

The dataset repeats recordings, and artists occur many times. The published fault-filtered split
omits the repetitions and separates the artists; scores of other splits are too good. There is no
list of artists here, so there is no group column.

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

from mcls.data.datasets.inventory import check_complete, find_audio, first_few, stem
from mcls.disk.manifest import Manifest
from mcls.disk.text_files import read_text
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
    """GTZAN: 10 genres of 100 excerpts, optionally with the fault-filtered split.

    Parameters
    ----------
    root : Path
        Folder with the ten genre folders, at any depth (``genres/``, ``genres_original/``).
    split_lists : str or None
        Folder with ``train_filtered.txt``, ``valid_filtered.txt`` and ``test_filtered.txt``.
    partial : bool
        Accept missing files.

    Returns
    -------
    Manifest
        Columns: labels (the genre) and, with the lists, split (empty for tracks on no list).

    Raises
    ------
    DataError
        If files are missing and `partial` is False, or a list is missing, names a missing track, or
        shares a track with another list.
    """
    root = Path(root)
    audio = find_audio(root, "gtzan", "genre folders with files such as blues.00000.wav", _URL)
    found = {"/".join(PurePosixPath(name).parts[-2:]): path for name, path in audio.items()}
    expected = [f"{genre}/{genre}.{number:05d}" for genre in _GENRES for number in range(100)]
    names = [name for name in expected if name in found]
    if not names:
        raise DataError(f"{root}: found no file named like blues/blues.00000.wav")
    taken = {found[name] for name in names}
    notes = check_complete(
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
            f"{found[_CORRUPT]} is corrupt in most copies of GTZAN; if `mcls extract` "
            "reports it, pass --skip-errors"
        )
    columns = {
        "track_id": names,
        "path": [found[name] for name in names],
        "labels": [name.split("/")[0] for name in names],
    }
    if split_lists is None:
        notes.append(
            "GTZAN repeats recordings and artists, so scores of a random split are too good; "
            "pass -p split_lists=FOLDER to use the fault-filtered lists"
        )
    else:
        part_of = _read_lists(Path(split_lists))
        absent = [name for name in part_of if name not in found]
        if absent and not partial:
            raise DataError(
                f"{split_lists} lists tracks that are not in {root}: {first_few(absent)}"
            )
        columns["split"] = [part_of.get(name, "") for name in names]
        notes.append(f"{columns['split'].count('')} tracks are on none of the split lists")
    return Manifest(columns, root, root, None, notes)


def _read_lists(folder: Path) -> dict[str, str]:
    """Return the part of every track on the lists."""
    part_of: dict[str, str] = {}
    for part in _PARTS:
        file = folder / f"{part}_filtered.txt"
        if not file.is_file():
            raise DataError(f"{file} does not exist; expected train_, valid_ and test_filtered.txt")
        for number, line in enumerate(read_text(file).splitlines(), start=1):
            if not line.strip():
                continue
            name = stem(line.strip())
            if name in part_of:
                raise DataError(f"{file}:{number}: {name} is already in {part_of[name]}")
            part_of[name] = part
    return part_of
