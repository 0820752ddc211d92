from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.model_selection import StratifiedGroupKFold

from mcls.data.splits import find_leaks, make_folds, make_parts, parts_of_fold
from mcls.errors import ConfigError, DataError

PARTS = ("train", "valid", "test")


def one_hot(classes) -> np.ndarray:
    classes = np.asarray(classes)
    return classes[:, None] == np.unique(classes)


def test_every_class_is_split_in_the_same_shares():
    classes = np.repeat(np.arange(4), [50, 20, 10, 5])
    parts = np.array(make_parts(one_hot(classes), fractions=(0.6, 0.2, 0.2)))
    for label, (train, valid, test) in enumerate([(30, 10, 10), (12, 4, 4), (6, 2, 2), (3, 1, 1)]):
        counts = Counter(parts[classes == label])
        assert counts == {"train": train, "valid": valid, "test": test}


def test_rare_classes_are_learnt_first():
    classes = [0] * 10 + [1] + [2] * 2
    parts = make_parts(one_hot(classes), seed=3)
    assert parts[10] == "train"
    assert "train" in parts[11:]
    groups = [f"g{i}" for i in range(10)] + ["only"] * 3
    parts = make_parts(one_hot([0] * 10 + [1] * 3), groups)
    assert parts[10:] == ["train"] * 3


def test_tags_are_spread(rng):
    tags = rng.random((600, 20)) < np.linspace(0.01, 0.5, 20)
    groups = [f"artist {n}" for n in rng.integers(0, 150, 600)]
    parts = np.array(make_parts(tags, groups))
    for part, share in zip(PARTS, (0.6, 0.2, 0.2), strict=True):
        got = tags[parts == part].sum(axis=0) / np.maximum(tags.sum(axis=0), 1)
        frequent = tags.sum(axis=0) >= 30
        assert np.abs(got - share)[frequent].max() < 0.08
        assert abs((parts == part).mean() - share) < 0.03


def test_folds_are_as_even_as_scikit_learns(rng):
    classes = rng.integers(0, 8, 800)
    groups = (classes * 30 + rng.integers(0, 30, 800)).astype(str)

    def misfit(folds):
        shares = [(folds[classes == c] == f).mean() for c in range(8) for f in np.unique(folds)]
        return np.abs(np.array(shares) - 0.2).mean()

    ours = np.array(make_folds(one_hot(classes), list(groups), n_folds=5))
    theirs = np.zeros(800, int)
    cut = StratifiedGroupKFold(5, shuffle=True, random_state=0).split(classes, classes, groups)
    for fold, (_, held_out) in enumerate(cut):
        theirs[held_out] = fold
    assert sorted(set(ours)) == ["1", "2", "3", "4", "5"]
    assert misfit(ours) <= misfit(theirs) + 0.005


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_groups_stay_whole_parts_are_filled_and_order_does_not_matter(data):
    n = data.draw(st.integers(3, 40))
    numbers = st.lists(st.integers(0, 6), min_size=n, max_size=n)
    groups = [f"g{i}" if i else "" for i in data.draw(numbers)]
    strata = np.array(data.draw(numbers))[:, None] == np.arange(7)
    seed = data.draw(st.integers(0, 99))
    ids = [f"t{i}" for i in range(n)]
    n_units = len(set(groups) - {""}) + groups.count("")
    if n_units < 3:
        with pytest.raises(DataError, match="cannot fill 3 parts"):
            make_parts(strata, groups, seed=seed, ids=ids)
        return
    parts = make_parts(strata, groups, seed=seed, ids=ids)
    assert set(parts) == set(PARTS)
    assert not find_leaks(parts, groups)
    order = np.array(data.draw(st.permutations(range(n))))
    moved = make_parts(
        strata[order], [groups[i] for i in order], seed=seed, ids=[ids[i] for i in order]
    )
    assert moved == [parts[i] for i in order]


def test_seeds():
    strata = one_hot(np.arange(60) % 3)
    assert make_parts(strata, seed=1) == make_parts(strata, seed=1)
    assert make_parts(strata, seed=1) != make_parts(strata, seed=2)


def test_without_labels_the_tracks_are_shared_out():
    parts = make_parts(None, ids=[str(i) for i in range(10)], fractions=(0.7, 0.3))
    assert Counter(parts) == {"train": 7, "test": 3}
    parts = make_parts(np.zeros((10, 2), bool), fractions=(0.8, 0, 0.2))
    assert Counter(parts) == {"train": 8, "test": 2}


@pytest.mark.parametrize(
    ("fractions", "message"),
    [
        ((0.6, 0.2), "0.6,0.2; expected fractions that add up to 1"),
        ((1.2, -0.1, -0.1), "expected fractions"),
        ((1.0,), "1 parts; expected 3"),
        ((0, 0.5, 0.5), "train part has fraction 0"),
        ((float("nan"), 0.5, 0.5), "expected fractions"),
    ],
)
def test_bad_fractions(fractions, message):
    with pytest.raises(ConfigError, match=message):
        make_parts(np.ones((9, 1), bool), fractions=fractions)


def test_too_few_groups():
    with pytest.raises(DataError, match=r"2 groups cannot fill 3 parts \(train, valid, test\)"):
        make_parts(np.ones((9, 1), bool), ["a"] * 5 + ["b"] * 4)
    with pytest.raises(DataError, match="4 tracks cannot fill 5 folds"):
        make_folds(np.ones((4, 1), bool), n_folds=5)
    with pytest.raises(ConfigError, match="number of folds is 1; expected 2 or more"):
        make_folds(np.ones((4, 1), bool), n_folds=1)
    with pytest.raises(ConfigError, match="3 groups for 4 tracks"):
        make_folds(np.ones((4, 1), bool), ["a", "b", "c"])


def test_parts_of_a_fold():
    folds = [str(i % 5) for i in range(100)]
    groups = [f"g{i // 2}" if i % 5 == 0 else f"h{i % 5}{i % 20}" for i in range(100)]
    strata = one_hot(np.arange(100) % 4)
    parts = np.array(parts_of_fold(folds, "3", valid=0.25, groups=groups, strata=strata))
    assert (parts == "test").tolist() == [fold == "3" for fold in folds]
    assert not find_leaks([part if part != "test" else "" for part in parts], groups)
    assert 15 <= (parts == "valid").sum() <= 25
    assert Counter(parts_of_fold(folds, "3", valid=0)) == {"test": 20, "train": 80}
    with pytest.raises(DataError, match="cannot hold out fold '9'; the folds are 0, 1, 2"):
        parts_of_fold(folds, "9")
    with pytest.raises(DataError, match=r"1 groups cannot fill 2 parts .*; pass --valid 0"):
        parts_of_fold(["a"] * 3 + ["b"] * 3, "a", groups=["a"] * 3 + ["b"] * 3)
    with pytest.raises(ConfigError, match="valid is 1; expected a fraction"):
        parts_of_fold(folds, "3", valid=1)


def test_leaks():
    parts = ["train", "train", "test", "test", "", "valid"]
    leaks = find_leaks(parts, ["a", "b", "a", "", "b", "c"], ["1", "2", "3", "2", "3", ""])
    assert leaks.groups == {"a": {"train": 1, "test": 1}}
    assert leaks.audio == [[1, 3]]
    assert leaks
    assert not find_leaks(parts, list("abcdef"), list("123456"))
    assert not find_leaks(parts)
