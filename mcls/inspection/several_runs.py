"""The plot of several trainings in one picture."""

from collections.abc import Sequence
from pathlib import Path

from mcls.errors import DataError
from mcls.inspection.run import read_history
from mcls.plots.page import Figure
from mcls.plots.training_curves import draw_training_curves


def plot_several_runs(paths: Sequence[Path]) -> tuple[Figure, str]:
    """Plot the learning curves of several runs together.

    Parameters
    ----------
    paths : sequence of Path
        Two or more run folders of nets.

    Returns
    -------
    page : Figure
    shows : str

    Raises
    ------
    DataError
        If a path is not a run with a history.
    """
    names = run_names(paths)
    histories, kept = {}, {}
    for name, path in zip(names, paths, strict=True):
        histories[name], kept[name] = read_history(path) if path.is_dir() else ([], None)
        if not histories[name]:
            raise DataError(f"{path}: it is not the run of a net, so it has no learning curves")
    title = f"learning curves of {len(paths)} runs; a dot marks the epoch that was kept"
    return draw_training_curves(histories, kept, title=title), f"the curves of {len(paths)} runs"


def run_names(paths: Sequence[Path]) -> list[str]:
    """Return the shortest names that tell the runs apart."""
    names = [path.name for path in paths]
    return names if len(set(names)) == len(names) else [str(path) for path in paths]
