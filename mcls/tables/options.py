"""The options of every command that reads a manifest or a folder of audio."""

from dataclasses import dataclass

from mcls.options import option


@dataclass(frozen=True)
class Reading:
    """How a manifest or a folder is read; see `mcls.tables.manifest.open_source`."""

    audio_root: str | None = option(
        None,
        "Folder that the paths in the manifest are relative to.",
        section="Data",
        metavar="DIR",
        path="audio",
    )
    path_column: str = option(
        "path", "Column with the audio files.", section="Data", metavar="NAME"
    )
    labels: str = option(
        "labels", "Column of labels; or none, also for a folder of any audio.", section="Data"
    )
    sep: str = option(
        "|",
        "Characters that separate the labels of a track, such as '|,;'.",
        section="Data",
        metavar="CHARACTERS",
    )
    skip_unlabelled: bool = option(False, "Leave out tracks without a label.", section="Data")
