"""The picture of metrics against changes of the audio."""

from collections.abc import Sequence
from pathlib import Path

from mcls.disk.workspace import written_whole
from mcls.judging.perturb import Perturbed
from mcls.plots.page import save, style
from mcls.plots.perturbation import RunCurves, draw_perturbation


def plot_perturbed(found: Sequence[Perturbed], out: Path) -> None:
    """Plot the metrics of runs against the amounts of changes, a column per change.

    Parameters
    ----------
    found : sequence of Perturbed
        The runs at the same amounts.
    out : Path
        The image file.
    """
    changes = list(dict.fromkeys(one.change for one in found))
    panels = []
    for change in changes:
        runs = [one for one in found if one.change == change]
        metrics: dict[str, RunCurves] = {
            name: {str(one.path): _curve(one, name) for one in runs}
            for name in runs[0].evaluations[0].metrics
        }
        panels.append((f"{change} ({runs[0].unit})", runs[0].amounts, metrics))
    first = found[0].evaluations[0]
    title = f"part {first.part}, {first.n_tracks} tracks: changed audio, with 95 % intervals"
    with style():
        page = draw_perturbation(panels, title=title)
        with written_whole(out) as temporary:
            save(page, temporary, out.suffix)


def _curve(one: Perturbed, name: str) -> list[tuple[float, float | None, float | None]]:
    """Return the values of a metric and their intervals; NaN where there is no value."""
    mains = [evaluation.metrics[name].main for evaluation in one.evaluations]
    nothing = (float("nan"), None, None)
    return [nothing if main is None else (main.value, main.low, main.high) for main in mains]
