"""Compare a DBN's weights with random initial weights, at 10, 30 and 100 % of the labels.

    python docs/results/make_pretraining.py DATA [--work FOLDER] [--task esc10] [...]

The DBN learns from all train tracks, whose labels it does not see; the net that it begins is then
trained on a share of them, drawn evenly from every class. Beside it stand the same net from random
weights and one of rectified units from random weights. Three seeds draw the share, the weights
and the order; the valid part selects the epoch. The learning rate was chosen on the valid part of
esc10, where 1e-4 was better than 1e-3 in 21 of 27 trainings. Existing runs are kept. It prints
Markdown.
"""

import argparse
import csv
import json
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import joblib
import numpy as np

import mcls
from mcls.data.prepare import prepare

FEATURE = "mel:n_mels=128,power=1,compress=log1p,gain=1000"
CONTEXT = 4  # frames joined to a row
LAYERS = "512x512x512"
DBN = [f"layers={LAYERS}", "n_epochs=20x10x10", "learning_rate=0.003x0.05x0.05"]
ROWS = 50_000
SHARES = {10: 150, 30: 75, 100: 40}  # per cent of the train tracks, epochs at most
PATIENCE = 15
SEEDS = (0, 1, 2)
RATE = "1e-4"
ARMS = {
    "DBN, sigmoid": "sigmoid",
    "random, sigmoid": "sigmoid",
    "random, rectified": "relu",
}


@dataclass(frozen=True)
class Task:
    """Labels of a dataset, its parts, and the figure to show."""

    name: str
    dataset: str
    labels: str
    figure: str
    valid: str | None = None  # folds, where the dataset has no parts
    test: str | None = None


TASKS = (
    Task("esc10", "esc10", "labels", "accuracy", valid="4", test="5"),
    Task("mridangam", "mridangam", "labels", "accuracy", valid="dsh", test="e"),
    Task("philharmonia", "philharmonia", "labels", "accuracy"),
    Task("philharmonia-tags", "philharmonia", "tags", "auc"),
)


@dataclass(frozen=True)
class Training:
    """A net of one arm, on a share of the labels, with one seed."""

    task: Task
    share: int
    seed: int
    arm: str

    def run(self, work: Path) -> Path:
        """Return the folder of its run."""
        words = [self.arm.replace(", ", "-"), f"{self.share}", f"seed-{self.seed}", RATE]
        return work / self.task.name / "-".join(words)


def main() -> None:
    """Make every run that is missing, then print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path, help="folder of esc10/, mridangam/, philharmonia/")
    parser.add_argument("--work", type=Path, default=Path("build/pretraining"))
    names = [task.name for task in TASKS]
    parser.add_argument("--jobs", type=int, default=2, help="number of runs at a time")
    parser.add_argument("--task", choices=names, action="append", help="make only these tasks")
    options = parser.parse_args()
    tasks = [task for task in TASKS if task.name in (options.task or names)]
    for task in {task.dataset: task for task in tasks}.values():
        make_store(task, options.data, options.work, options.jobs)
    every = [Training(*key) for key in product(tasks, SHARES, SEEDS, ARMS)]
    with joblib.parallel_config(backend="loky", inner_max_num_threads=1):
        workers = joblib.Parallel(options.jobs, verbose=1)
        learning = product({task.dataset: task for task in tasks}.values(), SEEDS)
        workers(joblib.delayed(learn)(task, seed, options.work) for task, seed in learning)
        workers(joblib.delayed(make_run)(training, options.work) for training in every)
    print_table(tasks, options.work)


def column(share: int, seed: int) -> str:
    """Return the name of the column of parts with a share of the train tracks."""
    return f"parts-{share}-seed-{seed}"


def make_store(task: Task, data: Path, work: Path, jobs: int) -> None:
    """Extract a dataset, with a column of parts for every share and seed."""
    manifest = work / f"{task.dataset}.csv"
    if not manifest.exists():
        manifest.parent.mkdir(parents=True, exist_ok=True)
        known = work / f"{task.dataset}-known.csv"
        prepare(task.dataset, data / task.dataset, known)
        with known.open(encoding="utf-8", newline="") as file:
            tracks = list(csv.DictReader(file))
        for share, seed in product(SHARES, SEEDS):
            for track, part in zip(tracks, thinned(task, tracks, share, seed), strict=True):
                track[column(share, seed)] = part
        with manifest.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, tracks[0])
            writer.writeheader()
            writer.writerows(tracks)
    mcls.extract(manifest, manifest.with_suffix(".h5"), features=[FEATURE], jobs=jobs)


def thinned(task: Task, tracks: Sequence[dict[str, str]], share: int, seed: int) -> Iterator[str]:
    """Yield each track's part; train tracks that are not in the share have none."""
    if task.test is None:
        parts = [track["split"] for track in tracks]
    else:
        names = {task.valid: "valid", task.test: "test"}
        parts = [names.get(track["fold"], "train") for track in tracks]
    rng = np.random.default_rng(seed)
    kept: set[int] = set()
    for label in sorted({track["labels"] for track in tracks}):
        of_label = [
            i for i, track in enumerate(tracks) if track["labels"] == label and parts[i] == "train"
        ]
        order = rng.permutation(of_label)
        kept.update(map(int, order[: max(1, round(len(order) * share / 100))]))
    for i, part in enumerate(parts):
        yield part if part != "train" or i in kept else ""


def learn(task: Task, seed: int, work: Path) -> None:
    """Learn a DBN from all train tracks of a dataset."""
    mcls.learn_dict(
        work / f"{task.dataset}.h5",
        work / f"{task.dataset}-dbn-{seed}.h5",
        method="dbn",
        rows=ROWS,
        context=CONTEXT,
        settings=DBN,
        split=column(100, seed),
        seed=seed,
    )


def make_run(training: Training, work: Path) -> None:
    """Train a net, if its run is missing."""
    task, share, seed = training.task, training.share, training.seed
    start: dict[str, object] = {"frames": CONTEXT}
    settings = [f"layers={LAYERS}", f"nonlinearity={ARMS[training.arm]}"]
    if training.arm.startswith("DBN"):
        start = {"init": [str(work / f"{task.dataset}-dbn-{seed}.h5")]}
        settings = []
    run = training.run(work)
    run.parent.mkdir(parents=True, exist_ok=True)
    mcls.train(
        work / f"{task.dataset}.h5",
        run,
        model="mlp",
        settings=[*settings, "dropout=0.2"],
        labels=task.labels,
        split=column(share, seed),
        seed=seed,
        optimizer=f"adam:lr={RATE}",
        batch_size=128,
        epochs=SHARES[share],
        patience=PATIENCE,
        monitor="auc",
        **start,
    )


def print_table(tasks: Sequence[Task], work: Path) -> None:
    """Print test figures: the mean, the least and the largest of the seeds."""
    print("# Pre-training compared\n")
    print("Made by `make pretraining`: the mean of three seeds, and the least and largest of them;")
    print("the findings are in [the comparison of nets](nets.md).\n")
    print("| data | figure | net | " + " | ".join(f"{share} %" for share in SHARES) + " |")
    print("|---|---|---|" + "---|" * len(SHARES))
    for task, arm in product(tasks, ARMS):
        cells = []
        for share in SHARES:
            values = [figure(Training(task, share, seed, arm), work) for seed in SEEDS]
            mean = statistics.mean(values)
            cells.append(f"{mean:.3f} ({min(values):.3f}–{max(values):.3f})")
        print("|", " | ".join([task.name, task.figure, arm, *cells]), "|")


def figure(training: Training, work: Path) -> float:
    """Return the test figure of a run."""
    metrics = json.loads((training.run(work) / "metrics.json").read_text("utf-8"))
    found = metrics["test"]["metrics"][training.task.figure]
    return float(found[found["headline"]]["value"])


if __name__ == "__main__":
    main()
