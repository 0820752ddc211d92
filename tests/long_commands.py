"""The five long commands on a small store, and kills of them at every step on the disk.

    python long_commands.py COMMAND STORE FOLDER EVERY

kills COMMAND before each EVERY-th change that it makes to the disk, lets it finish, and compares
the result with that of a command that was not killed. Each command runs in a fork of its own.
"""

import hashlib
import importlib
import itertools
import os
import shutil
import signal
import sys
from pathlib import Path

import numpy as np
import soundfile

import mcls

IMPORTS = [
    "mcls.extraction.extract",
    "mcls.recipes.cross_validate",
    "mcls.stages.encode",
    "mcls.stages.learn",
]
IMPORTS += ["mcls.dictionaries.dbn", "mcls.dictionaries.kmeans", "mcls.classifiers.knn", "skops.io"]
RECIPE = {
    "learn-dict": {"method": "kmeans", "size": 4},
    "train": {"pool": ["histogram"], "model": "knn", "param": ["n_neighbors=1"]},
}


def make_store(folder):
    """Write noise and a store of it: eight tracks, labels, a split and two folds."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    lines = ["path,labels,split,fold"]
    for i, part in enumerate(
        ["train", "train", "train", "train", "valid", "valid", "test", "test"]
    ):
        soundfile.write(folder / f"{i}.wav", 0.1 * rng.normal(size=8000), 8000)
        lines.append(f"{i}.wav,{'ab'[i % 2]},{part},{i // 4}")
    (folder / "manifest.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    mcls.extract(folder / "manifest.csv", folder / "store.h5", features=["mfcc"], sr=8000)
    return folder / "store.h5"


def extract(store, out, other=False, **options):
    features = ["mfcc:n_mfcc=7"] if other else ["mfcc"]
    mcls.extract(store.with_name("manifest.csv"), out, features=features, sr=8000, **options)


def encode(store, out, other=False, **options):
    mcls.encode(store, out, pool=["max" if other else "mean"], **options)


def learn_dict(store, out, other=False, **options):
    settings = ["layers=5x4x3", f"n_epochs={2 if other else 1}"]
    mcls.learn_dict(store, out, method="dbn", settings=settings, **options)


def train(store, out, other=False, **options):
    options |= {"pool": ["mean"], "settings": ["n_neighbors=2" if other else "n_neighbors=1"]}
    mcls.train(store, out, model="knn", **options)


def cross_validate(store, out, other=False, **options):
    mcls.cross_validate(RECIPE, store, out, split="fold", seed=int(other), **options)


COMMANDS = {one.__name__: one for one in (extract, encode, learn_dict, train, cross_validate)}


def contents(out):
    """Return a digest of every file of an output but those that hold times, paths or addresses."""
    files = [out] if out.is_file() else sorted(path for path in out.rglob("*") if path.is_file())
    others = ("about.json", "metrics.json", "run.toml", "model.skops", "run.sha256")
    return {
        str(path.relative_to(out.parent))[len(out.name) :]: hashlib.sha1(path.read_bytes()).digest()
        for path in files
        if path.name not in others
    }


def kill_before(n):
    """Let this process be killed before the `n`-th change that it makes to the disk."""
    left = itertools.count(n, -1)

    def counted(real):
        def change(*args, **kwargs):
            if next(left) == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return real(*args, **kwargs)

        return change

    for name in ("mkdir", "rename", "replace", "fsync", "unlink", "rmdir"):
        setattr(os, name, counted(getattr(os, name)))


def forked(work):
    """Run a function in a fork and return whether it ended well; a kill is no error here."""
    sys.stdout.flush()
    if (pid := os.fork()) == 0:
        try:
            work()
        except BaseException as error:
            print(f"{type(error).__name__}: {error}", flush=True)
            os._exit(1)
        os._exit(0)
    status = os.waitpid(pid, 0)[1]
    if status not in (0, signal.SIGKILL):
        sys.exit(f"the command failed: {status}")
    return status == 0


def main(name, store, place, every):
    command = COMMANDS[name]
    whole, out = place / "whole", place / "killed"
    (place / "foreign.tmp").write_text("not ours")
    (place / ".foreign").mkdir()
    for module in IMPORTS:  # so that the forks need not; they must not compute before, as they
        importlib.import_module(module)  # would wait for threads of OpenMP that they do not have
    assert forked(lambda: command(store, whole))
    beside = {path.name for path in place.iterdir()} | {out.name}
    for n in itertools.count(every - 1, every):
        done = forked(lambda n=n: (kill_before(n), command(store, out)))
        assert done or forked(lambda: command(store, out)), n
        assert contents(out) == contents(whole), n
        assert {path.name for path in place.iterdir()} == beside, n
        assert not list(place.rglob(".*.work")), (n, list(place.rglob(".*.work")))
        shutil.rmtree(out) if out.is_dir() else out.unlink()
        if done:
            print(f"killed {(n + 1) // every - 1} times")
            break


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4]))
