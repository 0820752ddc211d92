"""Plot a dictionary, a store, a track, a run, a recipe or an audio file to an image file."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py

from mcls.disk.audio_suffixes import AUDIO_SUFFIXES
from mcls.disk.hdf5 import kind_of
from mcls.disk.outputs import check_replaced
from mcls.disk.run import refuse_seeds
from mcls.disk.sums import check_sums
from mcls.disk.workspace import written_whole
from mcls.errors import ConfigError, DataError, FormatError
from mcls.inspection.views import view_for
from mcls.plots.page import MARKS, Figure, check_format, save, style
from mcls.stores.shard_index import is_shard_folder


@dataclass(frozen=True)
class Plotted:
    """The result of `plot`.

    Attributes
    ----------
    path : Path
        The image file.
    shows : str
        A short description.
    """

    path: Path
    shows: str


def plot(path: Path | str | Sequence[Path], out: Path | str, **options: Any) -> Plotted:
    """Plot a file or folder.

    Parameters
    ----------
    path : path or sequence of path
        A dictionary, a store, a run folder, a cross-validation, a CSV of predictions, a recipe or
        an audio file.
        Several paths are runs, plotted together.
    out : path
        The image file: ``.png``, ``.svg`` or ``.pdf``; an older plot is replaced.
    **options
        See ``mcls.inspection.views.VIEWS`` and the functions named there. None, False and empty
        values count as not given.

    Returns
    -------
    Plotted

    Raises
    ------
    ConfigError
        If the image format is unknown, `out` is another file than a plot of mcls, or
        an option does not apply to the path.
    DataError, FormatError
        If there is nothing at the path, or nothing that can be plotted.
    """
    out = Path(out)
    paths = [Path(path)] if isinstance(path, str | Path) else [*path]
    check_format(out)
    check_replaced(out, MARKS[out.suffix.lower()], "a plot")
    given = {key: value for key, value in options.items() if value not in (None, False, (), [])}
    with style():
        page, shows = _drawn(paths, out, given)
        with written_whole(out) as temporary:
            save(page, temporary, out.suffix)
    return Plotted(out, shows)


def _drawn(paths: list[Path], out: Path, given: dict[str, Any]) -> tuple[Figure, str]:
    """Draw paths of one kind."""
    if twice := next((path for path in paths if paths.count(path) > 1), None):
        raise ConfigError(f"{twice} is given twice")
    kinds = {path: _kind(path) for path in paths}
    if len(paths) > 1 and (odd := next((p for p in paths if kinds[p] != "run"), None)):
        raise ConfigError(f"{odd} is a {kinds[odd]}; only runs can be plotted together")
    return view_for(kinds[paths[0]], paths, given).draw(paths, out, given)


def _kind(path: Path) -> str:
    """Return the kind of a path, one of ``VIEWS``."""
    if not path.exists():
        raise DataError(f"there is nothing at {path}")
    if is_shard_folder(path):
        return "store"
    if path.is_dir():
        if (path / "predictions.csv").is_file():
            check_sums(path)
            return "run"
        refuse_seeds(path)
        raise FormatError(
            f"{path}: there is no predictions.csv in it; expected a folder that `mcls train` or "
            "`mcls cv` has made"
        )
    if path.suffix.lower() == ".csv":
        return "run"
    if path.suffix.lower() == ".toml":
        return "recipe"
    if path.suffix.lower() in AUDIO_SUFFIXES:
        return "audio file"
    if h5py.is_hdf5(path):
        kind = kind_of(path)
        if kind in ("features", "dictionary"):
            return "store" if kind == "features" else "dictionary"
        raise FormatError(f"{path} is HDF5 of kind {kind!r}; expected a store or a dictionary")
    raise FormatError(
        f"{path}: cannot be plotted; expected a dictionary, a store, a run folder, a CSV of "
        f"predictions, a recipe (.toml) or audio ({', '.join(sorted(AUDIO_SUFFIXES))})"
    )
