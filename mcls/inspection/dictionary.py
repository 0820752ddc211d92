"""Plot a dictionary file."""

from pathlib import Path

import numpy as np

from mcls.chain.dictionary import patches_of
from mcls.chain.step import axes_of
from mcls.disk.chain import spell_chain
from mcls.disk.dictionary import DictionaryFile, read_dictionary
from mcls.errors import ConfigError
from mcls.plots.atom_space import atoms_in
from mcls.plots.axes import DimensionAxis, centre, in_order
from mcls.plots.dictionary import draw_dictionary
from mcls.plots.page import Figure


def plot_dictionary(
    path: Path, *, top: int = 100, sort: str = "use", space: str | None = None
) -> tuple[Figure, str]:
    """Plot the atoms of a dictionary, their usage and the learning curves.

    Parameters
    ----------
    path : Path
        A dictionary file.
    top : int
        Number of atoms to show, the most used first.
    sort : {'use', 'frequency', 'none'}
        Order of the atoms. A dictionary without usage is sorted by frequency, or not at all.
    space : {'raw', 'standardized', 'filter', 'preprocessed'} or None
        See `atoms_in`. None: ``raw`` if dimensions are frequencies, which share a unit, and
        ``standardized`` otherwise, also with deltas.

    Returns
    -------
    page : Figure
    shows : str
    """
    if top < 1:
        raise ConfigError(f"top={top}; expected 1 or more")
    return draw_atoms(read_dictionary(path), top=top, sort=sort, space=space)


def draw_atoms(
    kept: DictionaryFile, *, top: int = 100, sort: str = "use", space: str | None = None
) -> tuple[Figure, str]:
    """Plot a dictionary that has been read; see `plot_dictionary`."""
    step, report = kept.step, kept.report
    raw = atoms_in("raw", step.arrays)
    as_rows = patches_of(raw, step)
    axes = axes_of(kept.chain[:-1], n_dims=as_rows.shape[2])
    axis = axes.dimensions
    alike = axis.frequencies is not None and axis.n_blocks == 1
    space = space or ("raw" if alike else "standardized")
    atoms = raw if space == "raw" else atoms_in(space, step.arrays)
    if space == "preprocessed" and "whitening" in step.arrays:
        patches, axis = atoms[:, None], DimensionAxis("principal component", atoms.shape[1])
    else:
        patches = patches_of(atoms, step)
    usage = np.asarray(report["usage"]) if len(report.get("usage", [])) == len(atoms) else None
    shown, order = _ordered(kept, as_rows, axes.dimensions, usage, top, sort)
    n = len(atoms)
    count = f"{len(shown)} of {n} atoms" if len(shown) < n else f"{n} atom{'s' * (n > 1)}"
    page = draw_dictionary(
        patches[shown],
        axis,
        frame_seconds=axes.hop,
        unit=_unit(space, axes.unit, centred="mean" in step.arrays),
        order=order,
        title=f"{count}, {spell_chain(kept.chain)}",
        usage=usage,
        perplexity=report.get("perplexity"),
        history=report.get("history", ()),
    )
    return page, f"{count}, {order}"


def _ordered(
    kept: DictionaryFile,
    patches: np.ndarray,
    axis: DimensionAxis,
    usage: np.ndarray | None,
    top: int,
    sort: str,
) -> tuple[np.ndarray, str]:
    """Return the atoms to show, in order, and a description of the order."""
    if sort not in ("use", "frequency", "none"):
        raise ConfigError(f"sort={sort!r}; expected frequency, none or use")
    if sort == "frequency" and axis.frequencies is None:
        raise ConfigError(
            f"{kept.path}: its rows are {axis.name}s, which have no frequency to sort by"
        )
    if sort == "use" and usage is None:
        sort = "none" if axis.frequencies is None else "frequency"
    chosen = np.arange(len(patches)) if usage is None else in_order(usage, descending=True)
    chosen = chosen[:top]
    if sort == "use":
        return chosen, "most used first"
    chosen = np.sort(chosen)
    if sort == "none":
        return chosen, "in the order of the dictionary"
    return chosen[in_order(centre(patches[chosen], axis))], "by centre frequency"


def _unit(space: str, unit: str, *, centred: bool) -> str:
    """Return the unit of the values of atoms in a space."""
    if space == "filter":
        return "weight"
    if space == "preprocessed":
        return "value after preprocessing"
    what = "standard deviations" if space == "standardized" and centred else unit
    return f"difference from the mean ({what})" if centred else what
