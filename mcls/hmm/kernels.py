"""The recursions over the frames of tracks: forward, backward and Viterbi, compiled by numba.

All probabilities are natural logarithms, relative to that of the best state of each frame, so a
track may have any number of frames and differences stay exact. Each call computes several tracks
of one HMM. Transitions of probability 0 cost nothing, so a left-to-right
HMM takes time proportional to its arcs, not to the square of its states.

A path ends in a state whose ``log_end`` is 0. A track that is too short to reach one may end
anywhere.
"""

import numpy as np
from numba import njit

_NEVER = -np.inf


@njit(nogil=True, cache=True)
def forward(
    log_emissions: np.ndarray,
    offsets: np.ndarray,
    log_start: np.ndarray,
    log_transitions: np.ndarray,
    log_end: np.ndarray,
) -> np.ndarray:
    """Return the log-likelihood of each track, summed over all paths, ``(n_tracks,)``.

    Parameters
    ----------
    log_emissions : np.ndarray, shape (n_rows, n_states)
        Log density of each row in each state.
    offsets : np.ndarray, shape (n_tracks + 1,), int64
        First row of each track, and the number of rows.
    log_start : np.ndarray, shape (n_states,)
        Log probability of starting in each state.
    log_transitions : np.ndarray, shape (n_states, n_states)
        Log probability of going from one state (row) to another (column).
    log_end : np.ndarray, shape (n_states,)
        0 for states in which a track may end, otherwise -inf.
    """
    n_tracks, n_states = len(offsets) - 1, len(log_start)
    found = np.empty(n_tracks)
    for track in range(n_tracks):
        before = log_start + log_emissions[offsets[track]]
        after = np.empty(n_states)
        taken = _take_largest(before)
        for t in range(offsets[track] + 1, offsets[track + 1]):
            for j in range(n_states):
                after[j] = _arriving(before, log_transitions, j) + log_emissions[t, j]
            before, after = after, before
            taken += _take_largest(before)
        found[track] = taken + _total(before + _allowed(before, log_end))
    return found


@njit(nogil=True, cache=True)
def posteriors(
    log_emissions: np.ndarray,
    offsets: np.ndarray,
    log_start: np.ndarray,
    log_transitions: np.ndarray,
    log_end: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Compute the forward-backward algorithm; parameters as in `forward`.

    Returns
    -------
    gamma : np.ndarray, shape (n_rows, n_states)
        Probability of each state in each row, given the whole track.
    xi : np.ndarray, shape (n_states, n_states)
        Expected number of transitions from state to state, summed over all tracks.
    log_likelihoods : np.ndarray, shape (n_tracks,)
        As `forward` returns them.
    """
    n_tracks, n_states = len(offsets) - 1, len(log_start)
    gamma = np.empty_like(log_emissions)
    xi = np.zeros((n_states, n_states))
    found = np.empty(n_tracks)
    now, after = np.empty(n_states), np.empty(n_states)
    onward = np.zeros((n_states, n_states))  # probability of each next state, given the rest
    for track in range(n_tracks):
        first, stop = offsets[track], offsets[track + 1]
        gamma[first] = log_start + log_emissions[first]
        taken = _take_largest(gamma[first])
        for t in range(first + 1, stop):
            for j in range(n_states):
                gamma[t, j] = _arriving(gamma[t - 1], log_transitions, j) + log_emissions[t, j]
            taken += _take_largest(gamma[t])
        after[:] = _allowed(gamma[stop - 1], log_end)
        found[track] = taken + _total(gamma[stop - 1] + after)
        _to_shares(gamma[stop - 1], after)
        for t in range(stop - 2, first - 1, -1):
            for i in range(n_states):
                now[i] = _leaving(log_transitions[i], log_emissions[t + 1], after, onward[i])
            _to_shares(gamma[t], now)
            for i in range(n_states):
                for j in range(n_states):
                    xi[i, j] += gamma[t, i] * onward[i, j]
            _take_largest(now)
            now, after = after, now
    return gamma, xi, found


@njit(nogil=True, cache=True)
def viterbi(
    log_emissions: np.ndarray,
    offsets: np.ndarray,
    log_start: np.ndarray,
    log_transitions: np.ndarray,
    log_end: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the best path and its log-likelihood; parameters as in `forward`.

    Returns
    -------
    path : np.ndarray, shape (n_rows,), int64
        State of each row; of equally likely paths the one through the first states.
    log_likelihoods : np.ndarray, shape (n_tracks,)
        Log-likelihood of each track along its best path.
    """
    n_tracks, n_states = len(offsets) - 1, len(log_start)
    path = np.empty(len(log_emissions), np.int64)
    found = np.empty(n_tracks)
    origin = np.empty(log_emissions.shape, np.int32)
    for track in range(n_tracks):
        first, stop = offsets[track], offsets[track + 1]
        before = log_start + log_emissions[first]
        after = np.empty(n_states)
        taken = _take_largest(before)
        for t in range(first + 1, stop):
            for j in range(n_states):
                best, best_from = _NEVER, 0
                for i in range(n_states):
                    value = before[i] + log_transitions[i, j]
                    if value > best:
                        best, best_from = value, i
                after[j] = best + log_emissions[t, j]
                origin[t, j] = best_from
            before, after = after, before
            taken += _take_largest(before)
        ends = before + _allowed(before, log_end)
        state = int(np.argmax(ends))
        found[track] = taken + ends[state]
        path[stop - 1] = state
        for t in range(stop - 1, first, -1):
            state = origin[t, state]
            path[t - 1] = state
    return path, found


@njit(nogil=True, cache=True, inline="always")
def _arriving(before: np.ndarray, log_transitions: np.ndarray, j: int) -> float:
    """Return the log-sum over all arcs into state `j`."""
    largest = _NEVER
    for i in range(len(before)):
        largest = max(largest, before[i] + log_transitions[i, j])
    if largest == _NEVER:
        return _NEVER
    summed = 0.0
    for i in range(len(before)):
        if log_transitions[i, j] > _NEVER:
            summed += np.exp(before[i] + log_transitions[i, j] - largest)
    return largest + np.log(summed)


@njit(nogil=True, cache=True, inline="always")
def _leaving(
    arcs: np.ndarray, emissions: np.ndarray, after: np.ndarray, onward: np.ndarray
) -> float:
    """Return the log-sum over all arcs out of a state; write the share of each to `onward`."""
    largest = _NEVER
    for j in range(len(arcs)):
        onward[j] = arcs[j] + emissions[j] + after[j]
        largest = max(largest, onward[j])
    if largest == _NEVER:
        onward[:] = 0.0
        return _NEVER
    summed = 0.0
    for j in range(len(arcs)):
        onward[j] = np.exp(onward[j] - largest) if onward[j] > _NEVER else 0.0
        summed += onward[j]
    onward /= summed
    return largest + np.log(summed)


@njit(nogil=True, cache=True)
def _to_shares(forwards: np.ndarray, backwards: np.ndarray) -> None:
    """Replace log forward probabilities by the probability of each state, given the track."""
    forwards += backwards
    _take_largest(forwards)
    for i in range(len(forwards)):
        forwards[i] = np.exp(forwards[i])
    forwards /= np.sum(forwards)


@njit(nogil=True, cache=True)
def _take_largest(values: np.ndarray) -> float:
    """Subtract the largest value from all, and return it; 0 if all are -inf."""
    largest = np.max(values)
    if largest == _NEVER:
        return 0.0
    values -= largest
    return largest


@njit(nogil=True, cache=True)
def _allowed(last: np.ndarray, log_end: np.ndarray) -> np.ndarray:
    """Return `log_end`, or zeros if no state in which a track may end can be reached."""
    if np.max(last + log_end) == _NEVER:
        return np.zeros_like(log_end)
    return log_end


@njit(nogil=True, cache=True)
def _total(values: np.ndarray) -> float:
    """Return the logarithm of the sum of exponentials."""
    largest = np.max(values)
    if largest == _NEVER:
        return _NEVER
    return largest + np.log(np.sum(np.exp(values - largest)))
