"""Dictionary steps: frames are preprocessed and encoded with learnt atoms."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from mcls.chain.step import Kind, RowAxes, RowsAndRate
from mcls.dictionaries.decoders import decode
from mcls.dictionaries.preprocessing import Preprocessing, join_frames
from mcls.disk.chain import Step
from mcls.parallel.threads import one_blas_thread
from mcls.plots.atom_space import atoms_in
from mcls.plots.axes import DimensionAxis, centre, in_order
from mcls.registry import find, register

if TYPE_CHECKING:
    from torch import nn

#: Rows that are encoded at once.
_BLOCK = 1 << 14


@register("steps", "dictionary", needs=("encoder", "encoder_settings", "context", "atoms"))
class DictionaryKind(Kind):
    """Encodes frames with the atoms of a dictionary."""

    noun = "dictionary"

    def apply(self, step: Step, inputs: Sequence[RowsAndRate]) -> RowsAndRate:
        """Encode the rows of a track."""
        rows, frame_rate = inputs[0]
        return encode_rows(rows, step), frame_rate

    def axes(self, step: Step, inputs: Sequence[RowAxes], sr: int | None) -> RowAxes:
        """Number the codes; a code of several frames stands at their middle."""
        before = inputs[0]
        shift = (step.settings["context"] - 1) / 2 * (before.hop or 0.0)
        order = _by_centre_frequency(step, before.dimensions)
        name = "code" if order is None else "code, by centre frequency"
        axis = DimensionAxis(name, len(step.arrays["atoms"]))
        return RowAxes(axis, before.hop, before.start + shift, "code", True, order)

    def graph(self, step: Step, sr: int | None) -> "nn.Module":
        """Return the preprocessing and the encoder as a torch module."""
        from mcls.export.rows_graph import DictionaryGraph

        settings = step.settings
        encoder, own = settings["encoder"], settings["encoder_settings"]
        return DictionaryGraph(step.arrays, encoder, own, settings["context"])

    def title(self, step: Step, n_dims: int) -> str:
        """Name the dictionary and its encoder."""
        return f"{n_dims} codes: {step.name}, encoder {step.settings['encoder']}"


def encode_rows(rows: np.ndarray, step: Step) -> np.ndarray:
    """Encode the rows of one track with a dictionary step.

    Parameters
    ----------
    rows : np.ndarray, shape (n_rows, n_dims)
        Rows of the feature.
    step : Step
        A step of kind ``dictionary``, with an encoder.

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


def reconstruct_rows(rows: np.ndarray, step: Step) -> np.ndarray:
    """Encode the rows of one track with a dictionary step, and decode the codes.

    Parameters
    ----------
    rows : np.ndarray, shape (n_rows, n_dims)
        Rows of the feature.
    step : Step
        A step of kind ``dictionary``, with an encoder.

    Returns
    -------
    np.ndarray, shape (n_rows - context + 1, context * n_dims), float64
        In the units of the feature, with the frames still joined; see `part_frames`.

    Raises
    ------
    ConfigError
        If codes of the encoder cannot be decoded.
    """
    settings = step.settings
    prepared = decode(
        encode_rows(rows, step),
        step.arrays,
        encoder=settings["encoder"],
        settings=settings["encoder_settings"],
        method=settings["method"],
    )
    with one_blas_thread():
        return Preprocessing.from_arrays(step.arrays).inverse(prepared.astype(np.float64))


def patches_of(atoms: np.ndarray, step: Step) -> np.ndarray:
    """Return atoms as patches of the frames that were joined, ``(n_atoms, n_frames, n_dims)``."""
    return atoms.reshape(len(atoms), step.settings["context"], -1)


def _by_centre_frequency(step: Step, axis: DimensionAxis) -> np.ndarray | None:
    """Return the order of the atoms by centre frequency; None where rows are no frequencies."""
    if axis.frequencies is None:
        return None
    patches = patches_of(atoms_in("standardized", step.arrays), step)
    return None if patches.shape[2] != axis.n_dims else in_order(centre(patches, axis))
