"""Stores of strangers: whatever lies in them is refused with a reason, and nothing is followed.

Where a file points at another, the other one is there and is a good store, or a pipe that would
block whoever opens it: what is followed shows.
"""

import os
import tracemalloc

import h5py
import numpy as np
import pytest

from mcls.disk.chain import Step
from mcls.errors import FormatError
from mcls.stores.store import NewRows, Store, StoreContents, write_store

TEXT = h5py.string_dtype()


def write(path):
    """A good store: three tracks, seven rows of three numbers."""
    ids = ["one", "two", "three"]
    tracks = {"track_id": ids, "path": ids, "labels": ["a", "b", "c"], "seconds": [1.0, 2.0, 3.0]}
    settings = {"sr": 22050, "excerpt": None, "dtype": "float32"}
    learnt = Step("dictionary", "kmeans", {}, (0,), {"components": np.eye(3)}, ("one",))
    chain = (Step("feature", "mel", settings), learnt)
    rows = np.arange(21, dtype=np.float32).reshape(7, 3)
    write_store(path, StoreContents(tracks), [NewRows("mel", chain, 43.0, 3, [2, 0, 5], [rows])])


@pytest.fixture
def good(tmp_path):
    """The store to be spoilt, beside another good one and a pipe."""
    write(tmp_path / "s.h5")
    write(tmp_path / "other.h5")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "secret.bin").write_bytes(bytes(1 << 12))
    return tmp_path / "s.h5"


def refused(path, spoil, message):
    with h5py.File(path, "r+") as file:
        spoil(file)
        del file.attrs["checksums"]
    with pytest.raises(FormatError, match=message) as raised:
        Store(path)
    assert "s.h5" in str(raised.value)


ROWS, OFFSETS = "features/mel/rows", "features/mel/offsets"
#: Every group and dataset of a store.
MEMBERS = [
    "tracks",
    "tracks/track_id",
    "tracks/labels",
    "tracks/seconds",
    "failed",
    "failed/reason",
    "features",
    "features/mel",
    ROWS,
    OFFSETS,
    "features/mel/chain",
    "features/mel/chain/1",
    "features/mel/chain/1/components",
    "features/mel/chain/1/learnt_from",
]
DATASETS = [
    "tracks/track_id",
    "tracks/labels",
    "tracks/seconds",
    "failed/reason",
    ROWS,
    OFFSETS,
    "features/mel/chain/1/components",
    "features/mel/chain/1/learnt_from",
]


@pytest.mark.parametrize("where", MEMBERS)
def test_external_links_are_not_followed(good, where):
    def spoil(file):
        del file[where]
        file[where] = h5py.ExternalLink("other.h5", f"/{where}")

    refused(good, spoil, "is missing, a link or not a")


def test_external_links_are_not_even_opened(good):
    """Whoever opens the pipe waits for ever."""

    def spoil(file):
        del file[ROWS]
        file[ROWS] = h5py.ExternalLink("pipe", "/x")

    refused(good, spoil, "is missing, a link or not a dataset")


@pytest.mark.parametrize("where", MEMBERS)
def test_soft_links_are_not_followed(good, where):
    def spoil(file):
        file.move(where, "elsewhere")
        file[where] = h5py.SoftLink("/elsewhere")

    refused(good, spoil, "is missing, a link or not a")


@pytest.mark.parametrize("where", DATASETS)
def test_virtual_datasets_are_not_read(good, where):
    def spoil(file):
        old = file[where]
        layout = h5py.VirtualLayout(old.shape, old.dtype)
        layout[...] = h5py.VirtualSource("other.h5", where, old.shape)
        del file[where]
        file.create_virtual_dataset(where, layout)

    refused(good, spoil, "keeps its data in another file")


@pytest.mark.parametrize("where", ["tracks/seconds", ROWS, OFFSETS])
@pytest.mark.parametrize("other", ["secret.bin", "pipe"])
def test_data_in_raw_files_is_not_read(good, where, other):
    def spoil(file):
        shape, dtype = file[where].shape, file[where].dtype
        del file[where]
        place = [(str(good.with_name(other)), 0, h5py.h5f.UNLIMITED)]
        file.create_dataset(where, shape, dtype, external=place)

    refused(good, spoil, "keeps its data in another file")


@pytest.mark.parametrize(
    "where", ["tracks", "tracks/track_id", "failed", "features", ROWS, OFFSETS]
)
def test_what_is_missing_is_named(good, where):
    def spoil(file):
        del file[where]

    refused(good, spoil, f"{where.rpartition('/')[2]}")


@pytest.mark.parametrize("where", MEMBERS)
def test_a_thing_of_another_kind_is_refused(good, where):
    """A group for a dataset, a dataset for a group; a type for either."""
    for replacement in ("other kind", "type"):

        def spoil(file, replacement=replacement):
            is_group = isinstance(file[where], h5py.Group)
            del file[where]
            if replacement == "type":
                file[where] = np.dtype("f4")
            elif is_group:
                file[where] = np.zeros(3)
            else:
                file.create_group(where)

        refused(good, spoil, "is missing, a link or not a")
        write(good)


@pytest.mark.parametrize(
    "values",
    [
        [0, 2, 99, 7],
        [0, 2, 2, 8],
        [0, 2, 2, 6],
        [1, 2, 2, 7],
        [0, -1, 2, 7],
        [0, 5, 2, 7],
        [0, 2**62, -(2**62), 7],
        [0, np.iinfo(np.int64).min, np.iinfo(np.int64).max, 7],
    ],
)
def test_offsets_out_of_range(good, values):
    def spoil(file):
        file[OFFSETS][...] = values

    refused(good, spoil, "offsets do not divide 7 rows into 3 tracks")


@pytest.mark.parametrize(
    "offsets",
    [
        np.array([0, 2, 2, 7], np.int32),
        np.array([0, 2, 2, 7], np.uint64),
        np.array([0, 2, 2, 7], np.float64),
        np.array([0, 2, 2, 7], ">i8"),
        np.array([[0, 2], [2, 7]], np.int64),
        np.array([0, 2, 7], np.int64),
        np.zeros(0, np.int64),
        np.int64(7),
        np.array([b"0", b"2", b"2", b"7"]),
    ],
    ids=lambda offsets: f"{offsets.dtype}{offsets.shape}",
)
def test_offsets_of_another_type_or_shape(good, offsets):
    def spoil(file):
        del file[OFFSETS]
        file[OFFSETS] = offsets

    refused(good, spoil, "offsets are|/offsets holds neither numbers nor text")


@pytest.mark.parametrize(
    "rows",
    [
        np.zeros((7, 3), np.float64),
        np.zeros((7, 3), np.int32),
        np.zeros((7, 3), np.uint8),
        np.zeros((7, 3), np.complex64),
        np.zeros((7, 3), ">f4"),
        np.zeros((7, 3), "S4"),
        np.zeros((7, 3), [("a", "f4")]),
        np.zeros(21, np.float32),
        np.zeros((7, 3, 1), np.float32),
        np.float32(1),
    ],
    ids=lambda rows: f"{rows.dtype}{rows.shape}",
)
def test_rows_of_another_type_or_shape(good, rows):
    def spoil(file):
        del file[ROWS]
        file[ROWS] = rows

    refused(good, spoil, "rows are .*; expected 2-d|/rows holds neither numbers nor text")


def test_rows_of_references_or_text(good):
    for dtype in (h5py.ref_dtype, TEXT, h5py.vlen_dtype(np.float32)):

        def spoil(file, dtype=dtype):
            del file[ROWS]
            file.create_dataset(ROWS, (7, 3), dtype)

        refused(good, spoil, "/rows holds neither numbers nor text|bytes that are not in the file")
        write(good)


def test_rows_that_are_compressed_or_in_chunks(good):
    for options in ({"compression": "gzip"}, {"chunks": (1, 3)}, {"maxshape": (None, 3)}):

        def spoil(file, options=options):
            rows = file[ROWS][()]
            del file[ROWS]
            file.create_dataset(ROWS, data=rows, **options)

        refused(good, spoil, "/rows is stored in chunks or compressed")
        write(good)


def test_more_or_fewer_rows_than_the_offsets_say(good):
    for n in (0, 6, 8):

        def spoil(file, n=n):
            del file[ROWS]
            file[ROWS] = np.zeros((n, 3), np.float32)

        refused(good, spoil, f"offsets do not divide {n} rows")
        write(good)


@pytest.mark.parametrize("where", DATASETS)
@pytest.mark.parametrize("chunked", [False, True])
def test_huge_declared_sizes_take_no_memory(good, where, chunked):
    """A file of some kB that declares 2^40 values: refused before anything is read."""

    def spoil(file):
        shape, dtype = file[where].shape, file[where].dtype
        del file[where]
        options = {"chunks": (1 << 16, *shape[1:])} if chunked else {}
        file.create_dataset(where, (2**40, *shape[1:]), dtype, **options)

    tracemalloc.start()
    try:
        refused(good, spoil, "is stored in chunks" if chunked else r"declares \d+ bytes")
        assert tracemalloc.get_traced_memory()[1] < 10 << 20
    finally:
        tracemalloc.stop()


def test_huge_fixed_text(good):
    def spoil(file):
        del file["tracks/labels"]
        file.create_dataset("tracks/labels", (3,), f"S{2**30}", chunks=(1,))

    refused(good, spoil, "/tracks/labels is stored in chunks")


def test_sizes_that_overflow(good):
    def spoil(file):
        del file[ROWS]
        file.create_dataset(ROWS, (2**62, 2**20), np.float32, chunks=(1, 1))

    refused(good, spoil, "declares|corrupt|stored in chunks")


def test_groups_in_a_circle(good):
    def spoil(file):
        file["features/mel/chain/1/again"] = file["features"]

    refused(good, spoil, "is in the file under two names")

    def features(file):
        file["features/again"] = file["features"]

    write(good)
    refused(good, features, "is in the file under two names")


@pytest.mark.parametrize(
    "value", [np.nan, np.inf, -1.0, 0.0, "fast", np.zeros(3), h5py.Empty("f8")], ids=str
)
def test_frame_rates_that_are_none(good, value):
    def spoil(file):
        file["features/mel"].attrs["frame_rate"] = value

    refused(good, spoil, "frame_rate is|is corrupt")


@pytest.mark.parametrize(
    "value", ["{", "[1]", "1", np.zeros(3), b"\xff", h5py.Empty("f8")], ids=str
)
@pytest.mark.parametrize("where", ["/", "features/mel", "features/mel/chain/1"])
def test_settings_that_are_none(good, where, value):
    def spoil(file):
        file[where].attrs["settings"] = value

    refused(good, spoil, "corrupt|digest|settings")


def test_a_store_that_is_spoilt_nowhere_is_read(good):
    assert Store(good).feature().track(2).shape == (5, 3)
