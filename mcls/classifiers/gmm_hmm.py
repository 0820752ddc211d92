"""Hidden Markov models with Gaussian mixtures, one per class."""

from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import numpy as np
from scipy.special import expit, logsumexp
from sklearn.utils.validation import check_is_fitted, validate_data

from mcls.classifiers.base import RowClassifier
from mcls.errors import ConfigError
from mcls.hmm.alignment import path_and_posteriors, state_posteriors
from mcls.hmm.baum_welch import Sequences
from mcls.hmm.gmm_hmm import GMMHMMOptions, fit_gmm_hmms
from mcls.hmm.mixtures import Mixtures
from mcls.hmm.models import HMMs, Topology, log_likelihoods, offsets_of
from mcls.registry import register


@register("classifiers", "gmm-hmm", reads="frames", has_states=True)
class GMMHMM(RowClassifier):
    """Hidden Markov model of the frames of a track, one per class, with Gaussian mixtures.

    Unlike a ``gmm``, it models the order of the frames: how a spoken digit or a drum stroke
    unfolds. A left-to-right HMM starts in its first state and ends in its last one; `ergodic` is
    for textures and rhythms, which have no beginning and end. The score is the log posterior of
    each class per frame, so tracks of different lengths are comparable. For multi-label data it is
    the log odds of a label per frame, from an HMM of the tracks with the label and one of those
    without. A track with fewer frames than states may end in any state.

    Parameters
    ----------
    states : int
        Number of states per class, >= 1.
    mixtures : int
        Number of Gaussians per state, >= 1; fewer where a state has few frames.
    hmm : {'left-to-right', 'ergodic'}
        Transitions: to the same and the next state, or between all states.
    skips : bool
        Left-to-right HMMs may also skip a state.
    tied_states : int or None
        Number of densities shared by the states of all classes; none: one per state.
    variance_floor : float
        Smallest variance, as a fraction of the variance of all frames, >= 0.
    best_path : bool
        Score the most likely path only (Viterbi), not the sum over all paths.
    max_iter : int
        Maximum number of iterations of Baum-Welch, >= 1.
    tol : float
        Stop when the log-likelihood per frame improves by less than this.
    priors : {'train', 'equal'}
        Prior probability of each class: equal, or its share of the train tracks.

    References
    ----------
    Rabiner (1989), A tutorial on hidden Markov models and selected applications in speech
    recognition; Young, Odell & Woodland (1994), Tree-based state tying for high accuracy acoustic
    modelling.
    """

    lowest: ClassVar[float] = -1e6
    highest: ClassVar[float] = 1e6
    threshold: float = 0.0
    unknown_labels = "refused"
    in_order = True

    def __init__(
        self,
        *,
        states: int = 5,
        mixtures: int = 4,
        hmm: Topology = "left-to-right",
        skips: bool = False,
        tied_states: int | None = None,
        variance_floor: float = 0.01,
        best_path: bool = False,
        max_iter: int = 20,
        tol: float = 0.001,
        scale: bool = True,
        priors: Literal["train", "equal"] = "train",
        random_state: int = 0,
    ) -> None:
        self.states = states
        self.mixtures = mixtures
        self.hmm = hmm
        self.skips = skips
        self.tied_states = tied_states
        self.variance_floor = variance_floor
        self.best_path = best_path
        self.max_iter = max_iter
        self.tol = tol
        self.scale = scale
        self.priors = priors
        self.random_state = random_state

    def scores_of(self, tracks: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Return the scores of each track, ``(1, n_labels)``."""
        check_is_fitted(self)
        X = validate_data(self, np.concatenate(tracks), reset=False, dtype=np.float64)
        found = self._scores_of_tracks(self._scaled(X), [len(rows) for rows in tracks])
        return list(self._of_all_labels(found)[:, None])

    def align(self, rows: np.ndarray, label: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the best path through the HMM of a label, and the posteriors of its states.

        See `mcls.hmm.alignment.path_and_posteriors`.

        Raises
        ------
        ConfigError
            If the label has no HMM.
        """
        known = self.hmm_labels.tolist()
        if label not in known:
            raise ConfigError("the label has no HMM, as no train track has it, or all have it")
        hmms, densities = self.emissions(rows)
        return path_and_posteriors(hmms, known.index(label), densities)

    @property
    def hmm_labels(self) -> np.ndarray:
        """The label of each HMM; of multi-label data, of each of the first half."""
        return np.asarray(self.classes_[self.known_])

    def emissions(self, rows: np.ndarray) -> tuple[HMMs, np.ndarray]:
        """Return the HMMs, and the log density of each row in each of their densities.

        Parameters
        ----------
        rows : np.ndarray, shape (n_rows, n_dims)
        """
        check_is_fitted(self)
        X = validate_data(self, rows, reset=False, dtype=np.float64)
        densities = Mixtures.from_arrays(self.arrays_).log_densities(self._scaled(X))
        return HMMs.from_arrays(self.arrays_), densities

    def state_posteriors(self, rows: np.ndarray) -> np.ndarray:
        """Return the probability of each state in each row, given the whole track.

        The posterior of a state within its HMM, times that of the HMM: that of its class, or for
        multi-label data that of the label, and of its absence for the second half of the HMMs.

        Parameters
        ----------
        rows : np.ndarray, shape (n_rows, n_dims)
            The rows of one track.

        Returns
        -------
        np.ndarray, shape (n_rows, n_states), float64
            All states of the first HMM, those of the second one, and so on; tied states are one.
            A row adds up to 1, of multi-label data to the number of labels that vary.
        """
        hmms, densities = self.emissions(rows)
        log_odds = self._scores_of_densities(densities, [len(rows)])[0] * len(rows)
        of_models = (
            expit(np.concatenate([log_odds, -log_odds])) if self.multi_label_ else np.exp(log_odds)
        )
        return state_posteriors(hmms, densities, of_models)

    def rows_used(self, n_rows: int, n_valid: int = 0) -> tuple[int, list[str]]:
        """Return the number of rows, and a note about tracks that are shorter than an HMM."""
        if not self.n_short_:
            return n_rows, []
        return n_rows, [
            f"{self.n_short_} train tracks have fewer rows than an HMM has states ({self.states}), "
            "so they reach its first states only"
        ]

    def bytes_in_memory(self, n_rows: int, n_dims: int, n_labels: int) -> int:
        """Return an upper bound of the bytes that learning takes with all rows in memory."""
        rows = super().bytes_in_memory(n_rows, n_dims, n_labels)
        return rows + n_rows * 8 * (2 * n_dims + 4 * self.states * self.mixtures)

    def _fit(self, X: np.ndarray, Y: np.ndarray, *, lengths: np.ndarray, **_: Any) -> None:
        offsets = offsets_of(lengths)
        everything = Sequences(X, offsets)
        labels = Y[offsets[:-1]]
        share = labels.mean(axis=0)
        members = [*labels.T, *(~labels.T if self.multi_label_ else ())]
        hmms, mixtures, history = fit_gmm_hmms(
            [everything.of(tracks) for tracks in members], self._options()
        )
        self.arrays_ = {**hmms.arrays(), **mixtures.arrays()}
        self.history_ = np.array(history)
        self.n_iter_ = len(history)
        reach = 2 if self.skips else 1
        fewest = 1 if self.hmm == "ergodic" else 1 + -(-(self.states - 1) // reach)
        self.n_short_ = int((lengths < fewest).sum())
        odds = share / (1 - share) if self.multi_label_ else share
        self.log_prior_ = np.log(odds) if self.priors == "train" else np.zeros(len(share))

    def _scores(self, X: np.ndarray) -> np.ndarray:
        return self._scores_of_tracks(X, [1] * len(X))

    def _scores_of_tracks(self, X: np.ndarray, lengths: Sequence[int]) -> np.ndarray:
        """Return the scores ``(n_tracks, n_labels)`` of tracks of scaled rows."""
        densities = Mixtures.from_arrays(self.arrays_).log_densities(X)
        return self._scores_of_densities(densities, lengths)

    def _scores_of_densities(self, densities: np.ndarray, lengths: Sequence[int]) -> np.ndarray:
        found = log_likelihoods(
            HMMs.from_arrays(self.arrays_), densities, offsets_of(lengths), best_path=self.best_path
        )
        if self.multi_label_:
            with_, without = np.split(found, 2, axis=1)
            found = with_ - without + self.log_prior_
        else:
            found = found + self.log_prior_
            found -= logsumexp(found, axis=1, keepdims=True)
        return np.asarray(found / np.array(lengths)[:, None])

    def _options(self) -> GMMHMMOptions:
        return GMMHMMOptions(
            states=self.states,
            mixtures=self.mixtures,
            topology=self.hmm,
            skips=self.skips,
            tied_states=self.tied_states,
            variance_floor=self.variance_floor,
            max_iter=self.max_iter,
            tol=self.tol,
            random_state=self.random_state,
        )
