"""``mcls compare``: which of several runs is better, and is that sure."""

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mcls.cli.messages import echo, echo_json, say
from mcls.cli.options import FILE, OUT, Name, json_option
from mcls.cli.progress import done_line
from mcls.cli.tables import show_table
from mcls.tables.csv_cells import csv_line

if TYPE_CHECKING:
    from mcls.judging.compare import Compared, ComparedRun


@click.command()
@click.argument("paths", type=FILE, nargs=-1, required=True, metavar="RUN|CSV...")
@click.option(
    "-m",
    "--metric",
    "metrics",
    multiple=True,  # as in eval, so that a second one is not taken in silence
    type=Name("metrics", spec=True),
    help="Metric (default: accuracy with one label per track, else auc).",
)
@click.option("--part", help="Part to compare on: train, valid or test (default: test).")
@click.option("--baseline", type=FILE, help="Run to compare the others with (default: the best).")
@click.option("--threshold", type=float, help="Score from which a label counts as predicted.")
@click.option("--by", metavar="COLUMN", help="Compare over groups, such as artists or speakers.")
@click.option("--tracks", type=FILE, help="Store or manifest with the groups of --by.")
@click.option("-o", "--out", type=OUT, help="Image to plot the intervals to.")
@click.option("--csv", "form", flag_value="csv", help="Print the table as CSV.")
@click.option("--markdown", "form", flag_value="markdown", help="Print the table as Markdown.")
@click.option("--latex", "form", flag_value="latex", help="Print the table as LaTeX.")
@json_option
def command(
    paths: tuple[Path, ...],
    metrics: tuple[str, ...],
    part: str | None,
    baseline: Path | None,
    threshold: float | None,
    by: str | None,
    tracks: Path | None,
    out: Path | None,
    form: str | None,
    as_json: bool,
) -> None:
    """Compare runs that scored the same tracks, best first.

    RUN is a run folder or a cross-validation, CSV a file of predictions
    (see mcls eval). Differences to the best run, or to --baseline, are
    paired: both leave out the same tracks, or with --by the same groups.
    Their p values are adjusted for the number of pairs from which the best
    stands out, or of runs with --baseline (Holm). With accuracy, McNemar's
    test is shown too; with folds, the corrected resampled t test. The mean
    over seeds (mcls cv --seeds) is compared, and the difference varies with
    seeds and with tracks. Runs that were scored or trained on other tracks
    are refused; that one keeps a valid part of them is noted.

    \b
    Example:
      mcls compare runs/vq runs/stats runs/net
      mcls compare runs/vq runs/stats --metric auc --baseline runs/stats
      mcls compare runs/vq other.csv --markdown
      mcls compare runs/vq runs/stats --by group -o compare.png
    """
    from mcls.disk.outputs import check_replaced
    from mcls.inspection.compared import plot_compared
    from mcls.judging.compare import compare
    from mcls.plots.page import MARKS, check_format

    started = time.monotonic()
    if len(metrics) > 1:
        raise click.UsageError(f"--metric {' and '.join(metrics)}: runs are compared by one metric")
    if form and as_json:
        raise click.UsageError(f"--json and --{form}: choose one")
    if tracks is not None and by is None:
        raise click.UsageError("--tracks has the groups of --by COLUMN; add it")
    if out is not None:
        check_format(out)
        check_replaced(out, MARKS[out.suffix.lower()], "a plot")
    found = compare(
        paths,
        next(iter(metrics), None),
        part=part,
        threshold=threshold,
        baseline=baseline,
        by=by,
        tracks=tracks,
    )
    if out is not None:
        plot_compared(found, out)
    _print(found, form, as_json)
    for note in found.notes:
        say(f"note: {note}")
    if out is not None:
        done_line(f"wrote {out}", started)


def _print(found: "Compared", form: str | None, as_json: bool) -> None:
    if as_json:
        echo_json(found.as_dict())
        return
    columns, rows = _table(found)
    if form == "csv":
        for row in [columns, *rows]:
            sys.stdout.write(csv_line(row))
    elif form == "markdown":
        lines = [columns, ["---", *["---:"] * (len(columns) - 1)], *rows]
        echo(*("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in lines))
    elif form == "latex":
        echo(*_latex(columns, rows))
    else:
        about = f"{found.headline} {found.metric}, part {found.part}, {found.n_tracks} tracks"
        if found.by is not None:
            about += f", intervals over {found.n_groups} groups ({found.by})"
        show_table(columns, rows, title=about)
        echo()
        echo(*found.verdicts)


def _table(found: "Compared") -> tuple[list[str], list[list[str]]]:
    """Return the columns that some run fills, and a row per run."""
    cells = [_cells(run) for run in found.runs]
    columns = [name for name in cells[0] if any(one[name] for one in cells)]
    rows = [[one[name] for name in columns] for one in cells]
    return [found.metric if name == "value" else name for name in columns], rows


def _cells(run: "ComparedRun") -> dict[str, str]:
    gap, folds = run.difference, run.folds
    return {
        "run": str(run.path),
        "value": f"{run.value.value:.3f}",
        "95 %": _ends(run.value.low, run.value.high),
        "sd of seeds": ""
        if run.sd_of_seeds is None
        else f"{run.sd_of_seeds:.3f} ({len(run.seeds)})",
        "difference": "" if gap is None else f"{gap.value:+.3f}",
        "of the difference": "" if gap is None else _ends(gap.low, gap.high),
        "p (Holm)": _p(run.p),
        "McNemar": _p(run.mcnemar),
        "folds": "" if folds is None else f"{folds.value:+.3f}",
        "p (folds)": "" if folds is None else _p(folds.p),
        "model": str(run.facts.get("model") or ""),
        "feature": str(run.facts.get("feature") or ""),
        "parameters": _count(run.facts.get("parameters")),
        "training s": _count(run.facts.get("training_seconds")),
        "tracks/s": _count(run.facts.get("tracks_per_second")),
        "recipe": str(run.facts.get("recipe") or ""),
    }


def _ends(low: float | None, high: float | None) -> str:
    return "" if low is None or high is None else f"{low:.3f} to {high:.3f}"


def _p(p: float | None) -> str:
    return "" if p is None else ("<0.001" if p < 0.001 else f"{p:.3f}")


def _count(number: Any) -> str:
    return "" if number is None else f"{number:,}"


def _latex(columns: list[str], rows: list[list[str]]) -> list[str]:
    special = str.maketrans({mark: f"\\{mark}" for mark in "&%$#_{}"} | {"\\": "/", "<": "$<$"})
    lines = [
        " & ".join(cell.translate(special) for cell in row) + r" \\" for row in [columns, *rows]
    ]
    kinds = "l" + "r" * (len(columns) - 1)
    head = [rf"\begin{{tabular}}{{{kinds}}}", r"\hline", lines[0], r"\hline"]
    return [*head, *lines[1:], r"\hline", r"\end{tabular}"]
