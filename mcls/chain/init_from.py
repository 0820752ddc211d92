"""What a net is initialised from (``--init``): a dictionary, or nets trained before.

A dictionary (DBN, RBM or autoencoder) gives the first layers; a net gives the layers whose names
the new net has, too. The preprocessing that rows pass through before them comes with them. The
weights themselves are copied by `mcls.chain.init_weights`.
"""

from collections.abc import Sequence
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np

from mcls.chain.net import net_step
from mcls.disk.chain import Chain, Step, chain_digest, spell_chain
from mcls.disk.dictionary import read_dictionary
from mcls.disk.run import open_run
from mcls.disk.tensors import read_tensors
from mcls.errors import ConfigError
from mcls.stores.store import Store

#: Hidden units of an RBM, and the nonlinearity that gives their mean.
_NONLINEARITIES = {"binary": "sigmoid", "relu": "relu"}


def read_init(
    paths: Sequence[Path | str], chain: Chain, store: Store
) -> tuple[Step | None, tuple[Step, ...]]:
    """Return the dictionary that a net is initialised from, and the nets.

    Parameters
    ----------
    paths : sequence of path
        One dictionary file, or one or several run folders of nets.
    chain : Chain
        The chain of the rows that the new net is trained on.
    store : Store
        The store, for messages.

    Raises
    ------
    ConfigError
        If dictionaries and runs are mixed, there are several dictionaries, or one has no layers
        or was learnt from other rows.
    """
    folders = [Path(path).is_dir() for path in paths]
    if all(folders):
        return None, tuple(_read_net(path, chain, store) for path in paths)
    if len(paths) > 1:
        raise ConfigError(
            f"--init {' --init '.join(map(str, paths))}: give one dictionary, or one or several "
            "runs of nets, but not both"
        )
    return _read_dictionary(paths[0], chain, store), ()


def _read_net(path: Path | str, chain: Chain, store: Store) -> Step:
    run = open_run(path)
    if run.net_file is None:
        raise ConfigError(
            f"--init {path}: its model is {run.settings['train']['model']!r}, which has no layers; "
            "give a run of a net (mcls list nets)"
        )
    _refuse_other_rows(path, run.chain(), chain, store)
    return net_step(*read_tensors(run.net_file), ["all"])


def _read_dictionary(path: Path | str, chain: Chain, store: Store) -> Step:
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
        raise ConfigError(
            f"--init {path}: was learnt from other rows ({spell_chain(learnt_from)}, with its "
            f"settings) than those of {store.path} that the net would read "
            f"({spell_chain(chain)}); compare the settings with mcls info"
        )


def layer_arrays(step: Step) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return weights ``(n_units, n_inputs)`` and biases of each layer of a dictionary."""
    arrays = step.arrays
    if "weights" in arrays and "biases" in arrays and "gains" not in arrays:
        return [(arrays["weights"], arrays["biases"])]
    found: list[tuple[np.ndarray, np.ndarray]] = []
    for i in count(1):
        if f"weights_{i}" not in arrays or f"biases_{i}" not in arrays:
            break
        found.append((arrays[f"weights_{i}"], arrays[f"biases_{i}"]))
    return found


def mlp_settings(step: Step) -> dict[str, Any]:
    """Return the settings of ``mlp`` that fit the layers of a dictionary."""
    method, encoder = step.settings["method"], step.settings["encoder_settings"]
    settings: dict[str, Any] = {"layers": tuple(len(biases) for _, biases in layer_arrays(step))}
    hidden = _NONLINEARITIES.get(method.get("hidden", ""))
    nonlinearity = encoder.get("nonlinearity", hidden)
    if nonlinearity in ("sigmoid", "relu", "tanh"):
        settings["nonlinearity"] = nonlinearity
    return settings
