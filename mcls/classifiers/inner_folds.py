"""Folds of the train part on which settings are chosen, if there is no valid part."""

import warnings
from typing import Any

import numpy as np
from sklearn.model_selection import GroupKFold, KFold, StratifiedGroupKFold

#: Number of folds.
N_INNER_FOLDS = 5


def inner_folds(
    Y: np.ndarray, groups: np.ndarray | None, *, single_label: bool, random_state: int | None
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Split training rows into folds to choose settings on, by group and stratified if possible.

    Parameters
    ----------
    Y : np.ndarray, shape (n_rows, n_labels) bool
        Labels.
    groups : np.ndarray, shape (n_rows,), or None
        Group of each row; None: each row is a group of its own. Rows of a group are never split.
    single_label : bool
        True if each row has exactly one label, which allows stratification.
    random_state : int or None
        Random seed of the shuffle.

    Returns
    -------
    list of (train, test) row indices
        Up to ``N_INNER_FOLDS`` folds; empty if there are too few groups or rows to split.
    """
    if groups is None:
        groups = np.arange(len(Y))
    alone = len(np.unique(groups)) == len(groups)
    if single_label:
        kinds = Y.argmax(axis=1)
        per_class = [len(np.unique(groups[kinds == k])) for k in np.unique(kinds)]
        n_folds = min(N_INNER_FOLDS, max(per_class))
    else:
        kinds = np.zeros(len(Y), dtype=int)
        n_folds = min(N_INNER_FOLDS, len(np.unique(groups)))
    if n_folds < 2:
        return []
    shuffled: dict[str, Any] = {"n_splits": n_folds, "shuffle": True, "random_state": random_state}
    if single_label:
        maker = StratifiedGroupKFold(**shuffled)
    else:
        maker = KFold(**shuffled) if alone else GroupKFold(**shuffled)
        groups = None if alone else groups
    with warnings.catch_warnings():
        # A class with fewer groups than folds is missing from some folds, which is harmless.
        warnings.filterwarnings("ignore", "The least populated class", UserWarning)
        return [(train, test) for train, test in maker.split(Y, kinds, groups) if len(test)]
