"""Extraction against the script a user writes, two other libraries and the floor.

    python benchmarks/extract.py [--clips 60] [--rounds 3] [--data FOLDER] [--json]

Two measurements, with the sides taking turns:

* **per clip**: one thread, everything imported and warm; medians over clips and rounds.
* **whole process**: from the shell's view, imports and start-up included, by one and two jobs.

Inputs are made here: 30 s clips as 44.1 kHz stereo wav, 44.1 kHz stereo mp3 and 22.05 kHz mono
wav; a folder of real recordings can be added as it is. The outputs of both sides are compared
before anything is timed.

Peers (a side that is not installed is left out): librosa; audioFlux; python_speech_features
(MFCC). The floor is decoding, soxr and one float32 real FFT of every frame.
"""

import argparse
import dataclasses
import importlib.util
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import soxr
from figures import Figure, beside, clock
from scipy import fft

from mcls.errors import DataError
from mcls.features.extractor import Extractor
from mcls.features.specs import parse_features
from mcls.parallel.threads import one_blas_thread

Side = Callable[[Path, list[str]], dict[str, np.ndarray]]

SR, N_FFT, HOP, SECONDS = 22050, 2048, 512, 30.0
FEATURES = {"mel": ["mel"], "mfcc": ["mfcc"], "mel+mfcc+cqt": ["mel", "mfcc", "cqt"]}


@dataclass(frozen=True)
class Timing:
    """One measurement.

    Attributes
    ----------
    what : str
        ``ms a clip``, or ``s, N jobs`` for the whole process.
    input, features : str
        Of what.
    times : dict of str to float
        Side to median time; ``mcls`` is ours.
    """

    what: str
    input: str
    features: str
    times: dict[str, float]


USER_SCRIPT = '''
"""What a user writes: joblib processes, librosa, a .npy a file."""
import sys
from pathlib import Path
import joblib, librosa, numpy as np

def one(path, out, names):
    y, sr = librosa.load(path)
    for name in names:
        if name == "mel":
            rows = librosa.power_to_db(librosa.feature.melspectrogram(y=y, sr=sr))
        elif name == "mfcc":
            rows = librosa.feature.mfcc(y=y, sr=sr)
        else:
            rows = librosa.amplitude_to_db(np.abs(librosa.cqt(y=y, sr=sr)))
        np.save(out / f"{path.stem}.{name}.npy", rows.T.astype(np.float32))

if __name__ == "__main__":
    folder, out = Path(sys.argv[1]), Path(sys.argv[2])
    names, jobs = sys.argv[3].split("+"), int(sys.argv[4])
    files = sorted(p for p in folder.rglob("*") if p.suffix in {".wav", ".mp3", ".flac", ".ogg"})
    joblib.Parallel(jobs)(joblib.delayed(one)(path, out, names) for path in files)
'''


def make_clips(folder: Path, n_clips: int) -> dict[str, list[Path]]:
    """Write the three kinds of clip: chords with vibrato and noise, all different."""
    rng = np.random.default_rng(0)
    t = np.arange(int(SECONDS * 44100)) / 44100
    kinds = ("wav 44.1 stereo", "mp3 44.1 stereo", "wav 22.05 mono")
    made: dict[str, list[Path]] = {kind: [] for kind in kinds}
    for i in range(n_clips):
        y = rng.normal(0, 0.02, (len(t), 2))
        for f in 55 * 2 ** (rng.integers(0, 48, 6) / 12):
            beat = np.exp(-((t * rng.uniform(1, 4)) % 1) * rng.uniform(1, 6))
            tone = beat * np.sin(2 * np.pi * f * t + rng.uniform(0, 2) * np.sin(2 * np.pi * 5 * t))
            y += 0.12 * tone[:, None] * rng.uniform(0.2, 1, 2)
        y = np.clip(y, -1, 1)
        half = soxr.resample(y.mean(axis=1), 44100, SR)
        for kind, data, sr, suffix in (
            ("wav 44.1 stereo", y, 44100, "wav"),
            ("mp3 44.1 stereo", y, 44100, "mp3"),
            ("wav 22.05 mono", half, SR, "wav"),
        ):
            path = folder / kind.replace(" ", "-") / "all" / f"{i:03d}.{suffix}"
            path.parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(path, data, sr)
            made[kind].append(path)
    return made


def with_librosa(path: Path, names: list[str]) -> dict[str, np.ndarray]:
    """Side (a): one file of the user's script, rows first."""
    import librosa

    y, sr = librosa.load(path)
    rows = {}
    for name in names:
        if name == "mel":
            rows[name] = librosa.power_to_db(librosa.feature.melspectrogram(y=y, sr=sr)).T
        elif name == "mfcc":
            rows[name] = librosa.feature.mfcc(y=y, sr=sr).T
        else:
            rows[name] = np.abs(librosa.cqt(y=y, sr=sr)).T
    return rows


def with_audioflux(path: Path, names: list[str]) -> dict[str, np.ndarray]:
    """Side (b): audioFlux, its own reader and its own mel; other mel scale details, same sizes."""
    import audioflux

    y, _ = audioflux.read(str(path), samplate=SR)
    y = y.mean(axis=0) if y.ndim > 1 else y
    sizes = {"radix2_exp": 11, "samplate": SR, "slide_length": HOP}
    rows = {}
    if "mel" in names:
        power, _ = audioflux.mel_spectrogram(y, num=128, **sizes)
        rows["mel"] = 10 * np.log10(np.maximum(np.abs(power), 1e-10)).T
    if "mfcc" in names:
        rows["mfcc"] = audioflux.mfcc(y, cc_num=20, mel_num=128, **sizes)[0].T
    return rows


def with_speech_features(path: Path, names: list[str]) -> dict[str, np.ndarray]:
    """Side (c): python_speech_features on audio read with soundfile and resampled with soxr."""
    import python_speech_features as speech

    y, sr = soundfile.read(path, dtype="float32", always_2d=True)
    y = soxr.resample(y.mean(axis=1), sr, SR) if sr != SR else y[:, 0]
    return {
        "mfcc": speech.mfcc(
            y, SR, winlen=N_FFT / SR, winstep=HOP / SR, numcep=20, nfilt=128, nfft=N_FFT
        )
    }


def with_floor(path: Path, names: list[str]) -> dict[str, np.ndarray]:
    """Decode, average the channels, resample, one real FFT of every frame. Nothing else."""
    y, sr = soundfile.read(path, dtype="float32", always_2d=True)
    y = y @ np.full(y.shape[1], 1 / y.shape[1], np.float32)
    y = soxr.resample(y, sr, SR) if sr != SR else y
    y = np.pad(y, N_FFT // 2)
    frames = np.lib.stride_tricks.sliding_window_view(y, N_FFT)[::HOP]
    window = np.hanning(N_FFT + 1)[:-1].astype(np.float32)
    for start in range(0, len(frames), 64):
        fft.rfft(frames[start : start + 64] * window, axis=1)
    return {}


def mcls_side(names: list[str]) -> Side:
    """Our side: the extractor that `mcls extract` runs in its workers."""
    specs = ["cqt:compress=none" if name == "cqt" else name for name in names]
    extractor = Extractor(parse_features(specs), sr=SR)

    def run(path: Path, _: list[str]) -> dict[str, np.ndarray]:
        track = extractor.track(path)
        return {name: track.rows(name) for name in names}

    return run


def clip_seconds(clips: list[Path], names: list[str], rounds: int) -> dict[str, list[float]]:
    """Return the seconds a clip of each side, the sides taking turns."""
    sides: dict[str, Side] = {
        "mcls": mcls_side(names),
        "librosa": with_librosa,
        "floor": with_floor,
    }
    if "cqt" not in names and importlib.util.find_spec("audioflux"):
        sides["audioflux"] = with_audioflux
    if names == ["mfcc"] and importlib.util.find_spec("python_speech_features"):
        sides["speech_features"] = with_speech_features
    ours, theirs = sides["mcls"](clips[0], names), with_librosa(clips[0], names)
    for name in names:
        gap = np.abs(ours[name] - theirs[name]).max() / (np.abs(theirs[name]).max() + 1e-12)
        if ours[name].shape != theirs[name].shape or gap > 1e-3:
            raise DataError(f"{name} differs from librosa's by {gap:.2g} of the maximum")
    spent: dict[str, list[float]] = {side: [] for side in sides}
    for turn in range(rounds + 1):
        for clip in clips:
            for side, run in sides.items():
                start = clock()
                run(clip, names)
                if turn:  # the first turn warms caches
                    spent[side].append(clock() - start)
    return spent


def per_clip(clips: list[Path], names: list[str], rounds: int) -> dict[str, float]:
    """Return the median milliseconds a clip of each side."""
    spent = clip_seconds(clips, names, rounds)
    return {side: 1000 * statistics.median(times) for side, times in spent.items()}


def figures(repeats: int = 5) -> list[Figure]:
    found = []
    with tempfile.TemporaryDirectory() as work, one_blas_thread():
        kinds = make_clips(Path(work), 3)
        for kind, label, expected in (
            ("wav 44.1 stereo", "mel", None),
            ("wav 44.1 stereo", "mel+mfcc+cqt", 4.5),
            ("mp3 44.1 stereo", "mel", None),
        ):
            spent = clip_seconds(kinds[kind], FEATURES[label], repeats)
            what = f"{label} of 30 s, {kind}"
            found.append(beside(what, spent["mcls"], "librosa", spent["librosa"], expected))
    return found


def whole_process(folder: Path, names: list[str], rounds: int, jobs: int) -> dict[str, float]:
    """Return the median seconds of the user's script and of `mcls extract` over a folder."""
    spent: dict[str, list[float]] = {"mcls": [], "librosa": []}
    with tempfile.TemporaryDirectory() as work:
        script = Path(work, "script.py")
        script.write_text(USER_SCRIPT)
        for turn in range(rounds):
            out = Path(work, str(turn))
            out.mkdir()
            options = ["--jobs", str(jobs)]
            options += [word for name in names for word in ("--feature", name)]
            commands = {
                "librosa": [str(script), str(folder), str(out), "+".join(names), str(jobs)],
                "mcls": ["-m", "mcls", "extract", str(folder), str(out / "out.h5"), *options],
            }
            for side, command in commands.items():
                start = time.perf_counter()
                subprocess.run([sys.executable, *command], check=True, capture_output=True)
                spent[side].append(time.perf_counter() - start)
    return {side: statistics.median(times) for side, times in spent.items()}


def bench_extract(
    *,
    n_clips: int = 60,
    rounds: int = 3,
    data: Path | None = None,
) -> list[Timing]:
    """Measure extraction on this machine.

    Parameters
    ----------
    n_clips : int
        Clips of each kind; a sixth of them are timed one by one.
    rounds : int
        Turns of every side.
    data : path or None
        A folder of class folders to add, as it is.

    Returns
    -------
    list of Timing

    Raises
    ------
    DataError
        If our rows are not librosa's.
    """
    found: list[Timing] = []
    with tempfile.TemporaryDirectory() as work, one_blas_thread():
        kinds = make_clips(Path(work), n_clips)
        folders = {kind: clips[0].parents[1] for kind, clips in kinds.items()}
        if data is not None:
            folders[data.name] = data
        total = len(kinds) * len(FEATURES) + 4 * len(folders)

        def keep(what: str, kind: str, label: str, times: dict[str, float]) -> None:
            found.append(Timing(what, kind, label, times))
            print(f"{len(found)} of {total}: {kind}, {label}, {what}", file=sys.stderr)

        for kind, clips in kinds.items():
            for label, names in FEATURES.items():
                some = clips[: max(1, n_clips // 6)]
                keep("ms a clip", kind, label, per_clip(some, names, rounds))
        for kind, folder in folders.items():
            for label in ("mel", "mel+mfcc+cqt"):
                for jobs in (1, 2):
                    times = whole_process(folder, FEATURES[label], rounds, jobs)
                    keep(f"s, {jobs} jobs", kind, label, times)
    return found


def ratio(took: float, timing: Timing, side: str) -> str:
    """Return a side's time over ours, in brackets; nothing for ourselves."""
    return "" if side == "mcls" else f" ({took / timing.times['mcls']:.2f})"


def main() -> None:
    """Time extraction and print a line per measurement; in brackets the ratio to mcls."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clips", type=int, default=60, help="clips of each kind")
    parser.add_argument("--rounds", type=int, default=3, help="turns of every side")
    parser.add_argument("--data", type=Path, help="also this folder of class folders, as it is")
    parser.add_argument("--json", action="store_true", help="print JSON")
    given = parser.parse_args()
    found = bench_extract(n_clips=given.clips, rounds=given.rounds, data=given.data)
    if given.json:
        print(json.dumps([dataclasses.asdict(timing) for timing in found], indent=2))
        return
    for timing in found:
        sides = (f"{s} {t:.4g}{ratio(t, timing, s)}" for s, t in timing.times.items())
        print(f"{timing.what:10} {timing.input:16} {timing.features:14} {', '.join(sides)}")


if __name__ == "__main__":
    main()
