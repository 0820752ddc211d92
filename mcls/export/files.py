"""Writing graphs as ONNX or torch.export files, and comparing these with torch."""

import importlib
import importlib.util
import io
import json
import logging
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from mcls.errors import MclsError, missing_extra
from mcls.export.any_length import of_any_length

#: Name of the metadata in a file, which is JSON.
METADATA = "mcls"

#: Largest accepted difference between the outputs of the file and of torch.
TOLERANCE = 1e-4

_REQUIRED = ("onnx", "onnxscript", "onnxruntime")

#: Names of the input axes of any length, by index.
DynamicAxes = Mapping[int, str]


def check_installed() -> None:
    """Check that the packages for ONNX are installed.

    Raises
    ------
    ConfigError
        If a package is missing.
    """
    missing = [name for name in _REQUIRED if importlib.util.find_spec(name) is None]
    if missing:
        raise missing_extra("exporting to ONNX", " and ".join(missing), "export")


def trace(graph: nn.Module, example: torch.Tensor, free: DynamicAxes) -> Any:
    """Trace a graph with torch.export.

    Parameters
    ----------
    graph : nn.Module
        A module with one input.
    example : torch.Tensor
        An example of the input; no axis of any length may have length 1.
    free : mapping of int to str
        Names of the axes of any length, by index.

    Raises
    ------
    Exception
        An error of torch if the graph fixes the length of such an axis.
    """
    from torch.export import Dim, export
    from torch.fx.experimental import _config

    config: Any = _config
    known = {"backed_size_oblivious": True} if hasattr(_config, "backed_size_oblivious") else {}
    shape = dict.fromkeys(free, Dim.DYNAMIC)
    # backed_size_oblivious: do not treat a length of 1 specially
    with quiet(), config.patch(**known), of_any_length(graph):
        return export(graph.eval(), (example,), dynamic_shapes=(shape,))


def write_torch(program: Any, path: Path, metadata: Mapping[str, Any]) -> None:
    """Write a traced graph as a torch.export archive, with the metadata as ``mcls.json``.

    ``torch.export.load`` reads it; load only archives from sources that you trust. mcls itself
    never reads one.
    """
    archive = io.BytesIO()
    with quiet():
        torch.export.save(program, archive, extra_files={f"{METADATA}.json": json.dumps(metadata)})
    path.write_bytes(archive.getvalue())


def write_onnx(
    program: Any,
    path: Path,
    metadata: Mapping[str, Any],
    *,
    inputs: Sequence[str],
    outputs: Sequence[str],
) -> None:
    """Write a traced graph as ONNX, with the metadata as JSON under ``mcls``."""
    with quiet():
        made = torch.onnx.export(
            program,
            (),
            None,
            dynamo=True,
            verbose=False,
            input_names=list(inputs),
            output_names=list(outputs),
        )
        assert made is not None
        made.model.metadata_props[METADATA] = json.dumps(metadata, ensure_ascii=False)
        made.save(str(path))


def compare_onnx(path: Path, graph: nn.Module, examples: Sequence[torch.Tensor]) -> float:
    """Return the largest difference between a file in onnxruntime and its graph in torch.

    Parameters
    ----------
    path : Path
        The ONNX file.
    graph : nn.Module
        The graph.
    examples : sequence of torch.Tensor
        Inputs to compare on.

    Returns
    -------
    float
        The largest difference of any output value, relative for values beyond 1.

    Raises
    ------
    MclsError
        If the difference is above `TOLERANCE`, or shapes differ.
    """
    onnxruntime: Any = importlib.import_module("onnxruntime")
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    (given,) = (one.name for one in session.get_inputs())
    return _compare(lambda x: session.run(None, {given: x.numpy()}), graph, examples)


def compare_torch(program: Any, graph: nn.Module, examples: Sequence[torch.Tensor]) -> float:
    """Return the largest difference between a traced graph and its graph; see `compare_onnx`."""
    module = program.module()

    def run(x: torch.Tensor) -> list[np.ndarray]:
        with torch.no_grad():
            return [tensor.numpy() for tensor in module(x)]

    return _compare(run, graph, examples)


def _compare(
    run: Callable[[torch.Tensor], Sequence[np.ndarray]],
    graph: nn.Module,
    examples: Sequence[torch.Tensor],
) -> float:
    largest = 0.0
    for example in examples:
        with torch.no_grad():
            expected = [tensor.numpy() for tensor in graph.eval()(example)]
        for one, other in zip(expected, run(example), strict=True):
            if one.shape != other.shape:
                raise MclsError(f"the file gives {other.shape} where torch gives {one.shape}")
            apart = np.abs(one - other) / np.maximum(1, np.abs(one))
            largest = max(largest, float(apart.max(initial=0.0)))
    if not largest <= TOLERANCE:
        raise MclsError(
            f"the file's outputs differ from torch's by {largest:.2g}; at most {TOLERANCE:g} is "
            "accepted, so nothing was written"
        )
    return largest


@contextmanager
def quiet() -> Iterator[None]:
    """Suppress the log messages and warnings of the exporters."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
