"""Outputs of a local ONNX model as a feature, such as embeddings of a pretrained net."""

import json
from collections.abc import Mapping
from functools import lru_cache
from glob import escape
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from mcls.errors import ConfigError, missing_extra
from mcls.features.local_model import LocalModel, Stamp
from mcls.registry import register


@register("features", "onnx", needs=("path",))
class OnnxModel(LocalModel):
    """Outputs of a local ONNX model that reads audio: one row per window.

    Parameters
    ----------
    path : str
        The model, an .onnx file. It has one input of floats: samples, or (batch, samples).
    output : str or None
        Name of the output to take; none: the first.
    window : float or None
        Length of a window in seconds; none: the length that the model fixes.
    hop : float or None
        Seconds from window to window; none: the length of a window.
    sha256 : str or None
        SHA-256 of the file, filled in by extraction; another file is refused.

    Notes
    -----
    Audio has the sampling rate of the extraction (``--sr``), which has to be the model's; the files
    of ``mcls export --with-mel`` say theirs. The last axis of the output are the dimensions; the
    mean is taken over the others. Nothing is downloaded.
    """

    name: ClassVar[str] = "onnx"
    what: ClassVar[str] = "an .onnx file"

    def __init__(
        self,
        sr: int,
        *,
        path: str = "",
        output: str | None = None,
        window: float | None = None,
        hop: float | None = None,
        sha256: str | None = None,
        delta: int = 0,
    ) -> None:
        super().__init__(sr, path, window, hop, sha256, delta)
        session = self._session()
        self.check_exported(_metadata(session))
        self.output = self.output_named(output, [one.name for one in session.get_outputs()])
        sizes = session.get_inputs()[0].shape
        self.set_windows(window, hop, tuple(one if isinstance(one, int) else None for one in sizes))

    @classmethod
    def files(cls, path: Path) -> list[Path]:
        """Return the file, and that of weights which exporters put beside a large model."""
        return [path, *sorted(path.parent.glob(f"{escape(path.name)}[._]data"))]

    @classmethod
    def learnt_from(cls, settings: dict[str, Any]) -> tuple[str, ...]:
        """Return the tracks that the net in a file of ``mcls export`` was learnt from."""
        path = settings["path"]
        return tuple(_metadata(_opened(path, cls.stamp(path))).get("learnt_from", ()))

    def _session(self) -> Any:
        return _opened(self.path, self.stamp(self.path))

    def run(self, audio: np.ndarray) -> np.ndarray:
        """Return the output that was asked for."""
        session = self._session()
        [output] = session.run([self.output], {session.get_inputs()[0].name: audio})
        return output


def _metadata(session: Any) -> Mapping[str, Any]:
    """Return what ``mcls export`` wrote into a file; nothing for other files."""
    return json.loads(session.get_modelmeta().custom_metadata_map.get("mcls") or "{}")


@lru_cache(maxsize=4)
def _opened(path: str, stamp: Stamp) -> Any:
    """Open a model with one thread, so that rows do not depend on the number of processes."""
    try:
        import onnxruntime
    except ImportError as error:
        raise missing_extra("onnx", "onnxruntime", "export") from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    known = onnxruntime.get_available_providers()
    wanted = [one for one in ("CUDAExecutionProvider", "CPUExecutionProvider") if one in known]
    try:
        session = onnxruntime.InferenceSession(path, options, providers=wanted)
    except Exception as error:  # onnxruntime has errors of many types
        raise ConfigError(f"onnx: {path} is not an ONNX model that can be run: {error}") from error
    inputs = session.get_inputs()
    if len(inputs) != 1 or inputs[0].type != "tensor(float)":
        said = ", ".join(f"{one.name} {one.type}" for one in inputs)
        raise ConfigError(f"onnx: {path} has the inputs {said}; expected one, audio as floats")
    return session
