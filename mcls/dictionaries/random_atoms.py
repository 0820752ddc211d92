"""Random atoms: the baseline for dictionaries that learn."""

from typing import Any, Literal, Self

import numpy as np
from sklearn.utils import check_random_state

from mcls.dictionaries.batches import Source, draw
from mcls.dictionaries.learner import Dictionary
from mcls.dictionaries.spherical_kmeans import beyond, unit_rows
from mcls.registry import register


@register("dictionaries", "random", encoder="soft-threshold")
class RandomAtoms(Dictionary):
    """Random atoms: the baseline that every learnt dictionary is compared with.

    It is encoded by soft-threshold: a code depends on one atom alone, so a table of methods under
    this encoder compares atoms and nothing else. Triangle codes depend on all other atoms too.

    Parameters
    ----------
    n_atoms : int
        Number of atoms.
    kind : {'rows', 'gaussian'}
        Kind of atoms: train rows scaled to norm 1, or Gaussian random directions.
    alpha : float
        Threshold of the encoder soft-threshold, at least 0.
    random_state : int or None
        Random seed.

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

    def fit_batches(self, source: Source) -> Self:
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
        self._check_settings()
        rng = check_random_state(self.random_state)
        drawn, _ = draw(source(), self.n_atoms, rng)
        if self.kind == "gaussian":
            drawn = drawn[:0]
        self.n_features_in_ = drawn.shape[1]
        others = rng.normal(size=(self.n_atoms - len(drawn), drawn.shape[1])).astype(np.float32)
        self.components_ = unit_rows(np.concatenate([drawn, others]))
        self.history_ = []
        return self

    def encoder_settings(self) -> dict[str, Any]:
        """Return the settings of the encoder ``soft-threshold`` that give ``transform``."""
        return {"alpha": self.alpha}

    def _codes(self, rows: np.ndarray) -> np.ndarray:
        return beyond(rows, self.components_, self.alpha)

    def _wrong(self) -> list[str]:
        if self.kind in ("rows", "gaussian"):
            return []
        return [f"kind={self.kind!r} must be rows or gaussian"]
