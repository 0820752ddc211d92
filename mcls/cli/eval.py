"""``mcls eval``: measure predictions, with the number of tracks and 95 % intervals."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mcls.cli.errors_table import error_table, show_errors
from mcls.cli.messages import echo, echo_json
from mcls.cli.options import FILE, Name, json_option
from mcls.cli.perturbed import CHANGES, change_options, show_perturbed
from mcls.cli.tables import mean_and_sd, show_table
from mcls.cli.timelines import show_timelines
from mcls.tables.csv_cells import csv_line

if TYPE_CHECKING:
    from mcls.evaluation import Estimate, Evaluation
    from mcls.judging.evaluate import RunEvaluation

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
@click.option("--by", metavar="COLUMN", help="Compute intervals over groups, such as artists.")
@click.option("--tracks", type=FILE, help="Store or manifest with the groups and paths.")
@click.option("--errors", type=click.IntRange(1), help="List this many wrong predictions.")
@click.option("--csv", "as_csv", is_flag=True, help="Print the wrong predictions as CSV.")
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
    by: str | None,
    tracks: Path | None,
    errors: int | None,
    as_csv: bool,
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

    --part train shows how well a model fits what it learnt from. --errors
    lists the tracks that are predicted wrongly, the most confident first;
    with several labels per track, the worst false positives and negatives.

    With --transpose, --stretch, --noise or --gain the audio of the part is
    changed and scored anew, at each amount LOW..HIGH[/STEP] or A,B,C; with
    -o the metrics are plotted against the amounts.

    \b
    Example:
      mcls eval runs/vq --metric auc
      mcls eval runs/vq --metric accuracy --metric f1 --per-label --part valid
      mcls eval runs/vq runs/stats --json
      mcls eval runs/vq --by group
      mcls eval runs/vq --errors 20 --csv
      mcls eval runs/fcn4 --audio tracks.csv --transpose -6..6 -o transposed.png
    """
    if any(changes[word] is not None for word in CHANGES):
        asked = (per_label, confusion, threshold is not None, no_intervals, by, errors)
        if any(asked):
            raise click.UsageError(
                "--per-label, --confusion, --threshold, --no-intervals, --by and --errors are not "
                "for changed audio"
            )
        show_perturbed(paths, metrics, part, as_json, changes)
        return
    if lone := [word for word in ("audio", "audio_root", "out") if changes[word] is not None]:
        raise click.UsageError(
            f"--{lone[0].replace('_', '-')} is for changed audio; add --transpose, --stretch, "
            "--noise or --gain"
        )
    if as_csv and (errors is None or as_json or len(paths) > 1):
        raise click.UsageError("--csv is for the --errors of one run, without --json")
    if tracks is not None and by is None and errors is None:
        raise click.UsageError("--tracks has the groups of --by, or the paths of --errors; add one")
    from mcls.judging.evaluate import evaluate
    from mcls.judging.list_errors import list_errors

    wrong = [
        list_errors(path, most=errors, part=part, threshold=threshold, tracks=tracks)
        for path in paths
        if errors is not None
    ]
    if as_csv:
        columns, rows = error_table(wrong[0])
        for row in [columns, *rows]:
            sys.stdout.write(csv_line(row))
        return
    reports = [
        evaluate(
            path,
            metrics,
            part=part,
            threshold=threshold,
            intervals=not no_intervals,
            confusion=confusion,
            by=by,
            tracks=tracks,
        )
        for path in paths
    ]
    if as_json:
        said = [one.as_dict() for one in reports]
        said = (
            [
                {**one, "errors": errors_of.as_dict()["errors"], "n_errors": errors_of.n_errors}
                for one, errors_of in zip(said, wrong, strict=True)
            ]
            if wrong
            else said
        )
        echo_json(said[0] if len(said) == 1 else said)
        return
    if len(reports) > 1:
        _show_together(reports)
    for one in reports:
        whole = per_label or one.folds or one.seeds or one.overall.confusion is not None
        if len(reports) == 1 or whole:
            _show(one, per_label)
        else:
            _show_notes(one)
    timelines = {str(one.path): one.as_dict()["timelines"] for one in reports if one.timelines}
    if timelines:
        echo()
        show_timelines(timelines)
    for path, found in zip(paths, wrong, strict=False):
        echo()
        show_errors(path, found)


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
        name = f" ({evaluated.split_name})" if evaluated.split_name else ""
        about.append(f"split {evaluated.split_id}{name}")
    if report.n_groups is not None:
        about.append(f"intervals over {report.n_groups} groups ({evaluated.by})")
    pooled = " (all folds pooled)" if evaluated.folds else ""
    if evaluated.seeds:
        pooled = f" (mean of {len(evaluated.seeds)} seeds{', all folds pooled' * bool(pooled)})"
    rows = [[name, *_row(report, name)] for name in report.metrics]
    title = f"{evaluated.path}: {', '.join(about)}{pooled}"
    show_table(["metric", *_FIGURES], rows, title=title)
    if evaluated.seeds:
        echo()
        _show_several("seed", evaluated.overall, evaluated.seeds, evaluated.across_seeds)
    if evaluated.folds:
        echo()
        _show_several("fold", evaluated.overall, evaluated.folds, evaluated.across_folds)
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
    columns = ["label", "tracks", *([] if report.n_known is None else ["known"])]
    for name in measured:
        columns += [name, "95 %"]
    rows = []
    for label in report.names:
        row = [label, str(report.support[label])]
        row += [] if report.n_known is None else [str(report.n_known[label])]
        for figures in measured.values():
            row += _cells(figures.get(label))
        rows.append(row)
    show_table(columns, rows)


def _show_several(
    what: str, overall: "Evaluation", several: "Mapping[str, Evaluation]", across: dict[str, Any]
) -> None:
    """Print a line per fold or seed, and their mean and standard deviation."""
    headlines = {name: one.headline for name, one in overall.metrics.items()}
    rows = [
        [name, *(_cells(report[metric].main)[0] for metric in headlines), str(report.n_tracks)]
        for name, report in several.items()
    ]
    spread = [across[name][kind] for name, kind in headlines.items()]
    rows.append(["mean ± sd", *(mean_and_sd(one) for one in spread), ""])
    show_table([what, *(f"{n} ({kind})" for n, kind in headlines.items()), "tracks"], rows)


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
