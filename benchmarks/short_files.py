"""Time the extraction of many short files with one and with two jobs, from the shell's view.

    python benchmarks/short_files.py [--files 20000] [--repeats 1]

The files are hard links to 200 tones of half a second; every one is read, hashed and computed. A
ratio near 2 says that starting the workers, sharing out the work and packing the store take little
time beside it. The clock is always that of the wall.
"""

import argparse
import filecmp
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import soundfile
from figures import Figure, beside

N_DIFFERENT = 200


def make_files(folder: Path, n_files: int) -> None:
    """Write the tones, into two folders of classes, and the links to them."""
    rng = np.random.default_rng(0)
    t = np.arange(11025) / 22050
    for i in range(n_files):
        path = folder / "ab"[i % 2] / f"{i}.wav"
        path.parent.mkdir(exist_ok=True)
        if i < N_DIFFERENT:
            y = np.sin(2 * np.pi * rng.uniform(200, 2000) * t) + rng.normal(0, 0.2, len(t))
            soundfile.write(path, 0.3 * y, 22050)
        else:
            path.hardlink_to(folder / "ab"[i % 2] / f"{i % N_DIFFERENT}.wav")


def seconds_of_jobs(n_files: int, repeats: int) -> dict[int, list[float]]:
    """Return the seconds with one and with two jobs, in turns; the stores must be the same."""
    spent: dict[int, list[float]] = {1: [], 2: []}
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        audio = work / "audio"
        audio.mkdir()
        make_files(audio, n_files)
        for _ in range(repeats):
            for jobs in spent:
                out = work / f"{jobs}.h5"
                out.unlink(missing_ok=True)
                command = ["extract", str(audio), str(out), "--feature", "mfcc"]
                started = time.perf_counter()
                subprocess.run(
                    [sys.executable, "-m", "mcls", *command, "--jobs", str(jobs)],
                    check=True,
                    capture_output=True,
                )
                spent[jobs].append(time.perf_counter() - started)
        assert filecmp.cmp(work / "1.h5", work / "2.h5", shallow=False), "the stores differ"
    return spent


def figures(repeats: int = 1, n_files: int = 20_000) -> list[Figure]:
    spent = seconds_of_jobs(n_files, repeats)
    what = f"extract of {n_files:,} short files, two jobs"
    return [beside(what, spent[2], "one job", spent[1], 1.85)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--files", type=int, default=20_000)
    parser.add_argument("--repeats", type=int, default=1)
    given = parser.parse_args()
    for one in figures(given.repeats, given.files):
        print(f"{one.what}: {one.ours:.1f} s, {one.peer} {one.theirs:.1f} s: x{one.ratio:.2f}")


if __name__ == "__main__":
    main()
