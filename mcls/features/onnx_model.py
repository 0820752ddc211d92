"""Outputs of a local ONNX model as a feature, such as embeddings of a pretrained net."""

import hashlib
import json
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from mcls.errors import ConfigError, suggest
from mcls.features.feature import Feature, check
from mcls.features.signal import Signal, frames_of
from mcls.registry import register

#: Windows that a model which takes batches reads at once.
_BATCH = 16


@register("features", "onnx", needs=("path",))
class OnnxModel(Feature):
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
        check(
            "onnx",
            path=(bool(path), "must name an .onnx file"),
            window=(window is None or window > 0, f"must be above 0 s, not {window}"),
            hop=(hop is None or hop > 0, f"must be above 0 s, not {hop}"),
            delta=(delta in (0, 1, 2), f"must be 0, 1 or 2, not {delta}"),
        )
        if sha256 is not None and sha256 != _sha256(path):
            raise ConfigError(
                f"onnx: {path} is not the model that the rows were made with: its SHA-256 is "
                f"{_sha256(path)[:12]}..., expected {sha256[:12]}..."
            )
        session = _session(path)
        _check_own(session, sr, path)
        self.sr, self.path, self.delta = sr, path, delta
        self.output = _output_name(session, output, path)
        self.n_samples = _window(session, window, sr, path)
        self.hop_length = self.n_samples if hop is None else max(1, round(hop * sr))
        self.margin = self.n_samples
        silence = np.zeros((1, self.n_samples), np.float32)
        self.n_local = self.n_static = self._run(silence).shape[1]

    @classmethod
    def pinned(cls, settings: dict[str, Any]) -> dict[str, Any]:
        """Return the settings with the SHA-256 of the model."""
        if not settings["path"] or settings["sha256"] is not None:
            return settings
        return {**settings, "sha256": _sha256(settings["path"])}

    def local(self, signal: Signal) -> np.ndarray:
        """Return a row per window, ``(n_windows, n_dims)``."""
        windows = frames_of(signal.y, self.n_samples, self.hop_length, center=False)
        starts = range(0, len(windows), _BATCH)
        return np.concatenate([self._run(windows[i : i + _BATCH]) for i in starts])

    def _run(self, windows: np.ndarray) -> np.ndarray:
        """Return the output for each window."""
        session = _session(self.path)
        given = session.get_inputs()[0]
        batched = len(given.shape) > 1
        size = given.shape[0] if batched else 1
        at_once = len(windows) if batched and not isinstance(size, int) else 1
        found = []
        for start in range(0, len(windows), at_once):
            some = np.ascontiguousarray(windows[start : start + at_once], np.float32)
            ones = [1] * (len(given.shape) - 2)  # (batch, 1, samples), for instance
            shaped = some.reshape(len(some), *ones, -1) if batched else some[0]
            try:
                rows = np.asarray(session.run([self.output], {given.name: shaped})[0], np.float32)
            except Exception as error:  # onnxruntime has errors of many types
                raise ConfigError(f"onnx: {self.path} cannot be run: {error}") from error
            found.append(rows.reshape(len(some), -1, rows.shape[-1]).mean(axis=1))
        rows = np.concatenate(found)
        if not np.isfinite(rows).all():
            raise ConfigError(f"onnx: {self.path} gives NaN or infinite outputs")
        return rows


def _stamp(path: str) -> tuple[int, int]:
    """Return what changes when a file is replaced."""
    try:
        status = Path(path).stat()
    except OSError as error:
        raise ConfigError(f"onnx: {path} cannot be read: {error.strerror}") from error
    return status.st_mtime_ns, status.st_ino


def _session(path: str) -> Any:
    """Return a model, which is opened once per process."""
    return _opened(path, _stamp(path))


@lru_cache(maxsize=4)
def _opened(path: str, stamp: tuple[int, int]) -> Any:
    """Open a model with one thread, so that rows do not depend on the number of processes."""
    try:
        import onnxruntime
    except ImportError as error:
        raise ConfigError("onnx: this needs onnxruntime; run pip install 'mcls[export]'") from error
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


def _sha256(path: str) -> str:
    return _sha256_of(path, _stamp(path))


@lru_cache(maxsize=16)
def _sha256_of(path: str, stamp: tuple[int, int]) -> str:
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _output_name(session: Any, output: str | None, path: str) -> str:
    names = [one.name for one in session.get_outputs()]
    if output is None:
        return names[0]
    if output not in names:
        raise ConfigError(f"onnx: {path} has no output {output!r}; {suggest(output, names)}")
    return output


def _window(session: Any, window: float | None, sr: int, path: str) -> int:
    """Return the samples of a window; the model may fix them."""
    fixed = session.get_inputs()[0].shape[-1]
    if not isinstance(fixed, int):
        if window is None:
            raise ConfigError(f"onnx: {path} reads audio of any length; give window=SECONDS")
        return max(1, round(window * sr))
    if window is not None and round(window * sr) != fixed:
        raise ConfigError(
            f"onnx: {path} reads {fixed} samples, {fixed / sr:g} s, and window is {window:g} s; "
            "leave window out"
        )
    return fixed


def _check_own(session: Any, sr: int, path: str) -> None:
    """Refuse a file of `mcls export` that reads rows, or audio at another sampling rate."""
    text = session.get_modelmeta().custom_metadata_map.get("mcls")
    if not text:
        return
    about = json.loads(text)
    if about["input"]["name"] != "audio":
        raise ConfigError(f"onnx: {path} reads rows, not audio; export it with --with-mel")
    if about["sample_rate"] not in (None, sr):
        rate = about["sample_rate"]
        raise ConfigError(f"onnx: {path} reads audio at {rate} Hz; extract with --sr {rate}")
