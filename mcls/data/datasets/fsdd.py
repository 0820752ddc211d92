"""Free Spoken Digit Dataset: ten digits by six speakers, named ``DIGIT_SPEAKER_TAKE``.

References
----------
.. [1] Z. Jackson et al., "Free Spoken Digit Dataset", https://doi.org/10.5281/zenodo.1342401
"""

import re
from pathlib import Path, PurePosixPath

from mcls.data.datasets.inventory import check_complete, find_audio
from mcls.errors import DataError
from mcls.registry import register
from mcls.tables.manifest import Manifest

_SPEAKERS = ("george", "jackson", "lucas", "nicolas", "theo", "yweweler")
_NAME = re.compile(r"(\d)_([^_]+)_(\d+)")


@register(
    "datasets",
    "fsdd",
    task="spoken digit",
    tracks=3000,
    labels=10,
    splits="fold: the speaker",
    paper="Jackson et al. 2018",
    audio_licence="CC BY-SA 4.0",
    metadata_licence="CC BY-SA 4.0",
    url="https://github.com/Jakobovski/free-spoken-digit-dataset",
    layout="files such as 7_george_12.wav, or a folder recordings with them",
)
def fsdd(root: Path, *, takes: int = 20, partial: bool = False) -> Manifest:
    """Free Spoken Digit Dataset: the digits in English by six speakers.

    Parameters
    ----------
    root : Path
        Folder with the recordings, or with a folder ``recordings`` that holds them.
    takes : int
        Number of takes of each digit by each speaker; the full dataset has 50.
    partial : bool
        Accept missing files.

    Returns
    -------
    Manifest
        Columns: labels (the digit), fold and group (both the speaker).

    Raises
    ------
    DataError
        If files are missing and `partial` is False.
    """
    root = Path(root)
    audio = find_audio(root, "fsdd")
    tracks = {}
    for path in audio.values():
        match = _NAME.fullmatch(PurePosixPath(path).stem)
        if match and int(match[3]) < takes:
            tracks[match[0]] = (path, match[1], match[2])
    if not tracks:
        raise DataError(f"{root}: found no file named like 7_george_12.wav")
    expected = [
        f"{digit}_{speaker}_{take}"
        for digit in range(10)
        for speaker in _SPEAKERS
        for take in range(takes)
    ]
    taken = {path for path, _, _ in tracks.values()}
    notes = check_complete(
        root,
        "fsdd",
        n_expected=len(expected),
        n_found=len(tracks),
        missing=[name for name in expected if name not in tracks],
        extra=[path for path in audio.values() if path not in taken],
        partial=partial,
    )
    names = sorted(tracks)
    speakers = [tracks[name][2] for name in names]
    columns = {
        "track_id": names,
        "path": [tracks[name][0] for name in names],
        "labels": [tracks[name][1] for name in names],
        "fold": speakers,
        "group": list(speakers),
    }
    return Manifest(columns, root, root, None, notes)
