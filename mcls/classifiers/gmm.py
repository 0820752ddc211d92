"""Gaussian mixtures, one per class: the classifier of Tzanetakis & Cook."""

from typing import ClassVar, Literal

import numpy as np
from scipy.special import logsumexp
from sklearn.mixture import GaussianMixture

from mcls.classifiers.base import RowClassifier, Valid
from mcls.registry import register


@register("classifiers", "gmm")
class GaussianMixtures(RowClassifier):
    """One Gaussian mixture with diagonal covariances per class.

    Meant for frames: the score of a row is the logarithm of the posterior probability of each
    class, so the mean over a track's rows is the classic sum of log-likelihoods, made comparable
    between tracks. With several labels per row the score is the log odds of a label: a mixture for
    the rows with it against a mixture for the rows without.

    Parameters
    ----------
    n_components : int
        Gaussians per class, >= 1; one per row if the class has fewer rows.
    reg_covar : float
        Added to the variances, >= 0; rows are standardised first.
    max_iter : int
        Steps of expectation-maximisation at most.
    scale : bool
        Standardise each dimension.
    priors : {'train', 'equal'}
        How likely each class is beforehand: as frequent as in the train part, or all alike.
    random_state : int
        Of the starting points.

    References
    ----------
    Tzanetakis & Cook (2002), Musical genre classification of audio signals.
    """

    lowest: ClassVar[float] = -1e6
    highest: ClassVar[float] = 1e6
    threshold: float = 0.0

    def __init__(
        self,
        *,
        n_components: int = 8,
        reg_covar: float = 0.001,
        max_iter: int = 100,
        scale: bool = True,
        priors: Literal["train", "equal"] = "train",
        random_state: int = 0,
    ) -> None:
        self.n_components = n_components
        self.reg_covar = reg_covar
        self.max_iter = max_iter
        self.scale = scale
        self.priors = priors
        self.random_state = random_state

    def _fit(
        self,
        X: np.ndarray,
        Y: np.ndarray,
        *,
        weights: np.ndarray | None,
        groups: np.ndarray | None,
        valid: Valid | None,
    ) -> None:
        self.with_ = [self._mixture(X[column]) for column in Y.T]
        self.without_ = [self._mixture(X[~column]) for column in Y.T] if self.multi_label_ else []
        self.n_iter_ = max(mixture.n_iter_ for mixture in self.with_ + self.without_)
        share = Y.mean(axis=0)
        odds = share / (1 - share) if self.multi_label_ else share
        self.log_prior_ = np.log(odds) if self.priors == "train" else np.zeros(len(share))

    def _scores(self, X: np.ndarray) -> np.ndarray:
        scores = np.column_stack([mixture.score_samples(X) for mixture in self.with_])
        scores += self.log_prior_
        if self.multi_label_:
            return scores - np.column_stack([other.score_samples(X) for other in self.without_])
        return scores - logsumexp(scores, axis=1, keepdims=True)

    def _mixture(self, rows: np.ndarray) -> GaussianMixture:
        n_components = min(self.n_components, len(rows))
        if len(rows) == 1:  # scikit-learn wants two
            rows = rows.repeat(2, axis=0)
        return GaussianMixture(
            n_components=n_components,
            covariance_type="diag",
            reg_covar=self.reg_covar,
            max_iter=self.max_iter,
            random_state=self.random_state,
        ).fit(rows)
