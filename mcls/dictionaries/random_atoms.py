"""Random atoms: what a dictionary gives before anything is learnt."""

from collections.abc import Callable, Iterable
from typing import Any, Literal, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import Tags, check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from mcls.dictionaries.batches import draw
from mcls.dictionaries.spherical_kmeans import beyond, unit_rows
from mcls.errors import ConfigError
from mcls.registry import register


@register("dictionaries", "random", encoder="soft-threshold")
class RandomAtoms(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """Atoms drawn at random: the control that every learnt dictionary is measured against.

    It is encoded by soft-threshold: a code depends on one atom alone, so a table of methods under
    this encoder compares atoms and nothing else. Triangle codes depend on all other atoms too.

    Parameters
    ----------
    n_atoms : int
        Atoms.
    kind : {'rows', 'gaussian'}
        rows: rows of the train part, scaled to norm 1; gaussian: directions drawn evenly.
    alpha : float
        Threshold of the encoder soft-threshold, 0 or more.
    random_state : int or None
        Seed of the draw.

    Attributes
    ----------
    components_ : np.ndarray, shape (n_atoms, n_dims), float32
        The atoms, of norm 1. Rows of zeros are not drawn; where there are fewer others than atoms,
        gaussian ones make up the number.
    history_ : list of dict
        Empty: nothing is learnt.

    References
    ----------
    A. Coates, A. Ng, "The importance of encoding versus training with sparse coding and vector
    quantization", ICML 2011: ``R`` (gaussian) and ``RP`` (rows) there.

    Examples
    --------
    >>> rows = np.random.default_rng(0).normal(size=(50, 8)).astype(np.float32)
    >>> RandomAtoms(n_atoms=16, random_state=0).fit(rows).transform(rows).shape
    (50, 16)
    """

    def __init__(
        self,
        *,
        n_atoms: int = 256,
        kind: Literal["rows", "gaussian"] = "rows",
        alpha: float = 0.5,
        random_state: int | None = None,
    ) -> None:
        self.n_atoms = n_atoms
        self.kind = kind
        self.alpha = alpha
        self.random_state = random_state

    def fit(self, X: np.ndarray, y: Any = None) -> Self:
        """Draw the atoms.

        Parameters
        ----------
        X : np.ndarray, shape (n_rows, n_dims)
            Rows.
        y : ignored
        """
        X = validate_data(self, X, dtype=np.float32, order="C")
        return self.fit_batches(lambda: [X])

    def fit_batches(self, source: Callable[[], Iterable[np.ndarray]]) -> Self:
        """Draw the atoms from batches, in one pass.

        Parameters
        ----------
        source : callable
            ``source()`` yields the rows, in arrays of any length.

        Raises
        ------
        ConfigError
            If a setting is wrong.
        DataError
            If there are no rows, or rows of different lengths.
        """
        if self.n_atoms < 1 or self.kind not in ("rows", "gaussian"):
            raise ConfigError(
                f"random: n_atoms={self.n_atoms}, kind={self.kind!r}; expected 1 or more, and rows "
                "or gaussian"
            )
        rng = check_random_state(self.random_state)
        drawn, _ = draw(source(), self.n_atoms, rng)
        if self.kind == "gaussian":
            drawn = drawn[:0]
        self.n_features_in_ = drawn.shape[1]
        others = rng.normal(size=(self.n_atoms - len(drawn), drawn.shape[1])).astype(np.float32)
        self.components_ = unit_rows(np.concatenate([drawn, others]))
        self.history_: list[dict[str, float]] = []
        return self

    def transform(self, X: np.ndarray) -> np.ndarray:
        """Return soft-threshold codes, ``(n_rows, n_atoms)`` float32."""
        check_is_fitted(self)
        X = validate_data(self, X, dtype=np.float32, order="C", reset=False)
        return beyond(X, self.components_, self.alpha)

    def arrays(self) -> dict[str, np.ndarray]:
        """Return what encoders need: ``atoms``, ``(n_atoms, n_dims)`` float32."""
        return {"atoms": self.components_}

    def encoder_settings(self) -> dict[str, Any]:
        """Return the settings of the encoder ``soft-threshold`` that give ``transform``."""
        return {"alpha": self.alpha}

    @property
    def _n_features_out(self) -> int:
        return len(self.components_)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags
