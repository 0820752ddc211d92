"""Plot: a dictionary, a store, a track or a run to a picture."""

import csv
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from mcls.disk.atomic import written_whole
from mcls.disk.dictionary import DictionaryFile, read_dictionary
from mcls.disk.store import Store, StoredRows
from mcls.errors import ConfigError, DataError, FormatError
from mcls.labels import split_labels
from mcls.plots.atom_space import atoms_in
from mcls.plots.axes import DimsAxis, centre, in_order
from mcls.plots.dictionary import draw_dictionary
from mcls.plots.overview import Spread, draw_store
from mcls.plots.page import Figure, check_format, save, shortened, style
from mcls.plots.scores import draw_run
from mcls.plots.track import draw_track
from mcls.stages.chain_axes import meaning_of, patches_of
from mcls.stages.evaluate import evaluate
from mcls.stages.plot_track import track_layers

#: Rows of a feature that are looked at for the overview of a store.
_ROWS = 20_000

#: Features that an overview has room for.
_FEATURES = 3

#: The options that each kind of file takes, besides the picture to write.
_TAKES = {
    "dictionary": {"top", "sort", "space"},
    "store": {"track", "feature", "dicts", "encoder", "pool"},
    "run": {"part"},
}


@dataclass(frozen=True)
class Plotted:
    """What `plot` made.

    Attributes
    ----------
    path : Path
        The picture.
    shows : str
        What is to be seen on it, in a few words.
    """

    path: Path
    shows: str


def plot(path: Path | str, out: Path | str, **options: Any) -> Plotted:
    """Draw what a path holds.

    Parameters
    ----------
    path : path
        A dictionary, a store, a run folder, a cross-validation or a CSV of predictions.
    out : path
        The picture: ``.png``, ``.svg`` or ``.pdf``. One that is there is replaced.
    **options
        Of a dictionary: those of `plot_dictionary`. Of a store: ``track``, ``feature``, ``dicts``,
        ``encoder``, ``pool`` (see `plot_store`). Of a run: ``part`` (see `plot_run`). One that is
        None or empty counts as not given.

    Returns
    -------
    Plotted

    Raises
    ------
    ConfigError
        If the picture's format is unknown, or an option does not belong to the path.
    DataError, FormatError
        If there is nothing at the path, or nothing that can be drawn.
    """
    path, out = Path(path), Path(out)
    check_format(out)
    given = {key: value for key, value in options.items() if value not in (None, (), [])}
    kind = _kind(path)
    wrong = sorted(set(given) - _TAKES[kind])
    if wrong:
        owners = [owner for owner, takes in _TAKES.items() if wrong[0] in takes]
        said = f"that is for a {owners[0]}" if owners else "there is no such option"
        raise ConfigError(f"{path} is a {kind}, which does not take {wrong[0]!r}; {said}")
    with style():
        page, shows = _DRAW[kind](path, **given)
        with written_whole(out) as temporary:
            save(page, temporary, out.suffix)
    return Plotted(out, shows)


def plot_dictionary(
    path: Path, *, top: int = 100, sort: str = "use", space: str | None = None
) -> tuple[Figure, str]:
    """Draw the atoms of a dictionary, their use and how they were learnt.

    Parameters
    ----------
    path : Path
        A dictionary file.
    top : int
        How many atoms to show, the most used.
    sort : {'use', 'frequency', 'none'}
        Their order. Without any record of use: by frequency, else none.
    space : {'raw', 'standardized', 'filter', 'preprocessed'} or None
        See `atoms_in`. None: ``raw`` where dimensions are frequencies, which share a unit, and
        ``standardized`` elsewhere.

    Returns
    -------
    page : Figure
    shows : str
    """
    if top < 1:
        raise ConfigError(f"top={top}; expected 1 or more")
    kept = read_dictionary(path)
    step, report = kept.step, kept.report
    as_rows = patches_of(atoms_in("raw", step.arrays), step)
    meaning = meaning_of(kept.chain[:-1], n_dims=as_rows.shape[2])
    axis = meaning.axis
    space = space or ("standardized" if axis.frequencies is None else "raw")
    atoms = atoms_in(space, step.arrays)
    if space == "preprocessed" and "whitening" in step.arrays:
        patches, axis = atoms[:, None], DimsAxis("principal component", atoms.shape[1])
    else:
        patches = patches_of(atoms, step)
    usage = np.asarray(report["usage"]) if len(report.get("usage", [])) == len(atoms) else None
    shown, order = _ordered(kept, as_rows, meaning.axis, usage, top, sort)
    n = len(atoms)
    count = f"{len(shown)} of {n} atoms" if len(shown) < n else f"{n} atom{'s' * (n > 1)}"
    through = " > ".join(one.name for one in kept.chain if one.kind != "concat")
    page = draw_dictionary(
        patches[shown],
        axis,
        frame_seconds=meaning.step,
        unit=_unit(space, meaning.unit, centred="mean" in step.arrays),
        order=order,
        title=f"{count}, {through}",
        usage=usage,
        perplexity=report.get("perplexity"),
        history=report.get("history", ()),
    )
    return page, f"{count}, {order}"


def _ordered(
    kept: DictionaryFile,
    patches: np.ndarray,
    axis: DimsAxis,
    usage: np.ndarray | None,
    top: int,
    sort: str,
) -> tuple[np.ndarray, str]:
    """Return which atoms to show, in order, and what the order is."""
    if sort not in ("use", "frequency", "none"):
        raise ConfigError(f"there is no order {sort!r}; there are: frequency, none, use")
    if sort == "frequency" and axis.frequencies is None:
        raise ConfigError(
            f"{kept.path}: its rows are {axis.name}s, which have no frequency to sort by"
        )
    if sort == "use" and usage is None:
        sort = "none" if axis.frequencies is None else "frequency"
    chosen = np.arange(len(patches)) if usage is None else in_order(usage, descending=True)
    chosen = chosen[:top]
    if sort == "use":
        return chosen, "the most used first"
    chosen = np.sort(chosen)
    if sort == "none":
        return chosen, "in the order of the dictionary"
    return chosen[in_order(centre(patches[chosen], axis))], "by centre frequency"


def _unit(space: str, unit: str, *, centred: bool) -> str:
    """Say what the values of atoms are."""
    if space == "filter":
        return "weight"
    if space == "preprocessed":
        return "value after preprocessing"
    what = "standard deviations" if space == "standardized" and centred else unit
    return f"difference from the mean ({what})" if centred else what


def plot_store(path: Path, *, track: str | None = None, **options: Any) -> tuple[Figure, str]:
    """Draw a track of a store, or what the store is like as a whole.

    Parameters
    ----------
    path : Path
        A store.
    track : str or None
        The ``track_id``; None: labels, durations and the spread of each feature.
    **options
        ``feature``, ``dicts``, ``encoder``, ``pool``: see `track_layers`. Without a track only
        ``feature``, the one to show.

    Returns
    -------
    page : Figure
    shows : str
    """
    store = Store(path)
    if track is None:
        alone = sorted(set(options) - {"feature"})
        if alone:
            raise ConfigError(f"{path}: {alone[0]!r} needs a track; say which with --track")
        return _plot_overview(store, options.get("feature"))
    layers, place = track_layers(store, track, **options)
    ends = [layer.start + layer.step * len(layer.rows) for layer in layers if layer.step]
    measured = store.tracks.get("seconds")
    seconds = float(measured[place]) if measured is not None else max(ends, default=1.0)
    said = [shortened(track, 60)]
    if "labels" in store.tracks:
        said.append(shortened(store.column("labels")[place].replace("|", ", "), 50))
    page = draw_track(layers, title=": ".join(filter(None, said)), seconds=seconds)
    return page, f"track {track}, {len(layers)} panels"


def _plot_overview(store: Store, feature: str | None) -> tuple[Figure, str]:
    if not store.n_tracks:
        raise DataError(f"{store.path}: there are no tracks in it, so there is nothing to draw")
    names = [store.feature(feature).name] if feature else list(store.features)[:_FEATURES]
    rates = {int(rate) for rate in store.tracks.get("sample_rate", [])}
    sr = rates.pop() if len(rates) == 1 else None
    spreads = [_spread(store.features[name], sr) for name in names if len(store.features[name])]
    seconds = [float(value) for value in store.tracks.get("seconds", [])]
    title = f"{store.path.name}: {store.n_tracks} tracks"
    if seconds:
        title += f", {sum(seconds) / 60:.3g} min"
    page = draw_store(_label_counts(store), seconds, spreads, title=title)
    return page, f"{store.n_tracks} tracks, {', '.join(names)}"


def _spread(stored: StoredRows, sr: int | None) -> Spread:
    step = -(-len(stored) // _ROWS)
    rows = np.asarray(stored.rows[::step], np.float64)
    meaning = meaning_of(stored.chain, sr, stored.n_dims)
    name = f"{stored.name}, {len(rows)} of {len(stored)} rows"
    return Spread(name, rows.mean(axis=0), rows.std(axis=0), meaning.axis, meaning.unit)


def _label_counts(store: Store) -> dict[str, dict[str, int]]:
    """Count the tracks of each label by part; without parts, in all."""
    if "labels" not in store.tracks:
        return {}
    known = store.column("split") if "split" in store.tracks else [""] * store.n_tracks
    counts: dict[str, dict[str, int]] = {}
    for cell, part in zip(store.column("labels"), known, strict=True):
        for label in split_labels(cell):
            inside = counts.setdefault(label, dict.fromkeys(sorted(set(known)), 0))
            inside[part] += 1
    return counts


def plot_run(path: Path, *, part: str | None = None) -> tuple[Figure, str]:
    """Draw what a run got right and, where it has a history, how it was trained.

    Parameters
    ----------
    path : Path
        A run folder, a cross-validation, or a CSV of predictions.
    part : str or None
        See `mcls.stages.evaluate.evaluate`.

    Returns
    -------
    page : Figure
        A confusion matrix where a track has one label, else the AUC of each label.
    shows : str
    """
    history, kept = read_history(path) if path.is_dir() else ([], None)
    drawn: dict[str, Any] = {"history": history, "kept": kept}
    several = evaluate(path, ["auc"], part=part, n_bootstrap=0).report.multi_label
    return (_multi_label if several else _single_label)(path, part, drawn)


def _single_label(path: Path, part: str | None, drawn: dict[str, Any]) -> tuple[Figure, str]:
    report = evaluate(path, ["accuracy"], part=part, confusion=True).report
    figure = report["accuracy"].main
    assert figure is not None and figure.low is not None and report.confusion is not None
    where = f"{report.n_tracks} {report.part} tracks"
    title = f"{path.name}: accuracy {figure.value:.3f} [{figure.low:.3f}, {figure.high:.3f}], "
    page = draw_run(
        title=title + where, names=report.names, confusion=np.array(report.confusion), **drawn
    )
    return page, f"confusion of {len(report.names)} labels, {where}"


def _multi_label(path: Path, part: str | None, drawn: dict[str, Any]) -> tuple[Figure, str]:
    report = evaluate(path, ["auc"], part=part).report
    figure = report["auc"].macro
    if figure is None:
        raise DataError(f"{path}: no label is on some of the tracks and absent from others")
    found = {
        name: (one.value, one.low, one.high, report.support[name])
        for name, one in report["auc"].per_label.items()
    }
    where = f"{report.n_tracks} {report.part} tracks"
    ends = "" if figure.low is None else f" [{figure.low:.3f}, {figure.high:.3f}]"
    page = draw_run(
        title=f"{path.name}: macro AUC {figure.value:.3f}{ends}, {where}",
        per_label=found,
        metric="ROC-AUC with 95 % interval (tracks with the label)",
        chance=0.5,
        mean=figure.value,
        **drawn,
    )
    return page, f"AUC of {len(found)} labels, {where}"


def read_history(run: Path) -> tuple[list[dict[str, float]], float | None]:
    """Read what a run's training measured.

    Parameters
    ----------
    run : Path
        A run folder.

    Returns
    -------
    history : list of dict
        The lines of history.csv; cells that are no numbers are left out. Empty without the file.
    kept : float or None
        The ``kept_epoch`` (or ``best_epoch``) of about.json, if it names one.

    Raises
    ------
    FormatError
        If a file is there and damaged.
    """
    file, about = run / "history.csv", run / "about.json"
    if not file.is_file():
        return [], None
    try:
        with file.open(encoding="utf-8", newline="") as lines:
            history = [
                {name: float(cell) for name, cell in line.items() if _is_number(cell)}
                for line in csv.DictReader(lines, strict=True)
            ]
        said = json.loads(about.read_text(encoding="utf-8")) if about.is_file() else {}
        kept = next((said[key] for key in ("kept_epoch", "best_epoch") if key in said), None)
    except (UnicodeDecodeError, ValueError, csv.Error, TypeError) as error:
        raise FormatError(f"{run}: history.csv or about.json is damaged ({error})") from error
    return history, float(kept) if isinstance(kept, int | float) else None


def _is_number(cell: Any) -> bool:
    try:
        float(cell)
    except (TypeError, ValueError):
        return False
    return True


def _kind(path: Path) -> str:
    """Say which of the kinds of ``_TAKES`` a path is."""
    if not path.exists():
        raise DataError(f"there is nothing at {path}")
    if path.is_dir():
        if (path / "predictions.csv").is_file():
            return "run"
        raise FormatError(
            f"{path}: there is no predictions.csv in it; expected a folder that `mcls train` or "
            "`mcls cv` has made"
        )
    if path.suffix.lower() == ".csv":
        return "run"
    if h5py.is_hdf5(path):
        with h5py.File(path, "r") as file:
            kind = file.attrs.get("kind")
        if kind in ("features", "dictionary"):
            return "store" if kind == "features" else "dictionary"
        raise FormatError(f"{path} is HDF5 of kind {kind!r}; expected a store or a dictionary")
    raise FormatError(
        f"{path}: nothing to draw; expected a dictionary, a store, a run folder or a CSV of "
        "predictions"
    )


_DRAW: dict[str, Callable[..., tuple[Figure, str]]] = {
    "dictionary": plot_dictionary,
    "store": plot_store,
    "run": plot_run,
}
