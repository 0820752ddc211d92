"""Damaged stores, dictionaries, runs, recipes and manifests: the same numbers, or an error.

The files are opened in batches by `open_damaged`, in processes of their own, so that a crash and
a blow-up of memory show. ``MCLS_FUZZ_FILES`` sets how many, ``MCLS_FUZZ_SEED`` which; `make fuzz`
opens 10,000. Recipes and manifests are written by people: there, any outcome but a traceback is
right. So it is for files without checksums, whose damage older versions could not show.
"""

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import h5py
import numpy as np
import pytest

from mcls.chain.options import Representation
from mcls.dictionaries.options import Learning
from mcls.disk.chain import Step
from mcls.recipes.cross_validate import cross_validate
from mcls.stages.learn import learn_dict
from mcls.stages.train import train
from mcls.stores.store import NewRows, StoreContents, write_store

N_FILES = int(os.environ.get("MCLS_FUZZ_FILES", "300"))
SEED = int(os.environ.get("MCLS_FUZZ_SEED", "0"))
BATCH = 500
MEMORY = 1 << 20  # KiB of any one process

RECIPE = """# K-means histograms
[extract]
feature = ["mfcc:n_mfcc=13,delta=1"]

[learn-dict]
size = 8
method = "kmeans"

[train]
pool = ["histogram"]
model = "knn"
param = ["n_neighbors=3"]
"""


def originals(folder):
    """Make a small file or folder of every kind."""
    rng = np.random.default_rng(0)
    n = 24
    ids = [f"track {i}" for i in range(n)]
    tracks = {
        "track_id": ids,
        "path": [f"{name}.wav" for name in ids],
        "labels": ["calm", "wild"] * (n // 2),
        "split": (["train"] * 4 + ["test"] * 2) * (n // 6),
        "seconds": [1.5] * n,
        "sample_rate": [22050] * n,
    }
    lengths = [30 + i for i in range(n)]
    rows = rng.normal(size=(sum(lengths), 6)).astype(np.float32)
    chain = (Step("feature", "mel", {"n_mels": 6}),)
    failed = {"track_id": ["x"], "path": ["x.wav"], "reason": ["empty"]}
    contents = StoreContents(tracks, failed, {"sr": 22050}, "made here")
    store = folder / "store.h5"
    write_store(store, contents, [NewRows("mel", chain, 43.0, 6, lengths, [rows])])
    learn_dict(store, folder / "dict.h5", learning=Learning(method="kmeans", size=8))
    coded = Representation(dicts=[str(folder / "dict.h5")], pool=["histogram"])
    train(store, folder / "run", model="logistic", representation=coded)
    train(store, folder / "net", model="mlp", settings=["layers=4"])
    recipe = {"learn-dict": {"size": 4}, "train": {"pool": ["histogram"], "model": "knn"}}
    cross_validate(recipe, store, folder / "cv", split="split")
    for name in ("store", "dict"):
        older = folder / f"older-{name}.h5"
        older.write_bytes((folder / f"{name}.h5").read_bytes())
        with h5py.File(older, "r+") as file:
            del file.attrs["checksums"]
    (folder / "recipe.toml").write_text(RECIPE)
    lines = [f"{i}.wav,track {i},{'calm' if i % 2 else 'wild|loud'},train" for i in range(30)]
    (folder / "manifest.csv").write_text("\n".join(["path,track_id,labels,split", *lines]) + "\n")


@pytest.mark.slow
def test_damaged_files_give_the_same_numbers_or_an_error(tmp_path):
    made, work = tmp_path / "originals", tmp_path / "work"
    made.mkdir()
    work.mkdir()
    originals(made)
    tests = Path(__file__).parents[1]
    lines, deaths, first = [], [], 0
    while first < N_FILES:
        end = min(first + BATCH, N_FILES)
        command = [sys.executable, "-m", "fuzz.open_damaged", made, work, first, end, SEED]
        done = subprocess.run(
            list(map(str, command)), capture_output=True, text=True, check=False, cwd=tests
        )
        lines += [json.loads(line) for line in done.stdout.splitlines()]
        if done.returncode:
            at = int((work / "at").read_text()) if (work / "at").is_file() else -1
            assert first <= at < end, done.stderr  # it died before it opened a damaged file
            deaths.append((at, done.returncode, done.stderr[-500:]))
            first = at + 1
        else:
            first = end
    counts = Counter(line["outcome"] for line in lines)
    peak = max(line["peak"] for line in lines)
    files = Counter(line["file"] for line in lines)
    print(f"{N_FILES} damaged files: {dict(counts)}, {len(deaths)} deaths, {peak >> 10} MB at most")
    print(", ".join(f"{name} {n}" for name, n in sorted(files.items())))
    bad = [one for one in lines if one["outcome"] in ("changed", "broken", "unnamed")]
    assert not bad, json.dumps(bad[:20], indent=1).replace("\\n", "\n")
    assert not deaths
    assert peak < MEMORY
