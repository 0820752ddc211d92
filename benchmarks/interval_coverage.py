"""Measure how often the 95 % intervals of `mcls eval` contain the mean over test sets.

Test sets are drawn many times; the truth is the mean of the metric over all of them. Tags: 300
tracks with 10 tags, each on a given number of tracks on average, or 1 to 100. Classes: 10 classes,
equal or from 1 to 100 tracks. The scores are normal, correlated within a track, and the tags and
classes are from hard (AUC 0.70) to easy (AUC 0.94). `label` counts the intervals of single labels.

    OMP_NUM_THREADS=1 python benchmarks/interval_coverage.py [--sets 500]

It takes about ten minutes on one core and prints the tables of docs/evaluation.md.
"""

import argparse
from collections import defaultdict
from collections.abc import Callable

import numpy as np

from mcls.evaluation import Evaluation, evaluate
from mcls.tables.predictions import Predictions

N_LABELS = 10
EASE = np.linspace(0.75, 2.25, N_LABELS)
MIXED = np.array([1, 1, 2, 3, 5, 8, 14, 25, 50, 100])


def scored(rng: np.random.Generator, truth: np.ndarray, *, multi_label: bool) -> Predictions:
    """Draw scores of tracks with known labels."""
    n = len(truth)
    noise = np.sqrt(0.8) * rng.normal(size=truth.shape) + np.sqrt(0.2) * rng.normal(size=(n, 1))
    names = [f"label {j}" for j in range(N_LABELS)]
    ids, empty = [str(i) for i in range(n)], [""] * n
    return Predictions(ids, empty, empty, names, truth, noise + EASE * truth, multi_label)


def tags(rng: np.random.Generator, n_with: float | np.ndarray) -> Predictions:
    """Draw 300 tracks, with `n_with` tracks of each tag on average."""
    return scored(rng, rng.random((300, N_LABELS)) < n_with / 300, multi_label=True)


def classes(rng: np.random.Generator, n: int, shares: np.ndarray) -> Predictions:
    """Draw `n` tracks of ten classes."""
    drawn = rng.choice(N_LABELS, n, p=shares / shares.sum())
    return scored(rng, np.eye(N_LABELS, dtype=bool)[drawn], multi_label=False)


def coverage(
    draw: Callable[[np.random.Generator], Predictions], metrics: list[str], n_sets: int
) -> dict[str, str]:
    """Return the share of the intervals that contain the mean, in %, by metric and kind."""
    rng = np.random.default_rng(0)
    found: dict[tuple[str, str, str], list[tuple[float, float | None, float | None]]]
    found = defaultdict(list)
    for _ in range(n_sets):
        drawn = draw(rng)
        if not drawn.truth.any():
            continue
        threshold = 1.0 if drawn.multi_label else None
        report: Evaluation = evaluate(drawn, metrics, threshold=threshold)
        for name, one in report.metrics.items():
            for kind, figure in (("macro", one.macro), ("micro", one.micro)):
                if figure is not None:
                    found[name, kind, ""].append((figure.value, figure.low, figure.high))
            for label, figure in one.per_label.items():
                found[name, "label", label].append((figure.value, figure.low, figure.high))
    inside = defaultdict(list)
    for (name, kind, _), figures in found.items():
        mean = np.mean([value for value, *_ in figures])
        inside[f"{name} {kind}"] += [
            low <= mean <= high for _, low, high in figures if low is not None and high is not None
        ]
    return {name: f"{100 * np.mean(some):.1f}" if some else "none" for name, some in inside.items()}


def table(title: str, columns: list[str], rows: dict[str, dict[str, str]]) -> None:
    """Print a table in Markdown."""
    print("\n| " + " | ".join([title, *columns]) + " |")
    print("|---" + "|---:" * len(columns) + "|")
    for name, row in rows.items():
        cells = [row.get(column, "") for column in columns]
        print("| " + " | ".join([name, *cells]) + " |", flush=True)


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--sets", type=int, default=500, help="Test sets per row.")
    n_sets = parser.parse_args().sets
    several = ["auc", "ap", "f1"]
    kinds = [f"{name} {kind}" for kind in ("macro", "micro", "label") for name in several]
    counts = (1, 2, 3, 5, 10, 20, 50, 100)
    rows = {str(n): coverage(lambda rng, n=n: tags(rng, n), several, n_sets) for n in counts}
    rows["1 to 100"] = coverage(lambda rng: tags(rng, MIXED), several, n_sets)
    table("tracks per tag", kinds, rows)
    one = ["accuracy", "auc", "f1"]
    shares = {"equal": np.ones(N_LABELS), "1 to 100": MIXED.astype(float)}
    rows = {
        f"{n} tracks, {name}": coverage(
            lambda rng, n=n, share=share: classes(rng, n, share), one, n_sets
        )
        for n in (50, 200, 500)
        for name, share in shares.items()
    }
    columns = ["accuracy micro", "accuracy macro", "auc macro", "auc micro", "f1 macro"]
    table("classes", columns, rows)


if __name__ == "__main__":
    main()
