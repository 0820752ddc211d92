"""The worst errors and the least sure tracks, against a plain loop."""

import numpy as np
import pytest

from mcls.evaluation.errors import least_sure, worst_errors


def test_wrong_tracks_come_by_the_margin_over_the_true_label(rng) -> None:
    truth = np.eye(4, dtype=bool)[rng.integers(0, 4, 50)]
    scores = rng.random((50, 4))
    expected = []
    for i in range(50):
        true, best = truth[i].argmax(), scores[i].argmax()
        if true != best:
            expected.append((-(scores[i, best] - scores[i, true]), i, best))
    found = worst_errors(truth, scores)
    assert [(-one.margin, one.track, one.label) for one in found] == sorted(expected)
    assert {one.kind for one in found} == {"wrong"}
    assert worst_errors(truth, scores, most=3) == found[:3]
    assert worst_errors(truth, truth.astype(float)) == []


@pytest.mark.parametrize("threshold", [0.5, np.array([0.2, 0.5, 0.9])])
def test_false_positives_and_negatives_come_by_their_distance(threshold, rng) -> None:
    truth, scores = rng.random((40, 3)) < 0.4, rng.random((40, 3))
    limits = np.broadcast_to(threshold, 3)
    expected = []
    for i in range(40):
        for j in range(3):
            said = scores[i, j] >= limits[j]
            if said != truth[i, j]:
                kind = "false positive" if said else "false negative"
                expected.append((-abs(scores[i, j] - limits[j]), i, j, kind))
    found = worst_errors(truth, scores, threshold=threshold)
    assert [(-one.margin, one.track, one.label, one.kind) for one in found] == sorted(expected)


def test_a_tie_between_labels_predicts_the_first_as_everywhere() -> None:
    truth = np.array([[False, True]])
    [error] = worst_errors(truth, np.array([[0.5, 0.5]]))
    assert (error.label, error.margin) == (0, 0)


def test_tracks_near_the_threshold_are_least_sure() -> None:
    scores = np.array([[0.1, 0.9], [0.45, 0.9], [0.1, 0.51]])
    assert least_sure(scores, threshold=0.5).tolist() == [2, 1, 0]
    assert least_sure(scores, most=1).tolist() == [2]
