"""Extraction where there is no room, no right to write or read, or company.

Each is a run of the command in processes of its own.
"""

import ctypes
import errno
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
import soundfile

from mcls.stores.store import Store

SR = 8000
COMMAND = (sys.executable, "-m", "mcls", "extract")


@pytest.fixture
def folder(tmp_path, rng):
    """Twelve short tracks of three classes."""
    for i in range(12):
        path = tmp_path / "music" / "abc"[i % 3] / f"träck {i}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, rng.normal(0, 0.1, SR // 2 + 500 * i), SR)
    return tmp_path / "music"


def arguments(folder: Path, out: Path, jobs: int = 2) -> list[str]:
    features = ["--feature", "mel", "--feature", "cqt:n_bins=48"]
    return [*COMMAND, str(folder), str(out), "--sr", str(SR), *features, "--jobs", str(jobs)]


def run(command: list[str], **options) -> subprocess.CompletedProcess:
    return subprocess.run(
        command, capture_output=True, text=True, timeout=300, check=False, **options
    )


@pytest.fixture
def crowd(folder):
    """The same with 300 more."""
    for i in range(300):
        os.link(folder / "a" / "träck 0.wav", folder / "b" / f"copy {i}.wav")
    return folder


def started(command: list[str]) -> subprocess.Popen:
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True)


def line(text: str) -> str:
    """Return text without line breaks."""
    return " ".join(text.split())


def limited(n_bytes: int):
    """Return a function that forbids this process, and those it starts, any larger file."""
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, n_bytes))


def test_no_room_for_the_output_is_said_and_the_old_one_stays(folder, tmp_path):
    """Files may be as large as a shard, then as the old output but not the new one."""
    out = tmp_path / "s.h5"
    assert run(arguments(folder, out)).returncode == 0
    before = out.read_bytes()
    for i in range(12):
        shutil.copy(folder / "a" / "träck 0.wav", folder / "c" / f"copy {i}.wav")
    for n_bytes, where in ((2000, r"\d{6}-\w+\.h5"), (len(before), r"s\.h5")):
        full = run(arguments(folder, out), preexec_fn=limited(n_bytes))
        assert full.returncode == 1
        assert re.search(rf"{where} could not be written: File too large", line(full.stderr))
        assert "Traceback" not in full.stderr
        assert out.read_bytes() == before
        assert not list(tmp_path.glob(".s.h5.work/new"))
    assert run(arguments(folder, out)).returncode == 0
    assert Store(out).n_tracks == 24


def on_a_small_disk(tmp_path: Path, options: str, script: str) -> subprocess.CompletedProcess:
    """Run a script where `tmp_path/disk` is a file system of its own; skip where forbidden."""
    (tmp_path / "disk").mkdir(exist_ok=True)
    mount = f"mount -t tmpfs -o {options} tmpfs {tmp_path}/disk || exit 77"
    try:
        done = run(["unshare", "--mount", "--map-root-user", "sh", "-c", f"{mount}\n{script}"])
    except FileNotFoundError:
        pytest.skip("there is no unshare here")
    if done.returncode == 77 or "unshare" in done.stderr:
        pytest.skip("file systems cannot be mounted here")
    return done


def test_a_disk_that_is_full(folder, tmp_path):
    """400 kB of disk: the first output fits, one with a wider feature does not."""
    small = " ".join([*COMMAND, str(folder), str(tmp_path / "disk/s.h5"), "--sr", str(SR)])
    done = on_a_small_disk(
        tmp_path,
        "size=400k",
        f"""
        {small} --feature mfcc || exit 2
        sha1sum {tmp_path}/disk/s.h5
        {small} --overwrite --feature spectrogram; echo "exit $?"
        sha1sum {tmp_path}/disk/s.h5
        {small} --feature mfcc --overwrite --jobs 2; echo "exit $?"
        sha1sum {tmp_path}/disk/s.h5
        ls -A {tmp_path}/disk
        """,
    )
    first, code, second, last_code, third, *listed = done.stdout.split("\n")[:-1]
    assert code == "exit 1", done.stderr
    assert "No space left on device" in done.stderr
    assert "Traceback" not in done.stderr
    assert last_code == "exit 0", done.stderr
    assert first == second == third
    assert listed == ["s.h5"]


def test_a_disk_without_room_for_a_dictionary(folder, tmp_path):
    store = tmp_path / "s.h5"
    assert run([*COMMAND, str(folder), str(store), "--sr", str(SR)]).returncode == 0
    learn = " ".join([*COMMAND[:-1], "learn-dict", str(store), str(tmp_path / "disk/d.h5")])
    done = on_a_small_disk(
        tmp_path, "size=64k", f"{learn} --size 8; echo $?; ls -A {tmp_path}/disk"
    )
    assert done.stdout.split() == ["1"], done.stderr
    assert "No space left on device" in line(done.stderr)
    assert "Traceback" not in done.stderr


def test_a_file_system_that_is_read_only(folder, tmp_path):
    done = on_a_small_disk(
        tmp_path,
        "ro",
        " ".join([*COMMAND, str(folder), str(tmp_path / "disk/s.h5"), "--sr", str(SR)]),
    )
    assert done.returncode == 1
    assert "s.h5 cannot be written: Read-only file system" in line(done.stderr)
    assert "Traceback" not in done.stderr


def without_privileges() -> None:
    """Take from root, before it becomes another program, the right to read and write anything."""
    if os.geteuid() == 0:
        for capability in (1, 2):  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
            if ctypes.CDLL(None).prctl(24, capability, 0, 0, 0):  # PR_CAPBSET_DROP
                raise OSError(errno.EPERM, "capabilities cannot be dropped")


def run_without_privileges(command: list[str]) -> subprocess.CompletedProcess:
    try:
        return run(command, preexec_fn=without_privileges)
    except subprocess.SubprocessError:
        pytest.skip("root cannot give up its rights here")


def test_an_output_that_cannot_be_written(folder, tmp_path):
    closed = tmp_path / "closed"
    closed.mkdir()
    assert run(arguments(folder, closed / "s.h5")).returncode == 0
    before = (closed / "s.h5").read_bytes()
    closed.chmod(0o500)
    try:
        done = run_without_privileges([*arguments(folder, closed / "s.h5"), "--overwrite"])
    finally:
        closed.chmod(0o700)
    assert done.returncode == 1
    assert "s.h5 cannot be written: Permission denied" in line(done.stderr)
    assert "Traceback" not in done.stderr
    assert (closed / "s.h5").read_bytes() == before


def test_tracks_that_may_not_be_read_stop_nothing(folder, tmp_path):
    (folder / "a" / "träck 0.wav").chmod(0o200)
    done = run_without_privileges(arguments(folder, tmp_path / "s.h5"))
    assert done.returncode == 1
    assert "failed: a/träck 0.wav: permission denied" in done.stderr
    assert Store(tmp_path / "s.h5").n_tracks == 11


def test_no_room_for_temporary_rows_is_the_tracks_reason(folder, tmp_path, rng):
    """Rows of a long track wait in $TMPDIR; where it is full the other tracks go on."""
    soundfile.write(folder / "a" / "long.wav", rng.normal(0, 0.1, SR * 60), SR)
    program = (
        "import sys; from mcls.features import extractor; extractor.SPILL = 1 << 20\n"
        "from mcls.features.extractor import Extractor\n"
        "from mcls.features.specs import parse_features\n"
        "from mcls.errors import DataError\n"
        f"made = Extractor(parse_features(['spectrogram:n_fft=2048,hop_length=128']), sr={SR})\n"
        "for path in sys.argv[1:]:\n"
        "    try: print(made.track(path).lengths)\n"
        "    except DataError as error: print(error)\n"
    )
    paths = [str(folder / "a" / "long.wav"), str(folder / "a" / "träck 0.wav")]
    done = run([sys.executable, "-c", program, *paths], preexec_fn=limited(1 << 20))
    long, short = done.stdout.splitlines()
    assert long.startswith("no space left for temporary rows in ")
    assert "File too large" in long
    assert short == "{'spectrogram': 32}"


def test_a_store_that_is_being_read_is_replaced_and_its_readers_keep_the_old_one(folder, tmp_path):
    """A reader in this process, mapped and through HDF5, which has a lock of its own."""
    out = tmp_path / "s.h5"
    assert run(arguments(folder, out)).returncode == 0
    rows = Store(out).feature("mel").rows
    before = np.array(rows)
    with h5py.File(out, "r") as file:
        again = run([*arguments(folder, out), "--overwrite", "-p", "mel.n_mels=7"])
        assert again.returncode == 0, again.stderr
        np.testing.assert_array_equal(file["features/mel/rows"][()], before)
    np.testing.assert_array_equal(rows, before)
    assert Store(out).feature("mel").n_dims == 7


def test_two_extracts_to_one_output(crowd, tmp_path):
    out = tmp_path / "s.h5"
    first = started(arguments(crowd, out))
    while not list(tmp_path.glob(".s.h5.work/*/[0-9]*.h5")):
        assert first.poll() is None, "the first was done before the second had begun"
    first.send_signal(signal.SIGSTOP)  # so that it is not done before the second has begun
    second = run(arguments(crowd, out))
    first.send_signal(signal.SIGCONT)
    assert second.returncode == 1
    said = line(second.stderr)
    assert f"error: process {first.pid} on " in said
    assert "wait for it, or choose another output" in said
    _, said = first.communicate(timeout=300)
    assert first.returncode == 0, said
    assert Store(out).n_tracks == 312


@pytest.mark.slow
def test_many_extracts_to_one_output_never_harm_it(folder, tmp_path):
    """Six at once, over and over: some are refused, all others agree."""
    out = tmp_path / "s.h5"
    codes = []
    for _ in range(2):
        processes = [started(arguments(folder, out, 1)) for _ in range(6)]
        for process in processes:
            _, said = process.communicate(timeout=300)
            codes.append(process.returncode)
            assert process.returncode == 0 or "is writing" in said, said
            assert "Traceback" not in said
    assert 0 in codes
    assert run(arguments(folder, tmp_path / "whole.h5")).returncode == 0
    assert out.read_bytes() == (tmp_path / "whole.h5").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["music", "s.h5", "whole.h5"]
