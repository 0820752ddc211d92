import pickle
import resource

import h5py
import numpy as np
import pytest

from mcls.disk.chain import Step
from mcls.errors import ConfigError, DataError, FormatError
from mcls.stores.store import NewRows, Store, StoreContents, write_store

CHAIN = (Step("feature", "mel", {"n_mels": 3}),)
LENGTHS = [2, 0, 5]


def write(path, rows=None, lengths=LENGTHS, names=("mel",), dtype="float32"):
    rows = np.arange(sum(lengths) * 3, dtype=dtype).reshape(-1, 3) if rows is None else rows
    ids = ["ä/one", "two\nlines", "three"]
    tracks = {"track_id": ids, "path": ids, "labels": ["a", "b|c", ""], "seconds": [1.0, 2.0, 3.0]}
    failed = {"track_id": ["x"], "path": ["x.wav"], "reason": ["empty"]}
    contents = StoreContents(tracks, failed, {"sr": 8000}, "made here")
    new = [NewRows(name, CHAIN, 43.0, 3, lengths, np.array_split(rows, 3), dtype) for name in names]
    write_store(path, contents, new)
    return rows


def test_what_is_written_is_read(tmp_path):
    rows = write(tmp_path / "s.h5")
    store = Store(tmp_path / "s.h5")
    mel = store.feature()
    assert store.track_ids == ["ä/one", "two\nlines", "three"]
    assert store.tracks["seconds"] == [1.0, 2.0, 3.0]
    assert store.column("labels") == ["a", "b|c", ""]
    assert store.failed == [{"track_id": "x", "path": "x.wav", "reason": "empty"}]
    assert (store.settings, store.split_note) == ({"sr": 8000}, "made here")
    assert (mel.frame_rate, mel.n_dims, len(mel)) == (43.0, 3, 7)
    assert mel.chain == CHAIN
    np.testing.assert_array_equal(mel.rows, rows)
    np.testing.assert_array_equal(mel.track(2), rows[2:])
    assert mel.track(1).shape == (0, 3)


def test_the_same_contents_are_the_same_bytes(tmp_path):
    for name in ("a.h5", "b.h5"):
        write(tmp_path / name, names=("mel", "again"))
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()


def test_a_store_is_pickled_without_a_handle_and_rows_cannot_be_written(tmp_path):
    rows = write(tmp_path / "s.h5")
    again = pickle.loads(pickle.dumps(Store(tmp_path / "s.h5")))
    np.testing.assert_array_equal(again.feature("mel").rows, rows)
    with pytest.raises(ValueError, match="read-only"):
        again.feature("mel").rows[0] = 0


def test_a_store_without_rows(tmp_path):
    write(tmp_path / "s.h5", lengths=[0, 0, 0])
    assert Store(tmp_path / "s.h5").feature("mel").rows.shape == (0, 3)


def test_which_feature_must_be_said_where_there_are_several(tmp_path):
    write(tmp_path / "s.h5", names=("mel", "mfcc"))
    store = Store(tmp_path / "s.h5")
    with pytest.raises(ConfigError, match="features mel, mfcc; choose one with --feature"):
        store.feature()
    with pytest.raises(ConfigError, match=r"did you mean 'mfcc'"):
        store.feature("mfc")
    with pytest.raises(DataError, match=r"no column 'label'; did you mean 'labels'"):
        store.column("label")


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    rows = write(tmp_path / "s.h5")
    with pytest.raises(DataError, match="3 rows, but lengths that add up to 7"):
        write(tmp_path / "s.h5", rows=rows[:3])
    assert [path.name for path in tmp_path.iterdir()] == ["s.h5"]
    np.testing.assert_array_equal(Store(tmp_path / "s.h5").feature().rows, rows)


def spoil(name):
    """Return a function that makes a store one that must be refused."""

    def offsets(file):
        file["features/mel/offsets"][1] = 99

    def offsets_shape(file):
        del file["features/mel/offsets"]
        file["features/mel/offsets"] = np.zeros(2, np.int64)

    def dtype(file):
        del file["features/mel/rows"]
        file["features/mel/rows"] = np.zeros((7, 3), np.complex64)

    def chunks(file):
        del file["features/mel/rows"]
        file["features/mel"].create_dataset("rows", (7, 3), "f4", chunks=(1, 3))

    def no_rows(file):
        del file["features/mel/rows"]

    def external_link(file):
        del file["features/mel/rows"]
        file["features/mel/rows"] = h5py.ExternalLink("other.h5", "/rows")

    def soft_link(file):
        del file["features/mel/rows"]
        file["features/mel/rows"] = h5py.SoftLink("/features/mel/offsets")

    def external_data(file):
        del file["features/mel/rows"]
        file["features/mel"].create_dataset(
            "rows", (7, 3), "f4", external=[("secret.bin", 0, h5py.h5f.UNLIMITED)]
        )

    def huge(file):
        del file["features/mel/rows"]
        file["features/mel"].create_dataset("rows", (2**40, 3), "f4")

    def settings(file):
        file["features/mel"].attrs["settings"] = "{"

    def digest(file):
        file["features/mel/chain/0"].attrs["settings"] = '{"n_mels":4}'

    def kind(file):
        file.attrs["kind"] = "dictionary"

    def later(file):
        file.attrs["format"] = 2

    def ragged(file):
        del file["tracks/labels"]
        file["tracks/labels"] = np.array(["a"], dtype=h5py.string_dtype())

    def no_tracks(file):
        del file["tracks"]

    def twice(file):
        file["tracks/track_id"][1] = file["tracks/track_id"][0]

    def rate(file):
        file["features/mel"].attrs["frame_rate"] = np.nan

    def rate_text(file):
        file["features/mel"].attrs["frame_rate"] = "fast"

    def column_of_bytes(file):
        del file["tracks/labels"]
        file["tracks/labels"] = np.array([b"\xff", b"a", b"b"], dtype=h5py.string_dtype())

    def store_settings(file):
        file.attrs["settings"] = "[1]"

    return locals()[name]


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("offsets", "offsets do not divide"),
        ("offsets_shape", "offsets are"),
        ("dtype", "/features/mel/rows holds neither numbers nor text"),
        ("chunks", "in chunks"),
        ("no_rows", "missing, a link"),
        ("external_link", "missing, a link"),
        ("soft_link", "missing, a link"),
        ("external_data", "in another file"),
        ("huge", "the file is shorter"),
        ("settings", "settings are corrupt"),
        ("digest", "does not match its digest"),
        ("kind", "is of kind 'dictionary'"),
        ("later", "has format 2"),
        ("ragged", "differ in length"),
        ("no_tracks", "missing, a link"),
        ("twice", "track_ids of /tracks are not text, each once"),
        ("rate", "frame_rate is nan"),
        ("rate_text", r"s\.h5 is corrupt"),
        ("column_of_bytes", r"s\.h5 is corrupt"),
        ("store_settings", r"s\.h5 is corrupt"),
    ],
)
def test_what_cannot_be_trusted_is_refused_with_a_reason(tmp_path, how, message):
    write(tmp_path / "s.h5")
    with h5py.File(tmp_path / "s.h5", "r+") as file:
        spoil(how)(file)
        del file.attrs["checksums"]
    with pytest.raises(FormatError, match=message):
        Store(tmp_path / "s.h5")


def test_a_store_cut_short_anywhere_is_refused(tmp_path):
    write(tmp_path / "s.h5")
    whole = (tmp_path / "s.h5").read_bytes()
    for length in range(0, len(whole), 97):
        (tmp_path / "cut.h5").write_bytes(whole[:length])
        with pytest.raises(FormatError):
            Store(tmp_path / "cut.h5")


def changed_bytes(whole, rng, out):
    """Write 300 copies with up to three other bytes, and yield each time."""
    for _ in range(300):
        changed = whole.copy()
        changed[rng.integers(len(whole), size=3)] = rng.integers(256, size=3)
        changed.tofile(out)
        yield not np.array_equal(changed, whole)


def test_changed_bytes_are_found(tmp_path, rng):
    write(tmp_path / "s.h5")
    whole = np.fromfile(tmp_path / "s.h5", np.uint8)
    for differs in changed_bytes(whole, rng, tmp_path / "changed.h5"):
        if differs:
            with pytest.raises(FormatError):
                Store(tmp_path / "changed.h5").feature().track(0)


def test_bytes_changed_in_a_store_without_checksums_are_refused_or_harmless(tmp_path, rng):
    write(tmp_path / "s.h5")
    with h5py.File(tmp_path / "s.h5", "r+") as file:
        del file.attrs["checksums"]
    whole = np.fromfile(tmp_path / "s.h5", np.uint8)
    shapes = set()
    for _ in changed_bytes(whole, rng, tmp_path / "changed.h5"):
        try:
            shapes.add(Store(tmp_path / "changed.h5").feature().rows.shape)
        except (FormatError, ConfigError):
            continue
    assert shapes == {(7, 3)}


def test_a_store_replaced_while_it_is_read_is_refused(tmp_path):
    write(tmp_path / "s.h5")
    mel = Store(tmp_path / "s.h5").feature()
    mapped = mel.rows
    write(tmp_path / "s.h5", names=("mel", "mfcc"))
    assert mapped[0, 1] == 1  # what was mapped stays
    for read in (lambda: mel.rows, lambda: mel.track(0)):
        with pytest.raises(DataError, match="replaced while it was read"):
            read()
    (tmp_path / "s.h5").unlink()
    with pytest.raises(DataError, match="can no longer be read"):
        mel.track(0)


def test_text_that_hdf5_cannot_hold_is_written_out(tmp_path):
    tracks = {"track_id": ["a"], "labels": ["x\0y"], "path": ["\udcff.wav"]}
    write_store(tmp_path / "s.h5", StoreContents(tracks), [])
    assert Store(tmp_path / "s.h5").tracks["labels"] == ["x\\x00y"]
    assert Store(tmp_path / "s.h5").tracks["path"] == ["\\udcff.wav"]


def test_a_full_disk_is_said_and_the_old_file_stays(tmp_path):
    write(tmp_path / "s.h5")
    before = (tmp_path / "s.h5").read_bytes()
    big = np.zeros((1 << 20, 3), np.float32)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, hard))
    try:
        with pytest.raises(DataError, match=r"s\.h5 could not be written: File too large"):
            write(tmp_path / "s.h5", rows=big, lengths=[len(big), 0, 0])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert (tmp_path / "s.h5").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["s.h5"]


def test_what_is_not_there_or_not_hdf5_is_named(tmp_path):
    (tmp_path / "text.h5").write_text("hello")
    with pytest.raises(FormatError, match=r"text\.h5 is not an HDF5 file; expected a store"):
        Store(tmp_path / "text.h5")
    with pytest.raises(DataError, match=r"no file .*none\.h5"):
        Store(tmp_path / "none.h5")


def test_equal_texts_of_a_column_take_the_room_of_one(tmp_path):
    """The texts are those that were written, whether they are many or few different ones."""
    ids = [f"ä{i}" for i in range(3000)]
    labels = [f"lábel {i % 7}" for i in range(3000)]
    contents = StoreContents({"track_id": ids, "path": ids, "labels": labels})
    rows = np.zeros((3000, 3), np.float32)
    write_store(tmp_path / "s.h5", contents, [NewRows("mel", CHAIN, 43.0, 3, [1] * 3000, [rows])])
    found = Store(tmp_path / "s.h5").tracks
    assert (found["track_id"], found["labels"]) == (ids, labels)
    assert len({id(text) for text in found["labels"]}) == 7
