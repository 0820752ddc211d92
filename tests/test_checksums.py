"""A changed bit is an error by name: in rows, offsets, labels, atoms, models and results."""

import hashlib
import json
import subprocess
import zlib

import h5py
import numpy as np
import pytest
from click.testing import CliRunner

from mcls.cli.main import cli
from mcls.disk.chain import Step
from mcls.disk.checksums import BLOCK, read_checksums
from mcls.disk.dictionary import read_dictionary, write_dictionary
from mcls.disk.hdf5 import open_hdf5
from mcls.disk.run import open_run
from mcls.disk.sums import SUMS
from mcls.errors import FormatError
from mcls.judging.evaluate import evaluate
from mcls.stages.train import train
from mcls.stores.store import NewRows, Store, StoreContents, write_store

CHAIN = (Step("feature", "mel", {"n_mels": 3}),)


def write(path, lengths=(20_000, 0, 30_000), names=("mel",)):
    rng = np.random.default_rng(0)
    rows = {name: rng.normal(size=(sum(lengths), 3)).astype(np.float32) for name in names}
    ids = [f"t{i}" for i in range(len(lengths))]
    tracks = {"track_id": ids, "path": ids, "labels": ["a", "b", "c"]}
    new = [NewRows(name, CHAIN, 43.0, 3, list(lengths), [rows[name]]) for name in names]
    write_store(path, StoreContents(tracks), new)
    return rows


def flip(path, at, bit=0):
    with path.open("r+b") as file:
        file.seek(at)
        [old] = file.read(1)
        file.seek(at)
        file.write(bytes([old ^ (1 << bit)]))


def test_checksums_are_the_crc_32_of_zlib_over_blocks(tmp_path):
    write(tmp_path / "s.h5", names=("mel", "mfcc"))
    content = (tmp_path / "s.h5").read_bytes()
    found = read_checksums(tmp_path / "s.h5")
    body = content[: found.n_bytes]
    blocks = [body[i : i + BLOCK] for i in range(0, len(body), BLOCK)]
    assert found.expected.tolist() == [zlib.crc32(block) for block in blocks]
    with h5py.File(tmp_path / "s.h5") as file:
        places = [file[f"features/{name}/rows"] for name in ("mel", "mfcc")]
        spans = [(d.id.get_offset(), d.id.get_offset() + d.nbytes) for d in places]
    assert sorted(found.spans) == sorted(spans)


def test_a_bit_of_rows_is_found_where_they_are_read(tmp_path):
    """600 kB of rows: the first track and most of the last are read; the damaged block is named."""
    rows = write(tmp_path / "s.h5")["mel"]
    start = Store(tmp_path / "s.h5").feature().pieces.files[0].start
    flip(tmp_path / "s.h5", start + 45_000 * 12, bit=3)
    mel = Store(tmp_path / "s.h5").feature()
    np.testing.assert_array_equal(mel.track(0), rows[:20_000])
    np.testing.assert_array_equal(mel.read(20_000, 35_000), rows[20_000:35_000])
    message = r"s\.h5 is damaged: rows \d+ to \d+ of feature 'mel' do not match .*\(track 't2'\)"
    for read in (lambda: mel.track(2), lambda: mel.read(44_999, 45_001), lambda: mel.rows):
        with pytest.raises(FormatError, match=message):
            read()


@pytest.mark.parametrize("bit", [0, 7])
def test_a_bit_of_anything_else_is_found_when_the_store_is_opened(tmp_path, bit):
    write(tmp_path / "s.h5", lengths=(2, 0, 5))
    with h5py.File(tmp_path / "s.h5") as file:
        places = [
            file[name].id.get_offset()
            for name in ("features/mel/offsets", "tracks/labels", "tracks/track_id")
        ]
    for place in [*places, 600, 4096]:
        flip(tmp_path / "s.h5", place, bit)
        with pytest.raises(FormatError, match=r"s\.h5 is damaged: bytes \d+ to \d+"):
            Store(tmp_path / "s.h5")
        flip(tmp_path / "s.h5", place, bit)
    Store(tmp_path / "s.h5")


def test_a_bit_of_the_checksums_and_a_lost_end(tmp_path):
    write(tmp_path / "s.h5")
    whole = (tmp_path / "s.h5").read_bytes()
    for place in (-3, -12, -20, -60):
        flip(tmp_path / "s.h5", len(whole) + place)
        with pytest.raises(FormatError, match="damaged"):
            Store(tmp_path / "s.h5")
        (tmp_path / "s.h5").write_bytes(whole)
    for changed in (whole[:-32], whole[:-200], whole + b"more"):
        (tmp_path / "s.h5").write_bytes(changed)
        with pytest.raises(FormatError, match=r"damaged|truncated"):
            Store(tmp_path / "s.h5")


def test_a_store_that_another_program_changed_is_refused_until_it_says_so(tmp_path):
    write(tmp_path / "s.h5")
    with h5py.File(tmp_path / "s.h5", "r+") as file:
        file["tracks/labels"][0] = "z"
    with pytest.raises(FormatError, match="delete its attribute 'checksums'"):
        Store(tmp_path / "s.h5")
    with h5py.File(tmp_path / "s.h5", "r+") as file:
        del file.attrs["checksums"]
    assert Store(tmp_path / "s.h5").column("labels") == ["z", "b", "c"]
    done = CliRunner().invoke(cli, ["info", "--verify", str(tmp_path / "s.h5")])
    assert done.exit_code == 0
    assert done.stdout == f"{tmp_path}/s.h5: no checksums, as an older version of mcls wrote it\n"


def test_a_bit_of_an_atom(tmp_path):
    step = Step(
        "dictionary", "kmeans", {}, (0,), {"atoms": np.random.default_rng(0).random((9, 3))}
    )
    write_dictionary(tmp_path / "d.h5", (*CHAIN, step), {}, "key")
    read_dictionary(tmp_path / "d.h5")
    with h5py.File(tmp_path / "d.h5") as file:
        place = file["chain/1/atoms"].id.get_offset()
    flip(tmp_path / "d.h5", place + 100)
    with pytest.raises(FormatError, match=r"d\.h5 is damaged"):
        read_dictionary(tmp_path / "d.h5")


@pytest.mark.parametrize("value", [np.zeros(3), np.zeros((2, 2)), np.void(b"x"), h5py.Empty("f8")])
def test_attributes_of_other_types_are_not_read(tmp_path, value):
    with h5py.File(tmp_path / "s.h5", "w") as file:
        file.attrs["kind"], file.attrs["format"] = "features", 1
        file.create_group("g").attrs["settings"] = value
    with pytest.raises(FormatError, match=r"attribute|kind"), open_hdf5(tmp_path / "s.h5", "x", 1):
        pass


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A small run of a classifier."""
    folder = tmp_path_factory.mktemp("run")
    rng = np.random.default_rng(0)
    ids = [f"t{i}" for i in range(12)]
    labels = ["a", "b"] * 6
    split = ["train"] * 8 + ["test"] * 4
    tracks = {"track_id": ids, "path": ids, "labels": labels, "split": split}
    rows = rng.normal(size=(24, 3)).astype(np.float32)
    new = NewRows("mel", CHAIN, None, 3, [2] * 12, [rows])
    write_store(folder / "s.h5", StoreContents(tracks), [new])
    train(folder / "s.h5", folder / "r", model="knn")
    return folder / "r"


def test_run_sha256_is_that_of_hashlib_and_coreutils(run):
    lines = dict(line.split("  ")[::-1] for line in (run / SUMS).read_text().splitlines())
    files = {path.name for path in run.iterdir()} - {SUMS}
    assert lines.keys() == files
    for name, expected in lines.items():
        assert hashlib.sha256((run / name).read_bytes()).hexdigest() == expected
    subprocess.run(["sha256sum", "--quiet", "-c", SUMS], cwd=run, check=True)


@pytest.mark.parametrize(
    "name",
    ["run.toml", "chain.h5", "model.skops", "predictions.csv", "metrics.json", "about.json", SUMS],
)
def test_a_bit_of_any_file_of_a_run(run, tmp_path, name):
    copy = tmp_path / "r"
    subprocess.run(["cp", "-r", run, copy], check=True)
    flip(copy / name, (copy / name).stat().st_size // 2)
    for read in (open_run, evaluate):
        with pytest.raises(FormatError, match=f"{name}|{SUMS}"):
            read(copy)
    done = CliRunner().invoke(cli, ["info", "--verify", str(copy)])
    assert done.exit_code == 1
    if name == SUMS:
        return
    lines = (copy / SUMS).read_text().splitlines(keepends=True)
    (copy / SUMS).write_text("".join(line for line in lines if name not in line))
    (copy / name).write_bytes((run / name).read_bytes())
    open_run(copy)
    (copy / SUMS).unlink()
    open_run(copy)


def test_verify_says_what_was_compared(run, tmp_path):
    done = CliRunner().invoke(cli, ["info", "--verify", str(run)])
    assert (done.exit_code, done.stdout) == (0, f"{run} (6 files in {SUMS}): as it was written\n")
    write(tmp_path / "s.h5")
    done = CliRunner().invoke(cli, ["info", "--verify", "--json", str(tmp_path / "s.h5")])
    said = json.loads(done.stdout)
    assert said["verified"] == [f"{tmp_path}/s.h5 (10 blocks of 64 KiB)"]
    start = Store(tmp_path / "s.h5").feature().pieces.files[0].start
    flip(tmp_path / "s.h5", start + 45_000 * 12)
    done = CliRunner().invoke(cli, ["info", "--verify", str(tmp_path / "s.h5")])
    assert done.exit_code == 1
    assert "track 't2'" in done.stderr
    (tmp_path / "m.csv").write_text("path,labels\na.wav,a\n")
    done = CliRunner().invoke(cli, ["info", "--verify", str(tmp_path / "m.csv")])
    assert done.exit_code == 2
