"""Damaged audio files by the thousand: each gives rows or a reason, and harms no other.

Seeds are real recordings where there are any, else noise, in every format that is read. They are
cut off, have bytes changed, stretches lost, doubled or overwritten, headers put on other bodies.
The run is one `mcls extract` in processes of its own, so that a crash, a hang and a blow-up of
memory show.

``MCLS_FUZZ`` sets how many files, ``MCLS_FUZZ_SEED`` which; `make fuzz` runs 5,000.
"""

import os
import resource
import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile
from fuzz.mutations import mutated

from mcls.stores.store import Store

N_FILES = int(os.environ.get("MCLS_FUZZ", "150"))
SEED = int(os.environ.get("MCLS_FUZZ_SEED", "0"))
TIME_LIMIT = 20  # s per file
MEMORY = 1 << 20  # KiB of any one process

FORMATS = {
    "wav": ("WAV", "PCM_16"),
    "float.wav": ("WAV", "FLOAT"),
    "w64": ("W64", "PCM_24"),
    "aiff": ("AIFF", "PCM_16"),
    "flac": ("FLAC", "PCM_16"),
    "ogg": ("OGG", "VORBIS"),
    "opus": ("OGG", "OPUS"),
    "mp3": ("MP3", "MPEG_LAYER_III"),
    "au": ("AU", "PCM_16"),
    "rf64": ("RF64", "PCM_16"),
}
#: What libav reads: the codec and the container.
CONTAINERS = {"m4a": ("aac", "ipod"), "webm": ("libopus", "webm"), "wma": ("wmav2", "asf")}


def write_with_libav(path: Path, y: np.ndarray, codec: str, container: str) -> None:
    """Write samples at 48 kHz; the header of an M4A comes first, so that it survives a cut."""
    options = {"movflags": "faststart"} if container == "ipod" else {}
    with av.open(str(path), "w", format=container, options=options) as out:
        made = out.add_stream(codec, rate=48000, layout="mono")
        made.bit_rate = 64000
        form, size = made.codec_context.format.name, made.codec_context.frame_size or 1024
        for start in range(0, len(y), size):
            block = np.ascontiguousarray(y[None, start : start + size])
            block = (block * 32767).astype(np.int16) if form.startswith("s16") else block
            frame = av.AudioFrame.from_ndarray(block, form, "mono")
            frame.sample_rate, frame.pts = 48000, start
            out.mux(made.encode(frame))
        out.mux(made.encode(None))


def seeds(rng: np.random.Generator, folder: Path, data: Path) -> list[tuple[str, bytes]]:
    """Return files of every format, mono and stereo, of about a second."""
    real = sorted((data / "esc10").rglob("*.ogg"))[::97]
    found = []
    for i, (suffix, (kind, subtype)) in enumerate(FORMATS.items()):
        sr = 48000 if suffix == "opus" else 44100
        for n_channels in (1, 2):
            y = rng.normal(0, 0.1, (sr, n_channels))
            if real:
                clip, _ = soundfile.read(real[i % len(real)], frames=sr)
                y[: len(clip)] = clip[:, None]
            path = folder / f"seed.{suffix}"
            soundfile.write(path, y, sr, format=kind, subtype=subtype)
            found.append((suffix, path.read_bytes()))
    for suffix, (codec, container) in CONTAINERS.items():
        path = folder / f"seed.{suffix}"
        write_with_libav(path, rng.normal(0, 0.1, 48000).astype(np.float32), codec, container)
        found.append((suffix, path.read_bytes()))
    for suffix in ("flac", "ogg", "mp3"):  # joined
        body = next(body for name, body in found if name == suffix)
        found.append((suffix, 2 * body))
    notes = sorted((data / "philharmonia").rglob("*.mp3"))[::500]
    return found + [("mp3", path.read_bytes()) for path in notes]


@pytest.mark.slow
def test_damaged_files_give_rows_or_a_reason(tmp_path, data_folder):
    rng = np.random.default_rng(SEED)
    originals = seeds(rng, tmp_path, data_folder)
    folder = tmp_path / "audio" / "all"
    folder.mkdir(parents=True)
    for i in range(N_FILES):
        suffix, body = originals[rng.integers(len(originals))]
        damaged = bytearray(body)
        for _ in range(int(rng.integers(1, 4))):
            damaged = mutated(rng, damaged, originals[rng.integers(len(originals))][1])
            if not damaged:
                break
        (folder / f"{i:05d}.{suffix}").write_bytes(damaged)
    (folder / "whole.wav").write_bytes(originals[0][1])
    out = tmp_path / "out.h5"
    command = [sys.executable, "-m", "mcls", "extract", str(folder.parent), str(out)]
    command += ["--feature", "mfcc", "--feature", "cqt:n_bins=60", "--jobs", "2", "--skip-errors"]
    command += ["--time-limit", str(TIME_LIMIT)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    store = Store(out)
    reasons = {row["track_id"]: row["reason"] for row in store.failed}
    assert len(store.track_ids) + len(reasons) == N_FILES + 1
    assert not set(store.track_ids) & set(reasons)
    assert all(reasons.values())
    assert "all/whole" in store.track_ids
    for name in ("mfcc", "cqt"):
        rows = store.feature(name)
        assert all(np.isfinite(rows.track(i)).all() for i in range(store.n_tracks))
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    assert peak < MEMORY, f"{peak} KiB"
    died = [name for name, reason in reasons.items() if "died" in reason or "longer" in reason]
    print(
        f"{N_FILES} files: {store.n_tracks} with rows, {len(reasons)} with a reason, "
        f"{len(died)} of them ended a process; {peak / 1024:.0f} MB at most"
    )
