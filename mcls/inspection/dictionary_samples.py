"""Plot samples that an RBM or a deep belief network draws of what it has learnt."""

from pathlib import Path

import numpy as np

from mcls.chain.dictionary import patches_of
from mcls.chain.step import axes_of
from mcls.dictionaries.gibbs import gibbs_samples, layers_of
from mcls.dictionaries.preprocessing import Preprocessing
from mcls.disk.chain import spell_chain
from mcls.disk.dictionary import read_dictionary
from mcls.errors import ConfigError
from mcls.plots.dictionary import draw_dictionary
from mcls.plots.page import Figure


def plot_samples(path: Path, *, samples: int, steps: int = 1000) -> tuple[Figure, str]:
    """Plot samples of a dictionary, in the units of the feature.

    Parameters
    ----------
    path : Path
        An RBM or a DBN.
    samples : int
        Number of samples, each from a Gibbs chain of its own (seed 0).
    steps : int
        Steps of each chain.

    Returns
    -------
    page : Figure
    shows : str

    Raises
    ------
    ConfigError
        If the dictionary is no generative model, or a number is below 1.
    """
    if min(samples, steps) < 1:
        raise ConfigError(f"samples={samples}, steps={steps}; expected 1 or more of each")
    kept = read_dictionary(path)
    layers = layers_of(kept.step.arrays)
    if not layers:
        raise ConfigError(
            f"--samples: {kept.step.name} in {path} cannot be drawn from; learn one with --method "
            "rbm, sparse-rbm or dbn"
        )
    method = kept.step.settings["method"]
    rows = gibbs_samples(
        layers,
        samples,
        visible=method["visible"],
        hidden=method["hidden"],
        n_steps=steps,
        rng=np.random.default_rng(0),
    )
    patches = patches_of(Preprocessing.from_arrays(kept.step.arrays).inverse(rows), kept.step)
    axes = axes_of(kept.chain[:-1], n_dims=patches.shape[2])
    shows = f"{samples} sample{'s' * (samples > 1)} after {steps} Gibbs steps"
    page = draw_dictionary(
        patches,
        axes.dimensions,
        frame_seconds=axes.hop,
        unit=axes.unit,
        order="each from a chain of its own",
        title=f"{shows}, {spell_chain(kept.chain)}",
    )
    return page, shows
