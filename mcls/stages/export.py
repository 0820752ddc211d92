"""Export: the net of a run as one file for other programs, from rows or from audio."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mcls import __version__
from mcls.chain.feature import feature_of
from mcls.chain.model_cache import fitted_model
from mcls.disk.chain import Chain
from mcls.disk.run import Run, open_run
from mcls.disk.workspace import written_whole
from mcls.errors import ConfigError, MclsError

if TYPE_CHECKING:
    import torch
    from torch import nn

    from mcls.training.model import TrainedNet

#: The formats by their suffix.
SUFFIXES = (".onnx", ".pt2")

#: Segments of the inputs a file is tried with.
_BATCHES = (1, 5)


@dataclass(frozen=True)
class Exported:
    """What `export` made.

    Parameters
    ----------
    path : Path
        The file.
    reads, gives : dict of str to list
        Inputs and outputs with their sizes; a name where any length will do.
    difference : float
        How far its outputs are from the net's, at most.
    metadata : dict
        What the file says of itself.
    notes : list of str
        What is not in the file.
    """

    path: Path
    reads: dict[str, list[int | str]]
    gives: dict[str, list[int | str]]
    difference: float
    metadata: dict[str, Any]
    notes: list[str]


def export(
    run: Path | str, out: Path | str, *, with_mel: bool = False, overwrite: bool = False
) -> Exported:
    """Write the net of a run to one file: standardising, net and scores.

    Parameters
    ----------
    run : path
        A run folder whose model is a net.
    out : path
        ``.onnx``: ONNX, tried in onnxruntime before it is there. ``.pt2``: torch.export.
    with_mel : bool
        Begin at the audio of a track instead of at segments of rows: the mel spectrogram and the
        cutting into segments are in the file too.
    overwrite : bool
        Replace a file that is there.

    Returns
    -------
    Exported

    Raises
    ------
    ConfigError
        If the run is no net, something that is needed is not installed, the suffix is unknown, the
        file is there, or `with_mel` is asked for other rows than mel spectra.
    FormatError
        If `run` is not a run folder.
    MclsError
        If the file does not compute what the net does; it is not written then.
    """
    out = Path(out)
    if out.suffix.lower() not in SUFFIXES:
        raise ConfigError(f"{out}: the suffix {out.suffix!r} is not one of {', '.join(SUFFIXES)}")
    if out.exists() and not overwrite:
        raise ConfigError(f"{out}: exists; --overwrite replaces it")
    opened = open_run(run)
    if opened.net_file is None:
        name = opened.settings.get("train", {}).get("model", "a classifier")
        raise ConfigError(
            f"{run}: its model is {name}, which is not a net; only nets can be exported. Use "
            "`mcls predict`, or train one of `mcls list nets`"
        )
    onnx = out.suffix.lower() == ".onnx"
    if onnx:
        from mcls.export.files import check_installed

        check_installed()
    model = fitted_model(opened)
    chain = opened.chain()
    made = _from_audio(opened, chain, model) if with_mel else _from_rows(opened, model)
    metadata = _metadata(opened, chain, model, made)
    difference = _write(made, out, metadata, onnx)
    notes = []
    if not with_mel:
        steps = " > ".join(step.name for step in chain)
        notes.append(f"its input is segments of rows of {steps}, which the file does not make")
    return Exported(
        out, {made.name: made.reads}, made.gives, difference, metadata, notes + made.notes
    )


@dataclass
class _Made:
    """A graph with what is to be known to write it."""

    graph: "nn.Module"
    name: str
    example: "torch.Tensor"
    trials: "list[torch.Tensor]"
    reads: list[int | str]
    gives: dict[str, list[int | str]]
    notes: list[str]
    shorter: "_Made | None" = None

    @property
    def free(self) -> dict[int, str]:
        """Axes of any length."""
        return {axis: size for axis, size in enumerate(self.reads) if isinstance(size, str)}


def _from_rows(run: Run, model: "TrainedNet") -> _Made:
    """Return the graph of segments; of segments of any length, if the net takes them."""
    from mcls.export.graph import SegmentGraph

    graph = SegmentGraph(model, len(run.labels)).eval()
    n_frames = model.spec.n_frames
    gives: dict[str, list[int | str]] = {
        "logits": ["batch", len(model.spec.outputs)],
        "scores": ["batch", len(run.labels)],
    }

    def made(frames: int | str, lengths: list[int], shorter: _Made | None) -> _Made:
        trials = [_segments(model, n, length) for n in _BATCHES for length in lengths]
        reads = ["batch", frames, model.spec.n_dims]
        length = lengths[-1]
        if isinstance(frames, str) and length == model.spec.n_dims:
            length += 1  # two lengths that are equal by chance, torch would take for one
        example = _segments(model, 3, length)
        return _Made(graph, "segments", example, trials, reads, gives, [], shorter)

    fixed = made(n_frames, [n_frames], None)
    lengths = [n_frames, n_frames + 3, 2 * n_frames + 101]  # that crnn pads to other lengths
    takes_any = n_frames > 1 and all(_takes(graph, _segments(model, 1, n)) for n in lengths[1:])
    return made("frames", lengths, fixed) if takes_any else fixed


def _from_audio(run: Run, chain: Chain, model: "TrainedNet") -> _Made:
    """Return the graph from the audio of a track on."""
    import torch

    from mcls.export.graph import AudioGraph, SegmentGraph
    from mcls.export.mel_graph import MelGraph
    from mcls.features.mel import Mel

    steps = " > ".join(step.name for step in chain)
    feature = feature_of(chain[0], run.about.get("sample_rate")) if len(chain) == 1 else None
    if not isinstance(feature, Mel):
        raise ConfigError(
            f"--with-mel: the net reads {steps}; only a mel spectrogram by itself, at one rate, "
            "can be put into the file. Leave --with-mel out and compute the rows by `mcls extract`"
        )
    mel = MelGraph(feature, half=chain[0].settings.get("dtype") == "float16")
    graph = AudioGraph(mel, SegmentGraph(model, len(run.labels)), model).eval()
    hop, n_frames = feature.hop_length, model.spec.n_frames
    least = mel.least_samples()
    generator = torch.Generator().manual_seed(0)
    lengths = (hop * n_frames * 5 // 2, hop * n_frames * 3, hop * (n_frames - 1), hop * 3)
    trials = [0.1 * torch.randn(max(n, least), generator=generator) for n in lengths]
    notes = [f"its input is mono audio at {feature.sr} Hz, all of a track, in [-1, 1]"]
    excerpt = chain[0].settings.get("excerpt")
    if excerpt is not None:
        notes.append(f"the run knows the excerpt {excerpt} of a track only: give that")
    gives: dict[str, list[int | str]] = {
        "mel": ["rows", model.spec.n_dims],
        "logits": ["segments", len(model.spec.outputs)],
        "scores": ["segments", len(run.labels)],
    }
    return _Made(graph, "audio", trials[0], trials, ["samples"], gives, notes)


def _segments(model: "TrainedNet", n: int, n_frames: int) -> "torch.Tensor":
    """Return random segments such as the net has learnt from."""
    import torch

    generator = torch.Generator().manual_seed(n)
    own = model.standardise
    shape = (model.spec.n_frames, -1) if own.joined else (-1,)
    mean, scale = own.mean.reshape(shape), own.scale.reshape(shape)
    drawn = torch.randn(n, n_frames, model.spec.n_dims, generator=generator)
    return drawn * scale + mean if n_frames == model.spec.n_frames or not own.joined else drawn


def _takes(graph: "nn.Module", segments: "torch.Tensor") -> bool:
    """Say whether a net takes segments of such a length."""
    import torch

    try:
        with torch.no_grad():
            graph(segments)
    except (RuntimeError, IndexError, ValueError):
        return False
    return True


def _write(made: _Made, out: Path, metadata: dict[str, Any], onnx: bool) -> float:
    """Write a graph; where an axis turns out not to be free, the graph in which it is fixed."""
    from mcls.export.files import compare_onnx, compare_torch, traced, write_onnx, write_torch

    try:
        program = traced(made.graph, made.example, made.free)
        with written_whole(out) as temporary:
            if not onnx:
                write_torch(program, temporary, metadata)
                return compare_torch(program, made.graph, made.trials)
            write_onnx(program, temporary, metadata, inputs=[made.name], outputs=list(made.gives))
            return compare_onnx(temporary, made.graph, made.trials)
    except Exception as error:  # the exporters raise errors of all kinds
        if made.shorter is not None:
            fixed, made.shorter = made.shorter, None
            made.example, made.trials = fixed.example, fixed.trials
            made.reads[:] = fixed.reads  # metadata holds it too
            return _write(made, out, metadata, onnx)
        if isinstance(error, MclsError | OSError):
            raise
        said = str(error).strip().partition("\n")[0]
        raise MclsError(f"{out}: torch cannot write this net ({said})") from error


def _metadata(run: Run, chain: Chain, model: "TrainedNet", made: _Made) -> dict[str, Any]:
    """Return what one has to know to use the file, as JSON can hold it."""
    from mcls.chain.step import axes_of

    spec = model.spec
    step = axes_of(chain, run.about.get("sample_rate")).hop
    return {
        "mcls": __version__,
        "net": spec.net,
        "net_settings": spec.settings,
        "labels": run.labels,
        "multi_label": run.multi_label,
        "threshold": run.about["threshold"],
        "aggregate": run.about["aggregate"],
        "scores": model.kind,
        "outputs": list(spec.outputs),
        "input": {"name": made.name, "shape": made.reads},
        "output": made.gives,
        "segment": {
            "n_frames": spec.n_frames,
            "n_dims": spec.n_dims,
            "seconds": None if step is None else step * spec.n_frames,
            "short": spec.short,
            "overlap": spec.overlap,
            "test_shift": spec.test_shift,
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
