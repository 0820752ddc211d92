"""Plot samples that an RBM, a deep belief network or a variational auto-encoder draws."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mcls.audio.write import check_wav
from mcls.chain.dictionary import patches_of
from mcls.chain.step import RowAxes, axes_of
from mcls.dictionaries.decoders import decode
from mcls.dictionaries.gibbs import gibbs_samples, layers_of
from mcls.dictionaries.preprocessing import Preprocessing
from mcls.disk.chain import Step, spell_chain
from mcls.disk.dictionary import read_dictionary
from mcls.errors import ConfigError, suggest
from mcls.inspection.row_audio import audible, write_rows
from mcls.plots.dictionary import draw_dictionary
from mcls.plots.maps import draw_maps
from mcls.plots.page import Figure

#: Gibbs steps of a chain where none are given.
_STEPS = 1000


def plot_samples(
    path: Path,
    *,
    samples: int,
    steps: int | None = None,
    label: str | None = None,
    audio: Path | None = None,
) -> tuple[Figure, str]:
    """Plot samples of a dictionary, in the units of the feature.

    Parameters
    ----------
    path : Path
        An RBM, a DBN or a variational auto-encoder.
    samples : int
        Number of samples (seed 0), of a Boltzmann machine each from a Gibbs chain of its own.
    steps : int or None
        Steps of each chain; None: 1000.
    label : str or None
        Label that the samples are given, of a DBN that was learnt with labels; None: all labels in
        turn.
    audio : Path or None
        A WAV file to write the samples to, one after the other.

    Returns
    -------
    page : Figure
    shows : str

    Raises
    ------
    ConfigError
        If the dictionary is no generative model, has no such label, a number is below 1, or its
        rows cannot be turned back into audio.
    """
    if samples < 1 or (steps is not None and steps < 1):
        raise ConfigError(f"samples={samples}, steps={steps}; expected 1 or more of each")
    kept = read_dictionary(path)
    feature = None
    if audio is not None:
        check_wav(audio)
        feature = audible(kept.chain[:-1], None)
    given = _labels(kept.step, path, samples, label)
    rows, how = _drawn(kept.step, path, samples, steps, given)
    patches = patches_of(Preprocessing.from_arrays(kept.step.arrays).inverse(rows), kept.step)
    axes = axes_of(kept.chain[:-1], n_dims=patches.shape[2])
    shows = f"{samples} sample{'s' * (samples > 1)} {how}"
    title = f"{shows}, {spell_chain(kept.chain)}"
    names = [f"sample {i + 1}" for i in range(samples)] if given is None else given
    page = _page(patches, axes, title, names)
    if audio is not None and feature is not None:
        shows += f"; {write_rows(audio, feature, [*patches])}"
    return page, shows


def _labels(step: Step, path: Path, samples: int, label: str | None) -> list[str] | None:
    """Return the label that each sample is given; None of a dictionary without labels."""
    known: list[str] = step.settings.get("labels", [])
    if not known:
        if label is not None:
            raise ConfigError(
                f"--label {label}: {path} was learnt without labels; learn a dbn with -p up_down=10"
            )
        return None
    if label is None:
        return [known[i % len(known)] for i in range(samples)]
    if label not in known:
        raise ConfigError(f"--label {label}: {suggest(label, known)}")
    return [label] * samples


def _page(patches: np.ndarray, axes: RowAxes, title: str, names: list[str]) -> Figure:
    """Draw patches of frames as images on one scale, and single frames as columns."""
    n_frames = patches.shape[1]
    if n_frames > 1:
        seconds = n_frames * (axes.hop or 1.0)
        signed = axes.dimensions.frequencies is None
        return draw_maps([*patches], names, axes.dimensions, seconds, title=title, signed=signed)
    order = "each drawn on its own"
    return draw_dictionary(patches, axes.dimensions, unit=axes.unit, order=order, title=title)


def _drawn(
    step: Step, path: Path, samples: int, steps: int | None, given: list[str] | None
) -> tuple[np.ndarray, str]:
    """Return samples in the space of the preprocessed rows, and how they were drawn."""
    rng, arrays = np.random.default_rng(0), step.arrays
    method: Mapping[str, Any] = step.settings["method"]
    layers = layers_of(arrays)
    if layers:
        n_steps = steps or _STEPS
        shows = f"after {n_steps} Gibbs steps"
        if given is not None:  # a label that is given moves the biases of the top units
            weights, biases, below = layers[-1]
            places = [step.settings["labels"].index(name) for name in given]
            layers[-1] = (weights, biases + arrays["label_weights"].T[places], below)
            shows += f" given {given[0]}" if len(set(given)) == 1 else " given the labels in turn"
        units = {"visible": method["visible"], "hidden": method["hidden"]}
        rows = gibbs_samples(layers, samples, n_steps=n_steps, rng=rng, **units)
        return rows, shows
    if "decoder_weights" not in arrays:
        raise ConfigError(
            f"--samples: {step.name} in {path} cannot be drawn from; learn one with --method "
            "rbm, sparse-rbm, dbn or vae"
        )
    if steps is not None:
        raise ConfigError(f"--steps is for Gibbs chains, and {path} has none; leave it out")
    codes = rng.standard_normal((samples, len(arrays["atoms"])))
    rows = decode(codes, arrays, encoder="vae", settings={}, method=method)
    return rows, "of the latent variables, decoded"
