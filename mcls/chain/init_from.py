"""Layers to begin with: of a dictionary (a DBN, an RBM, an encoder), or of nets trained before.

A dictionary gives the first layers, a net those whose names the new net has, too. What it does to
rows before them (frames joined, standardised, whitened) is theirs, and comes with them.
"""

from collections.abc import Sequence
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np

from mcls.disk.chain import Chain, Step, chain_digest
from mcls.disk.dictionary import read_dictionary
from mcls.disk.run import open_run
from mcls.disk.store import Store
from mcls.disk.tensors import read_tensors
from mcls.errors import ConfigError

#: Hidden units of an RBM, and the nonlinearity that gives their mean.
_NONLINEARITIES = {"binary": "sigmoid", "relu": "relu"}


def to_begin_with(
    paths: Sequence[Path | str], chain: Chain, store: Store
) -> tuple[Step | None, tuple[Step, ...]]:
    """Return the dictionary at the only path, or else the nets of runs.

    Parameters
    ----------
    paths : sequence of path
        A dictionary file, or one run folder or several.
    chain : Chain
        What makes the rows that the new net is trained on.
    store : Store
        For messages.

    Raises
    ------
    ConfigError
        If there are both, or several dictionaries, or one was learnt from other rows.
    """
    folders = [Path(path).is_dir() for path in paths]
    if all(folders):
        return None, tuple(_net_of(path, chain, store) for path in paths)
    if len(paths) > 1:
        raise ConfigError(
            f"--init {' --init '.join(map(str, paths))}: takes one dictionary, or runs of nets and "
            "nothing else"
        )
    return first_layers(paths[0], chain, store), ()


def _net_of(path: Path | str, chain: Chain, store: Store) -> Step:
    run = open_run(path)
    if run.net_file is None:
        raise ConfigError(
            f"--init {path}: its model is {run.settings['train']['model']!r}, which has no layers; "
            "give a run of a net (mcls list nets)"
        )
    _refuse_other_rows(path, run.chain(), chain, store)
    from mcls.chain.net import net_step

    return net_step(*read_tensors(run.net_file), ["all"])


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
    _refuse_other_rows(path, kept.chain[:-1], chain, store)
    return kept.step


def _refuse_other_rows(path: Path | str, learnt_from: Chain, chain: Chain, store: Store) -> None:
    if chain_digest(learnt_from) != chain_digest(chain):
        learnt, here = (" > ".join(s.name for s in c) for c in (learnt_from, chain))
        raise ConfigError(
            f"--init {path}: was learnt from other rows ({learnt}, with its settings) than those "
            f"of {store.path} that the net would read ({here}); see mcls info for both"
        )


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
