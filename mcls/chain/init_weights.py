"""Initialise a net with the layers of trained nets that have the same names."""

from collections.abc import Sequence

import torch
from torch import nn

from mcls.disk.chain import Step
from mcls.errors import ConfigError
from mcls.training.standardise import Standardise


def copy_layers(net: nn.Module, steps: Sequence[Step]) -> dict[str, str]:
    """Copy the hidden layers of trained nets into the layers of a net that have the same names.

    Parameters
    ----------
    net : nn.Module
        Changed in place.
    steps : sequence of Step
        Trained nets, as steps from `mcls.chain.net.net_step`.

    Returns
    -------
    dict of str to str
        The name of the net that each layer comes from, by the name of the layer.

    Raises
    ------
    ConfigError
        If a net has none of these layers, or one of another size, or if two nets have the same
        layer. The net is not changed then.

    References
    ----------
    Pons, Lidy & Serra (2016), Experimenting with musically motivated convolutional neural networks:
    filters along time and along frequency, each trained alone first.
    """
    own = net.state_dict()
    hidden: tuple[str, ...] = tuple(net.hidden)  # type: ignore[arg-type]  # part of a net's contract
    origin: dict[str, str] = {}
    found: dict[str, torch.Tensor] = {}
    for step in steps:
        given = {
            name.removeprefix("net."): torch.as_tensor(array)
            for name, array in step.arrays.items()
            if name.startswith("net.")
        }
        shared = [name for name in hidden if name in step.settings["layers"]]
        if not shared:
            raise ConfigError(
                f"--init: {step.name} has the layers {', '.join(step.settings['layers'])}, but "
                f"none of {', '.join(hidden)}"
            )
        for layer in shared:
            if layer in origin:
                raise ConfigError(
                    f"--init: both {origin[layer]} and {step.name} have the layer {layer}; "
                    "leave one out"
                )
            origin[layer] = step.name
            theirs, ours = (_below(layer, tensors) for tensors in (given, own))
            sizes = [{key: tuple(t.shape) for key, t in one.items()} for one in (theirs, ours)]
            if sizes[0] != sizes[1]:
                raise ConfigError(
                    f"--init: the layer {layer} of {step.name} has {_spell_sizes(sizes[0])}, but "
                    f"here it has {_spell_sizes(sizes[1])}; give both nets the same settings"
                )
            found |= theirs
    net.load_state_dict({**own, **found})
    return origin


def _below(layer: str, tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {key: tensor for key, tensor in tensors.items() if key.startswith(f"{layer}.")}


def _spell_sizes(sizes: dict[str, tuple[int, ...]]) -> str:
    return ", ".join(
        f"{key} {'x'.join(map(str, size)) or '1'}" for key, size in sorted(sizes.items())
    )


def shared_standardisation(steps: Sequence[Step]) -> Standardise:
    """Return the standardisation of the inputs of trained nets, which has to be one and the same.

    Raises
    ------
    ConfigError
        If two nets differ.
    """
    read = [
        {
            name.removeprefix("input."): torch.as_tensor(array)
            for name, array in step.arrays.items()
            if name.startswith("input.")
        }
        for step in steps
    ]
    for step, tensors in zip(steps, read, strict=True):
        same = tensors.keys() == read[0].keys() and all(
            torch.equal(tensor, read[0][name]) for name, tensor in tensors.items()
        )
        if not same or step.settings["joined"] != steps[0].settings["joined"]:
            raise ConfigError(
                f"--init: the inputs of {steps[0].name} and {step.name} were standardised by other "
                "numbers; train both with the same --split, --fold, --valid, --seed and "
                "--standardize"
            )
    return Standardise(**read[0], joined=steps[0].settings["joined"])
