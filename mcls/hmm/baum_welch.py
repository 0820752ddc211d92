"""The Baum-Welch algorithm: expectation-maximisation of HMMs with Gaussian mixtures."""

from dataclasses import dataclass, replace

import numpy as np

from mcls.hmm.kernels import posteriors
from mcls.hmm.mixtures import Mixtures, MixtureStatistics, log_sums
from mcls.hmm.models import HMMs, log, offsets_of


@dataclass(frozen=True)
class Sequences:
    """The rows of the tracks that one HMM is trained on.

    Parameters
    ----------
    rows : np.ndarray, shape (n_rows, n_dims)
        Rows of all tracks, one track after the other.
    offsets : np.ndarray, shape (n_tracks + 1,), int64
        First row of each track, and the number of rows.
    """

    rows: np.ndarray
    offsets: np.ndarray

    def of(self, tracks: np.ndarray) -> "Sequences":
        """Return some of the tracks, given by a bool for each."""
        lengths = np.diff(self.offsets)
        return Sequences(self.rows[np.repeat(tracks, lengths)], offsets_of(lengths[tracks]))


def baum_welch(
    hmms: HMMs,
    mixtures: Mixtures,
    data: list[Sequences],
    *,
    floor: np.ndarray,
    max_iter: int,
    tol: float,
) -> tuple[HMMs, Mixtures, list[float]]:
    """Re-estimate transitions and mixtures until the likelihood stops improving.

    Parameters
    ----------
    hmms : HMMs
        With initial transitions; probabilities of 0 stay 0.
    mixtures : Mixtures
        With initial weights, means and variances; those of tied states are learnt from the tracks
        of all HMMs that share them.
    data : list of Sequences
        The tracks of each HMM.
    floor : np.ndarray, shape (n_dims,)
        Smallest variance.
    max_iter : int
        Maximum number of iterations.
    tol : float
        Stop when the log-likelihood per row improves by less.

    Returns
    -------
    hmms : HMMs
    mixtures : Mixtures
    log_likelihoods : list of float
        Log-likelihood per row before each re-estimation, over all HMMs.

    References
    ----------
    Baum et al. (1970), A maximization technique occurring in the statistical analysis of
    probabilistic functions of Markov chains; Rabiner (1989), eq. 40 and 52 to 54.
    """
    n_rows = sum(len(one.rows) for one in data)
    history: list[float] = []
    for _ in range(max_iter):
        statistics = MixtureStatistics.like(mixtures)
        starts, arcs, total = (
            np.zeros_like(hmms.log_start),
            np.zeros_like(hmms.log_transitions),
            0.0,
        )
        for model, one in enumerate(data):
            pdfs, own = np.unique(hmms.pdfs[model], return_inverse=True)
            components = mixtures.only(pdfs).components(one.rows)
            densities = log_sums(components)
            gamma, arcs[model], found = posteriors(
                np.ascontiguousarray(densities[:, own]), one.offsets, *hmms.arcs(model)
            )
            total += found.sum()
            starts[model] = gamma[one.offsets[:-1]].sum(axis=0)
            of_pdf = gamma @ np.eye(len(pdfs))[own]  # tied states of one HMM share a density
            weights = of_pdf[:, :, None] * np.exp(components - densities[:, :, None])
            statistics.add(pdfs, one.rows, weights)
        history.append(float(total / n_rows))
        if len(history) > 1 and history[-1] - history[-2] < tol:
            break
        hmms = with_counts(hmms, starts, arcs)
        mixtures = statistics.mixtures(mixtures, floor)
    return hmms, mixtures, history


def with_counts(hmms: HMMs, starts: np.ndarray, arcs: np.ndarray) -> HMMs:
    """Return HMMs with start and transition probabilities re-estimated from counts.

    Parameters
    ----------
    hmms : HMMs
        A state that was never left keeps its transitions.
    starts : np.ndarray, shape (n_models, n_states)
        Expected number of tracks that start in each state.
    arcs : np.ndarray, shape (n_models, n_states, n_states)
        Expected number of transitions.
    """

    def normalised(counts: np.ndarray, before: np.ndarray) -> np.ndarray:
        total = counts.sum(axis=-1, keepdims=True)
        seen = total > 1e-10
        return np.where(seen, log(counts / np.where(seen, total, 1.0)), before)

    return replace(
        hmms,
        log_start=normalised(starts, hmms.log_start),
        log_transitions=normalised(arcs, hmms.log_transitions),
    )
