"""Gaussian mixture models, one per class."""

from typing import Any, ClassVar, Literal

import numpy as np
from scipy.special import logsumexp
from sklearn.mixture import GaussianMixture

from mcls.classifiers.base import RowClassifier
from mcls.registry import register


@register("classifiers", "gmm", reads="frames")
class GaussianMixtures(RowClassifier):
    """Gaussian mixture model with diagonal covariances, one per class.

    It is meant for frames: the score of a row is the log posterior of each class, so the mean over
    the rows of a track is the usual sum of log-likelihoods, comparable between tracks. For
    multi-label data the score is the log odds of a label, from a mixture for the rows with the
    label and one for the rows without.

    Parameters
    ----------
    n_components : int
        Number of Gaussians per class, >= 1; at most one per row of the class.
    reg_covar : float
        Constant added to the variances, >= 0.
    max_iter : int
        Maximum number of iterations of expectation-maximisation.
    priors : {'train', 'equal'}
        Prior probability of each class: equal, or its share of the train part.

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

    def bytes_in_memory(self, n_rows: int, n_dims: int, n_labels: int) -> int:
        """Return an upper bound of the bytes that learning takes with all rows in memory."""
        rows = super().bytes_in_memory(n_rows, n_dims, n_labels)
        return rows + n_rows * 8 * (2 * n_dims + 4 * self.n_components)

    def _fit(self, X: np.ndarray, Y: np.ndarray, **_: Any) -> None:
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
        if len(rows) == 1:  # scikit-learn requires two rows
            rows = rows.repeat(2, axis=0)
        return GaussianMixture(
            n_components=n_components,
            covariance_type="diag",
            reg_covar=self.reg_covar,
            max_iter=self.max_iter,
            random_state=self.random_state,
        ).fit(rows)
