"""ROC, precision-recall and reliability: equal to scikit-learn's, also with ties and few tracks."""

import numpy as np
import pytest
from sklearn import metrics as peer
from sklearn.calibration import calibration_curve

from mcls.evaluation.label_curves import Curve, precision_recall_curves, roc_curves
from mcls.evaluation.probabilities import expected_calibration_error
from mcls.evaluation.reliability import pooled, reliability
from mcls.registry import find


def tags(rng: np.random.Generator, decimals: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw tags of which no track has the first and all have the last; rounded scores have ties."""
    truth = rng.random((200, 6)) < np.linspace(0, 0.6, 6)
    truth[:, -1] = True
    return truth, (rng.normal(size=truth.shape) + truth).round(decimals)


@pytest.mark.parametrize("decimals", [0, 1, 15])
def test_roc_curves_equal_scikit_learn(decimals: int, rng) -> None:
    truth, scores = tags(rng, decimals)
    found = roc_curves(truth, scores)
    assert found.per_label[0] is None
    assert found.per_label[-1] is None
    for j in range(1, 5):
        one = found.per_label[j]
        rate, recall, thresholds = peer.roc_curve(
            truth[:, j], scores[:, j], drop_intermediate=False
        )
        for mine, theirs in ((one.x, rate), (one.y, recall), (one.thresholds, thresholds)):
            np.testing.assert_allclose(mine, theirs, rtol=0, atol=1e-12)
        assert one.area == pytest.approx(peer.roc_auc_score(truth[:, j], scores[:, j]), abs=1e-12)
    rate, recall, _ = peer.roc_curve(truth.ravel(), scores.ravel(), drop_intermediate=False)
    np.testing.assert_allclose(found.micro.x, rate, rtol=0, atol=1e-12)
    np.testing.assert_allclose(found.micro.y, recall, rtol=0, atol=1e-12)


@pytest.mark.parametrize("decimals", [0, 1, 15])
def test_precision_recall_curves_equal_scikit_learn(decimals: int, rng) -> None:
    truth, scores = tags(rng, decimals)
    found = precision_recall_curves(truth, scores)
    assert found.per_label[0] is None
    assert found.per_label[-1] is None
    for j in range(1, 5):
        one = found.per_label[j]
        precision, recall, thresholds = peer.precision_recall_curve(truth[:, j], scores[:, j])
        np.testing.assert_allclose(one.x[::-1], recall, rtol=0, atol=1e-12)
        np.testing.assert_allclose(one.y[::-1], precision, rtol=0, atol=1e-12)
        np.testing.assert_array_equal(one.thresholds[:0:-1], thresholds)
        theirs = peer.average_precision_score(truth[:, j], scores[:, j])
        assert one.area == pytest.approx(theirs, abs=1e-12)


@pytest.mark.parametrize(
    ("curves", "metric"), [(roc_curves, "auc"), (precision_recall_curves, "ap")]
)
@pytest.mark.parametrize("decimals", [0, 1, 15])
def test_areas_are_the_metrics(curves, metric: str, decimals: int, rng) -> None:
    truth, scores = tags(rng, decimals)
    found = curves(truth, scores)
    values = find("metrics", metric).load()(truth, scores, np.ones((1, len(truth)), np.int32))
    per_label = values.per_label[0, 1:5]
    np.testing.assert_allclose([one.area for one in found.per_label[1:5]], per_label, atol=1e-12)
    assert found.micro.area == pytest.approx(values.micro[0], abs=1e-12)
    assert found.macro.area == pytest.approx(per_label.mean(), abs=1e-12)


def test_the_mean_of_one_curve_is_that_curve() -> None:
    truth = np.array([[1, 1], [0, 1], [1, 1], [0, 1]], bool)
    scores = np.array([[0.9], [0.8], [0.4], [0.4]]) * [1, 1]
    for curves in (roc_curves, precision_recall_curves):
        found = curves(truth, scores)
        one, mean = found.per_label[0], found.macro
        assert mean.area == one.area
        heights = [(x, y) for x, y in zip(mean.x, mean.y, strict=True)]
        assert set(zip(one.x, one.y, strict=True)) >= set(heights[1:-1:2])


def test_labels_of_one_class_only_have_no_curve_at_all() -> None:
    nothing = np.zeros((3, 2), bool)
    for curves in (roc_curves, precision_recall_curves):
        found = curves(nothing, np.zeros((3, 2)))
        assert (found.per_label, found.macro, found.micro) == ([None, None], None, None)


def test_infinite_scores_are_ranked() -> None:
    truth = np.array([[1, 0], [0, 1], [1, 0]], bool)
    scores = np.array([[0.0, -np.inf], [-np.inf, 1.0], [2.0, 0.0]])
    assert roc_curves(truth, scores).macro.area == 1


def test_a_thinned_curve_keeps_points_and_both_ends(rng) -> None:
    truth = rng.random((5000, 2)) < 0.3
    one = roc_curves(truth, rng.normal(size=truth.shape) + truth).per_label[0]
    assert isinstance(one, Curve)
    few = one.thinned(100)
    assert len(few.x) <= 100
    assert (few.x[0], few.y[0], few.x[-1], few.y[-1]) == (0, 0, 1, 1)
    points = set(zip(one.x, one.y, one.thresholds, strict=True))
    assert points >= set(zip(few.x, few.y, few.thresholds, strict=True))
    assert np.diff(few.x) @ (few.y[1:] + few.y[:-1]) / 2 == pytest.approx(one.area, abs=2e-3)


@pytest.mark.parametrize("decimals", [1, 15])
@pytest.mark.parametrize("bins", [1, 10, 15])
def test_reliability_equals_scikit_learn(bins: int, decimals: int, rng) -> None:
    p = rng.random(500).round(decimals)
    truth = rng.random(500) < p
    found = reliability(truth, p, bins)
    fraction, probability = calibration_curve(truth, p, n_bins=bins)
    np.testing.assert_allclose(found.fraction, fraction, rtol=0, atol=1e-12)
    np.testing.assert_allclose(found.probability, probability, rtol=0, atol=1e-12)
    assert found.count.sum() == 500
    assert (found.low <= found.fraction).all()
    assert (found.fraction <= found.high).all()


def test_the_calibration_error_is_the_mean_distance_in_the_bins(rng) -> None:
    p = rng.dirichlet(np.ones(4), 300).round(1)
    truth = np.eye(4, dtype=bool)[rng.integers(0, 4, 300)]
    found = reliability(*pooled(truth, p), 15)
    gap = np.abs(found.fraction - found.probability) @ found.count / 300
    ece = expected_calibration_error(truth, p, np.ones((1, 300), np.int32)).micro[0]
    assert ece == pytest.approx(gap, abs=1e-12)


def test_with_several_labels_all_probabilities_are_pooled() -> None:
    truth = np.array([[1, 1], [0, 1]], bool)
    p = np.array([[0.9, 0.8], [0.3, 0.6]])
    assert pooled(truth, p)[1].shape == (2, 2)
    assert pooled(np.eye(2, dtype=bool), p)[1].ravel().tolist() == [0.9, 0.6]
