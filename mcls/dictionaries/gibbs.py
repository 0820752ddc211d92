"""Samples of what an RBM or a deep belief network has learnt, by Gibbs sampling.

The chain runs between the two uppermost layers: hidden units are drawn given visible ones, and the
other way round. Its last state then passes down through the layers below, each drawn given the one
above; of the lowest, the visible units, the means are returned.

References
----------
G. Hinton, S. Osindero, Y. Teh, "A fast learning algorithm for deep belief nets", Neural Computation
18, 2006: section 6. Noisy rectified units: V. Nair, G. Hinton, "Rectified linear units improve
restricted Boltzmann machines", ICML 2010.
"""

from collections.abc import Mapping

import numpy as np
from scipy.special import expit

from mcls.dictionaries.rbm_units import means
from mcls.parallel.threads import one_blas_thread

#: Weights (n_hidden, n_visible), hidden biases and visible biases of a layer.
Layer = tuple[np.ndarray, np.ndarray, np.ndarray]


def layers_of(arrays: Mapping[str, np.ndarray]) -> list[Layer]:
    """Return the layers of an RBM or a DBN, lowest first; none of any other dictionary.

    Where a layer has generative weights of its own, they are returned: layers below the top are
    only gone down.
    """
    names = ("weights", "biases", "visible_biases")
    found: list[Layer] = []
    while True:
        i = len(found) + 1
        here = [f"{name}_{i}" for name in names]
        if i == 1 and all(name in arrays for name in names):
            here = [*names]
        if not all(name in arrays for name in here):
            return found
        down = f"generative_{here[0]}"
        here[0] = down if down in arrays else here[0]
        weights, biases, visible = (arrays[name].astype(np.float64) for name in here)
        found.append((weights, biases, visible))


def gibbs_samples(
    layers: list[Layer],
    n_samples: int,
    *,
    visible: str,
    hidden: str,
    n_steps: int,
    rng: np.random.Generator,
) -> np.ndarray:
    """Draw rows, each from a chain of its own.

    Parameters
    ----------
    layers : list of Layer
        From `layers_of`; one or more.
    n_samples, n_steps : int
        Number of chains, and of steps of each, 1 or more.
    visible, hidden : {'gaussian', 'binary', 'relu'}
        Types of the visible units and of all hidden units.
    rng : np.random.Generator
        Draws the first states and all units.

    Returns
    -------
    np.ndarray, shape (n_samples, n_dims), float64
        Means of the visible units, in the space of the preprocessed rows.
    """
    weights, biases, visible_biases = layers[-1]
    below = visible if len(layers) == 1 else hidden
    with one_blas_thread():  # the same bytes for any number of threads
        units = _drawn(np.tile(visible_biases, (n_samples, 1)), below, rng)
        for _ in range(n_steps):
            above = _drawn(units @ weights.T + biases, hidden, rng)
            drive = above @ weights + visible_biases
            units = _drawn(drive, below, rng)
        for i in range(len(layers) - 2, -1, -1):
            drive = units @ layers[i][0] + layers[i][2]
            units = _drawn(drive, visible if i == 0 else hidden, rng)
    return means(drive, visible)


def _drawn(drive: np.ndarray, kind: str, rng: np.random.Generator) -> np.ndarray:
    """Draw units given their input with the bias added."""
    if kind == "binary":
        return (rng.random(drive.shape) < expit(drive)).astype(np.float64)
    noise = rng.standard_normal(drive.shape)
    if kind == "relu":
        return np.maximum(drive + np.sqrt(expit(drive)) * noise, 0)
    return drive + noise
