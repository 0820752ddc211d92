"""Make tracks of concatenated recordings, with annotation files of what was put where.

    python benchmarks/loops.py mridangam DATA/mridangam OUT 60
    python benchmarks/loops.py fsdd DATA/fsdd OUT 60

Each track has recordings of one group only (the tonic of the drum, the speaker), drawn at random:
strokes are cut off after 0.5 s where the next one begins, digits are whole. OUT gets WAV files,
a TSV file of events beside each, and ``tracks.csv`` with the columns path, events, group and fold.
"""

import argparse
import csv
from collections import defaultdict
from pathlib import Path

import numpy as np
import soundfile

#: Strokes are cut to a length between these, in seconds, at random.
_STROKE = (0.15, 0.5)


def main() -> None:
    """Write the tracks, a few per group."""
    parser = argparse.ArgumentParser()
    parser.add_argument("kind", choices=("mridangam", "fsdd"))
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("tracks", type=int)
    parser.add_argument("--events", type=int, default=16, help="events per track")
    asked = parser.parse_args()
    known = _mridangam(asked.data) if asked.kind == "mridangam" else _fsdd(asked.data)
    by_group = defaultdict(list)
    for path, label, group in known:
        by_group[group].append((path, label))
    rng = np.random.default_rng(0)
    asked.out.mkdir(parents=True, exist_ok=True)
    lines = [("path", "events", "group", "fold")]
    for i in range(asked.tracks):
        group = sorted(by_group)[i % len(by_group)]
        chosen = [by_group[group][j] for j in rng.integers(len(by_group[group]), size=asked.events)]
        name = f"{group}-{i:03d}"
        _write(asked.out / name, chosen, rng if asked.kind == "mridangam" else None)
        lines.append((f"{name}.wav", f"{name}.tsv", group, group))
    with (asked.out / "tracks.csv").open("w", newline="") as file:
        csv.writer(file).writerows(lines)


def _mridangam(data: Path) -> list[tuple[Path, str, str]]:
    """Return path, stroke and tonic of each recording."""
    with (data / "annotations.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    return [(data / row["path"], row["stroke"], row["tonic"]) for row in rows]


def _fsdd(data: Path) -> list[tuple[Path, str, str]]:
    """Return path, digit and speaker of each recording."""
    found = []
    for path in sorted(data.rglob("*.flac")):
        digit, speaker, *_ = path.stem.split("_")
        found.append((path, digit, speaker))
    return found


def _write(path: Path, chosen: list[tuple[Path, str]], rng: np.random.Generator | None) -> None:
    """Write a track and its annotation file."""
    pieces, events, now, sr = [], ["start\tend\tlabel"], 0.0, 0
    for source, label in chosen:
        y, sr = soundfile.read(source, dtype="float32")
        if rng is not None:
            y = y[: round(rng.uniform(*_STROKE) * sr)]
        pieces.append(y)
        events.append(f"{now:.6f}\t{now + len(y) / sr:.6f}\t{label}")
        now += len(y) / sr
    soundfile.write(path.with_suffix(".wav"), np.concatenate(pieces), sr)
    path.with_suffix(".tsv").write_text("\n".join(events) + "\n")


if __name__ == "__main__":
    main()
