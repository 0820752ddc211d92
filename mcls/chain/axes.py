"""What the rows of each step of a chain mean: frequencies, seconds, units."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from mcls.disk.chain import Chain, Step
from mcls.features.feature import Feature
from mcls.features.specs import FeatureSpec
from mcls.plots.atom_space import atoms_in
from mcls.plots.axes import DimsAxis, centre, feature_axis, in_order
from mcls.registry import find


@dataclass(frozen=True)
class Meaning:
    """What rows are.

    Parameters
    ----------
    axis : DimsAxis
        Of the dimensions.
    step : float or None
        Seconds from row to row; None if nobody knows, or a row is a whole track.
    start : float
        Seconds of the middle of the first row.
    unit : str
        Of the values.
    codes : bool
        Whether they are codes, or pooled codes.
    order : np.ndarray, shape (n_dims,), or None
        The order in which dimensions are best shown: codes by the centre frequency of their atoms.
    """

    axis: DimsAxis
    step: float | None
    start: float = 0.0
    unit: str = "value"
    codes: bool = False
    order: np.ndarray | None = None


def feature_of(step: Step, sr: int | None) -> Feature | None:
    """Build the feature of a step; None where it kept each file's own rate and `sr` is unknown.

    Settings of the step that belong to the extraction, such as the excerpt, are left out.

    Parameters
    ----------
    step : Step
        Of kind ``feature``.
    sr : int or None
        The rate of the file, in Hz, for a step that does not resample.
    """
    rate = step.settings.get("sr") or sr
    if rate is None:
        return None
    own = find("features", step.name).settings
    settings = {key: value for key, value in step.settings.items() if key in own}
    return FeatureSpec(step.name, step.name, settings).make(int(rate))


def meaning_of(chain: Chain, sr: int | None = None, n_dims: int | None = None) -> Meaning:
    """Return what the rows are that a chain ends in.

    Parameters
    ----------
    chain : Chain
        From the audio.
    sr : int or None
        See `feature_of`.
    n_dims : int or None
        How many dimensions they have, if that is known.
    """
    known: list[Meaning] = []
    for step in chain:
        known.append(next_meaning(step, [known[i] for i in step.inputs], sr))
    last = known[-1]
    if n_dims is not None and n_dims != last.axis.n_dims:
        return unknown_dims(last, chain[-1], n_dims)
    return last


def unknown_dims(meaning: Meaning, step: Step, n_dims: int) -> Meaning:
    """Return the meaning of rows whose dimensions are only counted."""
    return replace(meaning, axis=DimsAxis(f"{step.name} dimension", n_dims), order=None)


def next_meaning(step: Step, inputs: Sequence[Meaning], sr: int | None = None) -> Meaning:
    """Return what the rows of one step are, from what it reads.

    Parameters
    ----------
    step : Step
        The step.
    inputs : sequence of Meaning
        Of the rows it reads.
    sr : int or None
        See `feature_of`.
    """
    if step.kind == "feature":
        return _feature(step, sr)
    before = inputs[0]
    if step.kind == "dictionary":
        shift = (step.settings["context"] - 1) / 2 * (before.step or 0.0)
        n_atoms = len(step.arrays["atoms"])
        order = code_order(step, before.axis)
        name = "code" if order is None else "code, by centre frequency"
        start = before.start + shift
        return Meaning(DimsAxis(name, n_atoms), before.step, start, "code", True, order)
    if step.kind == "pool":
        window, hop = step.settings["window"], step.settings["hop"]
        if window is None or before.step is None:
            return replace(before, step=None, start=0.0)
        length = max(1, round(window / before.step))
        start = before.start + (length - 1) / 2 * before.step
        return replace(before, step=max(1, round(hop / before.step)) * before.step, start=start)
    n_dims = sum(one.axis.n_dims for one in inputs)
    codes = all(one.codes for one in inputs)
    return Meaning(DimsAxis("dimension", n_dims), before.step, before.start, "value", codes)


def code_order(step: Step, axis: DimsAxis) -> np.ndarray | None:
    """Return the atoms of a dictionary by centre frequency; None where there is none."""
    if axis.frequencies is None:
        return None
    patches = patches_of(atoms_in("standardized", step.arrays), step)
    return None if patches.shape[2] != axis.n_dims else in_order(centre(patches, axis))


def patches_of(atoms: np.ndarray, step: Step) -> np.ndarray:
    """Return atoms as patches of the frames that were joined, ``(n_atoms, n_frames, n_dims)``."""
    context = step.settings["context"]
    return atoms.reshape(len(atoms), context, -1)


def _feature(step: Step, sr: int | None) -> Meaning:
    unit = {"db": "dB", "log1p": f"log10(1 + {step.settings.get('gain', 10):g} x)"}.get(
        str(step.settings.get("compress")), "value"
    )
    feature = feature_of(step, sr)
    if feature is None:
        return Meaning(DimsAxis(f"{step.name} dimension", 0), None, unit=unit)
    axis = feature_axis(step.name, feature.n_dims, feature.axis, feature.delta)
    n_fft = 0 if getattr(feature, "center", True) else getattr(feature, "n_fft", 0)
    return Meaning(axis, 1 / feature.frame_rate, n_fft / 2 / feature.sr, unit)
