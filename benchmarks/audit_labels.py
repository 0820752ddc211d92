"""Measure how many planted label errors `mcls data audit --run` lists, beside cleanlab.

    python benchmarks/audit_labels.py MANIFEST RECIPE [--split fold] [--group none] [--seeds 3]

For each seed, a share of the labels is replaced by another label of the dataset, drawn at random.
The recipe is cross-validated on these labels, so that every track is scored by a model that has not
seen it but has learnt from other wrong labels. Wrong labels that the dataset had before count as
false. cleanlab (`pip install cleanlab`, not a dependency) judges the same probabilities; without it
its columns are left out.

listed      tracks of the list, per planted error
precision   planted errors per track of the list
recall      planted errors in the list, per planted error
first       planted errors among as many tracks of the list as were planted, the likeliest first
"""

import argparse
import csv
import tempfile
from pathlib import Path

import numpy as np

from mcls.audit.labels import disputed_labels
from mcls.cli.main import cli
from mcls.judging.evaluate import open_predictions


def planted(labels, share, seed):
    """Return labels of which a share is wrong, and which ones are."""
    rng = np.random.default_rng(seed)
    names = sorted(set(labels))
    wrong = rng.choice(len(labels), round(share * len(labels)), replace=False)
    found = list(labels)
    for i in wrong:
        found[i] = rng.choice([name for name in names if name != labels[i]])
    return found, set(wrong.tolist())


def mcls_list(truth, probabilities):
    return [one.track for one in disputed_labels(truth, probabilities)]


def cleanlab_list(by):
    def found(truth, probabilities):
        from cleanlab.filter import find_label_issues

        p = np.clip(probabilities, 1e-9, None)
        p = p / p.sum(axis=1, keepdims=True)
        ranked = find_label_issues(
            truth.argmax(axis=1),
            p,
            filter_by=by,
            return_indices_ranked_by="self_confidence",
            n_jobs=1,
        )
        return [int(i) for i in ranked]

    return found


def finders():
    found = {"mcls": mcls_list}
    try:
        import cleanlab  # noqa: F401
    except ImportError:
        return found
    return found | {
        "cleanlab, prune_by_noise_rate": cleanlab_list("prune_by_noise_rate"),
        "cleanlab, confident_learning": cleanlab_list("confident_learning"),
    }


def judged(listed, wrong):
    hits = len(wrong.intersection(listed))
    first = len(wrong.intersection(listed[: len(wrong)]))
    n = len(wrong)
    return [len(listed) / n, hits / max(len(listed), 1), hits / n, first / n]


def measure(manifest, recipe, split, group, share, seeds):
    with manifest.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    labels = [row["labels"] for row in rows]
    truth = {}
    for seed in range(seeds):
        cells, wrong = planted(labels, share, seed)
        truth[seed] = {rows[i]["track_id"] for i in wrong}
        for row, cell in zip(rows, cells, strict=True):
            row[f"planted{seed}"] = cell
    for row in rows:
        row["path"] = str((manifest.parent / row["path"]).resolve())
    results = {name: [] for name in finders()}
    with tempfile.TemporaryDirectory() as folder:
        copy, store = Path(folder) / "planted.csv", Path(folder) / "rows.h5"
        with copy.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
        options = ["--split", split, "--group", group]
        run(["-c", recipe, "extract", copy, store, *options])
        for seed in range(seeds):
            out = Path(folder) / f"cv{seed}"
            run(["cv", recipe, store, out, *options, "--labels", f"planted{seed}"])
            predictions = open_predictions(out, audited=False)[0].only("test")
            sure = predictions.probabilities
            probabilities = predictions.scores if sure is None else sure
            right = predictions.truth[np.arange(len(predictions)), probabilities.argmax(axis=1)]
            print(f"seed {seed}: accuracy on these labels {right.mean():.3f}", flush=True)
            place = {name: i for i, name in enumerate(predictions.track_ids)}
            wrong = {place[name] for name in truth[seed]}
            for name, find in finders().items():
                results[name].append(judged(find(predictions.truth, probabilities), wrong))
    print("| list | listed | precision | recall | first |\n|---|---:|---:|---:|---:|")
    for name, some in results.items():
        cells = " | ".join(f"{value:.2f}" for value in np.mean(some, axis=0))
        print(f"| {name} | {cells} |", flush=True)


def run(words):
    cli([str(word) for word in words], standalone_mode=False)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("manifest", type=Path)
    parser.add_argument("recipe", type=Path)
    parser.add_argument("--split", default="fold")
    parser.add_argument("--group", default="group")
    parser.add_argument("--share", type=float, default=0.05)
    parser.add_argument("--seeds", type=int, default=3)
    chosen = parser.parse_args()
    measure(chosen.manifest, chosen.recipe, chosen.split, chosen.group, chosen.share, chosen.seeds)
