"""Augmentations: what they change, by how much, and that labels go with segments."""

import numpy as np
import pytest
from sklearn.decomposition import PCA

from mcls.errors import ConfigError
from mcls.registry import entries
from mcls.training.segment_augmentations import Batch, augmentations_of

N, N_FRAMES, N_DIMS = 64, 20, 12


def batch(rng: np.random.Generator) -> Batch:
    x = rng.normal(-30, 10, (N, N_FRAMES, N_DIMS)).astype(np.float32)
    y = np.eye(4, dtype=np.float32)[np.arange(N) % 4]
    mean, scale = np.full(N_DIMS, -30, np.float32), np.full(N_DIMS, 10, np.float32)
    return Batch(x, y, mean, scale)


def applied(spec: str) -> tuple[Batch, Batch]:
    (augment,) = augmentations_of([spec])
    before = batch(np.random.default_rng(0))
    return before, augment(batch(np.random.default_rng(0)), np.random.default_rng(1))


@pytest.mark.parametrize("name", list(entries("segment-augmentations")))
def test_all_keep_shapes_and_types_and_follow_from_the_generator(name):
    before, after = applied(name)
    again = applied(name)[1]
    assert after.x.shape == before.x.shape
    assert after.x.dtype == after.y.dtype == np.float32
    assert np.array_equal(after.x, again.x)
    assert not np.array_equal(after.x, before.x)
    assert np.allclose(after.y.sum(axis=1), 1)


def test_specaugment_hides_whole_stretches_behind_the_mean():
    before, after = applied("specaugment:frames=0.3,dims=0.25,masks=1")
    changed = after.x != before.x
    assert (after.x[changed] == -30).all()
    frames, dims = changed.all(axis=2), changed.all(axis=1)
    assert np.array_equal(changed, frames[:, :, None] | dims[:, None, :])
    assert 0 < frames.sum(axis=1).mean() < frames.sum(axis=1).max() == 6
    assert dims.sum(axis=1).max() == 3
    for hidden in (frames, dims):
        assert (np.diff(hidden.astype(int), axis=1) == 1).sum(axis=1).max() <= 1  # one stretch


def test_mixup_mixes_labels_as_it_mixes_segments():
    before, after = applied("mixup:alpha=1")
    where = {tuple(row): i for i, row in enumerate(before.x[:, 0])}
    assert len(where) == N
    for i in range(N):
        a = before.x[i].ravel().astype(float)
        fits = []
        for j in range(N):
            d = before.x[j].ravel() - a
            share = (after.x[i].ravel() - a) @ d / max(d @ d, 1e-9)
            fits.append((np.abs(a + share * d - after.x[i].ravel()).max(), share, j))
        error, share, j = min(fits)
        assert error < 1e-3
        assert 0 <= share <= 1
        expected = before.y[i] + share * (before.y[j] - before.y[i])
        np.testing.assert_allclose(after.y[i], expected, atol=1e-3)


def test_roll_turns_and_shift_moves_up_or_down():
    before, after = applied("roll")
    for one, other in zip(before.x, after.x, strict=True):
        assert any(np.array_equal(np.roll(one, k, axis=0), other) for k in range(N_FRAMES))
    before, after = applied("shift:dims=2")
    for one, other in zip(before.x, after.x, strict=True):
        padded = np.pad(one, ((0, 0), (2, 2)), mode="edge")
        assert any(np.array_equal(padded[:, k : k + N_DIMS], other) for k in range(5))


def test_gain_adds_one_number_and_noise_is_measured_in_deviations():
    before, after = applied("gain:low=-3,high=3")
    added = after.x - before.x
    assert np.ptp(added, axis=(1, 2)).max() < 1e-4
    assert -3 <= added.min() < -2 < 2 < added.max() <= 3
    before, after = applied("noise:amount=0.2")
    assert (after.x - before.x).std() == pytest.approx(2, rel=0.03)  # 0.2 of a deviation of 10


def jittered(spec: str) -> tuple[np.ndarray, PCA]:
    """Return what was added to each of many segments whose dims go together, and their PCA."""
    rng = np.random.default_rng(2)
    mixing = rng.normal(size=(N_DIMS, N_DIMS)) * np.geomspace(10, 1, N_DIMS)[:, None]
    x = (rng.normal(size=(4000, 3, N_DIMS)) @ mixing - 30).astype(np.float32)
    y = np.zeros((len(x), 1), np.float32)
    mean, scale = x.mean(axis=(0, 1)), x.std(axis=(0, 1))
    (augment,) = augmentations_of([spec])
    added = augment(Batch(x.copy(), y, mean, scale), np.random.default_rng(3)).x - x
    assert np.ptp(added, axis=1).max() < 1e-4  # all frames of a segment alike
    return added[:, 0], PCA().fit(x.reshape(-1, N_DIMS))


def test_pca_jitter_has_a_part_of_the_deviation_along_each_component():
    added, pca = jittered("pca-jitter:amount=0.2")
    along = added @ pca.components_.T
    deviations = np.sqrt(pca.explained_variance_)
    # 4000 draws: a deviation is known to about 1.1 %, a correlation to 0.016
    np.testing.assert_allclose(along.std(axis=0), 0.2 * deviations, rtol=0.05)
    assert np.abs(np.corrcoef(along.T) - np.eye(N_DIMS)).max() < 0.08
    assert np.abs(along.mean(axis=0) / along.std(axis=0)).max() < 0.07


def test_pca_jitter_of_two_components_leaves_the_others_alone():
    added, pca = jittered("pca-jitter:components=2")
    along = (added @ pca.components_.T).std(axis=0)
    assert along[1] > 100 * along[2:].max()
    assert not jittered("pca-jitter:amount=0")[0].any()


@pytest.mark.parametrize(
    "spec",
    [
        "specaugment:frames=2",
        "mixup:alpha=0",
        "shift:dims=12",
        "gain:low=1,high=0",
        "pca-jitter:amount=-1",
        "pca-jitter:components=-1",
    ],
)
def test_settings_out_of_range_are_refused(spec):
    with pytest.raises(ConfigError, match=spec.partition(":")[0]):
        applied(spec)
