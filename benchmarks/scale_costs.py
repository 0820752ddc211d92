"""What datasets of 1,000 to 100 million tracks cost, from costs measured on a folder of audio.

    python benchmarks/scale_costs.py AUDIO_FOLDER [--tracks-table scale.jsonl]

The costs per hour of audio are the processor time of a command on 400 files less that on 40, so the
start of the program is not counted. Those per track are the slope between the two largest numbers
of tracks that `benchmarks/scale.py` printed. The steps of a net on a GPU are not measured here:
`GPU_SEGMENTS` are those of `fcn4` (width 1, bf16, batches of 16 segments of 29 s) on one H200.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import soundfile

#: Datasets: tracks, seconds of a track, and kilobytes of its audio file (MP3; an assumption).
SIZES = {
    "1,000 tracks": (1_000, 30.0, 480),
    "MagnaTagATune": (25_863, 29.1, 117),
    "Million Song Dataset": (1_000_000, 30.0, 480),
    "100 million tracks": (100_000_000, 30.0, 480),
}
GPU_SEGMENTS = 803
MEL = ("mel:n_mels=96", 96)
ROWS_A_SECOND = 22050 / 512
STEPS = {
    "mel": "extract {tracks} mel.h5 --feature mel:n_mels=96 --dtype float16 --overwrite",
    "mfcc": "extract {tracks} mfcc.h5 --feature mfcc --overwrite",
    "cqt": "extract {tracks} cqt.h5 --feature cqt --overwrite",
    "codes": "encode mfcc.h5 codes.h5 --with dict.h5 --pool mean --overwrite",
}
LEARN = "learn-dict mfcc.h5 dict.h5 --size 1024 --rows 2000 --overwrite"


def processor_seconds(folder: Path, command: str) -> float:
    """Return the processor time of a command of mcls."""
    words = [sys.executable, "-m", "mcls", "--quiet", *command.split()]
    process = subprocess.Popen(words, cwd=folder)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"mcls {command} failed")
    return used.ru_utime + used.ru_stime


def measured_costs(audio: Path) -> dict[str, float]:
    """Return the core-seconds of each step for an hour of audio."""
    files = sorted(p for p in audio.rglob("*") if p.suffix in {".ogg", ".wav", ".flac", ".mp3"})
    some = {"few.csv": files[:400:10], "many.csv": files[:400]}
    hours = {name: sum(map(_seconds, paths)) / 3600 for name, paths in some.items()}
    found: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as work:
        folder = Path(work)
        for name, paths in some.items():
            lines = [f"{path.absolute()},{i},train" for i, path in enumerate(paths)]
            (folder / name).write_text("\n".join(["path,track_id,split", *lines]) + "\n")
            found[name] = {}
            for step, command in STEPS.items():
                if step == "codes" and not (folder / "dict.h5").exists():
                    processor_seconds(folder, LEARN)
                wanted = command.format(tracks=f"{name} --labels none" if "{" in command else "")
                found[name][step] = processor_seconds(folder, wanted)
    more = hours["many.csv"] - hours["few.csv"]
    return {step: (found["many.csv"][step] - found["few.csv"][step]) / more for step in STEPS}


def costs_per_track(lines: list[str]) -> dict[str, float]:
    """Return the core-seconds a track of each command, from what `benchmarks/scale.py` printed."""
    rows = [json.loads(line) for line in lines if line.startswith("{")]
    found = {}
    for name in dict.fromkeys(row["command"] for row in rows):
        points = sorted((row["tracks"], row["cpu_s"]) for row in rows if row["command"] == name)
        (n, before), (n_more, after) = points[-2:]
        found[name] = (after - before) / (n_more - n)
    return found


def table(hourly: dict[str, float], per_track: dict[str, float]) -> list[tuple[str, ...]]:
    """Return a row per dataset."""
    header = ("dataset", "audio", "mel-96, float16", "mel", "MFCC", "CQT", "codes")
    header += ("eval of 50 scores", "fcn4, an epoch")
    found = [header]
    for name, (n, seconds, kilobytes) in SIZES.items():
        hours = n * seconds / 3600
        cores = [_hours(hourly[step] * hours / 3600) for step in ("mel", "mfcc", "cqt", "codes")]
        judged = _hours(per_track["eval table"] * n / 3600) if per_track else "-"
        stored = n * seconds * ROWS_A_SECOND * MEL[1] * 2
        gpu = _hours(n / GPU_SEGMENTS / 3600)
        found.append((name, _bytes(n * kilobytes * 1e3), _bytes(stored), *cores, judged, gpu))
    return found


def _seconds(path: Path) -> float:
    return float(soundfile.info(path).duration)


def _hours(hours: float) -> str:
    if hours < 1:
        return f"{max(60 * hours, 0.1):.2g} min"
    return f"{hours:,.1f} h" if hours < 10 else f"{hours:,.0f} h"


def _bytes(size: float) -> str:
    unit, name = next(
        (u, name) for u, name in ((1e12, "TB"), (1e9, "GB"), (1e6, "MB")) if size >= u
    )
    return f"{size / unit:.2g} {name}" if size < 10 * unit else f"{size / unit:,.0f} {name}"


def main() -> None:
    """Print the measured costs and the table, as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("audio", type=Path, help="a folder with 400 audio files or more")
    parser.add_argument("--tracks-table", type=Path, help="what benchmarks/scale.py printed")
    given = parser.parse_args()
    hourly = measured_costs(given.audio)
    lines = given.tracks_table.read_text().splitlines() if given.tracks_table else []
    per_track = costs_per_track(lines)
    for step, seconds in hourly.items():
        print(f"{step}: {seconds:.2f} core-seconds an hour of audio")
    for name, seconds in per_track.items():
        print(f"{name}: {1e6 * seconds:.0f} core-microseconds a track")
    for i, row in enumerate(table(hourly, per_track)):
        print(f"| {' | '.join(row)} |")
        if not i:
            print("|---" * len(row) + "|")


if __name__ == "__main__":
    main()
