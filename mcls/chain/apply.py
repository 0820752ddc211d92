"""Chains at work: from the rows of a track to the rows a chain ends in."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from mcls.dictionaries.preprocessing import Preprocessing, join_frames
from mcls.disk.chain import Chain, Step
from mcls.errors import DataError
from mcls.features.pooling import pool_of, pool_rows
from mcls.parallel.threads import one_blas_thread
from mcls.registry import find

#: Rows and their frame rate; None where a row is a whole track.
Timed = tuple[np.ndarray, float | None]

#: Rows that are encoded at once.
_BLOCK = 1 << 14


def apply_chain(chain: Chain, given: Mapping[int, Timed]) -> Timed:
    """Return the result of a chain for one track.

    Parameters
    ----------
    chain : Chain
        The last step is the result.
    given : mapping of int to (rows, frame rate)
        Rows that are there already, by the index of the step that makes them: of the feature
        steps, or of any later ones.

    Returns
    -------
    rows : np.ndarray, shape (n_rows, n_dims)
    frame_rate : float or None

    Raises
    ------
    DataError
        If branches that are put side by side have other numbers of rows.
    """
    done: dict[int, Timed] = dict(given)

    def result(i: int) -> Timed:
        if i not in done:
            done[i] = _apply(chain[i], [result(j) for j in chain[i].inputs])
        return done[i]

    return result(len(chain) - 1)


def encode_rows(rows: np.ndarray, step: Step) -> np.ndarray:
    """Encode the rows of one track by a dictionary step.

    Parameters
    ----------
    rows : np.ndarray, shape (n_rows, n_dims)
        Of the feature.
    step : Step
        Of kind ``dictionary``, with an encoder.

    Returns
    -------
    np.ndarray, shape (n_rows - context + 1, n_codes), float32
    """
    settings: Mapping[str, Any] = step.settings
    encoder = find("encoders", settings["encoder"]).load()
    preprocessing = Preprocessing.from_arrays(step.arrays)
    context = settings["context"]
    n_out = max(1, len(rows) - context + 1)
    blocks = []
    for start in range(0, n_out, _BLOCK):
        stop = min(start + _BLOCK, n_out)
        joined = join_frames(rows[start : stop + context - 1], context)
        with one_blas_thread():
            prepared = preprocessing.transform(joined)
            blocks.append(encoder(prepared, step.arrays, **settings["encoder_settings"]))
    return blocks[0] if len(blocks) == 1 else np.concatenate(blocks)


def _apply(step: Step, inputs: list[Timed]) -> Timed:
    if step.kind == "dictionary":
        rows, frame_rate = inputs[0]
        return encode_rows(rows, step), frame_rate
    if step.kind == "net":
        from mcls.chain.net import hidden_rows  # torch, where there is a net only

        return hidden_rows(*inputs[0], step)
    if step.kind == "scores":
        from mcls.chain.scores import score_rows  # scikit-learn, where there is a run only

        return score_rows(inputs[0][0], step), None
    if step.kind == "pool":
        return pool_rows(*inputs[0], pool_of(step.name, step.settings))
    if step.kind == "concat":
        counts = [len(rows) for rows, _ in inputs]
        if len(set(counts)) > 1:
            raise DataError(
                f"rows of several dictionaries cannot stand side by side: there are {counts} of "
                "them per track; pool them over the same windows, or over the whole track"
            )
        return np.concatenate([rows for rows, _ in inputs], axis=1), inputs[0][1]
    raise DataError(f"{step.kind} {step.name!r} reads audio; its rows were not given")
