"""Make the table of dictionaries: methods x encoders x pooling x atoms, on four tasks.

    python docs/results/make_dictionaries.py DATA [--work FOLDER] [--jobs 2] [--task esc10] [...]

Every line of the table is `learn_dict`, `encode` and `train` once per fold, with nothing learnt
outside the fold's train part; its figures are those of the pooled test tracks of all folds, with
95 % bootstrap intervals over tracks. Every combination is listed. Existing runs are kept, so the
script resumes where it was stopped. It prints Markdown.
"""

import argparse
import shutil
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import joblib

import mcls
from mcls.data.prepare import prepare
from mcls.evaluation import Estimate, Evaluation
from mcls.evaluation import evaluate as measure
from mcls.tables.predictions import join_predictions, read_predictions

#: One patch for all methods, chosen on valid parts with K-means: 4 frames of 128 mel bands,
#: log10(1 + 1000 x), standardised and whitened with a large eps, which leaves weak components weak.
FEATURE = "mel:n_mels=128,power=1,compress=log1p,gain=1000"
CONTEXT = 4
WHITEN, WHITEN_EPS = 0.95, 10.0
ATOMS = (128, 512, 1024)
ROWS = 50_000
POOLS = {
    "mean": ["mean:norm=sqrt"],
    "max 1 s, mean": ["max@1s", "mean"],
    "mean, std": ["meanstd:norm=sqrt"],
}
SVM = ["kernel=rbf", "C=10"]


@dataclass(frozen=True)
class Method:
    """A method, its settings, and the encoders to try it with."""

    name: str
    encoders: tuple[str, ...]
    settings: tuple[str, ...] = ()
    whitened: bool = True
    atoms: tuple[int, ...] = ATOMS


METHODS = (
    Method("random", ("triangle", "soft-threshold")),
    Method("kmeans", ("hard", "triangle")),
    Method("spherical-kmeans", ("triangle", "soft-threshold")),
    Method("sparse-coding", ("lasso", "soft-threshold")),
    Method("psd", ("feed-forward", "soft-threshold")),
    Method("autoencoder", ("feed-forward", "triangle")),
    Method("rbm", ("feed-forward", "triangle")),
    Method("sparse-rbm", ("feed-forward", "triangle")),
    # least squares without negative codes: 125 rows/s at 512 atoms, where others take thousands
    Method("nmf", ("nmf",), whitened=False, atoms=(128,)),
)


@dataclass(frozen=True)
class Task:
    """Labels of a dataset, its split column, and the figures to show."""

    name: str
    dataset: str
    labels: str
    split: str
    folds: tuple[str | None, ...]
    figures: tuple[str, str]


TASKS = (
    Task("esc10", "esc10", "labels", "fold", tuple("12345"), ("accuracy", "auc")),
    Task(
        "mridangam",
        "mridangam",
        "labels",
        "fold",
        ("b", "c", "csh", "d", "dsh", "e"),
        ("accuracy", "auc"),
    ),
    Task("philharmonia", "philharmonia", "labels", "split", (None,), ("accuracy", "auc")),
    Task("philharmonia-tags", "philharmonia", "tags", "split", (None,), ("auc", "ap")),
)


@dataclass(frozen=True)
class Learning:
    """A dictionary of a method, with a number of atoms, for one fold of a task."""

    task: Task
    method: Method
    n_atoms: int
    fold: str | None

    def run(self, work: Path, encoder: str, pool: str) -> Path:
        """Return the folder of a run with this dictionary."""
        words = [self.method.name, self.n_atoms, encoder, pool.replace(", ", "-")]
        return work / self.task.name / "-".join(map(str, words)) / f"fold-{self.fold}"


def main() -> None:
    """Make every run that is missing, then print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path, help="folder of esc10/, mridangam/, philharmonia/")
    names = [task.name for task in TASKS]
    methods = [method.name for method in METHODS]
    parser.add_argument("--work", type=Path, default=Path("build/dictionaries"))
    parser.add_argument("--jobs", type=int, default=2, help="number of runs at a time")
    parser.add_argument("--task", choices=names, action="append", help="make only these tasks")
    parser.add_argument(
        "--method", choices=methods, action="append", help="make only these methods"
    )
    parser.add_argument("--atoms", type=int, choices=ATOMS, action="append", help="sizes to make")
    options = parser.parse_args()
    tasks = [task for task in TASKS if task.name in (options.task or names)]
    wanted = [method for method in METHODS if method.name in (options.method or methods)]
    for dataset in dict.fromkeys(task.dataset for task in tasks):
        manifest = options.work / f"{dataset}.csv"
        manifest.parent.mkdir(parents=True, exist_ok=True)
        prepare(dataset, options.data / dataset, manifest)
        mcls.extract(manifest, manifest.with_suffix(".h5"), features=[FEATURE], jobs=options.jobs)
    every = [
        Learning(task, method, n_atoms, fold)
        for n_atoms, method, task in product(options.atoms or ATOMS, wanted, tasks)
        for fold in task.folds
        if n_atoms in method.atoms
    ]
    with joblib.parallel_config(backend="loky", inner_max_num_threads=1):
        joblib.Parallel(options.jobs, verbose=1)(
            joblib.delayed(make_runs)(learning, options.work) for learning in every
        )
    print("# Dictionaries compared: the whole table\n")
    print("Made by `make dictionaries`; the findings are in [the comparison](dictionaries.md).")
    for task in tasks:
        print_table(task, [one for one in every if one.task == task], options.work)


def make_runs(learning: Learning, work: Path) -> None:
    """Learn a dictionary, encode with it and train on every pooling, where runs are missing."""
    task, method = learning.task, learning.method
    store = work / f"{task.dataset}.h5"
    missing = {
        encoder: pools
        for encoder in method.encoders
        if (pools := [p for p in POOLS if not learning.run(work, encoder, p).exists()])
    }
    if not missing:
        return
    parts = {"labels": task.labels, "split": task.split, "fold": learning.fold, "valid": 0.0}
    scratch = work / "scratch" / f"{task.name}-{method.name}-{learning.n_atoms}-{learning.fold}"
    scratch.mkdir(parents=True, exist_ok=True)
    mcls.learn_dict(
        store,
        scratch / "dict.h5",
        method=method.name,
        size=learning.n_atoms,
        rows=ROWS,
        context=CONTEXT,
        standardize=method.whitened,
        whiten=WHITEN if method.whitened else None,
        whiten_eps=WHITEN_EPS,
        settings=method.settings,
        **parts,
    )
    for encoder, pools in missing.items():
        codes = scratch / f"{encoder}.h5"
        mcls.encode(store, codes, dicts=[scratch / "dict.h5"], encoder=encoder)
        for pool in pools:
            run = learning.run(work, encoder, pool)
            run.parent.mkdir(parents=True, exist_ok=True)
            mcls.train(codes, run, pool=POOLS[pool], model="svm", settings=SVM, **parts)
        codes.unlink()
    shutil.rmtree(scratch)


def print_table(task: Task, learnings: list[Learning], work: Path) -> None:
    """Print the figures of a task, a line per combination."""
    first, second = task.figures
    print(f"\n## {task.name}\n")
    print(f"| method | encoder | pooling | atoms | {first} | {second} |")
    print("|---|---|---|---|---|---|")
    for method in dict.fromkeys(one.method for one in learnings):
        for encoder, pool in product(method.encoders, POOLS):
            for n_atoms in dict.fromkeys(one.n_atoms for one in learnings if one.method == method):
                of_line = [
                    one for one in learnings if (one.method, one.n_atoms) == (method, n_atoms)
                ]
                runs = [one.run(work, encoder, pool) for one in of_line]
                tested = [read_predictions(run / "predictions.csv").only("test") for run in runs]
                report = measure(join_predictions(tested), task.figures)
                cells = [f"{m.value:.3f} ({m.low:.3f}–{m.high:.3f})" for m in mains(report)]
                print("|", " | ".join([method.name, encoder, pool, str(n_atoms), *cells]), "|")


def mains(report: Evaluation) -> list[Estimate]:
    """Return the main figures of a report."""
    return [one.main for one in report.metrics.values() if one.main is not None]


if __name__ == "__main__":
    main()
