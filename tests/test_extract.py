import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner

from mcls.cli.main import cli
from mcls.errors import ConfigError, DataError
from mcls.extraction.extract import extract
from mcls.features import compute
from mcls.parallel.workers import start_workers
from mcls.registry import entries
from mcls.stores.store import Store

SR = 8000


@pytest.fixture
def folder(tmp_path, rng):
    """Twelve short tracks of three classes, with odd names."""
    for i in range(12):
        path = tmp_path / "music" / "abc"[i % 3] / f"träck {i}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, rng.normal(0, 0.1, SR // 2 + 500 * i), SR)
    return tmp_path / "music"


def run(folder, out, **options):
    return extract(folder, out, features=["mfcc:n_mfcc=5"], sr=SR, **options)


def test_rows_are_those_of_the_feature_and_columns_those_of_the_manifest(folder, tmp_path):
    done = run(folder, tmp_path / "s.h5")
    store = Store(tmp_path / "s.h5")
    assert (done.n_tracks, done.n_computed, done.failed) == (12, 12, [])
    assert store.feature().frame_rate == SR / 512
    for i, path in enumerate(store.column("path")):
        y, _ = soundfile.read(folder / path, dtype="float32")
        np.testing.assert_array_equal(store.feature().track(i), compute("mfcc", y, sr=SR, n_mfcc=5))
    assert sorted(set(store.column("labels"))) == ["a", "b", "c"]
    assert store.tracks["sample_rate"] == [SR] * 12
    assert sorted(path.name for path in tmp_path.iterdir()) == ["music", "s.h5"]


def test_any_number_of_jobs_gives_the_same_bytes(folder, tmp_path):
    run(folder, tmp_path / "one.h5")
    run(folder, tmp_path / "two.h5", jobs=2)
    assert (tmp_path / "one.h5").read_bytes() == (tmp_path / "two.h5").read_bytes()


def test_several_features_of_different_widths(folder, tmp_path):
    extract(folder, tmp_path / "s.h5", features=["mfcc:n_mfcc=5", "mel:n_mels=7"], sr=SR)
    store = Store(tmp_path / "s.h5")
    assert {name: rows.n_dims for name, rows in store.features.items()} == {"mfcc": 5, "mel": 7}
    y, _ = soundfile.read(folder / store.column("path")[3], dtype="float32")
    for name, settings in (("mfcc", {"n_mfcc": 5}), ("mel", {"n_mels": 7})):
        expected = compute(name, y, sr=SR, **settings)
        np.testing.assert_allclose(store.feature(name).track(3), expected, rtol=1e-4, atol=1e-4)


def test_a_split_is_made_once_and_said(folder, tmp_path):
    done = run(folder, tmp_path / "s.h5")
    assert "60/20/20, stratified by 'labels'" in done.split_note
    before = Store(tmp_path / "s.h5")
    parts = before.column("split")
    assert {part: parts.count(part) for part in parts} == {"train": 6, "valid": 3, "test": 3}
    soundfile.write(folder / "a" / "new.wav", np.ones(SR), SR)
    assert run(folder, tmp_path / "s.h5").n_computed == 1
    grown = Store(tmp_path / "s.h5")
    now = dict(zip(grown.track_ids, grown.column("split"), strict=True))
    assert len(now) == 13
    assert [now[i] for i in before.track_ids] == parts


def test_the_same_command_again_does_nothing(folder, tmp_path):
    run(folder, tmp_path / "s.h5")
    stamp = (tmp_path / "s.h5").stat().st_mtime_ns
    assert run(folder, tmp_path / "s.h5").n_computed == 0
    assert (tmp_path / "s.h5").stat().st_mtime_ns == stamp


def test_only_what_is_missing_is_computed_and_the_bytes_are_as_if_at_once(folder, tmp_path):
    hidden = folder / "a" / "träck 3.wav"
    hidden.rename(tmp_path / "aside.wav")
    (tmp_path / "list.csv").write_text(
        "path,labels,split\n"
        + "".join(
            f"{p.relative_to(tmp_path)},{p.parent.name},train\n"
            for p in sorted([*folder.rglob("*.wav"), hidden])
        ),
        encoding="utf-8",
    )
    first = run(tmp_path / "list.csv", tmp_path / "s.h5")
    assert [failure["reason"] for failure in first.failed] == ["there is no such file"]
    (tmp_path / "aside.wav").rename(hidden)
    assert run(tmp_path / "list.csv", tmp_path / "s.h5").n_computed == 1
    run(tmp_path / "list.csv", tmp_path / "at once.h5")
    assert (tmp_path / "s.h5").read_bytes() == (tmp_path / "at once.h5").read_bytes()


def test_changed_columns_are_taken_over_without_computing(folder, tmp_path):
    lines = [f"{p.relative_to(tmp_path)},{p.parent.name}" for p in sorted(folder.rglob("*.wav"))]
    listed = tmp_path / "list.csv"
    for header, label in (("path,labels", "{}"), ("path,labels,artist", "{},me")):
        listed.write_text("\n".join([header, *(label.format(s) for s in lines)]), encoding="utf-8")
        done = run(listed, tmp_path / "s.h5")
    assert done.n_computed == 0
    assert Store(tmp_path / "s.h5").column("artist") == ["me"] * 12


def sha1_of(path: Path) -> str:
    return hashlib.sha1(path.read_bytes()).hexdigest()


def agrees(folder: Path, out: Path) -> bool:
    """Return whether rows, sha1, path and seconds of every track are those of its audio."""
    store = Store(out)
    for i, path in enumerate(store.column("path")):
        y, _ = soundfile.read(folder / path, dtype="float32")
        np.testing.assert_array_equal(store.feature().track(i), compute("mfcc", y, sr=SR, n_mfcc=5))
        assert store.tracks["sha1"][i] == sha1_of(folder / path)
        assert store.tracks["seconds"][i] == len(y) / SR
    return True


def test_replaced_audio_is_computed_again_and_named(folder, tmp_path, rng):
    """One file with another's content and old times, one with another suffix, one moved."""
    run(folder, tmp_path / "s.h5")
    shutil.copy2(folder / "b" / "träck 1.wav", folder / "a" / "träck 0.wav")
    (folder / "a" / "träck 3.wav").unlink()
    soundfile.write(folder / "a" / "träck 3.flac", rng.normal(0, 0.1, SR), SR)
    done = run(folder, tmp_path / "s.h5")
    assert done.n_computed == 2
    assert "computed 2 tracks again, as their audio was replaced: a/träck 0, a/träck 3" in (
        done.notes
    )
    assert agrees(folder, tmp_path / "s.h5")
    run(folder, tmp_path / "at once.h5")
    rows = [Store(tmp_path / name).feature().rows for name in ("s.h5", "at once.h5")]
    np.testing.assert_array_equal(*rows)
    again = run(folder, tmp_path / "s.h5")
    assert again.n_computed == 0
    assert not any("again" in note for note in again.notes)


def test_the_same_audio_under_another_name_is_not_computed_again(folder, tmp_path):
    run(folder, tmp_path / "s.h5")
    track = folder / "a" / "träck 0.wav"
    track.rename(track.with_suffix(".WAV"))
    assert run(folder, tmp_path / "s.h5").n_computed == 0
    assert agrees(folder, tmp_path / "s.h5")


def test_another_folder_with_the_same_tracks_is_computed(folder, tmp_path, rng):
    other = tmp_path / "other"
    for path in folder.rglob("*.wav"):
        (other / path.relative_to(folder)).parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(other / path.relative_to(folder), rng.normal(0, 0.1, SR), SR)
    run(folder, tmp_path / "s.h5")
    assert run(other, tmp_path / "s.h5").n_computed == 12
    assert agrees(other, tmp_path / "s.h5")


def test_a_dataset_without_tracks_of_the_store_is_refused(folder, tmp_path):
    """Another folder altogether, and one with a track less."""
    run(folder, tmp_path / "s.h5")
    before = (tmp_path / "s.h5").read_bytes()
    for path in (folder / "a").iterdir():
        (tmp_path / "other" / "d").mkdir(parents=True, exist_ok=True)
        shutil.copy(path, tmp_path / "other" / "d")
    with pytest.raises(ConfigError, match=r"12 tracks that are not in the dataset \(a/träck 0, .*"):
        run(tmp_path / "other", tmp_path / "s.h5")
    (folder / "a" / "träck 0.wav").unlink()
    with pytest.raises(ConfigError, match=r"1 tracks .* \(a/träck 0\) and would be lost; choose"):
        run(folder, tmp_path / "s.h5")
    assert (tmp_path / "s.h5").read_bytes() == before
    assert run(folder, tmp_path / "s.h5", overwrite=True).n_tracks == 11


def test_copies_of_replaced_audio_are_computed_again(folder, tmp_path):
    options = {"augmentations": ["gain"], "copies": 1}
    run(folder, tmp_path / "s.h5", **options)
    shutil.copy(folder / "b" / "träck 1.wav", folder / "a" / "träck 0.wav")
    assert run(folder, tmp_path / "s.h5", **options).n_computed == 2
    run(folder, tmp_path / "at once.h5", **options)
    rows = [Store(tmp_path / name).feature().rows for name in ("s.h5", "at once.h5")]
    np.testing.assert_array_equal(*rows)


def test_audio_that_is_gone_keeps_its_rows_and_is_named(folder, tmp_path):
    paths = sorted(str(path.relative_to(tmp_path)) for path in folder.rglob("*.wav"))
    (tmp_path / "list.csv").write_text("\n".join(["path", *paths]), encoding="utf-8")
    run(tmp_path / "list.csv", tmp_path / "s.h5")
    (folder / "a" / "träck 0.wav").unlink()
    done = run(tmp_path / "list.csv", tmp_path / "s.h5")
    assert (done.n_tracks, done.n_computed) == (12, 0)
    assert "kept the rows of 1 tracks whose audio cannot be read now: music/a/träck 0" in done.notes


def test_replaced_audio_that_cannot_be_read_is_not_kept_as_the_old_one(folder, tmp_path):
    run(folder, tmp_path / "s.h5")
    (folder / "a" / "träck 0.wav").write_text("no audio")
    done = run(folder, tmp_path / "s.h5")
    assert [failure["track_id"] for failure in done.failed] == ["a/träck 0"]
    assert "a/träck 0" not in Store(tmp_path / "s.h5").track_ids


def test_other_settings_are_refused_by_name(folder, tmp_path):
    run(folder, tmp_path / "s.h5")
    with pytest.raises(ConfigError, match=r"n_mfcc is 5 there and 6 here.*--overwrite"):
        extract(folder, tmp_path / "s.h5", features=["mfcc:n_mfcc=6"], sr=SR)
    extract(folder, tmp_path / "s.h5", features=["mfcc:n_mfcc=6"], sr=SR, overwrite=True)
    assert Store(tmp_path / "s.h5").feature().n_dims == 6


def test_tracks_that_fail_are_kept_with_their_reason(folder, tmp_path):
    (folder / "a" / "text.wav").write_text("no audio")
    (folder / "b" / "empty.wav").write_bytes(b"")
    (folder / "c" / "folder.wav").mkdir()
    soundfile.write(folder / "c" / "nan.wav", np.full(SR, np.nan), SR, subtype="FLOAT")
    done = run(folder, tmp_path / "s.h5", jobs=2)
    reasons = {failure["path"]: failure["reason"] for failure in done.failed}
    assert done.n_tracks == 12
    assert reasons["b/empty.wav"] == "the file is empty"
    assert reasons["c/nan.wav"] == "samples are NaN or infinite"
    assert "not audio" in reasons["a/text.wav"]
    assert Store(tmp_path / "s.h5").failed == done.failed


def test_no_track_at_all_is_an_error_that_says_why(tmp_path):
    for name in ("a/x.wav", "b/y.wav"):
        (tmp_path / "music" / name).parent.mkdir(parents=True)
        (tmp_path / "music" / name).write_bytes(b"")
    with pytest.raises(DataError, match=r"no track could be read: the file is empty \(2 tracks\)"):
        run(tmp_path / "music", tmp_path / "s.h5")


def test_native_rates_must_be_one(folder, tmp_path, rng):
    soundfile.write(folder / "a" / "other.wav", rng.normal(0, 0.1, 44100), 44100)
    done = extract(folder, tmp_path / "s.h5", features=["mfcc"], sr=None)
    assert [failure["track_id"] for failure in done.failed] == ["a/other"]
    assert "pass --sr" in done.failed[0]["reason"]


def test_augmented_copies_are_marked_and_deterministic(folder, tmp_path):
    options = {"augmentations": ["noise", "gain"], "copies": 2}
    run(folder, tmp_path / "s.h5", **options)
    run(folder, tmp_path / "again.h5", jobs=2, **options)
    store = Store(tmp_path / "s.h5")
    assert store.n_tracks == 36
    origin = dict(zip(store.track_ids, store.column("augmented_from"), strict=True))
    assert origin["a/träck 0"] == ""
    assert origin["a/träck 0#1"] == origin["a/träck 0#2"] == "a/träck 0"
    rows = [store.feature().track(store.track_ids.index(f"a/träck 0{c}")) for c in ("", "#1", "#2")]
    assert not np.array_equal(rows[0], rows[1])
    assert not np.array_equal(rows[1], rows[2])
    assert (tmp_path / "s.h5").read_bytes() == (tmp_path / "again.h5").read_bytes()


def test_an_output_that_cannot_be_written_is_named(folder, tmp_path):
    (tmp_path / "file").write_text("")
    result = CliRunner().invoke(cli, ["extract", str(folder), str(tmp_path / "file" / "s.h5")])
    assert result.exit_code == 1
    assert "one of the folders in its path is a file" in result.stderr
    assert "Traceback" not in result.stderr


def test_odd_things_in_a_folder_stop_nothing(folder, tmp_path):
    (folder / "a" / "folder.wav").mkdir()
    os.mkfifo(folder / "a" / "pipe.wav")
    (folder / "a" / "loop.wav").symlink_to(folder / "a" / "loop.wav")
    (folder / "loop").symlink_to(folder)
    (folder / "b" / "empty.wav").write_bytes(b"")
    (folder / "b" / "new\nline.wav").write_bytes((folder / "a" / "träck 0.wav").read_bytes())
    done = run(folder, tmp_path / "s.h5")
    assert done.n_tracks == 13
    assert "b/new\nline" in Store(tmp_path / "s.h5").track_ids
    reasons = {row["track_id"]: row["reason"] for row in done.failed}
    assert reasons["b/empty"] == "the file is empty"
    assert set(reasons) <= {"a/pipe", "a/loop", "a/folder", "b/empty"}


def test_the_command_exits_1_with_the_list_unless_errors_are_skipped(folder, tmp_path):
    (folder / "a" / "bad.wav").write_text("x")
    arguments = ["extract", str(folder), str(tmp_path / "s.h5"), "--sr", str(SR)]
    result = CliRunner().invoke(cli, arguments)
    assert result.exit_code == 1
    assert "failed: a/bad.wav: not audio" in result.stderr
    assert "1 tracks failed; the others are in" in result.stderr
    result = CliRunner().invoke(cli, [*arguments, "--skip-errors", "--json"])
    assert result.exit_code == 0
    assert json.loads(result.stdout)["n_tracks"] == 12


#: What takes longer to import than a track to extract, and what none of this needs.
NEEDLESS = {"torch", "lightning", "librosa", "sklearn", "numba", "matplotlib", "joblib", "av"}


def test_neither_the_command_nor_its_workers_import_what_they_do_not_need(folder, tmp_path):
    known = entries("features").items()
    needy = [name for name, one in known if one.facts.get("needs") or "librosa" in one.module]
    names = [name for name, _ in known if name not in needy]
    features = [word for name in names for word in ("--feature", name)]
    options = ["extract", str(folder), str(tmp_path / "s.h5"), "--sr", str(SR), *features]
    options += ["-p", "cqt.n_bins=48"]
    program = (
        "import sys; from mcls.cli.main import cli\n"
        f"cli({options!r}, standalone_mode=False)\n"
        f"print(sorted({NEEDLESS!r} & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout == "[]\n", done.stderr
    (worker,) = start_workers(1, ["mcls.extraction.extract_tracks"])
    worker.begin(eval, f"sorted({NEEDLESS!r} & set(__import__('sys').modules))")
    assert [worker.receive()[0], worker.receive()] == ["pid", ("done", [])]
    worker.end()


COMMAND = (sys.executable, "-m", "mcls", "extract")
#: As many seconds as anything may take that should be prompt, on a machine that does much else.
PROMPT = 10


@pytest.fixture
def crowd(folder):
    """The same with 1000 more: enough that a command is not done before it is disturbed."""
    for i in range(1000):
        os.link(folder / "a" / "träck 0.wav", folder / "b" / f"copy {i}.wav")
    return folder


def arguments(folder: Path, out: Path, jobs: int = 2) -> list[str]:
    features = ["--feature", "mel", "--feature", "cqt:n_bins=48"]
    return [*COMMAND, str(folder), str(out), "--sr", str(SR), *features, "--jobs", str(jobs)]


def finished(command: list[str], **options) -> subprocess.CompletedProcess:
    return subprocess.run(
        command, capture_output=True, text=True, timeout=300, check=False, **options
    )


def started(command: list[str]) -> subprocess.Popen:
    """Begin a command that hears Ctrl-C, even if these tests run in the background."""
    ignored = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        return subprocess.Popen(command, start_new_session=True, stderr=subprocess.PIPE, text=True)
    finally:
        signal.signal(signal.SIGINT, ignored)


def wait_for_shards(process: subprocess.Popen, out: Path, n: int = 1) -> None:
    """Wait until a command has finished some shards, and is not done."""
    pieces = f".{out.name}.work/*/[0-9]*.h5"
    while len(list(out.parent.glob(pieces))) < n:
        assert process.poll() is None, "it was done before it was disturbed"
        time.sleep(0.002)


def left_running(process: subprocess.Popen) -> list[int]:
    """Return the processes of a command's session that are still there."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            state, *rest = stat.read_text().rpartition(")")[2].split()
            if int(rest[2]) == process.pid and state != "Z":
                found.append(int(stat.parent.name))
    return found


def wait_until_none_is_left(process: subprocess.Popen) -> None:
    end = time.monotonic() + PROMPT
    while left := left_running(process):
        assert time.monotonic() < end, f"{left} are left running"
        time.sleep(0.005)


def test_ctrl_c_is_prompt_clean_and_resumable(crowd, tmp_path):
    process = started(arguments(crowd, tmp_path / "s.h5"))
    wait_for_shards(process, tmp_path / "s.h5")
    os.killpg(process.pid, signal.SIGINT)  # as the terminal does: to the workers as well
    _, said = process.communicate(timeout=PROMPT)
    assert process.returncode == 130, said
    assert "run the same command again" in said
    assert "Traceback" not in said
    wait_until_none_is_left(process)
    assert not (tmp_path / "s.h5").exists()
    again = finished([*arguments(crowd, tmp_path / "s.h5"), "--json"])
    assert again.returncode == 0, again.stderr
    assert '"n_tracks": 1012' in again.stdout
    assert '"n_computed": 1012' not in again.stdout
    assert finished(arguments(crowd, tmp_path / "whole.h5")).returncode == 0
    assert (tmp_path / "s.h5").read_bytes() == (tmp_path / "whole.h5").read_bytes()


@pytest.mark.parametrize("jobs", [2, pytest.param(1, marks=pytest.mark.slow)])
def test_a_parent_that_is_killed_takes_its_workers_along_and_nothing_is_lost(crowd, tmp_path, jobs):
    process = started(arguments(crowd, tmp_path / "s.h5", jobs))
    wait_for_shards(process, tmp_path / "s.h5", 2)
    process.kill()
    process.communicate()
    assert finished(arguments(crowd, tmp_path / "s.h5", jobs)).returncode == 0
    assert left_running(process) == []
    assert finished(arguments(crowd, tmp_path / "whole.h5")).returncode == 0
    assert (tmp_path / "s.h5").read_bytes() == (tmp_path / "whole.h5").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["music", "s.h5", "whole.h5"]


def test_a_worker_that_is_killed_costs_no_track(crowd, tmp_path):
    process = started(arguments(crowd, tmp_path / "s.h5"))
    wait_for_shards(process, tmp_path / "s.h5")
    workers = [pid for pid in left_running(process) if pid != process.pid]
    os.kill(random.Random(0).choice(workers), signal.SIGKILL)
    _, said = process.communicate(timeout=300)
    assert process.returncode == 0, said
    assert Store(tmp_path / "s.h5").n_tracks == 1012


@pytest.mark.slow
def test_killed_at_any_moment_and_started_again_the_bytes_are_the_same(crowd, tmp_path):
    """``MCLS_KILLS`` outputs; kills of all processes, of the parent, of a worker, by turns."""
    rng = random.Random(int(os.environ.get("MCLS_KILLS_SEED", "3")))
    began = time.monotonic()
    assert finished(arguments(crowd, tmp_path / "whole.h5")).returncode == 0
    spent = time.monotonic() - began
    kills = {"all": 0, "parent": 0, "worker": 0}
    for turn in range(int(os.environ.get("MCLS_KILLS", "5"))):
        out = tmp_path / f"{turn}.h5"
        while True:
            process = started(arguments(crowd, out))
            who = rng.choice(list(kills))
            with suppress(subprocess.TimeoutExpired):
                process.wait(rng.uniform(0.05, spent / 4))
            if process.poll() is None:
                kills[who] += 1
                victims = left_running(process)
                if who == "all":
                    os.killpg(process.pid, signal.SIGKILL)
                elif who == "parent":
                    process.kill()
                elif workers := [pid for pid in victims if pid != process.pid]:
                    with suppress(ProcessLookupError):
                        os.kill(rng.choice(workers), signal.SIGKILL)
            _, said = process.communicate(timeout=300)
            if process.returncode == 0:
                break
            assert process.returncode == -signal.SIGKILL, said
        assert out.read_bytes() == (tmp_path / "whole.h5").read_bytes()
        assert not list(tmp_path.glob(".*"))
        out.unlink()
    print(f"{sum(kills.values())} kills: {kills}")  # shown by pytest -s
