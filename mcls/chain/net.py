"""Hidden layers of a trained net as codes: the "supervised feature extractor" of Hamel & Eck."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from mcls.chain.model_cache import carried_model
from mcls.disk.chain import Step
from mcls.training.model import chosen_layers, read_net


def net_step(
    tensors: Mapping[str, torch.Tensor], about: Mapping[str, Any], layers: Sequence[str]
) -> Step:
    """Return the step of a chain that gives hidden layers of a net.

    Parameters
    ----------
    tensors, about
        What a run keeps of a net.
    layers : sequence of str
        Names, numbers from 1 on, or ``all``, maybe with ``:mean``; none: the last.

    Raises
    ------
    ConfigError
        If there is no such layer.
    FormatError
        If it is not a net of mcls.
    """
    model = read_net(tensors, about)
    settings = {key: value for key, value in about.items() if key != "learnt_from"}
    return Step(
        "net",
        model.spec.net,
        {**settings, "layers": chosen_layers(model.net, layers)},
        arrays={name: tensor.numpy() for name, tensor in tensors.items()},
        learnt_from=model.spec.learnt_from,
    )


def hidden_rows(
    rows: np.ndarray, frame_rate: float | None, step: Step
) -> tuple[np.ndarray, float | None]:
    """Return the hidden layers for the rows of a track: a row per segment, and their rate.

    Parameters
    ----------
    rows : np.ndarray, shape (n_rows, n_dims)
        What the net reads.
    frame_rate : float or None
        Of these rows.
    step : Step
        From `net_step`.
    """
    model = carried_model(step)
    rate = None if frame_rate is None else frame_rate / model.spec.step
    return model.hidden(rows, step.settings["layers"]), rate
