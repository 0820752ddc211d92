"""The leaderboard of a report: the runs side by side, best first, and their differences."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mcls.errors import MclsError
from mcls.evaluation import Estimate
from mcls.judging.compare import compare
from mcls.judging.compared import Compared, ComparedRun
from mcls.report.charts import Chart, intervals_chart
from mcls.report.runs import ReportedRun
from mcls.report.tables import PageTable, spell, spell_count, spell_interval, spell_p


@dataclass(frozen=True)
class Leaderboard:
    """The runs side by side.

    Parameters
    ----------
    tables : list of PageTable
        The comparison if there is one, and all metrics.
    chart : Chart or None
        The intervals of the runs.
    verdicts : list of str
        Which runs differ, in sentences.
    refused : str
        Why the runs are not compared; empty if they are, or if there is one run.
    """

    tables: list[PageTable]
    chart: Chart | None
    verdicts: list[str]
    refused: str


def leaderboard(
    runs: Sequence[ReportedRun],
    metric: str | None,
    *,
    part: str | None,
    baseline: Path | None,
) -> Leaderboard:
    """Compare the runs of a report; see `mcls.judging.compare.compare`.

    Runs that cannot be compared, as they scored other tracks, are shown without differences.
    """
    every = _all_metrics(runs)
    if len(runs) < 2:
        return Leaderboard([every], None, [], "")
    try:
        found = compare([run.path for run in runs], metric, part=part, baseline=baseline)
    except MclsError as error:
        return Leaderboard([every], None, [], str(error))
    names = {run.path: run.name for run in runs}
    verdicts = [_with_names(said, names) for said in found.verdicts]
    return Leaderboard([_differences(found, names), every], _forest(found, names), verdicts, "")


def _with_names(said: str, names: dict[Path, str]) -> str:
    """Return a sentence with the short names of runs in place of their paths."""
    for path in sorted(names, key=lambda path: -len(str(path))):
        said = said.replace(str(path), names[path])
    return said


def _differences(found: Compared, names: dict[Path, str]) -> PageTable:
    base = names[found.baseline]
    columns = ["run", found.metric, "95 %", f"difference to {base}", "95 % of the difference"]
    columns += ["p (Holm)", "McNemar", "difference over folds", "p (folds)"]
    of = f"{found.n_tracks:,} tracks ({found.part})"
    caption = f"{found.metric} ({found.headline}) of {of}, best first"
    rows = [_row(one, names[one.path]) for one in found.runs]
    return PageTable(caption, columns, rows).filled


def _row(one: ComparedRun, name: str) -> list[str]:
    gap, folds = one.difference, one.folds
    return [
        name,
        spell(one.value.value),
        spell_interval(one.value.low, one.value.high),
        "" if gap is None else f"{gap.value:+.3f}",
        "" if gap is None else spell_interval(gap.low, gap.high, sign=True),
        spell_p(one.p),
        spell_p(one.mcnemar),
        "" if folds is None else f"{folds.value:+.3f}",
        "" if folds is None else spell_p(folds.p),
    ]


def _forest(found: Compared, names: dict[Path, str]) -> Chart:
    rows = [
        {
            "name": names[one.path],
            "value": one.value.value,
            "low": one.value.low,
            "high": one.value.high,
        }
        for one in found.runs
    ]
    best = found.runs[0]
    said = (
        f"A point and an interval per run. The best is {names[best.path]} with "
        f"{_said(best.value)}; the last is {names[found.runs[-1].path]} with "
        f"{_said(found.runs[-1].value)}."
    )
    table = PageTable(
        f"{found.metric} with its 95 % interval",
        ["run", found.metric, "low", "high"],
        [[str(r["name"]), spell(r["value"]), spell(r["low"]), spell(r["high"])] for r in rows],  # type: ignore[arg-type]
    )
    title = f"{found.metric} with 95 % intervals"
    return Chart(title, said, intervals_chart(rows, metric=found.metric), table)


def _all_metrics(runs: Sequence[ReportedRun]) -> PageTable:
    names = list(dict.fromkeys(name for run in runs for name in run.whole.overall.metrics))
    rows = []
    for run in runs:
        metrics = run.whole.overall.metrics
        mains = [metrics[name].main if name in metrics else None for name in names]
        tracks = f"{run.whole.overall.n_tracks:,} ({run.whole.overall.part})"
        values = ["" if one is None else _said(one) for one in mains]
        rows.append([run.name, tracks, *values, *_made(run)])
    heads = {
        name: run.whole.overall.metrics[name].headline
        for run in runs
        for name in run.whole.overall.metrics
    }
    columns = ["run", "tracks", *(f"{name} ({heads[name]})" for name in names)]
    columns += ["parameters", "seconds of training"]
    return PageTable("Metrics with 95 % intervals", columns, rows).filled


def _made(run: ReportedRun) -> list[str]:
    """Return the parameters of a run's model, and the seconds that all its folds took."""
    if not run.runs:
        return ["", ""]
    seconds = sum(float(one.about.get("seconds", 0)) for one in run.runs)
    return [spell_count(run.runs[0].about.get("parameters")), f"{seconds:,.1f}"]


def _said(one: Estimate) -> str:
    ends = spell_interval(one.low, one.high)
    return spell(one.value) + (f" ({ends})" if ends else "")
