"""Time and memory of the commands on 1,000 to 1,000,000 simulated tracks.

    python benchmarks/scale.py [--tracks 1000 10000 100000] [--only info crops] [--work FOLDER]

For each number of tracks this writes a manifest, an audio file of 100 bytes per track, a store of
10 rows of 40 dimensions per track and a table of 50 scores per track, and runs the commands on
them, one after the other. A command is a process of its own: its seconds of wall-clock time and of
processor time, and its largest resident memory. 1,000,000 tracks take about 9 GB of disk.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

N_LABELS, N_ROWS, N_DIMS, GROUP = 50, 10, 40, 10
#: Tracks that are made at once.
BLOCK = 10_000

#: What is run, in this order; {n} is the number of tracks.
COMMANDS = {
    "data split": "data split tracks.csv -o split.csv --by group --column again",
    "data check": "data check tracks.csv",
    "info": "info store.h5",
    "store select": "store select store.h5 test.h5 --where split=test",
    "crops": "crops store.h5",
    "learn-dict": "learn-dict store.h5 dict.h5 --method kmeans --size 64 --rows 100000",
    "train svm": "train store.h5 run --pool mean --model svm -p kernel=linear -p C=0.02",
    "eval run": "eval run",
    "eval table": "eval scores.csv",
    "compare": "compare scores.csv others.csv",
}


def make_tracks(folder: Path, n_tracks: int) -> None:
    """Write the manifest, the audio, the store and two tables of scores."""
    from mcls.chain.imported import imported_step
    from mcls.stores.store import NewRows, StoreContents, write_store
    from mcls.tables.labels import label_cells

    rng = np.random.default_rng(0)
    tags = [f"tag{i:02d}" for i in range(N_LABELS)]
    frequencies = 0.4 / np.arange(1, N_LABELS + 1) ** 0.8
    truth = rng.random((n_tracks, N_LABELS)) < frequencies
    truth[np.arange(n_tracks), rng.integers(0, N_LABELS, n_tracks)] = True
    names = [f"{i // 1000:04d}/{i:07d}" for i in range(n_tracks)]
    parts = rng.choice(["train", "valid", "test"], n_tracks // GROUP + 1, p=[0.6, 0.1, 0.3])
    columns: dict[str, list[Any]] = {
        "track_id": names,
        "path": [f"audio/{name}.wav" for name in names],
        "labels": label_cells(tags, truth),
        "group": [f"artist {i // GROUP}" for i in range(n_tracks)],
        "split": [str(parts[i // GROUP]) for i in range(n_tracks)],
    }
    with (folder / "tracks.csv").open("w") as file:
        file.write(",".join(columns) + "\n")
        file.writelines(",".join(row) + "\n" for row in zip(*columns.values(), strict=True))
    make_audio(folder, columns["path"])
    towards = rng.normal(size=(N_LABELS, N_DIMS))

    def rows() -> Iterator[np.ndarray]:
        for start in range(0, n_tracks, BLOCK):
            means = truth[start : start + BLOCK] @ towards
            noise = rng.normal(0, 3, (len(means), N_ROWS, N_DIMS))
            yield (means[:, None] + noise).reshape(-1, N_DIMS).astype(np.float16)

    measured = {
        "seconds": [29.1] * n_tracks,
        "sample_rate": [22050] * n_tracks,
        "sha1": [f"{i:040x}" for i in range(n_tracks)],
    }
    chain = (imported_step("simulated", 43.07, N_DIMS, {}),)
    stored = NewRows("simulated", chain, 43.07, N_DIMS, [N_ROWS] * n_tracks, rows(), "float16")
    write_store(folder / "store.h5", StoreContents({**columns, **measured}), [stored])
    for table, noise in (("scores.csv", 1.0), ("others.csv", 1.1)):
        with (folder / table).open("w") as file:
            header = ["track_id", "part", "labels", *(f"score:{tag}" for tag in tags)]
            file.write(",".join(header) + "\n")
            for start in range(0, n_tracks, BLOCK):
                part = truth[start : start + BLOCK]
                scores = part + rng.normal(0, noise, part.shape)
                for i, row in enumerate(scores.tolist(), start):
                    cells = ",".join(map(repr, row))
                    file.write(f"{names[i]},test,{columns['labels'][i]},{cells}\n")


def make_audio(folder: Path, paths: list[str]) -> None:
    """Write a file of its own for each track: a header of WAV and 28 samples."""
    header = b"RIFF\x5c\x00\x00\x00WAVEfmt \x10\x00\x00\x00\x01\x00\x01\x00\x22\x56\x00\x00"
    header += b"\x44\xac\x00\x00\x02\x00\x10\x00data\x38\x00\x00\x00"
    for i, path in enumerate(paths):
        if i % 1000 == 0:
            (folder / path).parent.mkdir(parents=True)
        (folder / path).write_bytes(header + f"{i:056d}".encode())


def crops(store: Path) -> None:
    """Draw 2,000 batches of 64 random segments of five rows and print how many a second."""
    from mcls.stores.store import Store
    from mcls.training.segments import Batches, Tracks

    rows = Store(store).feature()
    targets = np.zeros((len(rows.track_ids), N_LABELS), np.float32)
    batches = Batches(Tracks(rows, rows.offsets[:-1], rows.offsets[1:], targets), 5, 64)
    started, drawn, steps = time.perf_counter(), 0, min(2000, len(batches))
    for step in range(steps):
        drawn += len(batches[0, step][0])
    print(f"{drawn / (time.perf_counter() - started):.0f} segments/s")


def run(folder: Path, command: str) -> dict[str, float]:
    """Run a command and return what it took."""
    own = command.split()[0] in PARTS
    start = [sys.executable, __file__] if own else [sys.executable, "-m", "mcls"]
    with (folder / "said.txt").open("w") as said:
        started = time.perf_counter()
        process = subprocess.Popen([*start, *command.split()], cwd=folder, stdout=said, stderr=said)
        _, status, used = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"{command} failed: {(folder / 'said.txt').read_text()[-2000:]}")
    spent = used.ru_utime + used.ru_stime
    return {"s": round(seconds, 1), "cpu_s": round(spent, 1), "MB": round(used.ru_maxrss / 1024)}


def main() -> None:
    """Print a line per number of tracks and command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tracks", type=int, nargs="+", default=[1000, 10_000, 100_000])
    parser.add_argument("--only", nargs="+", choices=COMMANDS, default=list(COMMANDS))
    parser.add_argument("--work", type=Path, help="keep what is made here, and use it again")
    given = parser.parse_args()
    for n_tracks in given.tracks:
        with tempfile.TemporaryDirectory() as temporary:
            folder = (given.work or Path(temporary)).absolute() / str(n_tracks)
            if not (folder / "others.csv").is_file():
                folder.mkdir(parents=True, exist_ok=True)
                run(folder, f"make . {n_tracks}")
            for name in given.only:
                found = {"tracks": n_tracks, "command": name, **run(folder, COMMANDS[name])}
                print(json.dumps(found), flush=True)


#: What this file does in processes of its own, by the first argument.
PARTS = {
    "make": lambda folder, n: make_tracks(Path(folder), int(n)),
    "crops": lambda store: crops(Path(store)),
}

if __name__ == "__main__":
    if sys.argv[1:] and sys.argv[1] in PARTS:
        PARTS[sys.argv[1]](*sys.argv[2:])
    else:
        main()
