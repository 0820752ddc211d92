"""Export of the net of a run to one file for other programs, from rows or from audio."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mcls import __version__
from mcls.chain.feature import feature_of
from mcls.chain.model_cache import net_of_labels
from mcls.disk.chain import Chain
from mcls.disk.outputs import check_replaced, holds
from mcls.disk.run import Run, open_run
from mcls.disk.workspace import written_whole
from mcls.errors import ConfigError, MclsError
from mcls.settings import digest

if TYPE_CHECKING:
    import torch
    from torch import nn

    from mcls.training.model import TrainedNet

#: Suffixes of the formats.
SUFFIXES = (".onnx", ".pt2")

#: Batch sizes of the inputs on which a file is compared with torch.
_BATCH_SIZES = (1, 5)


@dataclass(frozen=True)
class Exported:
    """The result of `export`.

    Parameters
    ----------
    path : Path
        The file.
    inputs, outputs : dict of str to list
        Sizes of the inputs and outputs; a name stands for any length.
    difference : float
        Largest difference between the outputs of the file and of the net.
    metadata : dict
        Metadata in the file.
    notes : list of str
        Remarks on the use of the file.
    computed : bool
        False if the file was there already; its sizes and metadata are not read then.
    """

    path: Path
    inputs: dict[str, list[int | str]]
    outputs: dict[str, list[int | str]]
    difference: float
    metadata: dict[str, Any]
    notes: list[str]
    computed: bool = True


def export(
    run: Path | str, out: Path | str, *, with_mel: bool = False, overwrite: bool = False
) -> Exported:
    """Write the net of a run to one file: standardisation, net and scores.

    Parameters
    ----------
    run : path
        A run folder whose model is a net.
    out : path
        The file: ``.onnx`` (compared with torch in onnxruntime) or ``.pt2`` (torch.export).
    with_mel : bool
        Include the mel spectrogram and the cutting into segments, so that the input is the audio of
        a track instead of segments of rows.
    overwrite : bool
        Replace an existing file.

    Returns
    -------
    Exported

    Raises
    ------
    ConfigError
        If the model is not a net, a package is missing, the suffix is unknown, the file exists, or
        `with_mel` is given for rows other than mel spectra.
    FormatError
        If `run` is not a run folder.
    MclsError
        If the outputs of the file differ from those of the net; it is not written then.
    """
    out = Path(out)
    if out.suffix.lower() not in SUFFIXES:
        raise ConfigError(f"{out}: the suffix is {out.suffix!r}; expected {' or '.join(SUFFIXES)}")
    opened = open_run(run)
    if opened.net_file is None:
        name = opened.settings.get("train", {}).get("model", "a classifier")
        raise ConfigError(
            f"{run}: the model is {name}, but only nets can be exported; train one of "
            "`mcls list nets`, or use `mcls predict`"
        )
    key = digest([__version__, hashlib.sha256(opened.net_file.read_bytes()).hexdigest(), with_mel])
    if not overwrite and holds(out, f'"made_from": "{key}"'.encode()):
        return Exported(out, {}, {}, 0.0, {}, [], computed=False)
    if out.exists() and not overwrite:
        raise ConfigError(
            f"{out} exists and is not this net; choose another output, or pass --overwrite to "
            "replace it"
        )
    check_replaced(out, b'{"mcls": ', "an exported net")
    onnx = out.suffix.lower() == ".onnx"
    if onnx:
        from mcls.export.files import check_installed

        check_installed()
    model = net_of_labels(opened)
    chain = opened.chain()
    made = _from_audio(opened, chain, model) if with_mel else _from_rows(opened, model)
    metadata = {**_metadata(opened, chain, model, made), "made_from": key}
    difference = _write(made, out, metadata, onnx)
    notes = []
    if not with_mel:
        steps = " > ".join(step.name for step in chain)
        notes.append(f"the input is segments of rows of {steps}, which the file does not compute")
    return Exported(
        out, {made.name: made.inputs}, made.outputs, difference, metadata, notes + made.notes
    )


@dataclass
class _Graph:
    """A graph to write: example inputs, the sizes of inputs and outputs, and a fallback.

    The fallback is the graph of inputs of fixed length, for nets that do not accept others.
    """

    graph: "nn.Module"
    name: str
    example: "torch.Tensor"
    examples: "list[torch.Tensor]"
    inputs: list[int | str]
    outputs: dict[str, list[int | str]]
    notes: list[str]
    fallback: "_Graph | None" = None

    @property
    def free(self) -> dict[int, str]:
        """The axes of any length."""
        return {axis: size for axis, size in enumerate(self.inputs) if isinstance(size, str)}


def _from_rows(run: Run, model: "TrainedNet") -> _Graph:
    """Return the graph of segments, of any length if the net accepts them."""
    from mcls.export.graph import SegmentGraph

    graph = SegmentGraph(model, len(run.labels)).eval()
    n_frames = model.spec.n_frames
    outputs: dict[str, list[int | str]] = {
        "logits": ["batch", len(model.spec.outputs)],
        "scores": ["batch", len(run.labels)],
    }

    def made(frames: int | str, lengths: list[int], fallback: _Graph | None) -> _Graph:
        examples = [_segments(model, n, length) for n in _BATCH_SIZES for length in lengths]
        inputs = ["batch", frames, model.spec.n_dims]
        length = lengths[-1]
        if isinstance(frames, str) and length == model.spec.n_dims:
            length += 1  # torch takes two equal lengths for the same axis
        example = _segments(model, 3, length)
        return _Graph(graph, "segments", example, examples, inputs, outputs, [], fallback)

    fixed = made(n_frames, [n_frames], None)
    lengths = [
        n_frames,
        n_frames + 3,
        2 * n_frames + 101,
    ]  # the last ones are not multiples of the pooling
    takes_any = n_frames > 1 and all(_accepts(graph, _segments(model, 1, n)) for n in lengths[1:])
    return made("frames", lengths, fixed) if takes_any else fixed


def _from_audio(run: Run, chain: Chain, model: "TrainedNet") -> _Graph:
    """Return the graph from the audio of a track."""
    import torch

    from mcls.export.graph import AudioGraph, SegmentGraph
    from mcls.export.mel_graph import MelGraph
    from mcls.features.mel import Mel

    steps = " > ".join(step.name for step in chain)
    feature = feature_of(chain[0], run.about.get("sample_rate")) if len(chain) == 1 else None
    if not isinstance(feature, Mel):
        raise ConfigError(
            f"--with-mel needs a net that reads a mel spectrogram at one sampling rate, but this "
            f"net reads {steps}; leave out --with-mel, and compute the rows with `mcls extract`"
        )
    mel = MelGraph(feature, half=chain[0].settings.get("dtype") == "float16")
    graph = AudioGraph(mel, SegmentGraph(model, len(run.labels)), model).eval()
    hop, n_frames = feature.hop_length, model.spec.n_frames
    least = mel.least_samples()
    generator = torch.Generator().manual_seed(0)
    lengths = (hop * n_frames * 5 // 2, hop * n_frames * 3, hop * (n_frames - 1), hop * 3)
    examples = [0.1 * torch.randn(max(n, least), generator=generator) for n in lengths]
    notes = [f"the input is the mono audio of a whole track at {feature.sr} Hz, in [-1, 1]"]
    excerpt = chain[0].settings.get("excerpt")
    if excerpt is not None:
        notes.append(
            f"the run was trained on the excerpt {excerpt} of each track; pass the same excerpt"
        )
    outputs: dict[str, list[int | str]] = {
        "mel": ["rows", model.spec.n_dims],
        "logits": ["segments", len(model.spec.outputs)],
        "scores": ["segments", len(run.labels)],
    }
    return _Graph(graph, "audio", examples[0], examples, ["samples"], outputs, notes)


def _segments(model: "TrainedNet", n: int, n_frames: int) -> "torch.Tensor":
    """Return random segments with the mean and scale of the training data."""
    import torch

    generator = torch.Generator().manual_seed(n)
    own = model.standardise
    shape = (model.spec.n_frames, -1) if own.joined else (-1,)
    mean, scale = own.mean.reshape(shape), own.scale.reshape(shape)
    drawn = torch.randn(n, n_frames, model.spec.n_dims, generator=generator)
    return drawn * scale + mean if n_frames == model.spec.n_frames or not own.joined else drawn


def _accepts(graph: "nn.Module", segments: "torch.Tensor") -> bool:
    """Return whether a net accepts segments of this length."""
    import torch

    try:
        with torch.no_grad():
            graph(segments)
    except (RuntimeError, IndexError, ValueError):
        return False
    return True


def _write(made: _Graph, out: Path, metadata: dict[str, Any], onnx: bool) -> float:
    """Write a graph, or its fallback if the length of an axis turns out to be fixed."""
    from mcls.export.files import compare_onnx, compare_torch, trace, write_onnx, write_torch

    try:
        program = trace(made.graph, made.example, made.free)
        with written_whole(out) as temporary:
            if not onnx:
                write_torch(program, temporary, metadata)
                return compare_torch(program, made.graph, made.examples)
            write_onnx(program, temporary, metadata, inputs=[made.name], outputs=list(made.outputs))
            return compare_onnx(temporary, made.graph, made.examples)
    except Exception as error:  # the exporters raise errors of many types
        if made.fallback is not None:
            fixed, made.fallback = made.fallback, None
            made.example, made.examples = fixed.example, fixed.examples
            made.inputs[:] = fixed.inputs  # in place, because the metadata shares it
            return _write(made, out, metadata, onnx)
        if isinstance(error, MclsError | OSError):
            raise
        said = str(error).strip().partition("\n")[0]
        raise MclsError(f"{out}: torch cannot export this net ({said})") from error


def _metadata(run: Run, chain: Chain, model: "TrainedNet", made: _Graph) -> dict[str, Any]:
    """Return what a program needs to know to use the file, as a JSON object."""
    from mcls.chain.step import axes_of

    spec = model.spec
    step = axes_of(chain, run.about.get("sample_rate")).hop
    return {
        "mcls": __version__,
        "net": spec.net,
        "net_settings": spec.settings,
        "labels": run.labels,
        "multi_label": run.multi_label,
        "regression": run.regression,
        "threshold": run.about["threshold"],
        "thresholds": run.thresholds,
        "aggregate": run.about["aggregate"],
        "scores": model.kind,
        "outputs": list(spec.outputs),
        "input": {"name": made.name, "shape": made.inputs},
        "output": made.outputs,
        "segment": {
            "n_frames": spec.n_frames,
            "n_dims": spec.n_dims,
            "seconds": None if step is None else step * spec.n_frames,
            "short": spec.short,
            "overlap": spec.overlap,
            "test_shift": spec.test_shift,
            "five_crop": spec.five_crop,
        },
        "chain": [
            {
                "kind": one.kind,
                "name": one.name,
                "settings": one.settings,
                "inputs": list(one.inputs),
            }
            for one in chain
        ],
        "sample_rate": chain[0].settings.get("sr") or run.about.get("sample_rate"),
    }
