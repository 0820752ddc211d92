"""The part of ``mcls eval`` that measures runs on changed audio."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mcls.cli.messages import echo_json, say
from mcls.cli.options import AUDIO, FILE, OUT
from mcls.cli.progress import done_line, progress_bar
from mcls.cli.tables import show_table

if TYPE_CHECKING:
    from mcls.evaluation import Estimate
    from mcls.judging.perturb import Perturbed

#: Options and the augmentations that they apply.
CHANGES = {
    "transpose": "pitch-shift",
    "stretch": "time-stretch",
    "noise": "noise",
    "gain": "gain",
}
_RANGE = "LOW..HIGH"
_OPTIONS = (
    click.option("--transpose", metavar=_RANGE, help="Shift the pitch by these semitones."),
    click.option("--stretch", metavar=_RANGE, help="Change the speed by these factors."),
    click.option("--noise", metavar=_RANGE, help="Add noise these dB below the signal."),
    click.option("--gain", metavar=_RANGE, help="Change the level by these dB."),
    click.option("--audio", type=FILE, help="Manifest or folder of the audio that is changed."),
    click.option("--audio-root", type=AUDIO, help="Folder that its paths are relative to."),
    click.option("--jobs", type=click.IntRange(1), default=1, help="Number of worker processes."),
    click.option("-o", "--out", type=OUT, help="Image to plot the changed audio's metrics to."),
)


def change_options(function: Any) -> Any:
    """Add the options of changed audio to a command."""
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


def show_perturbed(
    paths: tuple[Path, ...],
    metrics: tuple[str, ...],
    part: str | None,
    as_json: bool,
    options: dict[str, Any],
) -> None:
    """Measure runs on changed audio, and print a line per amount and run."""
    from mcls.disk.outputs import check_replaced
    from mcls.features.augmentations import amounts_of
    from mcls.inspection.perturbed import plot_perturbed
    from mcls.judging.perturb import perturb
    from mcls.plots.page import MARKS, check_format

    started = time.monotonic()
    audio, out = options["audio"], options["out"]
    if audio is None:
        raise click.UsageError(
            "changed audio needs --audio, the manifest or folder that the store was extracted from"
        )
    if out is not None:
        check_format(out)
        check_replaced(out, MARKS[out.suffix.lower()], "a plot")
    asked = {
        name: amounts_of(name, options[word])
        for word, name in CHANGES.items()
        if options[word] is not None
    }
    found: list[Perturbed] = []
    for path in paths:
        with progress_bar(f"eval {path.name}") as progress:
            found += perturb(
                path,
                audio,
                asked,
                metrics=metrics,
                part=part,
                audio_root=options["audio_root"],
                jobs=options["jobs"],
                progress=progress,
            )
    if as_json:
        echo_json([one.as_dict() for one in found])
    else:
        for name in asked:
            _show([one for one in found if one.change == name])
    for note in dict.fromkeys(f"{one.path}: {note}" for one in found for note in one.notes):
        say(f"note: {note}")
    if out is not None:
        plot_perturbed(found, out)
        done_line(f"wrote {out}", started)


def _show(found: "list[Perturbed]") -> None:
    """Print the table of one change: a line per amount and run."""
    first = found[0].evaluations[0]
    names = list(first.metrics)
    columns = ["amount", "path", *(column for name in names for column in (name, "95 %"))]
    rows = []
    for at, amount in enumerate(found[0].amounts):
        for one in found:
            cells = [_cells(one.evaluations[at].metrics[name].main) for name in names]
            said = "none" if amount is None else f"{amount:g}"
            rows.append([said, str(one.path), *(cell for pair in cells for cell in pair)])
    part = f"part {first.part}, {first.n_tracks} tracks"
    show_table(columns, rows, left=2, title=f"{found[0].change} ({found[0].unit}): {part}")


def _cells(estimate: "Estimate | None") -> list[str]:
    if estimate is None:
        return ["n/a", ""]
    ends = "" if estimate.low is None else f"{estimate.low:.3f} to {estimate.high:.3f}"
    return [f"{estimate.value:.3f}", ends]
