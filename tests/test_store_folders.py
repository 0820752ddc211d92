"""Stores that are folders of shards: read like one file, and refused by name where they are not."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
import soundfile
from click.testing import CliRunner

import mcls
from mcls.cli.main import cli
from mcls.disk.chain import Step
from mcls.errors import ConfigError, FormatError, MclsError
from mcls.extraction.store_forms import pack_store, split_store
from mcls.stores.joined_files import JoinedFiles
from mcls.stores.shard_folder import shards_of_size, write_folder
from mcls.stores.store import NewRows, Store, StoreContents, write_store
from mcls.training.segments import Batches, Tracks

SR = 8000
CHAIN = (Step("feature", "mel", {"n_mels": 3}),)
LENGTHS = [4, 0, 9, 1, 6, 12, 0, 3]


def write(path, lengths=LENGTHS, names=("mel", "mfcc")):
    """A store of small tracks, the second feature with one row less per track."""
    ids = [f"t{i}" for i in range(len(lengths))]
    contents = StoreContents({"track_id": ids, "path": ids, "labels": ids}, settings={"sr": SR})
    new = []
    for name in names:
        own = [max(0, n - (name == "mfcc")) for n in lengths]
        rows = np.arange(sum(own) * 3, dtype=np.float32).reshape(-1, 3)
        new.append(NewRows(name, CHAIN, 43.0, 3, own, [rows]))
    write_store(path, contents, new)
    return Store(path)


def run(*arguments: object) -> tuple[int, str, str]:
    result = CliRunner().invoke(cli, [str(argument) for argument in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.stdout, result.stderr


@pytest.mark.parametrize("n_shards", [1, 2, 3, 8])
def test_a_folder_is_read_like_the_file(tmp_path, n_shards):
    """Rows, columns and settings, read in any stretch; the tracks of some shards have no rows."""
    whole = write(tmp_path / "s.h5")
    split_store(tmp_path / "s.h5", tmp_path / "s.store", n_shards=n_shards)
    assert len(list((tmp_path / "s.store").glob("0*.h5"))) == n_shards
    folder = Store(tmp_path / "s.store")
    assert folder.tracks == whole.tracks
    assert (folder.settings, folder.failed) == (whole.settings, whole.failed)
    for name in ("mel", "mfcc"):
        one, other = whole.feature(name), folder.feature(name)
        assert (other.shape, other.digest, other.frame_rate) == (one.shape, one.digest, 43.0)
        np.testing.assert_array_equal(other.offsets, one.offsets)
        np.testing.assert_array_equal(np.asarray(other.rows), one.rows)
        np.testing.assert_array_equal(other.rows[::3], one.rows[::3])
        for i in range(len(LENGTHS)):
            np.testing.assert_array_equal(other.track(i), one.track(i))
        for start in range(0, len(one), 5):
            for stop in range(start, len(one) + 1, 7):
                np.testing.assert_array_equal(other.read(start, stop), one.read(start, stop))
        some = np.array([[len(one) - 1, 0], [7, 7]])
        np.testing.assert_array_equal(other.rows.take(some, axis=0), one.rows.take(some, axis=0))
    pack_store(tmp_path / "s.store", tmp_path / "again.h5")
    assert (tmp_path / "again.h5").read_bytes() == (tmp_path / "s.h5").read_bytes()


def test_tracks_may_be_in_any_shard_and_order(tmp_path):
    """Shards of the tracks from the last to the first, as workers may finish them."""
    whole = write(tmp_path / "s.h5")
    sources = [(whole, i) for i in range(8)]
    shards = [*reversed(shards_of_size(sources, ["mel", "mfcc"], n_shards=3))]
    write_folder(tmp_path / "s.store", shards, sources, whole.contents)
    folder = Store(tmp_path / "s.store")
    np.testing.assert_array_equal(np.asarray(folder.feature("mel").rows), whole.feature("mel").rows)


def test_shards_have_at_most_a_size_and_one_track_at_least(tmp_path):
    whole = write(tmp_path / "s.h5", names=("mel",))
    sources = [(whole, i) for i in range(8)]
    sizes = [len(s.tracks) for s in shards_of_size(sources, ["mel"], n_bytes=10 * 12)]
    assert sizes == [2, 2, 1, 1, 2]  # 4 + 0, 9 + 1, 6, 12 (too large by itself), 0 + 3 rows
    for n in range(1, 9):
        shards = shards_of_size(sources, ["mel"], n_shards=n)
        assert [i for shard in shards for i in shard.tracks] == list(range(8))
        assert len(shards) == n
        assert all(shard.tracks for shard in shards)
    with pytest.raises(ConfigError, match="8 tracks cannot be divided into 9 shards"):
        shards_of_size(sources, ["mel"], n_shards=9)


@pytest.mark.parametrize("short", ["loop", "pad"])
@pytest.mark.parametrize("n_frames", [1, 3, 5])
def test_random_crops_of_a_folder_are_those_of_the_file(tmp_path, short, n_frames):
    write(tmp_path / "s.h5", names=("mel",))
    split_store(tmp_path / "s.h5", tmp_path / "s.store", n_shards=4)
    found = []
    for path in (tmp_path / "s.h5", tmp_path / "s.store"):
        rows = Store(path).feature()
        starts, stops = rows.spans[np.flatnonzero(LENGTHS)].T
        tracks = Tracks(rows, starts, stops, np.zeros((6, 2), np.float32))
        batches = Batches(tracks, n_frames, 4, short=short, crops=3)
        found.append(np.concatenate([batches[1, step][0] for step in range(len(batches))]))
    assert isinstance(tracks.array(), JoinedFiles)
    np.testing.assert_array_equal(*found)


@pytest.mark.parametrize(
    ("n", "limit"), [(60, 40), pytest.param(2_000, 300, marks=pytest.mark.slow)]
)
def test_more_shards_than_files_that_may_be_open(tmp_path, monkeypatch, n, limit):
    """A process that may open few files reads all shards, in any order, as maps and as rows."""
    monkeypatch.setattr("mcls.disk.workspace._sync", lambda path: None)
    write(tmp_path / "s.h5", [2] * n, names=("mel",))
    split_store(tmp_path / "s.h5", tmp_path / "s.store", n_shards=n)
    code = """
import resource, sys
import numpy as np
store, n, limit = sys.argv[1], *map(int, sys.argv[2:])
resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
from mcls.stores.store import Store
rows = Store(store).feature()
assert len(rows.pieces.files) == n
everything = np.arange(rows.shape[0] * 3, dtype=np.float32).reshape(-1, 3)
array, order = rows.rows, np.random.default_rng(0).permutation(rows.shape[0])
assert (array.take(order) == everything[order]).all()
assert (array[:] == everything).all()
assert (rows.read(0, len(rows)) == everything).all()
"""
    arguments = [str(one) for one in (tmp_path / "s.store", n, limit)]
    subprocess.run([sys.executable, "-c", code, *arguments], check=True)


# What is wrong with a folder is said by the name of the shard.


@pytest.fixture
def folder(tmp_path) -> Path:
    write(tmp_path / "s.h5", [2000, 0, 3000, 4000], names=("mel",))
    split_store(tmp_path / "s.h5", tmp_path / "s.store", n_shards=3)
    return tmp_path / "s.store"


def read_all(folder: Path) -> None:
    rows = Store(folder).feature()
    rows.read(0, len(rows))


def refused(folder: Path, message: str) -> None:
    with pytest.raises(FormatError, match=message):
        read_all(folder)
    with pytest.raises(MclsError, match=message):
        np.asarray(Store(folder).feature().rows)
    code, _, said = run("store", "verify", folder)
    assert code == 1
    assert said.startswith("error: ")


def test_a_missing_shard_is_named(folder):
    (folder / "000001.h5").unlink()
    refused(folder, "s.store is not complete: 000001.h5 is missing")


def test_a_damaged_shard_is_named_with_its_track(folder):
    start = Store(folder / "000001.h5").feature().pieces.files[0].start
    with (folder / "000001.h5").open("r+b") as file:
        file.seek(start)
        [old] = file.read(1)
        file.seek(start)
        file.write(bytes([old ^ 1]))
    refused(folder, r"000001.h5 is damaged: rows .* feature 'mel' .* \(track 't2'\)")


def test_a_shard_of_another_store_is_named(folder, tmp_path):
    """Another number of bytes is seen when the folder is opened, other bytes when rows are read."""
    other = Store(folder / "000001.h5")
    rows = other.feature().read(0, 3000) + 1
    new = NewRows("mel", CHAIN, 43.0, 3, [3000], [rows])
    write_store(folder / "000001.h5", StoreContents(other.tracks), [new])
    refused(folder, "000001.h5 is not the shard that .*s.store was made with")
    shutil.copy(folder / "000002.h5", folder / "000001.h5")
    refused(folder, "000001.h5 is not the shard that .*s.store was made with")


def test_a_shard_without_checksums_is_refused(folder):
    path = folder / "000001.h5"
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(size - 8)
        file.write(bytes(8))
    refused(folder, "000001.h5 is not the shard that .*s.store was made with")


def test_a_shard_replaced_while_it_is_read_is_named(folder):
    rows = Store(folder).feature()
    mapped = rows.rows
    content = (folder / "000001.h5").read_bytes()
    (folder / "000001.h5").unlink()
    (folder / "000001.h5").write_bytes(content)
    os.utime(folder / "000001.h5", (1, 1))
    for read in (lambda: rows.read(0, len(rows)), lambda: mapped[:]):
        with pytest.raises(MclsError, match=r"000001.h5 was replaced while it was read"):
            read()


@pytest.mark.parametrize("kind", ["link", "folder", "pipe"])
def test_what_is_no_file_in_the_folder_is_not_opened(folder, kind):
    """A link to a good shard elsewhere, a folder, and a pipe that would block whoever opens it."""
    path = folder / "000001.h5"
    path.rename(folder.parent / "elsewhere.h5")
    if kind == "link":
        path.symlink_to(folder.parent / "elsewhere.h5")
    elif kind == "folder":
        path.mkdir()
    else:
        os.mkfifo(path)
    refused(folder, "000001.h5 is a link or no file")


SPOILT = {
    "shards/of_track": [
        (lambda a: a + 2, "of_track names shards that are not there"),
        (lambda a: a - 1, "of_track names shards that are not there"),
        (lambda a: a[:-1], "of_track are int64"),
        (lambda a: a.astype(np.float64), "of_track are float64"),
    ],
    "shards/size": [(lambda a: a[:-1], "size are"), (lambda a: a + 1, "is not the shard")],
    "features/mel/offsets": [(lambda a: a[::-1].copy(), "offsets do not divide")],
    "features/mel/first": [
        (lambda a: a + 1, "rows of a track are not in its shard"),
        (lambda a: a - 1, "rows of a track are not in its shard"),
        (lambda a: a + (1 << 62), "rows of a track are not in its shard"),
    ],
    "features/mel/start": [
        (lambda a: a + (1 << 40), "its rows are not in 000000.h5"),
        (lambda a: a - (1 << 40), "its rows are not in 000000.h5"),
    ],
    "features/mel/n_rows": [
        (lambda a: a + (1 << 40), "its rows are not in 000000.h5"),
        (lambda a: -a - 1, "its rows are not in 000000.h5"),
    ],
}


@pytest.mark.parametrize(
    ("where", "change", "message"),
    [(where, *case) for where, cases in SPOILT.items() for case in cases],
)
def test_an_index_that_lies_is_refused(folder, where, change, message):
    with h5py.File(folder / "index.h5", "r+") as file:
        changed = change(file[where][()])
        del file[where]
        file[where] = changed
        del file.attrs["checksums"]
    with pytest.raises(FormatError, match=message):
        read_all(folder)


@pytest.mark.parametrize(
    ("attribute", "value"),
    [("n_dims", -1), ("n_dims", "3"), ("n_dims", 1 << 60), ("dtype", "float64"), ("dtype", 3)],
)
def test_an_index_of_odd_rows_is_refused(folder, attribute, value):
    with h5py.File(folder / "index.h5", "r+") as file:
        file["features/mel"].attrs[attribute] = value
        del file.attrs["checksums"]
    with pytest.raises(FormatError, match=r"index.h5|feature 'mel'"):
        read_all(folder)


@pytest.mark.parametrize("where", ["shards", "shards/digest", "shards/of_track", "shards/size"])
def test_links_in_the_index_are_not_followed(folder, where):
    shutil.copy(folder / "index.h5", folder.parent / "other.h5")
    with h5py.File(folder / "index.h5", "r+") as file:
        del file[where]
        file[where] = h5py.ExternalLink("../other.h5", f"/{where}")
        del file.attrs["checksums"]
    with pytest.raises(FormatError, match="is missing, a link or not a"):
        Store(folder)


def test_a_bit_of_the_index_is_found(folder):
    content = bytearray((folder / "index.h5").read_bytes())
    content[len(content) // 2] ^= 4
    (folder / "index.h5").write_bytes(content)
    with pytest.raises(FormatError, match=r"index.h5 is damaged"):
        Store(folder)


# The commands, on a folder and on the file of the same name.


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    """Tones of two classes, extracted into a file and into a folder of the same name."""
    folder, rng = tmp_path_factory.mktemp("data"), np.random.default_rng(0)
    lines = ["path,labels,split,fold"]
    for i in range(12):
        label, part = "ab"[i % 2], ["train", "train", "valid", "test"][i // 2 % 4]
        t = np.arange(SR // 2 + 500 * i) / SR
        y = np.sin(2 * np.pi * (300 if label == "a" else 900) * t) + rng.normal(0, 0.1, len(t))
        soundfile.write(folder / f"{i}.wav", 0.3 * y, SR)
        lines.append(f"{i}.wav,{label},{part},{i % 4 // 2}")
    (folder / "tracks.csv").write_text("\n".join(lines) + "\n")
    options = {"features": ["mel:n_mels=16", "mfcc:n_mfcc=5"], "sr": SR}
    for name in ("file", "folder"):
        (folder / name).mkdir()
    mcls.extract(folder / "tracks.csv", folder / "file/mel.store", **options)
    mcls.extract(folder / "tracks.csv", folder / "folder/mel.store", pack=False, **options)
    return folder


def test_extract_makes_a_folder_that_packs_to_the_bytes_of_the_file(data, tmp_path):
    shards = list((data / "folder/mel.store").glob("0*.h5"))
    assert len(shards) > 3
    assert sum(Store(shard).n_tracks for shard in shards) == 12
    pack_store(data / "folder/mel.store", tmp_path / "mel.h5")
    assert (tmp_path / "mel.h5").read_bytes() == (data / "file/mel.store").read_bytes()
    assert not list((data / "folder").glob(".*"))


def test_extract_again_is_up_to_date_and_computes_only_what_is_new(data, tmp_path):
    """One shard is written again without the track whose audio was replaced; the others stay."""
    for path in data.glob("*.*"):
        shutil.copy(path, tmp_path)
    shutil.copytree(data / "folder/mel.store", tmp_path / "mel.store", copy_function=shutil.copy2)
    options = ["--feature", "mel:n_mels=16", "--feature", "mfcc:n_mfcc=5", "--sr", SR]
    asked = ["extract", tmp_path / "tracks.csv", tmp_path / "mel.store", *options]
    code, _, said = run(*asked, "--no-pack")
    assert (code, "up to date: 12 tracks" in said) == (0, True)
    before = {path.name: path.stat().st_ino for path in (tmp_path / "mel.store").glob("0*.h5")}
    code, _, said = run(*asked)
    assert (code, "is a folder of shards; pass --no-pack" in said) == (2, True)
    y, _ = soundfile.read(tmp_path / "3.wav")
    soundfile.write(tmp_path / "3.wav", y[::-1], SR)
    code, _, said = run(*asked, "--no-pack")
    assert (code, "1 computed" in said) == (0, True)
    mcls.extract(tmp_path / "tracks.csv", tmp_path / "new.h5", features=options[1::2][:2], sr=SR)
    pack_store(tmp_path / "mel.store", tmp_path / "packed.h5")
    assert (tmp_path / "packed.h5").read_bytes() == (tmp_path / "new.h5").read_bytes()
    after = {path.stat().st_ino for path in (tmp_path / "mel.store").glob("0*.h5")}
    assert len({*before.values()} - after) == 1


def test_an_interrupted_folder_costs_no_track(data, tmp_path, monkeypatch):
    """Interrupted at the third shard; then on a file system where a file has one name only."""
    links, real = [], os.link

    def link(old, new):
        links.append(new)
        if len(links) == 3:
            raise KeyboardInterrupt
        real(old, new)

    asked = {"features": ["mel:n_mels=16"], "sr": SR}
    monkeypatch.setattr("os.link", link)
    with pytest.raises(KeyboardInterrupt):
        mcls.extract(data / "tracks.csv", tmp_path / "mel.store", pack=False, **asked)
    assert not (tmp_path / "mel.store").exists()

    def no_link(old, new):
        raise PermissionError

    monkeypatch.setattr("os.link", no_link)
    done = mcls.extract(data / "tracks.csv", tmp_path / "mel.store", pack=False, **asked)
    assert (done.n_tracks, done.n_computed) == (12, 0)
    pack_store(tmp_path / "mel.store", tmp_path / "packed.h5")
    mcls.extract(data / "tracks.csv", tmp_path / "mel.h5", **asked)
    assert (tmp_path / "packed.h5").read_bytes() == (tmp_path / "mel.h5").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mel.h5", "mel.store", "packed.h5"]


@pytest.mark.parametrize("name", ["mel.h5", "mel.csv", "mel.wav"])
def test_a_folder_has_the_name_of_no_file(data, tmp_path, name):
    with pytest.raises(ConfigError, match=r"must not be called .*; use a name that ends in .store"):
        mcls.extract(data / "tracks.csv", tmp_path / name, features=["mel"], sr=SR, pack=False)


def test_nothing_else_is_replaced(data, tmp_path):
    """A file where a folder is asked for, and a folder that is no store, with --overwrite, too."""
    asked = {"features": ["mel"], "sr": SR, "pack": False}
    shutil.copy(data / "file/mel.store", tmp_path / "mel.store")
    with pytest.raises(ConfigError, match="is a file; leave out --no-pack"):
        mcls.extract(data / "tracks.csv", tmp_path / "mel.store", overwrite=True, **asked)
    (tmp_path / "music").mkdir()
    (tmp_path / "music/precious.txt").write_text("kept")
    with pytest.raises(ConfigError, match="is not a store that mcls wrote and is not replaced"):
        mcls.extract(data / "tracks.csv", tmp_path / "music", overwrite=True, **asked)
    assert (tmp_path / "music/precious.txt").read_text() == "kept"


KMEANS = ["--method", "kmeans", "--size", 4]
SVM = ["--model", "svm"]
STEPS = ["--frames", 4, "--epochs", 2, "--batch-size", 5, "-p", "layers=8"]
COMMANDS = {
    "info": ["info", "mel.store", "--json"],
    "learn-dict": ["learn-dict", "mel.store", "d.h5", "--feature", "mfcc", *KMEANS],
    "encode": ["encode", "mel.store", "v.h5", "--feature", "mel", "--pool", "meanstd"],
    "svm": ["train", "mel.store", "run", "--feature", "mfcc", "--pool", "mean", *SVM],
    "plot": ["plot", "mel.store", "--out", "plot.png"],
    "plot track": ["plot", "mel.store", "--out", "plot.png", "--track", "3"],
    "select": ["store", "select", "mel.store", "out.h5", "--where", "labels=a"],
    "feature": ["store", "select", "mel.store", "out.h5", "--feature", "mel"],
    "remove": ["store", "remove", "mel.store", "out.h5", "--where", "fold=1"],
    "split": ["store", "split", "mel.store", "out.store", "--shards", 3],
    "cv": ["cv", "recipe.toml", "mel.store", "run", "--split", "fold"],
    "mlp": ["train", "mel.store", "run", "--feature", "mel", "--model", "mlp", *STEPS],
}
#: Commands that read rows as others do.
SLOW = ("plot track", "cv", "feature", "remove")
THEN = {
    "svm": [["predict", "run", "mel.store", "--out", "tags.csv"], ["eval", "run", "--json"]],
    "select": [
        ["store", "remove", "mel.store", "b.h5", "--where", "labels=a"],
        ["store", "merge", "out.h5", "b.h5", "all.h5"],
    ],
}


#: Files that say when they were made, or how long it took; skops writes addresses of objects.
UNLIKE = (
    "about.json",
    "run.sha256",
    "metrics.json",
    "history.csv",
    "model.skops",
    "tags.about.json",
)


def _made(folder: Path) -> dict[str, bytes]:
    """Return the bytes of what was made."""
    found = {str(path.relative_to(folder)): path for path in folder.rglob("*") if path.is_file()}
    return {
        name: path.read_bytes()
        for name, path in found.items()
        if not name.startswith("mel.store") and path.name not in UNLIKE
    }


@pytest.mark.parametrize(
    "name",
    [pytest.param(one, marks=[pytest.mark.slow] if one in SLOW else []) for one in COMMANDS],
)
def test_a_command_makes_the_same_of_a_folder(data, tmp_path, monkeypatch, name):
    results = []
    for form in ("file", "folder"):
        here = tmp_path / form
        here.mkdir()
        (here / "mel.store").symlink_to(data / form / "mel.store")
        (here / "recipe.toml").write_text('[train]\nfeature = "mel"\npool = ["mean"]\n')
        monkeypatch.chdir(here)
        said = ""
        for command in [COMMANDS[name], *THEN.get(name, [])]:
            code, stdout, stderr = run(*command)
            assert code == 0, stderr
            said += stdout
        if name == "info":
            told = json.loads(said)
            del told["bytes"]
            said = json.dumps(told)
        results.append((said, _made(here)))
    (said, made), (also_said, also_made) = results
    assert said == also_said
    assert {*made} == {*also_made}
    assert [key for key in made if made[key] != also_made[key]] == []


@pytest.mark.parametrize("form", ["file", "folder"])
def test_encode_makes_a_folder_that_packs_to_the_bytes_of_the_file(data, tmp_path, form):
    options = {"feature": "mel", "pool": ["max@0.2s"]}
    mcls.encode(data / form / "mel.store", tmp_path / "v.h5", **options)
    mcls.encode(data / form / "mel.store", tmp_path / "v", pack=False, **options)
    pack_store(tmp_path / "v", tmp_path / "packed.h5")
    assert (tmp_path / "packed.h5").read_bytes() == (tmp_path / "v.h5").read_bytes()
    assert not mcls.encode(
        data / form / "mel.store", tmp_path / "v", pack=False, **options
    ).computed
