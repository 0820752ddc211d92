"""NSynth: 305,979 notes of 4 s by 1,006 instruments, in 11 families and from 3 sources.

The folders ``nsynth-train``, ``nsynth-valid`` and ``nsynth-test`` have ``examples.json``, which
describes every note, and ``audio/``, with files such as ``guitar_acoustic_001-082-127.wav``:
instrument, pitch and velocity. No instrument of the train part is in another part, but the valid
and the test part share instruments, so the instrument is a column and not the group. Layout and
fields are those of the JSON and WAV archives.

References
----------
.. [1] J. Engel, C. Resnick, A. Roberts, S. Dieleman, D. Eck, K. Simonyan, M. Norouzi, "Neural audio
   synthesis of musical notes with WaveNet autoencoders", ICML 2017.
"""

import json
from pathlib import Path
from typing import Any, Literal

from mcls.data.datasets.inventory import by_tail, expected_layout, find_audio, manifest_of
from mcls.disk.text_files import read_text
from mcls.errors import DataError
from mcls.registry import register
from mcls.tables.labels import SEPARATOR
from mcls.tables.manifest import Manifest

_PARTS = ("train", "valid", "test")
#: The columns of the manifest, and the fields of ``examples.json`` that they are.
_FIELDS = {
    "family": "instrument_family_str",
    "source": "instrument_source_str",
    "instrument": "instrument_str",
    "pitch": "pitch",
    "velocity": "velocity",
    "qualities": "qualities_str",
}


@register(
    "datasets",
    "nsynth",
    task="instrument family; source",
    tracks=305979,
    labels=11,
    splits="split: 289,205 train, 12,678 valid and 4,096 test",
    paper="Engel et al. 2017",
    audio_licence="CC BY 4.0",
    metadata_licence="CC BY 4.0",
    url="https://magenta.tensorflow.org/datasets/nsynth",
    layout="nsynth-train, nsynth-valid and nsynth-test, each with examples.json and audio/",
)
def nsynth(
    root: Path, *, target: Literal["family", "source"] = "family", partial: bool = False
) -> Manifest:
    """NSynth: single notes of 4 s by instruments of eleven families.

    Parameters
    ----------
    root : Path
        Folder with the folders of the parts; with `partial` one of them will do.
    target : {'family', 'source'}
        The labels: instrument family, or source (acoustic, electronic, synthetic).
    partial : bool
        Accept missing files.

    Returns
    -------
    Manifest
        Columns: labels, split, family, source, instrument, pitch (MIDI number), velocity and
        qualities (joined by ``|``).

    Raises
    ------
    DataError
        If files are missing and `partial` is False, or ``examples.json`` cannot be used.
    """
    root = Path(root)
    audio = find_audio(root, "nsynth")
    tables = {part: root / f"nsynth-{part}" / "examples.json" for part in _PARTS}
    notes: dict[str, tuple[str, dict[str, str]]] = {}
    for part, table in tables.items():
        if table.is_file():
            notes |= {name: (part, cells) for name, cells in _read_notes(table).items()}
    if not notes:
        raise DataError(f"{root} holds no examples.json; expected {expected_layout('nsynth')}")
    columns = {name: [cells[name] for _, cells in notes.values()] for name in _FIELDS}
    return manifest_of(
        root,
        "nsynth",
        list(notes),
        by_tail(root, audio, 1),
        {"labels": columns[target], "split": [part for part, _ in notes.values()], **columns},
        partial=partial,
    )


def _read_notes(path: Path) -> dict[str, dict[str, str]]:
    """Return the cells of every note; other fields are dropped while the file is read."""

    def note(read: dict[str, Any]) -> dict[str, Any]:
        if "note_str" not in read:
            return read
        return {name: _cell(read.get(field)) for name, field in _FIELDS.items()}

    try:
        found = json.loads(read_text(path), object_hook=note)
    except ValueError as error:
        raise DataError(f"{path} is not JSON ({error})") from None
    if not isinstance(found, dict) or not all(
        isinstance(one, dict) and one.keys() == _FIELDS.keys() for one in found.values()
    ):
        raise DataError(f"{path}: expected an object per note, with note_str and other fields")
    return found


def _cell(value: object) -> str:
    return SEPARATOR.join(map(str, value)) if isinstance(value, list) else str(value)
