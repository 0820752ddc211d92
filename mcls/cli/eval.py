"""``mcls eval``: measure predictions, with the number of tracks and 95 % intervals."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mcls.cli.messages import echo, echo_json
from mcls.cli.options import FILE, Name, json_option
from mcls.cli.perturbed import CHANGES, change_options, show_perturbed
from mcls.cli.tables import mean_and_sd, show_table
from mcls.cli.timelines import show_timelines

if TYPE_CHECKING:
    from mcls.evaluation import Estimate, Evaluation
    from mcls.stages.evaluate import RunEvaluation

_FIGURES = ("macro", "95 %", "micro", "95 %", "labels", "tracks")


@click.command()
@click.argument("paths", type=FILE, nargs=-1, required=True, metavar="RUN|CSV...")
@click.option(
    "-m",
    "--metric",
    "metrics",
    type=Name("metrics", spec=True),
    multiple=True,
    help="Metric to compute (see mcls list metrics); repeatable.",
)
@click.option("--part", help="Part to evaluate: train, valid or test (default: test).")
@click.option("--per-label", is_flag=True, help="Also print one line per label.")
@click.option("--confusion", is_flag=True, help="Also print the confusion matrix.")
@click.option("--threshold", type=float, help="Score from which a label counts as predicted.")
@click.option("--no-intervals", is_flag=True, help="Compute no intervals.")
@change_options
@json_option
def command(
    paths: tuple[Path, ...],
    metrics: tuple[str, ...],
    part: str | None,
    per_label: bool,
    confusion: bool,
    threshold: float | None,
    no_intervals: bool,
    as_json: bool,
    **changes: Any,
) -> None:
    """Compute metrics of predictions, with 95 % intervals.

    RUN is a run folder or a cross-validation. CSV is a file with the
    columns track_id, labels and one score:LABEL per label; part and fold
    are optional.

    The default metrics are accuracy, auc and f1 with one label per track,
    auc and ap with several, mse, r2 and spearman for numbers (of a CSV
    with columns true:TARGET and predicted:TARGET). Macro is the mean over
    labels, micro pools all labels; intervals come from a jackknife over
    tracks. Labels that all tracks have, or none has, are left out and
    named. With several paths --json prints a list.

    With --transpose, --stretch, --noise or --gain the audio of the part is
    changed and scored anew, at each amount LOW..HIGH[/STEP] or A,B,C; with
    -o the metrics are plotted against the amounts.

    \b
    Example:
      mcls eval runs/vq --metric auc
      mcls eval runs/vq --metric accuracy --metric f1 --per-label --part valid
      mcls eval runs/vq runs/stats --json
      mcls eval runs/fcn4 --audio tracks.csv --transpose -6..6 -o transposed.png
    """
    if any(changes[word] is not None for word in CHANGES):
        if per_label or confusion or threshold is not None or no_intervals:
            raise click.UsageError(
                "--per-label, --confusion, --threshold and --no-intervals are not for changed audio"
            )
        show_perturbed(paths, metrics, part, as_json, changes)
        return
    if lone := [word for word in ("audio", "audio_root", "out") if changes[word] is not None]:
        raise click.UsageError(
            f"--{lone[0].replace('_', '-')} is for changed audio; add --transpose, --stretch, "
            "--noise or --gain"
        )
    from mcls.stages.evaluate import evaluate

    reports = [
        evaluate(
            path,
            metrics,
            part=part,
            threshold=threshold,
            intervals=not no_intervals,
            confusion=confusion,
        )
        for path in paths
    ]
    if as_json:
        said = [one.as_dict() for one in reports]
        echo_json(said[0] if len(said) == 1 else said)
        return
    if len(reports) > 1:
        _show_together(reports)
    for one in reports:
        if len(reports) == 1 or per_label or one.folds or one.overall.confusion is not None:
            _show(one, per_label)
        else:
            _show_notes(one)
    timelines = {str(one.path): one.as_dict()["timelines"] for one in reports if one.timelines}
    if timelines:
        echo()
        show_timelines(timelines)


def _show_together(reports: Sequence["RunEvaluation"]) -> None:
    """Print one table: a line per metric and path, so that paths can be compared."""
    metrics = dict.fromkeys(name for one in reports for name in one.overall.metrics)
    rows = [
        [name, str(one.path), *_row(one.overall, name)]
        for name in metrics
        for one in reports
        if name in one.overall.metrics
    ]
    parts = {one.overall.part for one in reports}
    title = f"part {parts.pop()}" if len(parts) == 1 else "parts " + ", ".join(sorted(parts))
    show_table(["metric", "path", *_FIGURES], rows, left=2, title=title)


def _row(report: "Evaluation", name: str) -> list[str]:
    one = report.metrics[name]
    n_labels = str(len(one.per_label)) if one.macro else ""
    return [*_cells(one.macro), *_cells(one.micro), n_labels, str(report.n_tracks)]


def _show(evaluated: "RunEvaluation", per_label: bool) -> None:
    report = evaluated.overall
    about = [f"part {report.part}"]
    about += [f"{report.n_tracks} tracks", f"{len(report.names)} labels"]
    if evaluated.split_id:
        about.append(f"split {evaluated.split_id}")
    pooled = " (all folds pooled)" if evaluated.folds else ""
    rows = [[name, *_row(report, name)] for name in report.metrics]
    title = f"{evaluated.path}: {', '.join(about)}{pooled}"
    show_table(["metric", *_FIGURES], rows, title=title)
    if evaluated.folds:
        echo()
        _show_folds(evaluated)
    if per_label:
        echo()
        _show_labels(report)
    if report.confusion is not None:
        echo()
        columns = ["true \\ predicted", *report.names]
        counts = [[str(n) if n else "." for n in row] for row in report.confusion]
        show_table(columns, ([name, *row] for name, row in zip(report.names, counts, strict=True)))
    _show_notes(evaluated)


def _show_labels(report: "Evaluation") -> None:
    measured = {name: one.per_label for name, one in report.metrics.items() if one.per_label}
    columns = ["label", "tracks"]
    for name in measured:
        columns += [name, "95 %"]
    rows = []
    for label in report.names:
        row = [label, str(report.support[label])]
        for figures in measured.values():
            row += _cells(figures.get(label))
        rows.append(row)
    show_table(columns, rows)


def _show_folds(evaluated: "RunEvaluation") -> None:
    headlines = {name: one.headline for name, one in evaluated.overall.metrics.items()}
    rows = [
        [fold, *(_cells(report[name].main)[0] for name in headlines), str(report.n_tracks)]
        for fold, report in evaluated.folds.items()
    ]
    spread: dict[str, Any] = {
        name: evaluated.across_folds[name][kind] for name, kind in headlines.items()
    }
    rows.append(["mean ± sd", *(mean_and_sd(one) for one in spread.values()), ""])
    show_table(["fold", *(f"{n} ({kind})" for n, kind in headlines.items()), "tracks"], rows)


def _show_notes(evaluated: "RunEvaluation") -> None:
    """Print what has no value or no interval; this belongs to the result, so it goes to stdout."""
    for note in evaluated.notes:
        echo(f"{evaluated.path}: {note}")


def _cells(estimate: "Estimate | None") -> list[str]:
    """Return a figure and its interval as text."""
    if estimate is None:
        return ["n/a", ""]
    ends = "" if estimate.low is None else f"{estimate.low:.3f} to {estimate.high:.3f}"
    return [f"{estimate.value:.3f}", ends]
