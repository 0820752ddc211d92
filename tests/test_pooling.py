import numpy as np
import pytest

from mcls.errors import ConfigError
from mcls.features.pooling import parse_pool, pool_rows
from mcls.registry import entries

POOLERS = sorted(entries("poolers"))


def pool(rows, spec, rate=10.0):
    return pool_rows(np.asarray(rows, np.float32), rate, parse_pool(spec))


@pytest.mark.parametrize("name", POOLERS)
def test_pooling_equal_rows_is_the_row(name, rng):
    row = rng.uniform(0.1, 1, 6).astype(np.float32)
    pooled, rate = pool(np.tile(row, (7, 1)), name)
    zeros = 0 * row
    wanted = {"histogram": row / row.sum(), "std": zeros, "meanstd": np.r_[row, zeros]}
    wanted["statistics"] = np.r_[row, zeros, zeros, zeros, row, row, row]
    np.testing.assert_allclose(pooled, [wanted.get(name, row)], atol=1e-6)
    assert rate is None


@pytest.mark.parametrize("name", POOLERS)
def test_order_of_rows_does_not_matter_over_the_whole_track(name, rng):
    rows = rng.uniform(0, 1, (20, 5))
    mixed = rng.permutation(rows)
    np.testing.assert_allclose(pool(rows, name)[0], pool(mixed, name)[0], atol=1e-6)


def test_they_are_numpys(rng):
    rows = rng.normal(size=(30, 4)).astype(np.float32)
    for spec, wanted in (
        ("mean", rows.mean(0)),
        ("max", rows.max(0)),
        ("std", rows.std(0)),
        ("meanstd", np.r_[rows.mean(0), rows.std(0)]),
        ("power:p=3", np.mean(np.abs(rows) ** 3, axis=0) ** (1 / 3)),
    ):
        np.testing.assert_allclose(pool(rows, spec)[0][0], wanted, rtol=1e-5, atol=1e-6)


def test_power_lies_between_mean_and_maximum_and_does_not_overflow(rng):
    rows = rng.uniform(0, 1e30, (30, 4))
    mean, most = pool(rows, "mean")[0], pool(rows, "max")[0]
    np.testing.assert_allclose(pool(rows, "power:p=1")[0], mean, rtol=1e-5)
    np.testing.assert_allclose(pool(rows, "power:p=400")[0], most, rtol=0.01)


def test_a_histogram_of_one_hot_codes_counts_them():
    codes = np.eye(3)[[0, 2, 2, 2]]
    assert pool(codes, "histogram")[0].tolist() == [[0.25, 0.0, 0.75]]
    np.testing.assert_allclose(pool(codes, "histogram:norm=sqrt")[0], [[0.5, 0, np.sqrt(0.75)]])


@pytest.mark.parametrize("norm", ["l1", "l2", "sqrt-l2"])
def test_norms(norm, rng):
    pooled = pool(rng.normal(size=(9, 5)), f"mean:norm={norm}")[0]
    assert np.linalg.norm(pooled[0], 1 if norm == "l1" else 2) == pytest.approx(1, rel=1e-5)
    assert not pool(np.zeros((9, 5)), f"mean:norm={norm}")[0].any()


@pytest.mark.parametrize(
    ("n", "spec", "spans"),
    [
        (25, "mean@1s", [(0, 10), (10, 20), (20, 25)]),
        (24, "mean@1s", [(0, 10), (10, 20)]),
        (3, "mean@1s", [(0, 3)]),
        (20, "mean@1s", [(0, 10), (10, 20)]),
        (20, "mean@1s/0.5s", [(0, 10), (5, 15), (10, 20)]),
        (24, "mean@1s/0.5s", [(0, 10), (5, 15), (10, 20), (15, 24)]),
        (9, "mean@0.01s", [(i, i + 1) for i in range(9)]),
    ],
)
def test_windows(n, spec, spans, rng):
    rows = rng.normal(size=(n, 3))
    pooled, rate = pool(rows, spec)
    np.testing.assert_allclose(pooled, [rows[a:b].mean(0) for a, b in spans], atol=1e-6)
    assert rate == 10 / (spans[1][0] if len(spans) > 1 else 10)


def test_windows_need_time():
    with pytest.raises(ConfigError, match="no time axis"):
        pool_rows(np.zeros((1, 3), np.float32), None, parse_pool("max@1s"))


@pytest.mark.parametrize("spec", ["mean@0s", "mean@1s/2s", "mean@x", "median", "mean:norm=l3"])
def test_what_is_no_pooler(spec):
    with pytest.raises(ConfigError):
        parse_pool(spec)


def test_p_is_above_zero():
    with pytest.raises(ConfigError, match="p must be above 0"):
        pool(np.ones((3, 3)), "power:p=0")
