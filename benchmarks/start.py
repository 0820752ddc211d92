"""Time short commands from the shell's view: most of it is imports.

    python benchmarks/start.py [--repeats 5]

Each command runs in a new process. ``predict`` and ``train`` use synthetic tones and an SVM on the
mean and standard deviation of MFCC: 60 tracks of one second, 36 of them to train. Beside them the
imports that these commands cannot do without: scikit-learn with skops, which reads and writes the
classifier, and nothing of mcls.
"""

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import soundfile
from figures import Figure, alone, clock

import mcls

MCLS = [sys.executable, "-m", "mcls"]
SKOPS = "import skops.io; import sklearn.svm"


def make_tones(folder: Path) -> Path:
    """Write 60 tones of two pitches with noise, and their manifest; return it."""
    rng = np.random.default_rng(0)
    t = np.arange(22050) / 22050
    lines = ["path,labels,split"]
    for i in range(60):
        y = np.sin(2 * np.pi * (220 + 220 * (i % 2)) * t) + rng.normal(0, 0.5, len(t))
        soundfile.write(folder / f"{i}.wav", 0.2 * y, 22050)
        part = ("train", "train", "train", "valid", "test")[i // 2 % 5]
        lines.append(f"{i}.wav,{'ab'[i % 2]},{part}")
    manifest = folder / "tracks.csv"
    manifest.write_text("\n".join(lines))
    return manifest


def seconds_of(commands: Sequence[Sequence[str]]) -> list[float]:
    """Return the seconds of each command; the first warms the disk and is not counted."""
    spent = []
    for command in commands:
        started = clock()
        subprocess.run(command, check=True, capture_output=True)
        spent.append(clock() - started)
    return spent[1:]


def figures(repeats: int = 5) -> list[Figure]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        store, run = folder / "s.h5", folder / "svm-0"
        mcls.extract(make_tones(folder), store, features="mfcc")
        trainings = [
            [*MCLS, "train", f"{store}", f"{folder}/svm-{i}", "--pool", "meanstd", "--model", "svm"]
            for i in range(repeats + 1)
        ]
        return [
            alone(what, seconds_of(commands), expected)
            for what, commands, expected in (
                ("mcls --help", _again(repeats, *MCLS, "--help"), 0.5),
                ("mcls list nets", _again(repeats, *MCLS, "list", "nets", "--table"), 2.0),
                ("mcls train, an SVM of 36 tracks", trainings, 2.0),
                (
                    "mcls predict, one file",
                    _again(repeats, *MCLS, "predict", f"{run}", f"{folder}/0.wav"),
                    1.5,
                ),
                ("skops and sklearn.svm alone", _again(repeats, sys.executable, "-c", SKOPS), None),
            )
        ]


def _again(repeats: int, *command: str) -> list[tuple[str, ...]]:
    return [command] * (repeats + 1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5)
    for one in figures(parser.parse_args().repeats):
        print(f"{one.what}: {one.ours:.2f} s")


if __name__ == "__main__":
    main()
