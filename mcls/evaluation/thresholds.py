"""The score from which each label is predicted, for data with several labels per track."""

import numpy as np

#: Labels with fewer positive tracks keep the common threshold: their best one would be chance.
MIN_POSITIVES = 5


def best_thresholds(
    truth: np.ndarray, scores: np.ndarray, *, default: float, unknown: np.ndarray | None = None
) -> np.ndarray:
    """Return the threshold of each label with the highest F1 [1]_.

    Parameters
    ----------
    truth : np.ndarray, shape (n_tracks, n_labels), bool
        The true labels of tracks that the model has not learnt from.
    scores : np.ndarray, shape (n_tracks, n_labels)
        Their scores.
    default : float
        The threshold of labels that fewer than `MIN_POSITIVES` tracks have, or all tracks.
    unknown : np.ndarray, shape (n_tracks, n_labels), bool, or None
        Labels that are unknown; these tracks do not count for them.

    Returns
    -------
    np.ndarray, shape (n_labels,), float64
        Halfway between the scores that the best cut divides; of several best cuts the one that
        predicts the label for the fewest tracks.

    References
    ----------
    .. [1] Z. C. Lipton, C. Elkan, B. Naryanaswamy, "Optimal thresholding of classifiers to maximize
       F1 measure", ECML PKDD 2014.

    Examples
    --------
    >>> truth = np.array([[1], [1], [1], [1], [0], [1], [0], [0]], dtype=bool)
    >>> scores = np.array([[0.9], [0.8], [0.7], [0.6], [0.5], [0.4], [0.3], [0.2]])
    >>> best_thresholds(truth, scores, default=0.5)
    array([0.35])
    """
    found = np.full(truth.shape[1], default, dtype=np.float64)
    for label in range(truth.shape[1]):
        rows = slice(None) if unknown is None else ~unknown[:, label]
        own, of_label = truth[rows, label], scores[rows, label]
        n_positive = own.sum()
        if not MIN_POSITIVES <= n_positive < len(own):
            continue
        order = np.argsort(-of_label, kind="stable")
        ranked = of_label[order]
        hits = np.cumsum(own[order])
        f1 = 2 * hits / (np.arange(1, len(ranked) + 1) + n_positive)
        next_lower = np.append(ranked[1:], ranked[-1])
        cuts = np.flatnonzero(np.append(ranked[:-1] > ranked[1:], True))
        best = cuts[np.argmax(f1[cuts])]
        found[label] = (ranked[best] + next_lower[best]) / 2
    return found
