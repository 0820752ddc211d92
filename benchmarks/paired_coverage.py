"""Measure the intervals and the errors of `mcls compare`.

Two or four systems of the same quality score the same test sets; their errors are correlated. The
table gives how often the interval of the difference of two contains 0, how often one of two is
called better, and how often the best of four is called better than another, in %.

    OMP_NUM_THREADS=1 python benchmarks/paired_coverage.py [--sets 500]
"""

import argparse

import numpy as np

from mcls.disk.predictions import Predictions
from mcls.evaluation.compute import measured
from mcls.evaluation.paired import difference, holm

N_LABELS = 10
EASE = np.linspace(0.75, 2.25, N_LABELS)


def systems(
    rng: np.random.Generator, n: int, n_systems: int, n_with: int | None
) -> list[Predictions]:
    """Draw test sets: tags that `n_with` tracks have on average, or ten classes."""
    if n_with is None:
        truth = np.eye(N_LABELS, dtype=bool)[rng.integers(0, N_LABELS, n)]
    else:
        truth = rng.random((n, N_LABELS)) < n_with / n
    common = rng.normal(size=truth.shape)
    names, ids, empty = [str(j) for j in range(N_LABELS)], [str(i) for i in range(n)], [""] * n
    found = []
    for _ in range(n_systems):
        noise = np.sqrt(0.6) * common + np.sqrt(0.4) * rng.normal(size=truth.shape)
        scores = noise + EASE * truth
        found.append(Predictions(ids, empty, empty, names, truth, scores, n_with is not None))
    return found


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--sets", type=int, default=500, help="Test sets per row.")
    n_sets = parser.parse_args().sets
    print("| test set | metric | interval contains 0 | better of two | best of four better |")
    print("|---|---|---:|---:|---:|")
    rows = [(100, None, "accuracy"), (300, None, "accuracy"), (300, None, "auc"), (300, None, "f1")]
    rows += [(300, n, name) for name in ("auc", "ap") for n in (3, 10, 50)]
    for n, n_with, metric in rows:
        rng = np.random.default_rng(0)
        inside, two, four = [], [], []
        for _ in range(n_sets):
            found = [measured(one, metric) for one in systems(rng, n, 4, n_with)]
            pair = difference(found[0], found[1], n)
            if pair is None or pair.low is None or pair.high is None or pair.p is None:
                continue
            inside.append(pair.low <= 0 <= pair.high)
            two.append(pair.p < 0.05)
            values = [(one.result().main, i) for i, one in enumerate(found)]
            best = max((v.value, i) for v, i in values if v is not None)[1]
            gaps = [difference(found[i], found[best], n) for i in range(4) if i != best]
            ps = holm([gap.p if gap else None for gap in gaps], 6)
            four.append(any(p is not None and p < 0.05 for p in ps))
        what = "10 classes" if n_with is None else f"{n_with} tracks per tag"
        shares = [f"{100 * np.mean(some):.1f}" for some in (inside, two, four)]
        print(f"| {n} tracks, {what} | {metric} | {' | '.join(shares)} |", flush=True)


if __name__ == "__main__":
    main()
