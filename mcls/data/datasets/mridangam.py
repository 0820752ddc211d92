"""Mridangam strokes: 2879 single strokes on six drums of different tonic.

References
----------
.. [1] A. Anantapadmanabhan, A. Bellur, H. A. Murthy, "Modal analysis and transcription of strokes
   of the mridangam using non-negative matrix factorization", ICASSP 2013.
"""

from pathlib import Path

from mcls.data.datasets.annotated import read_annotated
from mcls.disk.manifest import Manifest
from mcls.registry import register

_URL = "https://zenodo.org/records/4068196"


@register("datasets", "mridangam")
def mridangam(root: Path, *, partial: bool = False) -> Manifest:
    """Mridangam strokes: 9 strokes on 6 drums, with one fold per tonic.

    Parameters
    ----------
    root : Path
        Folder with ``annotations.csv`` (path, stroke, tonic) and a folder per stroke.
    partial : bool
        Accept missing files.

    Returns
    -------
    Manifest
        Columns: labels (the stroke), fold and group (both the tonic of the drum).

    Raises
    ------
    DataError
        If files are missing and `partial` is False.
    """
    manifest = read_annotated(
        Path(root),
        "mridangam",
        n_expected=2879,
        columns=["stroke", "tonic"],
        url=_URL,
        partial=partial,
    )
    manifest.columns["labels"] = manifest.columns.pop("stroke")
    manifest.columns["fold"] = manifest.columns.pop("tonic")
    manifest.columns["group"] = list(manifest.columns["fold"])
    return manifest
