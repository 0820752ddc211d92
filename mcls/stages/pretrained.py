"""First layers of a net from a dictionary: a DBN's, an RBM's or an encoder's weights and biases.

What the dictionary does to rows before them (frames joined, standardised, whitened) is theirs, and
comes with them.
"""

from itertools import count
from pathlib import Path
from typing import Any

import numpy as np

from mcls.disk.chain import Chain, Step, chain_digest
from mcls.disk.dictionary import read_dictionary
from mcls.disk.store import Store
from mcls.errors import ConfigError

#: Hidden units of an RBM, and the nonlinearity that gives their mean.
_NONLINEARITIES = {"binary": "sigmoid", "relu": "relu"}


def first_layers(path: Path | str, chain: Chain, store: Store) -> Step:
    """Return the dictionary at `path`, to begin a net with.

    Parameters
    ----------
    path : path
        A dictionary file.
    chain : Chain
        What makes the rows that the net is trained on.
    store : Store
        For messages.

    Raises
    ------
    ConfigError
        If it has no layers, or was learnt from other rows.
    """
    kept = read_dictionary(path)
    if not layer_arrays(kept.step):
        raise ConfigError(
            f"--init {path}: a dictionary of {kept.step.name} has no layers of weights and biases; "
            "learn one with --method dbn, rbm or autoencoder"
        )
    if chain_digest(kept.chain[:-1]) != chain_digest(chain):
        learnt, here = (" > ".join(s.name for s in c) for c in (kept.chain[:-1], chain))
        raise ConfigError(
            f"--init {path}: was learnt from other rows ({learnt}, with its settings) than those "
            f"of {store.path} that the net would read ({here}); see mcls info for both"
        )
    return kept.step


def layer_arrays(step: Step) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return weights ``(n_units, n_inputs)`` and biases of each layer of a dictionary."""
    arrays = step.arrays
    if "weights" in arrays and "biases" in arrays and "gains" not in arrays:
        return [(arrays["weights"], arrays["biases"])]
    found: list[tuple[np.ndarray, np.ndarray]] = []
    for i in count(1):
        if f"weights_{i}" not in arrays or f"biases_{i}" not in arrays:
            return found
        found.append((arrays[f"weights_{i}"], arrays[f"biases_{i}"]))
    raise AssertionError("count has no end")


def layers_of(step: Step) -> dict[str, Any]:
    """Return settings of ``mlp`` that fit the layers of a dictionary."""
    method, encoder = step.settings["method"], step.settings["encoder_settings"]
    settings: dict[str, Any] = {"layers": tuple(len(biases) for _, biases in layer_arrays(step))}
    hidden = _NONLINEARITIES.get(method.get("hidden", ""))
    nonlinearity = encoder.get("nonlinearity", hidden)
    if nonlinearity in ("sigmoid", "relu", "tanh"):
        settings["nonlinearity"] = nonlinearity
    return settings
