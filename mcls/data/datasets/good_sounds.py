"""Good-sounds: notes and scales by 12 instruments, played well and badly on purpose.

``sounds.json`` describes every sound: instrument, note, pitch, and ``klass``, which is
``good-sound`` or what is bad about it. ``takes.json`` lists its recordings, one per microphone, as
``sound_files/PACK/MICROPHONE/0001.wav``. A pack is a session with one player, so it is the group;
the takes of a sound are in one pack. There is no published split. The dataset has what the tables
list, as copies of it differ. Layout and fields are those of the tables of the archive.

References
----------
.. [1] O. Romani Picas, H. Parra Rodriguez, D. Dabiri, H. Tokuda, W. Hariya, K. Oishi, X. Serra, "A
   real-time system for measuring sound goodness in instrumental sounds", AES Convention 138, 2015.
"""

import json
from pathlib import Path, PurePosixPath
from typing import Any

from mcls.data.datasets.inventory import by_tail, find_audio, manifest_of, stem
from mcls.data.datasets.tables import find_table
from mcls.disk.text_files import read_text
from mcls.errors import DataError
from mcls.registry import register
from mcls.tables.manifest import Manifest

_FIELDS = {"labels": "instrument", "klass": "klass", "pitch": "semitone"}


@register(
    "datasets",
    "good-sounds",
    task="instrument; quality",
    tracks=None,
    labels=12,
    splits="none",
    paper="Romani Picas et al. 2015",
    audio_licence="CC BY 4.0",
    metadata_licence="CC BY 4.0",
    url="https://zenodo.org/records/4588740",
    layout="sounds.json, takes.json, and files such as sound_files/PACK/MICROPHONE/0001.wav",
)
def good_sounds(root: Path, *, partial: bool = False) -> Manifest:
    """Good-sounds: notes and scales by twelve instruments, good and bad.

    Parameters
    ----------
    root : Path
        Folder with the two tables and ``sound_files/``, or with ``good-sounds/sound_files/``.
    partial : bool
        Accept missing files.

    Returns
    -------
    Manifest
        Columns: labels (instrument), group (the pack), klass (good-sound, bad, ...), pitch (MIDI
        number), microphone and sound.

    Raises
    ------
    DataError
        If files are missing and `partial` is False, or a table cannot be used.
    """
    root = Path(root)
    found = by_tail(root, find_audio(root, "good-sounds"), 3)
    sounds, takes = (_read(root, name) for name in ("sounds.json", "takes.json"))
    lost = [key for key, take in takes.items() if str(take.get("sound_id")) not in sounds]
    if lost:
        raise DataError(f"{root}: take {lost[0]} of takes.json is of no sound in sounds.json")
    names = [
        "/".join(PurePosixPath(stem(str(take.get("filename")))).parts[-3:])
        for take in takes.values()
    ]
    own = [sounds[str(take["sound_id"])] for take in takes.values()]
    columns = {name: [_cell(one.get(field)) for one in own] for name, field in _FIELDS.items()}
    return manifest_of(
        root,
        "good-sounds",
        names,
        found,
        {
            "labels": columns.pop("labels"),
            "group": [name.partition("/")[0] for name in names],
            **columns,
            "microphone": [_cell(take.get("microphone")) for take in takes.values()],
            "sound": [str(take["sound_id"]) for take in takes.values()],
        },
        n_expected=len(takes),
        partial=partial,
    )


def _read(root: Path, name: str) -> dict[str, dict[str, Any]]:
    """Return the objects of a table by their key."""
    path = find_table(root, "good-sounds", name, f"good-sounds/{name}")
    try:
        read = json.loads(read_text(path))
    except ValueError as error:
        raise DataError(f"{path} is not JSON ({error})") from None
    if not isinstance(read, dict) or not all(isinstance(one, dict) for one in read.values()):
        raise DataError(f"{path}: expected an object per entry")
    return read


def _cell(value: object) -> str:
    return "" if value is None else str(value)
