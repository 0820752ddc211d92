"""Rebuild a trained net from the tensors and the description that a file holds."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch.nn.modules.module import register_module_parameter_registration_hook

from mcls.errors import FormatError, MclsError
from mcls.nets import build_net
from mcls.registry import find
from mcls.training.hybrid import HybridNet, read_decoder
from mcls.training.model import FORMAT, NetSpec, TrainedNet
from mcls.training.standardise import Standardise

#: Parameters that are registered while a net is built, for each of its tensors, at most.
_REPEATED = 4

#: Largest number of values of a segment that a file may claim.
_LARGEST = 1 << 28


def read_net(tensors: Mapping[str, torch.Tensor], about: Mapping[str, Any]) -> TrainedNet:
    """Rebuild a net from the results of `TrainedNet.tensors` and `TrainedNet.about`.

    The net is built without memory first, so that the claims of a file are checked before anything
    is allocated for them.

    Raises
    ------
    FormatError
        If they do not describe a net of mcls.
    """
    try:
        if about["format"] != FORMAT:
            raise FormatError(f"a net of format {about['format']}; this mcls reads {FORMAT}")
        spec = NetSpec(
            net=str(about["net"]),
            settings=dict(about["settings"]),
            n_frames=int(about["n_frames"]),
            n_dims=int(about["n_dims"]),
            outputs=tuple(map(int, about["outputs"])),
            always=tuple(map(int, about["always"])),
            multi_label=bool(about["multi_label"]),
            loss=str(about["loss"]),
            short="pad" if about["short"] == "pad" else "loop",
            learnt_from=tuple(map(str, about["learnt_from"])),
            overlap=float(about.get("overlap", 0.0)),  # older nets have none
            test_shift=int(about.get("test_shift", 0)),  # nor this
            five_crop=bool(about.get("five_crop", False)),
            target_mean=tuple(map(float, about.get("target_mean", ()))),
            target_scale=tuple(map(float, about.get("target_scale", ()))),
        )
        labels = [*spec.outputs, *spec.always]
        if min(labels) < 0 or len(set(labels)) < len(labels):
            raise FormatError(f"a net of labels {labels}")
        if not 1 <= spec.n_frames * spec.n_dims <= _LARGEST:
            raise FormatError(f"segments of {spec.n_frames} rows of {spec.n_dims} dimensions")
        if not 0 <= spec.overlap < 1:
            raise FormatError(f"segments that overlap by {spec.overlap} of their rows")
        if not 0 <= spec.test_shift < spec.n_dims:
            raise FormatError(f"a test shift of {spec.test_shift} for {spec.n_dims} dimensions")
        regression = find("losses", spec.loss).facts["scores"] == "linear"
        for numbers in (spec.target_mean, spec.target_scale):
            if len(numbers) != (len(spec.outputs) if regression else 0):
                raise FormatError(f"{len(numbers)} numbers for {len(spec.outputs)} outputs")
        for name, tensor in tensors.items():
            if not torch.isfinite(tensor).all():
                raise FormatError(f"{name} has numbers that are NaN or infinite")
        own = {
            name.partition(".")[2]: t for name, t in tensors.items() if name.startswith("input.")
        }
        whitening = own.get("whitening")
        standardise = Standardise(
            own["mean"],
            own["scale"],
            whitening,
            own.get("limits"),
            joined=bool(about["joined"]),
        )
        sizes = standardise.shape(spec.n_frames, spec.n_dims)
        with torch.device("meta"), _at_most(len(tensors)):
            net = build_net(spec.net, spec.settings, *sizes, len(spec.outputs))
        weights = {name.partition(".")[2]: t for name, t in tensors.items() if name[:4] == "net."}
        for name, expected in net.state_dict().items():
            if name in weights and weights[name].dtype != expected.dtype:
                raise FormatError(f"{name} is {weights[name].dtype}; expected {expected.dtype}")
        net.load_state_dict(weights, assign=True)
        decoder = read_decoder(tensors, len(spec.outputs))
        if decoder is None:
            return TrainedNet(spec, net, standardise)
        return HybridNet(spec, net, standardise, decoder)
    except MclsError as error:
        raise FormatError(str(error)) from error
    except (KeyError, TypeError, ValueError, RuntimeError, AttributeError) as error:
        said = str(error).partition("\n")[0]
        raise FormatError(f"not a net of mcls ({type(error).__name__}: {said})") from error


@contextmanager
def _at_most(n_tensors: int) -> Iterator[None]:
    """Stop the building of a net that has more parameters than a file has tensors."""
    left = _REPEATED * (n_tensors + 1)

    def count(*_: object) -> None:
        nonlocal left
        left -= 1
        if left < 0:
            raise FormatError(f"it has more parameters than the {n_tensors} tensors of the file")

    hook = register_module_parameter_registration_hook(count)
    try:
        yield
    finally:
        hook.remove()
