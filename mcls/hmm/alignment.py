"""Alignment: which state, and so which output density, each row of a track belongs to."""

import numpy as np

from mcls.hmm.models import HMMs, offsets_of


def uniform_states(offsets: np.ndarray, n_states: int) -> np.ndarray:
    """Return a state per row that divides every track into parts of equal length.

    Examples
    --------
    >>> uniform_states(np.array([0, 6, 8]), 3).tolist()
    [0, 0, 1, 1, 2, 2, 0, 1]
    """
    lengths = np.diff(offsets)
    place = np.arange(offsets[-1]) - np.repeat(offsets[:-1], lengths)
    return place * n_states // np.maximum(np.repeat(lengths, lengths), n_states)


def best_states(
    hmms: HMMs, model: int, log_emissions: np.ndarray, offsets: np.ndarray
) -> np.ndarray:
    """Return the state of each row on the best path through one HMM: a forced alignment.

    Parameters
    ----------
    hmms : HMMs
    model : int
        The HMM of the tracks' class.
    log_emissions : np.ndarray, shape (n_rows, n_pdfs)
        Log output density of each row.
    offsets : np.ndarray, shape (n_tracks + 1,), int64
        First row of each track, and the number of rows.

    Returns
    -------
    np.ndarray, shape (n_rows,), int64
    """
    from mcls.hmm.kernels import viterbi  # numba

    own = np.ascontiguousarray(log_emissions[:, hmms.pdfs[model]])
    return viterbi(own, offsets, *hmms.arcs(model))[0]


def path_and_posteriors(
    hmms: HMMs, model: int, log_emissions: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return how one HMM explains one track.

    Parameters
    ----------
    hmms : HMMs
    model : int
        The HMM.
    log_emissions : np.ndarray, shape (n_rows, n_pdfs)
        Log output density of each row.

    Returns
    -------
    path : np.ndarray, shape (n_rows,), int64
        State of each row on the best path.
    gamma : np.ndarray, shape (n_rows, n_states)
        Probability of each state in each row, given the whole track.
    """
    offsets = offsets_of([len(log_emissions)])
    path = best_states(hmms, model, log_emissions, offsets)
    return path, _posteriors_within(hmms, model, log_emissions)


def state_posteriors(hmms: HMMs, log_emissions: np.ndarray, of_models: np.ndarray) -> np.ndarray:
    """Return the probability of each state of all HMMs in each row of one track.

    Parameters
    ----------
    hmms : HMMs
    log_emissions : np.ndarray, shape (n_rows, n_pdfs)
        Log output density of each row.
    of_models : np.ndarray, shape (n_models,)
        Probability of each HMM, given the track.

    Returns
    -------
    np.ndarray, shape (n_rows, n_pdfs)
        Of tied states, the sum.
    """
    found = np.zeros((len(log_emissions), hmms.n_pdfs))
    for model, probability in enumerate(of_models):
        gamma = _posteriors_within(hmms, model, log_emissions)
        for state, pdf in enumerate(hmms.pdfs[model]):
            found[:, pdf] += probability * gamma[:, state]
    return found


def _posteriors_within(hmms: HMMs, model: int, log_emissions: np.ndarray) -> np.ndarray:
    """Return the probability of each state of one HMM in each row of one track."""
    from mcls.hmm.kernels import posteriors  # numba

    own = np.ascontiguousarray(log_emissions[:, hmms.pdfs[model]])
    return posteriors(own, offsets_of([len(own)]), *hmms.arcs(model))[0]
