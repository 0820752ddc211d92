"""Outputs of a local model of torch as a feature: torch.export archives and TorchScript."""

import json
import warnings
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, ClassVar, Literal

import numpy as np

from mcls.errors import ConfigError
from mcls.features.feature import check
from mcls.features.local_model import LocalModel, Stamp
from mcls.features.torch_archive import check_archive
from mcls.features.torch_device import device_of, exact_inference
from mcls.registry import register


@register("features", "torch", needs=("path",))
class TorchModel(LocalModel):
    """Outputs of a local model of torch that reads audio: one row per window.

    Parameters
    ----------
    path : str
        The model: a .pt2 file of torch.export, or a TorchScript file (.pt, .ts).
    output : str or None
        Output to take: its number from 0 on, or its name; none: the first.
    window : float or None
        Length of a window in seconds; none: the length that the model fixes.
    hop : float or None
        Seconds from window to window; none: the length of a window.
    axes : int or None
        Axes of the input of a TorchScript file, which does not say them; none: 2. They are
        (samples), (batch, samples) or (batch, 1, samples).
    device : {'auto', 'cpu', 'cuda'}
        Device to compute on; auto: CUDA where there is a device, else the CPU.
    sha256 : str or None
        SHA-256 of the file, filled in by extraction; another file is refused.

    Notes
    -----
    Audio has the sampling rate of the extraction (``--sr``), which has to be the model's. Names of
    outputs are those of a file of ``mcls export``, or the keys of a model that returns a dict. The
    last axis of the output are the dimensions; the mean is taken over the others. No file is
    unpickled, and a .pt2 file is opened only if it holds nothing but tensors, operators of torch
    and arithmetic. TorchScript is a language of its own, which cannot call Python.
    """

    name: ClassVar[str] = "torch"
    what: ClassVar[str] = "a .pt2 or TorchScript file"

    def __init__(
        self,
        sr: int,
        *,
        path: str = "",
        output: str | None = None,
        window: float | None = None,
        hop: float | None = None,
        axes: int | None = None,
        device: Literal["auto", "cpu", "cuda"] = "auto",
        sha256: str | None = None,
        delta: int = 0,
    ) -> None:
        super().__init__(sr, path, window, hop, sha256, delta)
        check(self.name, axes=(axes in (None, 1, 2, 3), f"must be 1, 2 or 3, not {axes}"))
        self.device, self.output = device_of(self.name, device), output
        _, about, sizes = self._model()
        self.check_exported(about)
        if sizes is None:
            sizes = (None,) * (axes or 2)
        elif axes not in (None, len(sizes)):
            raise ConfigError(f"torch: {path} has an input of {len(sizes)} axes; leave axes out")
        self.set_windows(window, hop, sizes)

    @classmethod
    def learnt_from(cls, settings: dict[str, Any]) -> tuple[str, ...]:
        """Return the tracks that the net in a file of ``mcls export`` was learnt from."""
        path, device = settings["path"], device_of(cls.name, settings["device"])
        return tuple(_opened(path, device, cls.stamp(path))[1].get("learnt_from", ()))

    def _model(self) -> tuple[Any, Mapping[str, Any], tuple[int | None, ...] | None]:
        return _opened(self.path, self.device, self.stamp(self.path))

    def run(self, audio: np.ndarray) -> np.ndarray:
        """Return the output that was asked for."""
        import torch

        model, about, _ = self._model()
        with exact_inference():
            result = model(torch.from_numpy(audio).to(self.device))
        return self._chosen(result, about).float().cpu().numpy()

    def _chosen(self, result: Any, about: Mapping[str, Any]) -> Any:
        """Return the chosen output."""
        names = list(about["output"]) if about else []
        if isinstance(result, Mapping):
            names, result = list(result), list(result.values())
        outputs = list(result) if isinstance(result, list | tuple) else [result]
        names = names or [str(i) for i in range(len(outputs))]
        return outputs[names.index(self.output_named(self.output, names))]


@lru_cache(maxsize=4)
def _opened(
    path: str, device: str, stamp: Stamp
) -> tuple[Any, Mapping[str, Any], tuple[int | None, ...] | None]:
    """Return a model, its metadata ``mcls``, and the sizes of its input, where they are known."""
    import torch

    if path.lower().endswith(".pt2"):
        check_archive(path)
    extra = {"mcls.json": ""}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # TorchScript is deprecated
            if not path.lower().endswith(".pt2"):
                return torch.jit.load(path, map_location=device).eval(), {}, None
            program = torch.export.load(path, extra_files=extra)
            if device != "cpu":
                from torch.export.passes import move_to_device_pass

                program = move_to_device_pass(program, device)
            model = program.module()
    except Exception as error:  # torch raises errors of many types
        said = str(error).strip().partition("\n")[0]
        raise ConfigError(f"torch: {path} is not a model that torch can open: {said}") from error
    [node, *more] = [node for node in program.graph.nodes if node.op == "placeholder"][
        -len(program.graph_signature.user_inputs) :
    ]
    if more:
        raise ConfigError(
            f"torch: {path} has {1 + len(more)} inputs; expected one, audio as floats"
        )
    about = json.loads(extra["mcls.json"] or "{}")
    sizes = tuple(one if isinstance(one, int) else None for one in node.meta["val"].shape)
    return model, about, sizes
