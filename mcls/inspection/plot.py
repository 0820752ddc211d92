"""Plot a dictionary, a store, a track, a run or a recipe to an image file."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py

from mcls.disk.hdf5 import kind_of
from mcls.disk.outputs import check_replaced
from mcls.disk.sums import check_sums
from mcls.disk.workspace import written_whole
from mcls.errors import ConfigError, DataError, FormatError
from mcls.inspection.dictionary import plot_dictionary
from mcls.inspection.dictionary_samples import plot_samples
from mcls.inspection.recipe import plot_recipe
from mcls.inspection.run import plot_run
from mcls.inspection.several_runs import plot_several_runs
from mcls.inspection.store import plot_store
from mcls.plots.page import MARKS, Figure, check_format, save, style

#: The options that apply to each kind of file.
_TAKES = {
    "dictionary": {"top", "sort", "space", "samples", "steps"},
    "store": {"track", "feature", "dicts", "encoder", "pool"},
    "run": {"part", "filters", "top", "every", "store", "label", "how", "layer"}
    | {"saliency", "taggram", "alignment", "track", "maximise", "exciting", "audio_root", "out"},
    "recipe": set(),
}


def _draw_run(path: Path, **options: Any) -> tuple[Figure, str]:
    """Plot the results of a run, or its net."""
    if not set(options) - {"part"}:
        return plot_run(path, **options)
    from mcls.inspection.net import plot_net

    return plot_net(path, **options)


def _draw_dictionary(path: Path, **options: Any) -> tuple[Figure, str]:
    """Plot the atoms of a dictionary, or samples of it."""
    if "samples" not in options:
        if "steps" in options:
            raise ConfigError("--steps is for --samples; add the number of samples")
        return plot_dictionary(path, **options)
    others = sorted(set(options) - {"samples", "steps"})
    if others:
        raise ConfigError(f"--{others[0]} is for atoms; leave it out with --samples")
    return plot_samples(path, **options)


_DRAW: dict[str, Callable[..., tuple[Figure, str]]] = {
    "dictionary": _draw_dictionary,
    "store": plot_store,
    "run": _draw_run,
    "recipe": plot_recipe,
}


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
        A dictionary, a store, a run folder, a cross-validation, a CSV of predictions or a recipe.
        Several paths are runs whose learning curves are plotted together, without options.
    out : path
        The image file: ``.png``, ``.svg`` or ``.pdf``; an older plot is replaced.
    **options
        For a dictionary, those of `plot_dictionary` or of `plot_samples`; for a store, those of
        `plot_store`; for a run, ``part`` (see `plot_run`), or ``filters=True``, ``saliency=TRACK``
        or ``taggram=TRACK`` with the options of `mcls.inspection.net`. None, False and empty values
        count as not given.

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
        if "audio_root" in given:
            given["out"] = out  # audio is written beside the image
        page, shows = _drawn(paths, given)
        with written_whole(out) as temporary:
            save(page, temporary, out.suffix)
    return Plotted(out, shows)


def _drawn(paths: list[Path], given: dict[str, Any]) -> tuple[Figure, str]:
    """Draw one path with its options, or several runs."""
    if len(paths) > 1:
        if given:
            raise ConfigError(f"several runs are plotted without options such as {min(given)!r}")
        return plot_several_runs(paths)
    [path] = paths
    kind = _kind(path)
    wrong = sorted(set(given) - _TAKES[kind])
    if wrong:
        owners = [owner for owner, takes in _TAKES.items() if wrong[0] in takes]
        said = f"it applies to a {owners[0]}" if owners else "there is no such option"
        name = "dict" if wrong[0] == "dicts" else wrong[0]  # --dict is repeatable
        raise ConfigError(f"{path} is a {kind}, which takes no option {name!r}; {said}")
    return _DRAW[kind](path, **given)


def _kind(path: Path) -> str:
    """Return the kind of a path, one of ``_TAKES``."""
    if not path.exists():
        raise DataError(f"there is nothing at {path}")
    if path.is_dir():
        if (path / "predictions.csv").is_file():
            check_sums(path)
            return "run"
        raise FormatError(
            f"{path}: there is no predictions.csv in it; expected a folder that `mcls train` or "
            "`mcls cv` has made"
        )
    if path.suffix.lower() == ".csv":
        return "run"
    if path.suffix.lower() == ".toml":
        return "recipe"
    if h5py.is_hdf5(path):
        kind = kind_of(path)
        if kind in ("features", "dictionary"):
            return "store" if kind == "features" else "dictionary"
        raise FormatError(f"{path} is HDF5 of kind {kind!r}; expected a store or a dictionary")
    raise FormatError(
        f"{path}: cannot be plotted; expected a dictionary, a store, a run folder, a CSV of "
        "predictions or a recipe (.toml)"
    )
