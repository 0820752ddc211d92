import numpy as np
import pytest

from mcls.data.parts import resolve_parts
from mcls.data.split_cells import read_split_cells
from mcls.disk.chain import Step
from mcls.errors import ConfigError, DataError
from mcls.stores.store import NewRows, Store, StoreContents, write_store


@pytest.fixture
def make_store(tmp_path):
    """Write a store of tracks without much in their rows and the given columns."""

    def make(**columns):
        n = len(next(iter(columns.values())))
        ids = [f"t{i:03d}" for i in range(n)]
        tracks = {"track_id": ids, "path": [f"{i}.wav" for i in ids], **columns}
        rows = NewRows(
            "mfcc", (Step("feature", "mfcc", {}),), 1.0, 2, [1] * n, [np.zeros((n, 2), np.float32)]
        )
        write_store(tmp_path / "store.h5", StoreContents(tracks), [rows])
        return Store(tmp_path / "store.h5")

    return make


def test_part_column(make_store):
    store = make_store(split=["train", "test", "", "valid", "train"])
    parts = resolve_parts(store)
    assert parts.values == ["train", "test", "", "valid", "train"]
    assert parts.of("train").tolist() == [0, 4]
    assert parts.of("valid", "test").tolist() == [1, 3]
    assert parts.counts() == {"train": 2, "valid": 1, "test": 1}
    assert parts.describe() == f"split: 2 train, 1 valid, 1 test (split id {parts.id})"


def test_id_names_the_split(make_store):
    one = resolve_parts(make_store(split=["train", "test", ""])).id
    assert resolve_parts(make_store(split=["train", "test", ""])).id == one
    assert resolve_parts(make_store(split=["train", "test", "test"])).id != one
    assert resolve_parts(make_store(split=["test", "train", ""])).id != one


def test_fold_column(make_store):
    folds = [str(i % 5 + 1) for i in range(100)]
    labels = [["a", "b"][i % 2] for i in range(100)]
    store = make_store(fold=folds, labels=labels)
    parts = resolve_parts(store, split="fold", fold="2", valid=0.1, seed=3)
    assert {folds[i] for i in parts.of("test")} == {"2"}
    assert parts.counts() == {"train": 72, "valid": 8, "test": 20}
    assert sorted(labels[i] for i in parts.of("valid")) == ["a"] * 4 + ["b"] * 4
    again = resolve_parts(store, split="fold", fold="2", valid=0.1, seed=3)
    assert again == parts
    other = resolve_parts(store, split="fold", fold="2", valid=0.1, seed=4)
    assert other.values != parts.values
    assert parts.describe().startswith("fold 2: 72 train, 8 valid, 20 test")


def test_no_valid_part(make_store):
    store = make_store(fold=["1", "2", "1", "2"])
    parts = resolve_parts(store, split="fold", fold="1", valid=0)
    assert parts.values == ["test", "train", "test", "train"]


def test_the_valid_part_takes_whole_groups(make_store):
    groups = [f"g{i // 4}" for i in range(80)]
    store = make_store(fold=[str(i // 40) for i in range(80)], group=groups)
    parts = resolve_parts(store, split="fold", fold="0", valid=0.2)
    valid = {groups[i] for i in parts.of("valid")}
    assert len(parts.of("valid")) == 8
    assert not valid & {groups[i] for i in parts.of("train")}


def test_every_track_needs_a_fold(make_store):
    store = make_store(fold=["1", "2", "", "2", ""])
    with pytest.raises(DataError, match="track 't002': 2 of 5 tracks have no fold"):
        resolve_parts(store, split="fold", fold="1", valid=0)


@pytest.mark.parametrize("empty", ["nan", "NaN", "None", "NA", "<NA>"])
@pytest.mark.parametrize("names", [("train", "test"), ("1", "2")])
def test_missing_values_are_no_part_and_no_fold(make_store, empty, names):
    store = make_store(split=[*names, empty, *names, empty])
    message = f"track 't002': 2 of 6 tracks have '{empty}' in column 'split'"
    with pytest.raises(DataError, match=message):
        resolve_parts(store)


@pytest.mark.parametrize(
    ("train", "valid", "test"),
    [
        ("Train", "Valid", "Test"),
        ("training", "validation", "testing"),
        ("TRAINING", "Val", "evaluation"),
        ("trn", "dev", "tst"),
        ("Train", "development", "eval"),
    ],
)
def test_usual_spellings_of_parts(make_store, train, valid, test):
    usual = resolve_parts(make_store(split=["train", "test", "", "valid", "train"]))
    parts = resolve_parts(make_store(split=[train, test, "", valid, train]))
    assert parts.values == ["train", "test", "", "valid", "train"]
    assert parts.id == usual.id
    assert usual.notes == ["1 tracks with an empty cell in column 'split' are in no part"]
    said, *others = parts.notes
    assert others == usual.notes
    assert f"took {train!r} as train (2 tracks)" in said
    assert f"{test!r} as test (1 tracks)" in said


def test_folds_that_are_whole_numbers(make_store):
    store = make_store(fold=["1.0", "02", "2", "1", "10.", "003"])
    parts = resolve_parts(store, split="fold", fold="2.0", valid=0)
    assert parts.values == ["train", "test", "test", "train", "train", "train"]
    assert parts.fold == "2"
    assert "'1.0' as 1 (1 tracks), '02' as 2 (1 tracks)" in parts.notes[0]


def test_folds_with_other_names_keep_them(make_store):
    store = make_store(fold=["1.0", "1", "1.1"])
    assert resolve_parts(store, split="fold", fold="1.0", valid=0).values[0] == "test"
    with pytest.raises(ConfigError, match="no fold '01'"):
        resolve_parts(store, split="fold", fold="01")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, r"holds folds \(1, 2, 10\); choose"),
        ({"fold": "11"}, "no fold '11'"),
        ({"fold": "1", "valid": 1.0}, "valid=1.0; expected 0 or more and below 1"),
    ],
)
def test_wrong_fold(make_store, given, message):
    store = make_store(split=["1", "2", "10"])
    with pytest.raises(ConfigError, match=message):
        resolve_parts(store, **given)


def test_a_fold_of_a_part_column(make_store):
    with pytest.raises(ConfigError, match="holds parts, not folds"):
        resolve_parts(make_store(split=["train", "test"]), fold="1")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (["train", "extra", "test"], "mixes parts with 'extra'"),
        (["", ""], "is empty"),
        (["1", "1"], "or at least two folds"),
        (["test", "valid"], "no track in the train part"),
    ],
)
def test_wrong_column(make_store, values, message):
    with pytest.raises(DataError, match=message):
        resolve_parts(make_store(split=values))


def test_missing_columns_are_named(make_store):
    store = make_store(splits=["train", "test"])
    with pytest.raises(DataError, match=r"no column 'split'; did you mean 'splits'\?"):
        resolve_parts(store)
    with pytest.raises(DataError, match="no column 'artist'"):
        resolve_parts(store, split="splits", group="artist")
    assert resolve_parts(store, split="splits", group="none").counts()["train"] == 1


def test_groups_must_not_straddle(make_store):
    store = make_store(split=["train", "test", "train"], group=["miles", "miles", ""])
    with pytest.raises(DataError, match="'miles', in train and test"):
        resolve_parts(store)
    assert resolve_parts(store, group=None).counts()["test"] == 1


def test_empty_groups_are_groups_of_their_own(make_store):
    store = make_store(split=["train", "test"], group=["", ""])
    assert resolve_parts(store).counts()["test"] == 1


def test_the_same_audio_in_two_parts_is_noted(make_store):
    store = make_store(split=["train", "test", "test"], sha1=["x", "x", "y"])
    assert resolve_parts(store).notes == [
        "1 recordings are in several parts under different names, such as 't000'"
    ]


def test_folds_in_natural_order():
    assert read_split_cells(["fold10", "fold9", "fold1"]).folds == ["fold1", "fold9", "fold10"]
    assert read_split_cells(["b", "a", "10", "2"]).folds == ["2", "10", "a", "b"]


def test_copies_are_for_learning(make_store):
    ids = [f"t{i:03d}" for i in range(20)]
    store = make_store(
        fold=[str(i % 2) for i in range(20)] * 2, augmented_from=[""] * 20 + ids, sha1=ids * 2
    )
    parts = resolve_parts(store, split="fold", fold="0", valid=0.2)
    first, copied = parts.values[:20], parts.values[20:]
    assert {part: first.count(part) for part in set(first)} == {"train": 8, "valid": 2, "test": 10}
    assert copied == ["train" if part == "train" else "" for part in first]
    store = make_store(split=["train", "train"], augmented_from=["", "lost"])
    assert resolve_parts(store).values == ["train", ""]
