"""Graphs as files: ONNX, checked with onnxruntime, or a torch.export archive."""

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

from mcls.errors import ConfigError, MclsError
from mcls.export.any_length import of_any_length

#: Under which name a file keeps what is to be known of it, as JSON.
METADATA = "mcls"

#: How far apart what torch and what the file computes may be.
TOLERANCE = 1e-4

_NEEDS = ("onnx", "onnxscript", "onnxruntime")

#: Which axes of an input may have any length, by number.
Free = Mapping[int, str]


def check_installed() -> None:
    """Refuse to begin where what ONNX needs is missing.

    Raises
    ------
    ConfigError
        Names what is missing.
    """
    missing = [name for name in _NEEDS if importlib.util.find_spec(name) is None]
    if missing:
        raise ConfigError(
            f"an ONNX file needs {' and '.join(missing)}, not installed here: "
            "pip install 'mcls[export]'; or write a .pt2 file, which needs torch alone"
        )


def traced(graph: nn.Module, example: torch.Tensor, free: Free) -> Any:
    """Return a graph as torch.export sees it.

    Parameters
    ----------
    graph : nn.Module
        Of one input.
    example : torch.Tensor
        An input; no free axis may have length 1.
    free : mapping of int to str
        Axes that may have any length, with a name for each.

    Raises
    ------
    torch's own
        If an axis that is called free is not.
    """
    from torch.export import Dim, export
    from torch.fx.experimental import _config

    config: Any = _config
    known = {"backed_size_oblivious": True} if hasattr(_config, "backed_size_oblivious") else {}
    shape = dict.fromkeys(free, Dim.DYNAMIC)
    # 1 is a length like any other
    with quiet(), config.patch(**known), of_any_length(graph):
        return export(graph.eval(), (example,), dynamic_shapes=(shape,))


def write_torch(program: Any, path: Path, metadata: Mapping[str, Any]) -> None:
    """Write what `traced` gave as an archive of torch.export; ``mcls.json`` in it says what it is.

    It is read by ``torch.export.load`` and, like every such archive, trusted by whoever does so;
    mcls itself never reads one.
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
    """Write what `traced` gave as ONNX; its metadata ``mcls`` says what it is, as JSON."""
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
    """Return how far apart a file in onnxruntime and its graph in torch are, at most.

    Parameters
    ----------
    path : Path
        The file.
    graph : nn.Module
        What it was made of.
    examples : sequence of torch.Tensor
        Inputs.

    Returns
    -------
    float
        The largest difference of any output, of values beyond 1 as a share of them.

    Raises
    ------
    MclsError
        If it is above `TOLERANCE`, or shapes differ.
    """
    onnxruntime: Any = importlib.import_module("onnxruntime")
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    (given,) = (one.name for one in session.get_inputs())
    return _compare(lambda x: session.run(None, {given: x.numpy()}), graph, examples)


def compare_torch(program: Any, graph: nn.Module, examples: Sequence[torch.Tensor]) -> float:
    """Do what `compare_onnx` does, for what `traced` gave."""
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
            "expected. Nothing was written"
        )
    return largest


@contextmanager
def quiet() -> Iterator[None]:
    """Keep to itself what the exporters tell their own developers."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
