"""The training of GMM-HMMs: initial alignment, K-means, Baum-Welch, and tied states."""

from dataclasses import dataclass, replace

import numpy as np
from sklearn.cluster import KMeans

from mcls.errors import ConfigError
from mcls.hmm.alignment import best_states, uniform_states
from mcls.hmm.baum_welch import Sequences, baum_welch
from mcls.hmm.mixtures import Mixtures, start_mixtures
from mcls.hmm.models import HMMs, Topology, start_models
from mcls.hmm.tying import tie_states

#: Iterations of Baum-Welch with one Gaussian per state, before states are tied.
_UNTIED_ITERATIONS = 5
#: Smallest variance where a dimension is constant.
_LEAST_VARIANCE = 1e-6


@dataclass(frozen=True)
class GMMHMMOptions:
    """How GMM-HMMs are trained; see `mcls.classifiers.gmm_hmm.GMMHMM`.

    Raises
    ------
    ConfigError
        If a value is out of range.
    """

    states: int
    mixtures: int
    topology: Topology
    skips: bool
    tied_states: int | None
    random_state: int
    variance_floor: float = 0.01
    max_iter: int = 20
    tol: float = 0.001

    def __post_init__(self) -> None:
        for name in ("states", "mixtures", "max_iter", "tied_states"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ConfigError(f"{name}={value}; expected 1 or more")
        if self.variance_floor < 0:
            raise ConfigError(f"variance_floor={self.variance_floor}; expected 0 or more")
        if self.skips and self.topology == "ergodic":
            raise ConfigError(
                "skips=true is for hmm=left-to-right; an ergodic HMM goes from any state to any "
                "other"
            )


def fit_gmm_hmms(
    data: list[Sequences], options: GMMHMMOptions
) -> tuple[HMMs, Mixtures, list[float]]:
    """Train an HMM on each set of tracks.

    Parameters
    ----------
    data : list of Sequences
        The tracks of each HMM.
    options : GMMHMMOptions

    Returns
    -------
    hmms : HMMs
    mixtures : Mixtures
    log_likelihoods : list of float
        Log-likelihood per row before each iteration of Baum-Welch.
    """
    n_states = options.states
    hmms = start_models(len(data), n_states, options.topology, skips=options.skips)
    rows = np.concatenate([one.rows for one in data])
    floor = np.maximum(options.variance_floor * rows.var(axis=0), _LEAST_VARIANCE)
    pdf_of_row = np.concatenate(
        [model * n_states + _first_states(one, options) for model, one in enumerate(data)]
    )

    def trained(
        hmms: HMMs, pdf_of_row: np.ndarray, n_components: int, max_iter: int
    ) -> tuple[HMMs, Mixtures, list[float]]:
        begin = start_mixtures(
            rows, pdf_of_row, hmms.n_pdfs, n_components, floor, options.random_state
        )
        return baum_welch(hmms, begin, data, floor=floor, max_iter=max_iter, tol=options.tol)

    if options.tied_states is not None and options.tied_states < hmms.n_pdfs:
        hmms, gaussians, _ = trained(hmms, pdf_of_row, 1, _UNTIED_ITERATIONS)
        pdf_of_row = np.concatenate(
            [
                hmms.pdfs[model][
                    best_states(hmms, model, gaussians.log_densities(one.rows), one.offsets)
                ]
                for model, one in enumerate(data)
            ]
        )
        n_rows = np.bincount(pdf_of_row, minlength=hmms.n_pdfs)
        tied = tie_states(gaussians, n_rows, options.tied_states)
        hmms, pdf_of_row = replace(hmms, pdfs=tied[hmms.pdfs]), tied[pdf_of_row]
    return trained(hmms, pdf_of_row, options.mixtures, options.max_iter)


def _first_states(one: Sequences, options: GMMHMMOptions) -> np.ndarray:
    """Return a state per row: equal parts of each track, or clusters of the rows."""
    n_states = options.states
    if options.topology == "left-to-right":
        return uniform_states(one.offsets, n_states)
    distinct = len(np.unique(one.rows, axis=0))
    if min(n_states, distinct) == 1:
        return np.zeros(len(one.rows), dtype=np.int64)
    groups = KMeans(min(n_states, distinct), n_init=1, random_state=options.random_state)
    return np.asarray(groups.fit_predict(one.rows), dtype=np.int64)
