"""HMMs in a loop: which label each row of a track belongs to, where labels follow one another.

The HMMs of all labels are joined to one: from a state in which its HMM may end, a path goes on
within the HMM or, with the probability of an exit, to the start of the HMM of the next label. The
probability of an exit follows from the mean length of a label, that of the next label from
`LabelOrder`. The best path (Viterbi) divides the track into events; forward-backward gives the
probability of each label in each row.

References
----------
Rabiner (1989), A tutorial on hidden Markov models and selected applications in speech recognition,
section VIII: connected words, by one pass over a network of all word models.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mcls.hmm.alignment import path_and_posteriors
from mcls.hmm.models import HMMs, log

#: A path leaves an HMM at most as often as it would if it stayed this many rows at its end.
_SHORTEST = 2.0


@dataclass(frozen=True)
class LabelOrder:
    """How long labels last and which label follows which.

    Parameters
    ----------
    seconds : np.ndarray, shape (n_labels,)
        Mean length of an event with each label.
    first : np.ndarray, shape (n_labels,)
        Probability of each label at the beginning of a track.
    following : np.ndarray, shape (n_labels, n_labels)
        Probability of each label (column) after an event with a label (row).
    """

    seconds: np.ndarray
    first: np.ndarray
    following: np.ndarray

    @classmethod
    def equal(cls, n_labels: int, seconds: float) -> "LabelOrder":
        """Return the order in which all labels last as long and are equally likely."""
        share = np.full(n_labels, 1 / n_labels)
        return cls(np.full(n_labels, seconds), share, np.tile(share, (n_labels, 1)))

    @classmethod
    def counted(cls, tracks: Sequence[Sequence[tuple[int, float]]], n_labels: int) -> "LabelOrder":
        """Return the order of the events of some tracks; each pair of labels counts 1 more.

        Parameters
        ----------
        tracks : sequence of sequences of (label, seconds)
            The events of each track in the order of time.
        n_labels : int
            Number of labels. One that no track has lasts as long as the others on average.
        """
        first, following = np.ones(n_labels), np.ones((n_labels, n_labels))
        total, n_events = np.zeros(n_labels), np.zeros(n_labels)
        for events in tracks:
            labels = [label for label, _ in events]
            first[labels[0]] += 1
            np.add.at(following, (labels[:-1], labels[1:]), 1)
            np.add.at(total, labels, [seconds for _, seconds in events])
            np.add.at(n_events, labels, 1)
        mean = np.where(n_events > 0, total / np.maximum(n_events, 1), total.sum() / n_events.sum())
        return cls(mean, first / first.sum(), following / following.sum(axis=1, keepdims=True))

    def of(self, labels: np.ndarray) -> "LabelOrder":
        """Return the order of some of the labels only."""
        first, following = self.first[labels], self.following[np.ix_(labels, labels)]
        return LabelOrder(
            self.seconds[labels],
            first / first.sum(),
            following / following.sum(axis=1, keepdims=True),
        )

    def as_dict(self) -> dict[str, Any]:
        """Return what JSON can hold."""
        return {name: array.tolist() for name, array in vars(self).items()}


def join_models(hmms: HMMs, mean_rows: np.ndarray, order: LabelOrder) -> tuple[HMMs, np.ndarray]:
    """Join HMMs to one in which they follow one another.

    Parameters
    ----------
    hmms : HMMs
        One per label.
    mean_rows : np.ndarray, shape (n_models,)
        Mean length of an event with each label, in rows.
    order : LabelOrder
        Of these labels.

    Returns
    -------
    joined : HMMs
        One HMM with the states of all, those of the first label first. A track may end anywhere.
    switches : np.ndarray, shape (n_states, n_states), bool
        The transitions that most probably begin another event.
    """
    n, size = hmms.pdfs.shape
    within = np.zeros((n * size, n * size))
    leaving = np.zeros(n * size)
    start = np.exp(hmms.log_start)
    for model in range(n):
        own = slice(model * size, (model + 1) * size)
        arcs, ends = np.exp(hmms.log_transitions[model]), hmms.log_end[model] > -np.inf
        before_end = _rows_before(arcs, start[model], ends)
        leaving[own] = ends / max(_SHORTEST, mean_rows[model] - before_end)
        within[own, own] = arcs
    within *= 1 - leaving[:, None]
    following = np.repeat(order.following, size, axis=0)  # (states, models)
    entering = (following[:, :, None] * start).reshape(n * size, n * size)
    entering *= leaving[:, None]
    joined = HMMs(
        log_start=log(order.first[:, None] * start).reshape(1, -1),
        log_transitions=log(within + entering)[None],
        log_end=np.zeros((1, n * size)),
        pdfs=hmms.pdfs.reshape(1, -1),
    )
    return joined, entering > within


def decode_loop(
    hmms: HMMs, log_emissions: np.ndarray, mean_rows: np.ndarray, order: LabelOrder
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Find the labels of the rows of a track.

    Parameters
    ----------
    hmms, mean_rows, order
        As of `join_models`.
    log_emissions : np.ndarray, shape (n_rows, n_pdfs)
        Log output density of each row.

    Returns
    -------
    starts : np.ndarray, shape (n_events,), int64
        The first row of each event.
    labels : np.ndarray, shape (n_events,), int64
        The HMM of each event.
    posteriors : np.ndarray, shape (n_rows, n_models)
        Probability of each label in each row, given the whole track.
    """
    joined, switches = join_models(hmms, mean_rows, order)
    path, gamma = path_and_posteriors(joined, 0, log_emissions)
    size = hmms.pdfs.shape[1]
    models = path // size
    begins = switches[path[:-1], path[1:]] | (models[:-1] != models[1:])
    starts = np.concatenate([[0], np.flatnonzero(begins) + 1])
    posteriors = gamma.reshape(len(path), hmms.n_models, size).sum(axis=2)
    return starts, models[starts], posteriors


def one_state_models(n_models: int) -> HMMs:
    """Return HMMs of one state each, for scores of labels in place of densities."""
    zeros = np.zeros((n_models, 1))
    return HMMs(zeros, np.zeros((n_models, 1, 1)), zeros, np.arange(n_models)[:, None])


def _rows_before(arcs: np.ndarray, start: np.ndarray, ends: np.ndarray) -> float:
    """Return the expected number of rows before a path first reaches a state where it may end."""
    others = np.flatnonzero(~ends)
    if not len(others):
        return 0.0
    rest = np.eye(len(others)) - arcs[np.ix_(others, others)]
    return float(start[others] @ np.linalg.lstsq(rest, np.ones(len(others)), rcond=None)[0])
