"""Kill every command that writes at random times, type it again, and compare with a whole run.

    python kill_commands.py FOLDER KILLS SEED

Each command runs in a fork of this process, which has imported what they need. A command that is
stuck (it fails when it is typed again), a result that differs from that of an undisturbed command,
and anything left beside the output, end the script with an error.
"""

import contextlib
import hashlib
import importlib
import os
import random
import shutil
import signal
import sys
import time
from pathlib import Path

import numpy as np
import soundfile

import mcls
from mcls.cli.main import cli

IMPORTS = [
    "mcls.extraction.extract",
    "mcls.recipes.cross_validate",
    "mcls.stages.encode",
    "mcls.stages.learn",
]
IMPORTS += ["mcls.stages.predict", "mcls.stages.export", "mcls.extraction.store_tracks"]
IMPORTS += ["mcls.stages.train_net", "mcls.data.split_column", "mcls.data.prepare"]
IMPORTS += ["mcls.data.synthetic", "mcls.inspection.plot", "mcls.dictionaries.kmeans"]
IMPORTS += [
    "mcls.classifiers.knn",
    "mcls.nets.mlp",
    "mcls.training.fit",
    "skops.io",
    "torch.export",
]

RECIPE = """
[learn-dict]
method = "kmeans"
size = 3
[train]
pool = ["histogram"]
model = "knn"
param = ["n_neighbors=1"]
"""

#: The words of every command, and the name of its output.
COMMANDS = {
    "extract": ("out.h5", "extract {data}/manifest.csv {out} --sr 8000"),
    "extract --add": ("out.h5", "extract {data}/more {out} --sr 8000 --add"),
    "learn-dict": ("out.h5", "learn-dict {data}/s.h5 {out} --size 3"),
    "learn-dict dbn": ("out.h5", "learn-dict {data}/s.h5 {out} --method dbn -p layers=4x3"),
    "encode": ("out.h5", "encode {data}/s.h5 {out} --pool mean"),
    "train knn": ("out", "train {data}/s.h5 {out} --model knn --pool mean -p n_neighbors=1"),
    "train mlp": (
        "out",
        "train {data}/s.h5 {out} --model mlp -p layers=8 --epochs 4 --device cpu",
    ),
    "cv": ("out", "cv {data}/recipe.toml {data}/s.h5 {out} --split fold"),
    "predict": ("out.csv", "predict {data}/knn {data}/a --out {out}"),
    "export": ("out.pt2", "export {data}/mlp {out}"),
    "data split": ("out.csv", "data split {data}/manifest.csv -o {out} --column again"),
    "data synth": ("out", "data synth {out} --tracks 18 --seconds 1"),
    "plot": ("out.png", "plot {data}/knn -o {out}"),
    "store merge": ("out.h5", "store merge {data}/s.h5 {data}/more.h5 {out}"),
    "store select": ("out.h5", "store select {data}/s.h5 {out} --where labels=a"),
    "store remove": ("out.h5", "store remove {data}/s.h5 {out} --where labels=a"),
}

#: Files that hold times, addresses or sums of such files.
_VARY = ("about.json", "metrics.json", "model.skops", "run.sha256", "history.csv", "run.toml")


def make_data(folder: Path) -> None:
    """Write recordings, a manifest, stores, a recipe and the runs that commands read."""
    rng = np.random.default_rng(0)
    lines = ["path,labels,split,fold"]
    parts = ["train"] * 8 + ["valid"] * 2 + ["test"] * 2
    for i, part in enumerate(parts):
        for name in ("ab"[i % 2], f"more/{'cd'[i % 2]}"):
            (folder / name).mkdir(parents=True, exist_ok=True)
            soundfile.write(folder / name / f"{i}.wav", 0.1 * rng.normal(size=8000), 8000)
        lines.append(f"{'ab'[i % 2]}/{i}.wav,{'ab'[i % 2]},{part},{i // 4}")
    (folder / "manifest.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (folder / "recipe.toml").write_text(RECIPE, encoding="utf-8")
    mcls.extract(folder / "manifest.csv", folder / "s.h5", features=["mfcc"], sr=8000)
    mcls.extract(folder / "more", folder / "more.h5", features=["mfcc"], sr=8000)
    mcls.train(
        folder / "s.h5", folder / "knn", model="knn", settings=["n_neighbors=1"], pool=["mean"]
    )
    options = {"settings": ["layers=8"], "epochs": 1, "device": "cpu"}
    mcls.train(folder / "s.h5", folder / "mlp", model="mlp", **options)


def start(words: list[str], log: Path) -> int:
    """Run a command in a fork and return its process."""
    sys.stdout.flush()
    if (pid := os.fork()) == 0:
        code = 1
        with contextlib.suppress(BaseException):
            descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            os.dup2(descriptor, 1)
            os.dup2(descriptor, 2)
            try:
                cli(words, standalone_mode=False)
                code = 0
            except SystemExit as end:
                code = int(end.code or 0)
            except BaseException as error:
                os.write(2, f"{type(error).__name__}: {error}".encode())
        os._exit(code)
    return pid


def contents(out: Path) -> dict[str, str]:
    """Return a digest of every file of an output that must not differ."""
    files = [out] if out.is_file() else sorted(path for path in out.rglob("*") if path.is_file())
    return {
        str(path.relative_to(out.parent)): hashlib.sha1(path.read_bytes()).hexdigest()
        for path in files
        if path.name not in _VARY and path.suffix != ".pt2"
    }


def clear(place: Path) -> None:
    """Empty the folder of outputs."""
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()


def prepare(name: str, data: Path, out: Path) -> None:
    """Make what a command finds at its output."""
    clear(out.parent)
    if name == "extract --add":
        shutil.copy(data / "s.h5", out)


def main(folder: Path, kills: int, seed: int) -> None:
    """Kill the commands in turn, and print what was found."""
    data, place, log = folder / "data", folder / "out", folder / "log.txt"
    make = os.fork()
    if make == 0:  # so that this process computes nothing before it forks
        make_data(data)
        os._exit(0)
    assert os.waitpid(make, 0)[1] == 0
    for module in IMPORTS:
        importlib.import_module(module)
    rng = random.Random(seed)
    whole: dict[str, tuple[dict[str, str], set[str], float]] = {}
    counts: dict[str, list[int]] = {name: [0, 0] for name in COMMANDS}
    bad: list[str] = []
    for turn in range(kills):
        name = list(COMMANDS)[turn % len(COMMANDS)]
        out = place / COMMANDS[name][0]
        words = COMMANDS[name][1].format(data=data, out=out).split()
        if name not in whole:
            prepare(name, data, out)
            began = time.monotonic()
            assert os.waitpid(start(words, log), 0)[1] == 0, log.read_text()
            took = time.monotonic() - began
            whole[name] = contents(out), {path.name for path in place.iterdir()}, took
        expected, beside, took = whole[name]
        prepare(name, data, out)
        pid = start(words, log)
        time.sleep(rng.uniform(0, took))
        os.kill(pid, signal.SIGKILL)
        killed = os.WIFSIGNALED(os.waitpid(pid, 0)[1])
        counts[name][0 if killed else 1] += 1
        if os.waitpid(start(words, log), 0)[1] != 0:
            bad.append(f"{name}: stuck: {log.read_text()[-500:]}")
        elif contents(out) != expected:
            bad.append(f"{name}: the result differs")
        elif {path.name for path in place.iterdir()} != beside or list(place.rglob(".*.work")):
            bad.append(f"{name}: left {sorted(path.name for path in place.rglob('.*'))}")
    for name, (hit, late) in counts.items():
        print(f"{name:16} {hit:4} killed {late:4} done before")
    print(f"{sum(hit for hit, _ in counts.values())} kills, {len(bad)} stuck, lost or left over")
    print("\n".join(bad))
    sys.exit(bool(bad))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
