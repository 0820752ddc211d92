"""A refused cross-validation leaves nothing behind, and keeps what was there."""

import numpy as np
import pytest

import mcls
from mcls.disk.chain import Step
from mcls.errors import DataError, MclsError
from mcls.stores.store import NewRows, StoreContents, write_store

RECIPE = {"train": {"model": "knn", "param": ["n_neighbors=1"], "pool": ["mean"]}}


@pytest.fixture
def store(tmp_path, rng):
    """Twelve tracks in two folds, each group within one of them."""
    columns = {
        "track_id": [f"t{i}" for i in range(12)],
        "path": [f"{i}.wav" for i in range(12)],
        "labels": ["ab"[i // 2 % 2] for i in range(12)],
        "fold": ["xy"[i % 2] for i in range(12)],
        "group": [f"g{i % 4}" for i in range(12)],
        "taker": [f"g{i % 3}" for i in range(12)],
    }
    rows = [rng.normal(size=(12 * 3, 2)).astype(np.float32)]
    new = NewRows("mel", (Step("feature", "mel", {}),), 40.0, 2, [3] * 12, rows)
    write_store(tmp_path / "s.h5", StoreContents(columns), [new])
    return tmp_path / "s.h5"


@pytest.mark.parametrize("seeds", [1, 2])
def test_a_split_that_leaks_groups_is_refused_and_leaves_nothing(store, tmp_path, seeds):
    with pytest.raises(DataError, match="groups of column 'taker' are in several parts"):
        mcls.cross_validate(
            RECIPE, store, tmp_path / "cv", split="fold", group="taker", valid=0, seeds=seeds
        )
    assert [path.name for path in tmp_path.iterdir()] == ["s.h5"]


def test_a_recipe_that_is_refused_in_the_first_fold_leaves_nothing(store, tmp_path):
    recipe = {"train": {**RECIPE["train"], "dict": "missing.h5"}}
    with pytest.raises(MclsError, match=r"missing\.h5"):
        mcls.cross_validate(recipe, store, tmp_path / "cv", split="fold", valid=0)
    assert [path.name for path in tmp_path.iterdir()] == ["s.h5"]


def test_a_refused_split_replaces_nothing(store, tmp_path):
    out = tmp_path / "cv"
    mcls.cross_validate(RECIPE, store, out, split="fold", valid=0)
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    with pytest.raises(DataError, match="several parts"):
        mcls.cross_validate(
            RECIPE, store, out, split="fold", group="taker", valid=0, overwrite=True
        )
    assert before == {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
