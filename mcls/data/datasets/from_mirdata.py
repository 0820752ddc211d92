"""Datasets that mirdata reads: the labels are an attribute of its tracks.

mirdata knows the files of a dataset from an index, which it does not bring along. mcls downloads
nothing, neither audio nor an index, and does not validate checksums.

References
----------
.. [1] R. M. Bittner, M. Fuentes, D. Rubinstein, A. Jansson, K. Choi, T. Kell, "mirdata: software
   for reproducible usage of datasets", ISMIR 2019.
"""

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from mcls.data.datasets.inventory import find_audio, first_few, manifest_of
from mcls.data.split_cells import PARTS, usual_part
from mcls.errors import ConfigError, DataError, missing_extra, suggest
from mcls.registry import register
from mcls.tables.labels import SEPARATOR
from mcls.tables.manifest import Manifest

#: What mirdata's loaders raise for metadata that is missing or not as expected.
_ERRORS = (OSError, KeyError, IndexError, TypeError, ValueError, AttributeError)


@register(
    "datasets",
    "mirdata",
    task="an attribute of the tracks",
    tracks=None,
    labels=None,
    splits="split or fold, if mirdata has one",
    paper="Bittner et al. 2019",
    audio_licence="per dataset",
    metadata_licence="per dataset",
    url="https://mirdata.readthedocs.io",
    layout="the folder (data_home) that mirdata's loader NAME reads, with mirdata:NAME",
)
def mirdata(
    root: Path,
    *,
    loader: str = "",
    label: str = "",
    group: str = "",
    audio: str = "audio_path",
    index: str = "",
    version: str = "default",
    partial: bool = False,
) -> Manifest:
    """Any dataset of mirdata, as mirdata:NAME; needs pip install 'mcls[mirdata]'.

    Parameters
    ----------
    root : Path
        The folder that the loader reads, ``data_home``.
    loader : str
        Name of the loader; mirdata:NAME sets it.
    label : str
        Attribute of the tracks that is the label: a text, a number, or a list of texts.
    group : str
        Attribute that is the group, such as the artist.
    audio : str
        Attribute that is the path of the audio.
    index : str
        File with mirdata's index; empty takes the one that mirdata has downloaded.
    version : str
        Version of the dataset, as mirdata names it.
    partial : bool
        Accept missing files.

    Returns
    -------
    Manifest
        Columns: labels, group if it is named, and split or fold if mirdata knows it.

    Raises
    ------
    ConfigError
        If mirdata is not installed, or there is no such loader, version or attribute; without a
        label the attributes are named.
    DataError
        If the loader is not named, the index or metadata is missing, or files are missing and
        `partial` is False.
    """
    root = Path(root)
    find_audio(root, "mirdata")
    if not loader:
        raise DataError("name the loader of mirdata, as in mirdata:gtzan_genre")
    dataset = _open(root, loader, version, index)
    ids = list(dataset.track_ids)
    tracks = {name: _track(dataset, name) for name in ids}
    found = {}
    for name, track in tracks.items():
        path = _audio_of(track, audio)
        if path is not None and path.is_file():
            found[name] = path.relative_to(root).as_posix()
    if not found:
        raise DataError(
            f"{root} has none of the {len(ids)} tracks of mirdata:{loader}, such as "
            f"{_audio_of(tracks[ids[0]], audio)}"
        )
    if not label:
        known = ", ".join(_attributes(tracks[next(iter(found))])) or "none that could be labels"
        raise ConfigError(
            f"mirdata:{loader}: name the attribute with the labels, -p label=ATTRIBUTE; the tracks "
            f"have: {known}"
        )
    columns = {
        column: [_cell(tracks[i], attribute) if i in found else "" for i in ids]
        for column, attribute in (("labels", label), ("group", group))
        if attribute
    }
    part_of = _parts(dataset)
    if part_of:
        are_parts = {*part_of.values()} <= set(PARTS)
        columns["split" if are_parts else "fold"] = [part_of.get(name, "") for name in ids]
    manifest = manifest_of(
        root, "mirdata", ids, found, columns, n_expected=len(ids), partial=partial
    )
    bare = [
        name
        for name, cell in zip(manifest.track_ids, manifest.column("labels"), strict=True)
        if not cell
    ]
    if bare:
        manifest.notes.append(f"{len(bare)} tracks have no {label}: {first_few(bare)}")
    return manifest


def _open(root: Path, loader: str, version: str, index: str) -> Any:
    """Return the dataset of mirdata, with an index that is on this machine."""
    try:
        import mirdata as library
    except ImportError as error:
        raise missing_extra("mirdata:NAME", "mirdata", "mirdata") from error
    known = library.list_datasets()
    if loader not in known:
        raise ConfigError(f"mirdata has no loader {loader!r}; {suggest(loader, known)}")
    try:
        dataset = library.initialize(loader, data_home=str(root), version=version)
    except ImportError as error:
        raise ConfigError(f"mirdata:{loader} needs {error.name}, which is not installed") from error
    except ValueError as error:
        raise ConfigError(f"mirdata:{loader}: {error}") from error
    if index:
        dataset.index_path = index
    if not Path(dataset.index_path).is_file():
        raise DataError(
            f"{dataset.index_path}: the index of mirdata:{loader} is not there, and mcls downloads "
            "nothing; name it with -p index=FILE, or fetch it with Python: "
            f"mirdata.initialize({loader!r}).download(partial_download=['index'])"
        )
    try:
        dataset.track_ids  # noqa: B018 - reads the index
    except (ValueError, AttributeError, KeyError) as error:
        raise DataError(f"{dataset.index_path}: not an index of tracks ({error})") from None
    return dataset


def _track(dataset: Any, name: str) -> Any:
    try:
        return dataset.track(name)
    except (*_ERRORS, AssertionError) as error:
        raise DataError(f"mirdata cannot read track {name!r}: {error}") from error


def _audio_of(track: Any, attribute: str) -> Path | None:
    """Return the path of the audio of a track; None if the index has none."""
    paths = [name for name in vars(track) if "audio" in name and name.endswith("path")]
    if attribute not in paths:
        raise ConfigError(
            f"tracks of mirdata have no audio at {attribute!r}; name another attribute with -p "
            f"audio=ATTRIBUTE: {', '.join(paths) or 'there is none'}"
        )
    path = getattr(track, attribute)
    return None if path is None else Path(path)


def _attributes(track: Any) -> list[str]:
    """Return the attributes of a track that may be labels, each with its value."""
    names = {name for name in (*vars(track), *dir(type(track))) if not name.startswith("_")}
    shown = []
    for name in sorted(names):
        if name == "track_id" or "audio" in name or "path" in name:
            continue
        with suppress(*_ERRORS, ConfigError, DataError, NotImplementedError):
            cell = _cell(track, name)
            shown.append(f"{name} ({cell[:30] or 'empty'})")
    return shown


def _cell(track: Any, attribute: str) -> str:
    """Return the cell of a track: a text, a number, or texts joined by ``|``."""
    try:
        value = getattr(track, attribute)
    except _ERRORS as error:
        known = {name for name in (*vars(track), *dir(type(track))) if not name.startswith("_")}
        if attribute not in known:
            raise ConfigError(
                f"tracks of mirdata have no attribute {attribute!r}; {suggest(attribute, known)}"
            ) from None
        raise DataError(f"mirdata: {attribute} of track {track.track_id!r}: {error}") from error
    if value is None:
        return ""
    if isinstance(value, str | int | float):
        return str(value).strip()
    if isinstance(value, list | tuple) and all(isinstance(one, str) for one in value):
        return SEPARATOR.join(dict.fromkeys(one.strip() for one in value))
    raise ConfigError(
        f"mirdata: {attribute} of track {track.track_id!r} is {type(value).__name__}; expected a "
        "text, a number or a list of texts"
    )


def _parts(dataset: Any) -> Mapping[str, str]:
    """Return the part or fold of every track, as far as mirdata knows it."""
    try:
        split = dataset.get_track_splits()
    except (NotImplementedError, AttributeError):
        return {}
    return {str(name): usual_part(str(part)) for part, names in split.items() for name in names}
