"""Mridangam strokes: 2879 single strokes on six drums of different tonic.

References
----------
.. [1] A. Anantapadmanabhan, A. Bellur, H. A. Murthy, "Modal analysis and transcription of strokes
   of the mridangam using non-negative matrix factorization", ICASSP 2013.
"""

from pathlib import Path

from mcls.data.datasets.annotated import read_annotated
from mcls.registry import register
from mcls.tables.manifest import Manifest


@register(
    "datasets",
    "mridangam",
    task="stroke",
    tracks=2879,
    labels=9,
    splits="fold: the tonic of the drum",
    paper="Anantapadmanabhan et al. 2013",
    audio_licence="CC BY 3.0",
    metadata_licence="CC BY 3.0",
    url="https://zenodo.org/records/4068196",
    layout="annotations.csv with the columns path, stroke and tonic, and the audio",
)
def mridangam(root: Path, *, partial: bool = False) -> Manifest:
    """Mridangam strokes: single strokes on six drums.

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
        columns=["stroke", "tonic"],
        partial=partial,
    )
    manifest.columns["labels"] = manifest.columns.pop("stroke")
    manifest.columns["fold"] = manifest.columns.pop("tonic")
    manifest.columns["group"] = list(manifest.columns["fold"])
    return manifest
