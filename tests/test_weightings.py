"""Metrics with each unit of tracks left out, against scikit-learn and against the plain matrix."""

import numpy as np
import pytest
from sklearn import metrics as peer

from mcls.evaluation.weightings import LeftOut
from mcls.registry import entries, find

PEERS = {"auc": peer.roc_auc_score, "ap": peer.average_precision_score}


@pytest.fixture
def tagged(rng):
    """Truth and scores of 90 tracks, with ties, and 12 units of 7 or 8 tracks."""
    truth = rng.random((90, 5)) < [0.1, 0.3, 0.5, 0.7, 0.9]
    return truth, np.round(truth + rng.normal(0, 1.5, truth.shape), 1), rng.permutation(90) % 12


@pytest.mark.parametrize("name", PEERS)
def test_a_unit_is_left_out_as_if_its_tracks_were_not_there(tagged, name) -> None:
    truth, scores, units = tagged
    found = find("metrics", name).load()(truth, scores, LeftOut(units, 12))
    for unit in range(12):
        kept = units != unit
        each = PEERS[name](truth[kept], scores[kept], average=None)
        micro = PEERS[name](truth[kept], scores[kept], average="micro")
        np.testing.assert_allclose(found.per_label[unit], each, rtol=0, atol=1e-12)
        assert found.micro[unit] == pytest.approx(micro, abs=1e-12)


def test_every_metric_takes_the_matrix_that_is_not_held(tagged) -> None:
    truth, scores, units = tagged
    single = np.eye(5, dtype=bool)[truth.argmax(axis=1)]
    probabilities = (scores - scores.min() + 1) / (scores - scores.min() + 1).sum(1, keepdims=True)
    weights = LeftOut(units, 12)
    for name, entry in entries("metrics").items():
        one = single if entry.facts.get("single_label_only") else truth
        values = truth + 0.5 if entry.facts.get("regression") else one
        tables = (values, probabilities if entry.facts.get("probabilities") else scores)
        found, plain = (entry.load()(*tables, some) for some in (weights, np.asarray(weights)))
        np.testing.assert_allclose(found.micro, plain.micro, rtol=1e-14, err_msg=name)
        if plain.per_label is not None:
            np.testing.assert_allclose(found.per_label, plain.per_label, rtol=1e-14, err_msg=name)


def test_sums_of_fractions_are_those_of_the_matrix(rng, monkeypatch) -> None:
    monkeypatch.setattr("mcls.evaluation.weightings._BLOCK", 100)  # three rows at once
    weights = LeftOut(rng.integers(0, 8, 30), 8)
    for table in (rng.random((30, 2)), rng.random(30), rng.random((30, 2)) < 0.5):
        np.testing.assert_allclose(weights @ table, np.asarray(weights) @ table, rtol=1e-14)
    np.testing.assert_array_equal(weights.sum(axis=1), np.asarray(weights).sum(axis=1))
