"""Measure what `mcls data audit` finds: recall on planted copies, hits among real tracks, scale.

    python benchmarks/audit.py DATA_FOLDER [--sets esc10 fsdd] [--planted 40]
    python benchmarks/audit.py --scale 2500 5000 20000

Copies of each kind are made of some tracks of each set and looked up among all its tracks. Hits
among the tracks themselves are listed with their agreement: 1.00 is a true copy, and the others are
for the ear. `--scale` looks up tracks whose landmarks are drawn at random, in larger and larger
collections, and prints the time per track and the memory.
"""

import argparse
import io
import resource
import time
from pathlib import Path

import numpy as np
import soundfile
import soxr

from mcls.audio.files import read_audio
from mcls.audit.copies import AudibleTrack, compare, find_copies
from mcls.audit.index import Index
from mcls.audit.landmarks import MAX_BINS, MAX_FRAMES, Landmarks, landmarks
from mcls.audit.spectrogram import BINS_PER_SEMITONE, FRAME_RATE, N_BINS, SR, log_spectrogram

SUFFIXES = (".ogg", ".flac", ".mp3", ".wav")
SHIFT = 2 * BINS_PER_SEMITONE


def mp3_64(y, sr, rng):
    """Encode at 64 kbit/s (44.1 kHz mono; half as much below 32 kHz, where MP3 has other rates)."""
    import av

    file = io.BytesIO()
    with av.open(file, "w", format="mp3") as container:
        stream = container.add_stream("libmp3lame", rate=sr)
        stream.bit_rate, stream.layout = (64_000 if sr >= 32_000 else 32_000), "mono"
        pcm = (np.clip(y, -1, 1) * 32767).astype(np.int16)[None]
        frame = av.AudioFrame.from_ndarray(pcm, format="s16p", layout="mono")
        frame.sample_rate = sr
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            container.mux(packet)
    file.seek(0)
    return soundfile.read(file, dtype="float32")[0]


def ogg(y, sr, rng):
    file = io.BytesIO()
    soundfile.write(file, y, sr, format="OGG", subtype="VORBIS", compression_level=0.9)
    file.seek(0)
    return soundfile.read(file, dtype="float32")[0]


def half(y, sr, rng):
    """Cut a half at random that has a tenth of the energy: halves of some clips are silent."""
    for _ in range(50):
        start = int(rng.integers(0, len(y) // 2 + 1))
        found = y[start : start + len(y) // 2]
        if np.sum(found**2) >= 0.1 * np.sum(y**2):
            return found
    return found


def shifted(y, sr, rng):
    n = int(rng.uniform(0.1, 0.3) * len(y))
    return np.concatenate([rng.normal(0, 1e-4, n).astype(np.float32), y[: len(y) - n]])


def gain(y, sr, rng):
    return np.clip(y * 10 ** (rng.choice([-6, 6]) / 20), -1, 1)


def transposed(semitones):
    def change(y, sr, rng):
        import librosa

        return librosa.effects.pitch_shift(y, sr=sr, n_steps=semitones)

    return change


def all_but_pitch(y, sr, rng):
    return mp3_64(gain(half(y, sr, rng), sr, rng), sr, rng)


KINDS = {
    "64 kbit/s MP3": mp3_64,
    "lowest OGG": ogg,
    "half": half,
    "shifted": shifted,
    "6 dB": gain,
    "half, 6 dB, MP3": all_but_pitch,
    "1 up": transposed(1),
    "1 down": transposed(-1),
    "2 up": transposed(2),
    "2 down": transposed(-2),
}


def measure(name, files, planted, shortest):
    rng = np.random.default_rng(0)
    audio = [read_audio(path, sr=SR)[0] for path in files]
    tracks = [AudibleTrack(log_spectrogram(y), y) for y in audio]
    marks = [landmarks(track.levels, FRAME_RATE) for track in tracks]
    started = time.process_time()
    hits = list(find_copies(marks, tracks.__getitem__, frame_rate=FRAME_RATE, max_shift=SHIFT))
    spent = time.process_time() - started
    true = [hit for hit in hits if hit.agreement >= 0.995]
    per_thousand = 1000 * (len(hits) - len(true)) / len(files)
    print(f"{name}: {len(files)} tracks, {spent:.0f} s; identical {len(true)}, other hits", end=" ")
    print(f"{len(hits) - len(true)} ({per_thousand:.1f} per 1,000 tracks)", flush=True)
    for hit in hits:
        pair = files[hit.first].name, files[hit.second].name
        print(f"    {hit.agreement:.2f} {hit.lag:+.2f} s {hit.shift:+d}", *pair)
    index = Index(marks, max_shift=SHIFT)
    long = [i for i, y in enumerate(audio) if len(y) >= shortest * SR]
    chosen = np.sort(rng.choice(long, min(planted, len(long)), replace=False))
    for kind, change in KINDS.items():
        found = 0
        for i in chosen:
            y, sr = read_audio(files[i], sr=None)
            y = soxr.resample(change(y, sr, rng).astype(np.float32), sr, SR)
            copy = AudibleTrack(log_spectrogram(y), y)
            own = landmarks(copy.levels, FRAME_RATE)
            for one in index.candidates(own):
                share = one.votes / max(1, min(len(own), len(marks[one.track])))
                if one.track == i and compare(
                    copy, tracks[i], one, share=share, frame_rate=FRAME_RATE
                ):
                    found += 1
        print(f"    {kind:<16} {found / len(chosen):.3f} of {len(chosen)}", flush=True)


def simulate(sizes, n_landmarks=3000, n_queries=200):
    """Look up random tracks of 30 s; peaks are commoner at low frequencies, as in real ones."""
    rng = np.random.default_rng(0)
    span = 2 * MAX_BINS + 1
    for n_tracks in sizes:
        total = n_tracks * n_landmarks
        bins = np.minimum(rng.exponential(40, total), N_BINS - 1).astype(np.int32)
        ups = rng.integers(0, span, total, dtype=np.int32)
        frames = np.minimum(rng.geometric(0.12, total), MAX_FRAMES).astype(np.int32)
        keys = ((bins * span + ups) * (MAX_FRAMES + 1) + frames).reshape(n_tracks, n_landmarks)
        del bins, ups, frames
        at = np.sort(rng.integers(0, 1875, (n_tracks, n_landmarks), dtype=np.int32), axis=1)
        tracks = [Landmarks(*both) for both in zip(keys, at, strict=True)]
        tracks[-1] = tracks[0]  # one true copy
        started = time.process_time()
        index = Index(tracks, max_shift=SHIFT)
        built = time.process_time() - started
        started = time.process_time()
        for i in range(n_queries):
            found = index.candidates(tracks[i], after=i)
            assert i or found[0].track == n_tracks - 1
        spent = (time.process_time() - started) / n_queries
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        print(f"{n_tracks} tracks: index {built:.0f} s, {1000 * spent:.0f} ms per track, ", end="")
        print(f"peak {peak:.1f} GiB", flush=True)
        del index, tracks, keys, at


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, nargs="?")
    parser.add_argument("--sets", nargs="+", default=["esc10", "mridangam", "fsdd", "philharmonia"])
    parser.add_argument("--planted", type=int, default=40)
    parser.add_argument("--shortest", type=float, default=0.0, help="seconds of planted tracks")
    parser.add_argument("--scale", type=int, nargs="+")
    chosen = parser.parse_args()
    if chosen.scale:
        simulate(chosen.scale)
    for name in chosen.sets if chosen.data else ():
        found = sorted(p for p in (chosen.data / name).rglob("*") if p.suffix in SUFFIXES)
        measure(name, found, chosen.planted, chosen.shortest)
