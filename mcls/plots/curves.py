"""Learning curves, and the usage of atoms."""

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from mcls.dictionaries.usage import perplexity as perplexity_of
from mcls.plots.axes import ticks_from_one
from mcls.plots.colours import LINES
from mcls.plots.page import shortened

#: Prefixes and suffixes of the names of series, and the part that they stand for.
_PARTS = {"train": "train", "valid": "valid", "val": "valid", "test": "test"}

#: The column of a history that counts the passes, if it has one.
_PASS = "epoch"

#: Ratio of largest to smallest value from which on the axis is logarithmic.
_WIDE = 100

#: Number of series with the same first word from which on they share a panel.
_ALIKE = 3

Series = tuple[np.ndarray, np.ndarray]
Points = list[tuple[float, float]]


def by_quantity(history: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, Series]]:
    """Group the series of a history by quantity and part.

    Parameters
    ----------
    history : sequence of mapping
        Named numbers per pass. ``train_loss`` and ``valid_loss`` (or ``loss_train`` and
        ``loss_valid``) are two parts of one quantity; beside a ``valid_loss`` a plain ``loss``
        belongs to the train part. Three or more names with the same first word (``grad_conv1``,
        ``grad_conv2``, ...) are one quantity, too. Values that are not finite are left out.

    Returns
    -------
    dict of str to dict of str to (passes, values)
        The series by quantity, then by part (``""`` if there is none), in the order of the history.
        Passes are those of the column ``epoch``, or 1, 2, ...

    Examples
    --------
    >>> found = by_quantity([{"train_loss": 2.0, "valid_loss": 3.0, "lr": 0.1}])
    >>> {name: list(parts) for name, parts in found.items()}
    {'loss': ['train', 'valid'], 'lr': ['']}
    """
    found: dict[str, dict[str, Points]] = {}
    for turn, measured in enumerate(history, 1):
        at = _number(measured.get(_PASS))
        for name, value in measured.items():
            number = _number(value)
            if name == _PASS or number is None:
                continue
            quantity, part = _split(name)
            points = found.setdefault(quantity, {}).setdefault(part, [])
            points.append((turn if at is None else at, number))
    return {
        quantity: {
            part: (np.array([x for x, _ in points]), np.array([y for _, y in points]))
            for part, points in parts.items()
        }
        for quantity, parts in _together(found).items()
    }


def _together(found: dict[str, dict[str, Points]]) -> dict[str, dict[str, Points]]:
    """Name the parts without a name, and merge series with the same first word."""
    first = Counter(name.partition("_")[0] for name, parts in found.items() if list(parts) == [""])
    merged: dict[str, dict[str, Points]] = {}
    for name, parts in found.items():
        word, _, rest = name.partition("_")
        if list(parts) == [""] and rest and first[word] >= _ALIKE:
            merged.setdefault(word, {})[rest] = parts[""]
        elif len(parts) > 1 and "" in parts and "train" not in parts:
            merged[name] = {part or "train": points for part, points in parts.items()}
        else:
            merged[name] = parts
    return merged


def _number(value: Any) -> float | None:
    """Return a finite number as float, and None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if math.isfinite(value) else None


def _split(name: str) -> tuple[str, str]:
    """Split the name of a series into quantity and part."""
    first, _, rest = name.partition("_")
    if rest and first in _PARTS:
        return rest, _PARTS[first]
    rest, _, last = name.rpartition("_")
    if rest and last in _PARTS:
        return rest, _PARTS[last]
    return name, ""


def draw_curve(
    ax: Axes,
    quantity: str,
    parts: Mapping[str, Series],
    kept: float | None = None,
    along: str = "pass",
) -> None:
    """Plot a quantity over the passes, all parts in one panel.

    Parameters
    ----------
    ax : Axes
        Axes to draw on.
    quantity : str
        Name of the quantity.
    parts : mapping of str to (passes, values)
        From `by_quantity`.
    kept : float or None
        The pass whose model was kept; marked by a line.
    along : str
        Label of the x axis.
    """
    known = ["train", "valid", "test"]
    ordered = sorted(parts, key=lambda part: known.index(part) if part in known else 0)
    colours: Any = LINES[:-1]
    if len(ordered) > len(colours):
        colours = matplotlib.colormaps["viridis"](np.linspace(0, 0.9, len(ordered)))
    for colour, part in zip(colours, ordered, strict=False):
        passes, values = parts[part]
        marker = "o" if len(values) <= 20 else None
        ax.plot(passes, values, color=colour, label=part, marker=marker)
    values = np.concatenate([values for _, values in parts.values()])
    if values.min() > 0 and values.max() > _WIDE * values.min():
        ax.set_yscale("log")
        log_ticks(ax, lambda value: f"{value:.6g}")
    if kept is not None:
        ax.axvline(kept, color=LINES[-1], linewidth=0.8, linestyle="--", label=f"kept: {kept:g}")
        ax.text(
            kept, 1, f"kept: {kept:g}", transform=ax.get_xaxis_transform(), fontsize=6, ha="center"
        )
    if len(parts) > 1:
        ends = {part: float(parts[part][1][-1]) for part in ordered}
        name_curves(ax, ends, dict(zip(ordered, colours, strict=False)))
    ax.xaxis.set_major_locator(MaxNLocator(5, integer=True, min_n_ticks=1))
    ax.set_xlabel(along)
    alone = ordered[0] + " " if len(parts) == 1 and ordered[0] else ""
    ax.set_title(alone + quantity.replace("_", " "))


def name_curves(ax: Axes, ends: Mapping[str, float], colours: Mapping[str, Any]) -> None:
    """Write the name of each curve beside its end, the names apart from each other."""
    ax.autoscale_view()
    to_axes = ax.transScale + ax.transLimits
    places = {run: float(to_axes.transform((0, value))[1]) for run, value in ends.items()}
    ordered = sorted(places, key=lambda run: places[run])
    room, last = 0.09, -1.0
    for i, run in enumerate(ordered):
        left = len(ordered) - 1 - i
        last = min(max(places[run], last + room), 1.0 - left * room)
        ax.annotate(
            shortened(run, 24),
            (1.01, last),
            xycoords="axes fraction",
            color=colours[run],
            fontsize=7,
            va="center",
        )


def without_constants(
    quantities: Mapping[str, Mapping[str, Series]],
) -> tuple[dict[str, Mapping[str, Series]], list[str]]:
    """Return the quantities that change, and a line of text on the others, if there are any.

    Examples
    --------
    >>> series = np.array([1, 2]), np.array([0.1, 0.1])
    >>> without_constants({"lr": {"": series}})
    ({}, ['constant: lr 0.1'])
    """
    changing: dict[str, Mapping[str, Series]] = {}
    said = []
    for quantity, parts in quantities.items():
        if any(len(values) < 2 or np.ptp(values) > 0 for _, values in parts.values()):
            changing[quantity] = parts
            continue
        found = {name: f"{values[0]:g}" for name, (_, values) in parts.items()}
        text = next(iter(found.values()))
        if len(set(found.values())) > 1:
            text = ", ".join(f"{value} ({name})" for name, value in found.items())
        said.append(f"{quantity.replace('_', ' ')} {text}")
    return changing, [f"constant: {'; '.join(said)}"] if said else []


def draw_usage(ax: Axes, usage: np.ndarray, perplexity: float | None = None) -> None:
    """Plot the usage of atoms in descending order, on a log axis.

    Parameters
    ----------
    ax : Axes
        Axes to draw on.
    usage : np.ndarray, shape (n_atoms,)
        Share of each atom, 0 or more.
    perplexity : float or None
        Effective number of atoms; None computes exp(entropy) of `usage`.
    """
    ordered = np.sort(np.asarray(usage, np.float64))[::-1]
    used = ordered[ordered > 0]
    n = len(ordered)
    ax.set_xlabel("atom, most used first")
    ax.set_ylabel("usage")
    ax.set_xlim(0.5, n + 0.5)
    at = ticks_from_one(n, 4)
    ax.set_xticks(at, [str(i) for i in at])
    if not len(used):
        ax.set_title("usage: no atom is used")
        return
    if perplexity is None:
        perplexity = perplexity_of(used)
    floor = used[-1] / 2
    edges = np.arange(len(used) + 1) + 0.5
    ax.stairs(used, edges, baseline=floor, fill=True, color=LINES[0])
    ax.axhline(ordered.mean(), color=LINES[-1], linewidth=0.8, linestyle="--")
    ax.set_yscale("log")
    ax.set_ylim(floor, used[0] * 1.6)
    log_ticks(ax, lambda share: f"{100 * share:.6g} %")
    unused = f", {n - len(used)} unused" if len(used) < n else ""
    ax.set_title(f"usage: perplexity {perplexity:.3g} of {n} atoms{unused}")


def log_ticks(ax: Axes, spell: Callable[[float], str]) -> None:
    """Label a log y axis at decades, and at 2 and 5 between them if there are few."""
    low, high = ax.get_ylim()
    few = high < 30 * low
    ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if few else (1,), numticks=6))
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: spell(value)))
    ax.yaxis.set_minor_formatter(NullFormatter())
