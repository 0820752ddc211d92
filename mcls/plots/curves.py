"""Curves: learning over passes, and how evenly atoms are used."""

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

#: Parts that a series may be of, as a prefix or suffix of its name, with what to call them.
_PARTS = {"train": "train", "valid": "valid", "val": "valid", "test": "test"}

#: What counts the passes, where a history has it.
_PASS = "epoch"

#: A curve whose largest value is so many times its least is drawn on a log axis.
_WIDE = 100

#: So many series that begin with the same word are drawn together.
_ALIKE = 3

Series = tuple[np.ndarray, np.ndarray]
Points = list[tuple[float, float]]


def by_quantity(history: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, Series]]:
    """Sort what was measured at each pass into quantities, and their parts.

    Parameters
    ----------
    history : sequence of mapping
        A dict of named numbers per pass. ``train_loss``, ``valid_loss`` (or ``loss_train``,
        ``loss_valid``) are two parts of one quantity; beside a ``valid_loss`` a plain ``loss`` is
        that of the train part. Three or more that begin with the same word (``grad_conv1``,
        ``grad_conv2``, ...) are one quantity, too. What is no finite number is left out.

    Returns
    -------
    dict of str to dict of str to (passes, values)
        By quantity, then by part (``""`` where there is none), in the order of the history. The
        passes are those of the column ``epoch``, or 1, 2, ...

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
    """Name the parts that have no name, and make one quantity of many that begin alike."""
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
    """Return a finite number as such, anything else as None."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if math.isfinite(value) else None


def _split(name: str) -> tuple[str, str]:
    """Return the quantity and the part of a series' name."""
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
    """Draw a quantity over the passes, its parts together.

    Parameters
    ----------
    ax : Axes
        Where.
    quantity : str
        Its name.
    parts : mapping of str to (passes, values)
        From `by_quantity`.
    kept : float or None
        The pass whose state was kept; marked by a line.
    along : str
        What a pass is called.
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
    if len(parts) > 1 or kept is not None:
        ax.legend(ncols=1 + len(parts) // 5)
    ax.xaxis.set_major_locator(MaxNLocator(5, integer=True, min_n_ticks=1))
    ax.set_xlabel(along)
    ax.set_title(quantity.replace("_", " "))


def draw_usage(ax: Axes, usage: np.ndarray, perplexity: float | None = None) -> None:
    """Draw how much each atom is used, the most used first, on a log axis.

    Parameters
    ----------
    ax : Axes
        Where.
    usage : np.ndarray, shape (n_atoms,)
        Shares, 0 or more.
    perplexity : float or None
        In how many atoms the use is in effect; None computes exp(entropy) of `usage`.
    """
    ordered = np.sort(np.asarray(usage, np.float64))[::-1]
    used = ordered[ordered > 0]
    n = len(ordered)
    ax.set_xlabel("atom, the most used first")
    ax.set_ylabel("use")
    ax.set_xlim(0.5, n + 0.5)
    at = ticks_from_one(n, 4)
    ax.set_xticks(at, [str(i) for i in at])
    if not len(used):
        ax.set_title("use: no atom is used")
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
    ax.set_title(f"use: perplexity {perplexity:.3g} of {n}{unused}")


def log_ticks(ax: Axes, spell: Callable[[float], str]) -> None:
    """Write numbers on a log y axis: decades, and 2 and 5 between them where there are few."""
    low, high = ax.get_ylim()
    few = high < 30 * low
    ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if few else (1,), numticks=6))
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: spell(value)))
    ax.yaxis.set_minor_formatter(NullFormatter())
