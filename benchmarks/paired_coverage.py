"""Measure the intervals and the errors of `mcls compare`.

Two or four systems of the same quality score the same test sets; their errors are correlated. The
table gives how often the interval of the difference of two contains 0, how often one of two is
called better (both over all pairs), and how often the best of four is called better than another,
in %. In some rows
tracks come in groups, each of which suits some systems better than others, or every system is
trained with five seeds, some of which are better than others.

    OMP_NUM_THREADS=1 python benchmarks/paired_coverage.py [--sets 500]
"""

import argparse
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np

from mcls.evaluation.compute import measured
from mcls.evaluation.measured import Measured, mean_of
from mcls.evaluation.paired import difference, holm
from mcls.tables.predictions import Predictions

N_SYSTEMS = 4


@dataclass(frozen=True)
class Row:
    """A kind of test set and a metric; `n_with` tracks have each tag, or each track one class."""

    n: int
    metric: str
    n_with: int | None = None
    n_groups: int | None = None
    n_seeds: int = 1
    n_labels: int = 10

    @property
    def name(self) -> str:
        """What the test sets are."""
        what = f"{self.n_labels} classes"
        if self.n_with is not None:
            what = f"{self.n_labels} tags of {self.n_with} tracks"
        groups = "" if self.n_groups is None else f" in {self.n_groups} groups"
        seeds = "" if self.n_seeds == 1 else f", {self.n_seeds} seeds"
        return f"{self.n} tracks{groups}, {what}{seeds}"


def systems(rng: np.random.Generator, row: Row) -> list[list[Predictions]]:
    """Draw a test set, and the scores of each system by seed."""
    n, n_labels = row.n, row.n_labels
    ease_of_labels = np.linspace(0.75, 2.25, n_labels)
    if row.n_with is None:
        truth = np.eye(n_labels, dtype=bool)[rng.integers(0, n_labels, n)]
    else:
        truth = rng.random((n, n_labels)) < row.n_with / n
    common = rng.normal(size=truth.shape)
    names, ids, empty = [str(j) for j in range(n_labels)], [str(i) for i in range(n)], [""] * n
    found = []
    for _ in range(N_SYSTEMS):
        own = rng.normal(size=truth.shape)
        ease = np.zeros(n)
        if row.n_groups is not None:
            ease = rng.normal(0, 0.5, row.n_groups)[np.arange(n) % row.n_groups]
        seeds = []
        for _ in range(row.n_seeds):
            noise = np.sqrt(0.6) * common + np.sqrt(0.4) * own
            shift = 0.0
            if row.n_seeds > 1:
                own = rng.normal(size=truth.shape)
                shift = rng.normal(0, 0.15)
            scores = noise + (ease_of_labels + ease[:, None] + shift) * truth
            seeds.append(
                Predictions(ids, empty, empty, names, truth, scores, row.n_with is not None)
            )
        found.append(seeds)
    return found


def judged(row: Row, found: list[list[Predictions]]) -> tuple[list[Measured], list[list[float]]]:
    """Measure every system, and each of its seeds."""
    groups = None
    if row.n_groups is not None:
        groups = [str(i % row.n_groups) for i in range(row.n)]
    each = [[measured(one, row.metric, groups=groups) for one in seeds] for seeds in found]
    values = [[one.value or 0.0 for one in seeds] for seeds in each]
    return [mean_of(seeds) for seeds in each], values


def shares(row: Row, n_sets: int) -> list[float]:
    """Return the three columns of a row, in %."""
    rng = np.random.default_rng(0)
    inside, two, four = [], [], []
    n_units = row.n_groups or row.n
    for _ in range(n_sets):
        found, values = judged(row, systems(rng, row))

        def gap(i: int, j: int, found=found, values=values):
            seeds = [values[i], values[j]] if row.n_seeds > 1 else []
            return difference(found[i], found[j], n_units, seeds=seeds)

        pairs = [gap(i, j) for i, j in combinations(range(N_SYSTEMS), 2)]
        judged_pairs = [one for one in pairs if one is not None and one.p is not None]
        if not judged_pairs:
            continue
        inside.append(np.mean([one.low <= 0 <= one.high for one in judged_pairs]))
        two.append(np.mean([one.p < 0.05 for one in judged_pairs]))
        best = max(range(N_SYSTEMS), key=lambda i, found=found: found[i].value or 0.0)
        others = [gap(i, best) for i in range(N_SYSTEMS) if i != best]
        ps = holm([one.p if one else None for one in others], N_SYSTEMS * (N_SYSTEMS - 1) // 2)
        four.append(any(p is not None and p < 0.05 for p in ps))
    return [100 * float(np.mean(some)) for some in (inside, two, four)]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--sets", type=int, default=500, help="Test sets per row.")
    parser.add_argument("--first", type=int, default=0, help="Row to begin with.")
    chosen = parser.parse_args()
    n_sets, first = chosen.sets, chosen.first
    print("| test set | metric | interval contains 0 | better of two | best of four better |")
    print("|---|---|---:|---:|---:|")
    rows = [Row(100, "accuracy"), Row(300, "accuracy"), Row(300, "auc"), Row(300, "f1")]
    rows += [replace(Row(300, "accuracy"), n_groups=20), replace(Row(300, "accuracy"), n_seeds=5)]
    rows += [Row(300, metric, n) for metric in ("auc", "ap") for n in (3, 10, 50)]
    rows += [Row(300, metric, n, n_labels=50) for metric in ("auc", "ap") for n in (3, 10)]
    for row in rows[first:]:
        cells = " | ".join(f"{share:.1f}" for share in shares(row, n_sets))
        print(f"| {row.name} | {row.metric} | {cells} |", flush=True)


if __name__ == "__main__":
    main()
