"""Make the table of nets: recipes on four tasks, beside those of MFCC and of a dictionary.

    python docs/results/make_nets.py DATA [--work FOLDER] [--only fcn4] [--dataset esc10] [...]

Every figure is from `mcls cv` with a recipe of `pipelines/`, which learns everything anew from the
train part of each fold; it is that of the pooled test tracks of all folds, with 95 % bootstrap
intervals over tracks. The valid part of a dataset selects the epoch; without one the last epoch is
kept. Existing runs are kept, so the script resumes where it was stopped. It prints Markdown, and
leaves out lines without runs.
"""

import argparse
import csv
import json
import statistics
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import joblib

import mcls
from mcls.data.prepare import prepare
from mcls.disk.recipe import read_recipe, stage_arguments, table_of, tables_of
from mcls.settings import digest

PIPELINES = Path(__file__).parents[2] / "pipelines"

#: Recipes of the table, line by line.
RECIPES = (
    "mfcc-stats-svm",
    "mfcc-vq-histogram",
    "mfcc-triangle-svm",
    "mel-rbm",
    "mlp",
    "mlp-svm",
    "mlp-dbn",
    "hamel-eck-dbn",
    "hamel-eck-svm",
    "deep-bof",
    "cnn1d",
    "cnn1d-shift",
    "fcn4",
    "multilevel",
    "pons-tf",
    "mfcc-kmeans",
    "three-views",
    "rbm-fcn4",
    "mfcc-fcn4-pitch",
)


@dataclass(frozen=True)
class Task:
    """Labels of a dataset, its split column, and the figures to show."""

    name: str
    dataset: str
    labels: str
    split: str
    figures: tuple[str, ...]


TASKS = (
    Task("esc10", "esc10", "labels", "fold", ("accuracy",)),
    Task("mridangam", "mridangam", "labels", "fold", ("accuracy",)),
    Task("philharmonia", "philharmonia", "labels", "split", ("accuracy",)),
    Task("philharmonia-tags", "philharmonia", "tags", "split", ("auc", "ap")),
)


def main() -> None:
    """Make every run that is missing, then print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    names = [task.name for task in TASKS]
    parser.add_argument("data", type=Path, help="folder of esc10/, mridangam/, philharmonia/")
    parser.add_argument("--work", type=Path, default=Path("build/nets"))
    parser.add_argument("--jobs", type=int, default=2, help="number of runs at a time")
    parser.add_argument("--only", choices=RECIPES, action="append", help="make only these recipes")
    parser.add_argument("--dataset", choices=names, action="append", help="make only these tasks")
    parser.add_argument("--table", action="store_true", help="print existing runs only")
    options = parser.parse_args()
    tasks = [task for task in TASKS if task.name in (options.dataset or names)]
    recipes = [recipe for recipe in RECIPES if recipe in (options.only or RECIPES)]
    if not options.table:
        for task, recipe in product({task.dataset: task for task in tasks}.values(), recipes):
            store, wanted = store_of(task.dataset, recipe, options.work)
            make_store(task, store, wanted, options)
        with joblib.parallel_config(backend="loky", inner_max_num_threads=1):
            joblib.Parallel(options.jobs, verbose=1)(
                joblib.delayed(make_run)(task, recipe, options.work)
                for recipe, task in product(recipes, tasks)
            )
    print_table(options.work)


def label(recipe: str) -> str:
    """Return the name of a recipe, with the width of its net if that is not the published one."""
    trained = tables_of(read_recipe(PIPELINES / f"{recipe}.toml"), "train")
    params = trained[0].get("param", []) if len(trained) == 1 else []
    widths = [param.partition("=")[2] for param in params if param.startswith("width=")]
    return f"`{recipe}`" + (f" x {widths[0]}" if widths and float(widths[0]) != 1 else "")


def store_of(dataset: str, recipe: str, work: Path) -> tuple[Path, dict[str, Any]]:
    """Return the path of the store that a recipe reads, and the features to extract."""
    table = dict(table_of(read_recipe(PIPELINES / f"{recipe}.toml"), "extract"))
    for word, name in (("feature", "features"), ("augment", "augmentations")):
        if word in table:
            table[name] = list(table.pop(word))
    wanted = stage_arguments(table, mcls.extract, where="extract")
    return work / f"{dataset}-{digest(wanted)}.h5", wanted


def make_store(
    task: Task, store: Path, wanted: dict[str, Any], options: argparse.Namespace
) -> None:
    """Extract features; recipes with the same features share a store."""
    manifest = options.work / f"{task.dataset}.csv"
    options.work.mkdir(parents=True, exist_ok=True)
    prepare(task.dataset, options.data / task.dataset, manifest)
    mcls.extract(manifest, store, split=task.split, jobs=options.jobs, **wanted)


def make_run(task: Task, recipe: str, work: Path) -> None:
    """Cross-validate a recipe, or run it from train to test."""
    run = work / task.name / recipe
    run.parent.mkdir(exist_ok=True)
    store, _ = store_of(task.dataset, recipe, work)
    path = PIPELINES / f"{recipe}.toml"
    given = stage_arguments(table_of(read_recipe(path), "cv"), mcls.cross_validate, where="cv")
    mcls.cross_validate(path, store, run, **{**given, "split": task.split, "labels": task.labels})


def print_table(work: Path) -> None:
    """Print a line for each recipe that has figures."""
    columns = [f"{task.name}, {figure}" for task in TASKS for figure in task.figures]
    print("# Nets compared: the whole table\n")
    print("Made by `make nets`; the findings are in [the comparison](nets.md). Parameters and")
    print(
        "seconds per epoch are those on esc10, of all nets that a recipe trains. Empty cells were"
    )
    print("not run.\n")
    print("| recipe |", " | ".join([*columns, "parameters", "s/epoch"]), "|")
    print("|---|" + "---|" * (len(columns) + 2))
    for recipe in RECIPES:
        cells = [cell for task in TASKS for cell in figures(task, recipe, work)]
        if any(cells):
            print("|", " | ".join([label(recipe), *cells, *sizes(recipe, work)]), "|")


def figures(task: Task, recipe: str, work: Path) -> Iterator[str]:
    """Yield each figure of a task with its interval, or an empty text without a run."""
    path = work / task.name / recipe / "metrics.json"
    metrics = json.loads(path.read_text("utf-8"))["metrics"] if path.exists() else {}
    for name in task.figures:
        found = metrics[name][metrics[name]["headline"]] if metrics else None
        yield "{value:.3f} ({low:.3f}–{high:.3f})".format(**found) if found else ""


def sizes(recipe: str, work: Path) -> tuple[str, str]:
    """Return the parameters of a recipe's nets, and the median seconds of an epoch of all."""
    run = next(iter(sorted((work / "esc10" / recipe).glob("fold-*/about.json"))), None)
    nets = sorted(run.parent.glob("**/history.csv")) if run else []
    if not nets:
        return "", ""
    parameters, seconds = 0, 0.0
    for history in nets:
        about = json.loads((history.parent / "about.json").read_text("utf-8"))
        parameters += about["parameters"]
        with history.open(encoding="utf-8", newline="") as file:
            seconds += statistics.median(float(row["seconds"]) for row in csv.DictReader(file))
    return f"{parameters:,}", f"{seconds:.1f}"


if __name__ == "__main__":
    main()
