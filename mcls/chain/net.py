"""Net steps: hidden layers of a trained net as codes ("supervised features", Hamel & Eck 2010)."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from mcls.chain.model_cache import step_model
from mcls.chain.step import Kind, RowAxes, RowsAndRate
from mcls.disk.chain import Step
from mcls.registry import register

if TYPE_CHECKING:
    import torch


@register("steps", "net", needs=("net", "layers"))
class NetKind(Kind):
    """Computes hidden layers of a trained net, one row per segment."""

    noun = "net"

    def apply(self, step: Step, inputs: Sequence[RowsAndRate]) -> RowsAndRate:
        """Return the hidden layers, one row per segment, and the segments per second."""
        rows, frame_rate = inputs[0]
        model = step_model(step)
        rate = None if frame_rate is None else frame_rate / model.spec.step
        return model.hidden(rows, step.settings["layers"]), rate

    def axes(self, step: Step, inputs: Sequence[RowAxes], sr: int | None) -> RowAxes:
        """Number the units; a row stands at the middle of its segment."""
        before, model = inputs[0], step_model(step)
        if before.hop is None:
            return super().axes(step, inputs, sr)
        start = before.start + model.middle * before.hop
        hop = model.spec.step * before.hop
        return replace(super().axes(step, inputs, sr), hop=hop, start=start)

    def title(self, step: Step, n_dims: int) -> str:
        """Name the net and its layers."""
        return f"{n_dims} hidden units: {step.name}, {', '.join(step.settings['layers'])}"


def net_step(
    tensors: Mapping[str, "torch.Tensor"], about: Mapping[str, Any], layers: Sequence[str]
) -> Step:
    """Return the step of a chain that computes hidden layers of a net.

    Parameters
    ----------
    tensors, about
        The contents of a run's ``model.safetensors``; see `mcls.disk.tensors.read_tensors`.
    layers : sequence of str
        Names of layers, numbers from 1 on, or ``all``, optionally with ``:mean``; none: the last.

    Raises
    ------
    ConfigError
        If there is no such layer.
    FormatError
        If it is not a net of mcls.
    """
    from mcls.training.model import chosen_layers
    from mcls.training.read_net import read_net

    model = read_net(tensors, about)
    settings = {key: value for key, value in about.items() if key != "learnt_from"}
    return Step(
        "net",
        model.spec.net,
        {**settings, "layers": chosen_layers(model.layers, layers)},
        arrays={name: tensor.numpy() for name, tensor in tensors.items()},
        learnt_from=model.spec.learnt_from,
    )
