"""Decoders: codes in, rows out, the way back of an encoder.

An encoder names its decoder in its fact ``decoder``; without one, its codes do not tell the row.
Rows are those that were encoded, so after the dictionary's preprocessing; see
`mcls.dictionaries.preprocessing.Preprocessing.inverse` for the rest of the way.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from scipy.special import expit

from mcls.dictionaries.gibbs import layers_of
from mcls.dictionaries.rbm_units import means
from mcls.errors import ConfigError
from mcls.parallel.threads import one_blas_thread
from mcls.registry import entries, find

Arrays = Mapping[str, np.ndarray]
Settings = Mapping[str, Any]


def decode(
    codes: np.ndarray, arrays: Arrays, *, encoder: str, settings: Settings, method: Settings
) -> np.ndarray:
    """Return the rows that codes stand for.

    Parameters
    ----------
    codes : np.ndarray, shape (n_rows, n_codes)
        Codes of the encoder.
    arrays : mapping of str to np.ndarray
        The dictionary's.
    encoder : str
        The encoder that made the codes.
    settings : mapping
        Its settings.
    method : mapping
        The settings with which the dictionary was learnt.

    Returns
    -------
    np.ndarray, shape (n_rows, n_dims)
        In the space of the preprocessed rows: the weighted sum of the atoms for a linear model, the
        means of the visible units for a Boltzmann machine.

    Raises
    ------
    ConfigError
        If codes of the encoder cannot be decoded.
    """
    name = find("encoders", encoder).facts.get("decoder")
    if name is None:
        able = ", ".join(
            one for one, entry in entries("encoders").items() if "decoder" in entry.facts
        )
        raise ConfigError(
            f"codes of the encoder {encoder} cannot be turned back into rows; choose another "
            f"encoder ({able})"
        )
    if settings.get("split_signs"):
        half = codes.shape[1] // 2
        codes = codes[:, :half] - codes[:, half:]
    with one_blas_thread():  # the same bytes for any number of threads
        return DECODERS[name](codes, arrays, settings, method)


def _linear(codes: np.ndarray, arrays: Arrays, settings: Settings, method: Settings) -> np.ndarray:
    """Return the sums of the atoms, weighted by the codes."""
    return codes @ arrays["atoms"]


def _hidden(codes: np.ndarray, arrays: Arrays, settings: Settings, method: Settings) -> np.ndarray:
    """Decode hidden units of an RBM, an auto-encoder or PSD."""
    if "visible_biases" in arrays:
        return means(codes @ arrays["weights"] + arrays["visible_biases"], method["visible"])
    if "gains" in arrays:
        return codes @ arrays["atoms"]
    if "offsets" not in arrays:
        raise ConfigError(
            "this auto-encoder was learnt by an older version, which did not keep the offsets of "
            "its reconstructions; learn it again"
        )
    return codes @ arrays["atoms"] + arrays["offsets"]


def _layers(codes: np.ndarray, arrays: Arrays, settings: Settings, method: Settings) -> np.ndarray:
    """Pass the units of a layer of a deep belief network down; of all layers, the uppermost."""
    layers = layers_of(arrays)
    layer = settings.get("layer", "last")
    top = layer if isinstance(layer, int) else len(layers)
    units = codes[:, -len(layers[top - 1][1]) :]
    for i in range(top - 1, -1, -1):
        weights, _, visible_biases = layers[i]
        kind = method["hidden"] if i else method["visible"]
        units = means(units @ weights + visible_biases, kind)
    return units


def _latent(codes: np.ndarray, arrays: Arrays, settings: Settings, method: Settings) -> np.ndarray:
    """Decode the latent variables of a variational auto-encoder."""
    hidden = codes @ arrays["decoder_weights"].T + arrays["decoder_biases"]
    functions: dict[str, Callable[[np.ndarray], np.ndarray]] = {
        "tanh": np.tanh,
        "sigmoid": expit,
        "relu": lambda x: np.maximum(x, 0),
    }
    hidden = functions[method["nonlinearity"]](hidden)
    return hidden @ arrays["output_weights"].T + arrays["output_biases"]


#: Decoders by the fact ``decoder`` of an encoder.
DECODERS: dict[str, Callable[[np.ndarray, Arrays, Settings, Settings], np.ndarray]] = {
    "linear": _linear,
    "hidden": _hidden,
    "layers": _layers,
    "latent": _latent,
}
