"""HMMs in a loop, against simulation and the best label of each row."""

import numpy as np
import pytest

from mcls.hmm.loop import LabelOrder, decode_loop, join_models, one_state_models
from mcls.hmm.models import start_models

ORDER = LabelOrder(
    np.ones(3),
    np.array([0.2, 0.5, 0.3]),
    np.array([[0.1, 0.6, 0.3], [0.4, 0.2, 0.4], [0.8, 0.1, 0.1]]),
)


@pytest.mark.parametrize(
    ("topology", "n_states"), [("left-to-right", 3), ("left-to-right", 1), ("ergodic", 2)]
)
def test_a_path_through_the_loop_has_the_lengths_and_the_order_of_the_labels(
    rng, topology, n_states
):
    """A simulated path: mean lengths within 6 %, the next label within 0.06."""
    hmms = start_models(3, n_states, topology)
    mean_rows = np.array([12.0, 20.0, 30.0])
    joined, _ = join_models(hmms, mean_rows, ORDER)
    arcs = np.exp(joined.log_transitions[0])
    np.testing.assert_allclose(arcs.sum(axis=1), 1, atol=1e-12)
    assert np.exp(joined.log_start[0]).sum() == pytest.approx(1)
    own = np.kron(np.eye(3), np.ones((n_states, n_states))) > 0
    repeats = np.repeat(ORDER.following.diagonal(), n_states)
    leaving = (1 - np.sum(arcs * own, axis=1)) / (1 - repeats)
    within = np.zeros_like(arcs)
    within[own] = np.exp(hmms.log_transitions).ravel()
    within *= 1 - leaving[:, None]
    state, rows, events = 0, 0, []
    for u, v in rng.random((60000, 2)):
        rows += 1
        to = int(np.searchsorted(np.cumsum(arcs[state]), u * (1 - 1e-12)))
        if v * arcs[state, to] >= within[state, to]:  # another event begins
            events.append((state // n_states, rows))
            rows = 0
        state = to
    labels, lengths = np.array(events).T
    for k in range(3):
        assert lengths[labels == k].mean() == pytest.approx(mean_rows[k], rel=0.06)
        after = labels[1:][labels[:-1] == k]
        shares = np.bincount(after, minlength=3) / len(after)
        np.testing.assert_allclose(shares, ORDER.following[k], atol=0.06)


def test_clear_rows_are_divided_where_they_change_and_repeats_are_found():
    hmms = start_models(2, 2, "left-to-right")
    means = np.array([0.0, 1.0, 5.0, 6.0])  # two states each
    rows = np.array([0, 0, 1, 1, 0, 1, 1, 5, 5, 6, 6.0])  # the first label twice, then the second
    emissions = -8.0 * (rows[:, None] - means) ** 2
    starts, labels, sure = decode_loop(hmms, emissions, np.full(2, 4.0), LabelOrder.equal(2, 1.0))
    assert starts.tolist() == [0, 4, 7]
    assert labels.tolist() == [0, 0, 1]
    np.testing.assert_allclose(sure.sum(axis=1), 1, atol=1e-12)
    assert (sure[[0, 5], 0] > 0.99).all() and sure[9, 1] > 0.99


def test_longer_events_make_fewer_switches(rng):
    log_p = np.log(rng.dirichlet(np.ones(3) * 2, size=400))
    models = one_state_models(3)
    counts = [
        len(decode_loop(models, log_p, np.full(3, rows), LabelOrder.equal(3, 1.0))[0])
        for rows in (1.0, 3.0, 30.0, 1000.0)
    ]
    assert counts == sorted(counts, reverse=True) and counts[-1] < 5 < counts[0]
    assert counts[0] <= 1 + (np.diff(log_p.argmax(axis=1)) != 0).sum()


def test_counts_of_the_order_are_those_of_the_events():
    order = LabelOrder.counted([[(0, 1.0), (1, 2.0), (0, 3.0)], [(1, 4.0)]], 3)
    assert order.seconds.tolist() == [2.0, 3.0, 2.5]
    np.testing.assert_allclose(order.first, np.array([2, 2, 1]) / 5)
    np.testing.assert_allclose(order.following[0], np.array([1, 2, 1]) / 4)
    np.testing.assert_allclose(order.of(np.array([0, 1])).following[0], [1 / 3, 2 / 3])
