"""A set of hidden Markov models of one size, and the topologies that they start from."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from mcls.errors import FormatError

Topology = Literal["left-to-right", "ergodic"]

#: Arrays of one HMM as the kernels take them: start, transitions, end.
Arcs = tuple[np.ndarray, np.ndarray, np.ndarray]


@dataclass(frozen=True)
class HMMs:
    """Hidden Markov models with the same number of states; all probabilities are logarithms.

    Parameters
    ----------
    log_start : np.ndarray, shape (n_models, n_states)
        Probability of starting in each state.
    log_transitions : np.ndarray, shape (n_models, n_states, n_states)
        Probability of going from one state (row) to another (column).
    log_end : np.ndarray, shape (n_models, n_states)
        0 for states in which a track may end, otherwise -inf.
    pdfs : np.ndarray, shape (n_models, n_states), int64
        The output density of each state; tied states have the same one.
    """

    log_start: np.ndarray
    log_transitions: np.ndarray
    log_end: np.ndarray
    pdfs: np.ndarray

    @property
    def n_models(self) -> int:
        """Number of HMMs."""
        return len(self.pdfs)

    @property
    def n_pdfs(self) -> int:
        """Number of output densities."""
        return int(self.pdfs.max()) + 1

    def arcs(self, model: int) -> Arcs:
        """Return start, transitions and end of one HMM."""
        return self.log_start[model], self.log_transitions[model], self.log_end[model]

    def arrays(self) -> dict[str, np.ndarray]:
        """Return all arrays by name, as files hold them: see `to_finite`."""
        return {name: to_finite(array) for name, array in vars(self).items()}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> "HMMs":
        """Rebuild HMMs from `arrays`; arrays with other names are ignored.

        Raises
        ------
        FormatError
            If the arrays do not fit together.
        """
        own = {name: from_finite(np.asarray(arrays[name])) for name in cls.__dataclass_fields__}
        shape = own["pdfs"].shape
        wanted = {"log_start": shape, "log_transitions": (*shape, *shape[1:]), "log_end": shape}
        for name, size in {"pdfs": shape, **wanted}.items():
            kind = np.integer if name == "pdfs" else np.floating
            if (
                own[name].shape != size
                or len(shape) != 2
                or not np.issubdtype(own[name].dtype, kind)
            ):
                raise FormatError(f"HMMs with {name} {own[name].dtype} {own[name].shape}")
        if own["pdfs"].size == 0 or own["pdfs"].min() < 0:
            raise FormatError("HMMs without states, or with negative densities")
        return cls(**own)


def start_models(n_models: int, n_states: int, topology: Topology, *, skips: bool = False) -> HMMs:
    """Return HMMs before training, each state with a density of its own.

    Parameters
    ----------
    n_models, n_states : int
        Number of HMMs, and of states in each.
    topology : {'left-to-right', 'ergodic'}
        ``left-to-right`` starts in the first state, ends in the last one, and stays or goes to the
        next state; ``ergodic`` may start and end anywhere and go from any state to any other.
    skips : bool
        Left-to-right HMMs may also skip one state.
    """
    if topology == "ergodic":
        start, end = np.full(n_states, 1 / n_states), np.ones(n_states)
        transitions = np.full((n_states, n_states), 0.5 / max(1, n_states - 1))
        np.fill_diagonal(transitions, 0.5 if n_states > 1 else 1.0)
    else:
        start, end = np.eye(n_states)[[0, -1]]
        reach = sum(np.eye(n_states, k=k) for k in range(3 if skips else 2))
        transitions = reach / np.sum(reach, axis=1, keepdims=True)
    every: Callable[[np.ndarray], np.ndarray] = lambda one: np.stack([one] * n_models)  # noqa: E731
    return HMMs(
        log_start=every(log(start)),
        log_transitions=every(log(transitions)),
        log_end=every(log(end)),
        pdfs=np.arange(n_models * n_states).reshape(n_models, n_states),
    )


def log(probabilities: np.ndarray) -> np.ndarray:
    """Return natural logarithms; that of 0 is -inf."""
    with np.errstate(divide="ignore"):
        return np.log(probabilities)


def to_finite(logarithms: np.ndarray) -> np.ndarray:
    """Return logarithms in which the lowest number stands for -inf, as files hold no infinities."""
    if not np.issubdtype(logarithms.dtype, np.floating):
        return logarithms
    return np.maximum(logarithms, np.finfo(logarithms.dtype).min)


def from_finite(logarithms: np.ndarray) -> np.ndarray:
    """Undo `to_finite`."""
    if not np.issubdtype(logarithms.dtype, np.floating):
        return logarithms
    return np.where(logarithms <= np.finfo(logarithms.dtype).min, -np.inf, logarithms)


def log_likelihoods(
    hmms: HMMs, log_emissions: np.ndarray, offsets: np.ndarray, *, best_path: bool = False
) -> np.ndarray:
    """Return the log-likelihood of each track under each HMM, ``(n_tracks, n_models)``.

    Parameters
    ----------
    hmms : HMMs
    log_emissions : np.ndarray, shape (n_rows, n_pdfs)
        Log output density of each row.
    offsets : np.ndarray, shape (n_tracks + 1,), int64
        First row of each track, and the number of rows.
    best_path : bool
        Take the most likely path (Viterbi) instead of the sum over all paths.
    """
    from mcls.hmm.kernels import forward, viterbi  # numba

    found = np.empty((len(offsets) - 1, hmms.n_models))
    for model, own in _emissions_of_models(hmms, log_emissions):
        arcs = hmms.arcs(model)
        if best_path:
            found[:, model] = viterbi(own, offsets, *arcs)[1]
        else:
            found[:, model] = forward(own, offsets, *arcs)
    return found


def offsets_of(lengths: Any) -> np.ndarray:
    """Return the first row of each track, and the number of rows, from the rows of each track.

    Examples
    --------
    >>> offsets_of([3, 1]).tolist()
    [0, 3, 4]
    """
    return np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)


def _emissions_of_models(hmms: HMMs, log_emissions: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    for model in range(hmms.n_models):
        yield model, np.ascontiguousarray(log_emissions[:, hmms.pdfs[model]])
