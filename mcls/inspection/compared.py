"""The picture of a comparison of runs."""

from pathlib import Path

from mcls.disk.workspace import written_whole
from mcls.judging.compared import Compared, ComparedRun
from mcls.plots.forest import ForestRow, draw_forest
from mcls.plots.page import save, style


def plot_compared(found: Compared, out: Path) -> None:
    """Plot the metric of each run, and its difference to the baseline, with their intervals.

    Parameters
    ----------
    found : Compared
    out : Path
        The image file.
    """
    over = f"{found.n_tracks} tracks"
    if found.by is not None:
        over += f", intervals over {found.n_groups} groups ({found.by})"
    metric = f"{found.headline} {found.metric}"
    with style():
        page = draw_forest(
            [_row(run) for run in found.runs],
            title=f"{metric}, part {found.part}, {over}",
            metric=f"{metric} with 95 % interval",
            baseline=str(found.baseline),
        )
        with written_whole(out) as temporary:
            save(page, temporary, out.suffix)


def _row(run: ComparedRun) -> ForestRow:
    gap = run.difference
    return ForestRow(
        str(run.path),
        (run.value.value, run.value.low, run.value.high),
        None if gap is None else (gap.value, gap.low, gap.high),
        run.p,
        tuple(run.seeds.values()),
    )
