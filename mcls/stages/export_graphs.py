"""The graphs that are exported: of a net from rows or audio, of a classifier from audio."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mcls.chain.feature import feature_of
from mcls.chain.graph import audio_settings, track_graph
from mcls.disk.chain import Chain, Step
from mcls.disk.run import Run
from mcls.errors import ConfigError
from mcls.stages.calibrate import read_calibration

if TYPE_CHECKING:
    import torch
    from torch import nn

    from mcls.training.model import TrainedNet

#: Batch sizes of the inputs on which a file is compared with torch.
_BATCH_SIZES = (1, 5)


@dataclass
class GraphToWrite:
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
    fallback: "GraphToWrite | None" = None

    @property
    def free(self) -> dict[int, str]:
        """The axes of any length."""
        return {axis: size for axis, size in enumerate(self.inputs) if isinstance(size, str)}


def from_rows(run: Run, model: "TrainedNet") -> GraphToWrite:
    """Return the graph of segments, of any length if the net accepts them."""
    from mcls.export.graph import SegmentGraph

    graph = SegmentGraph(model, len(run.labels)).eval()
    n_frames = model.spec.n_frames
    outputs: dict[str, list[int | str]] = {
        "logits": ["batch", len(model.spec.outputs)],
        "scores": ["batch", len(run.labels)],
    }

    def made(frames: int | str, lengths: list[int], fallback: GraphToWrite | None) -> GraphToWrite:
        examples = [_segments(model, n, length) for n in _BATCH_SIZES for length in lengths]
        inputs = ["batch", frames, model.spec.n_dims]
        length = lengths[-1]
        if isinstance(frames, str) and length == model.spec.n_dims:
            length += 1  # torch takes two equal lengths for the same axis
        example = _segments(model, 3, length)
        return GraphToWrite(graph, "segments", example, examples, inputs, outputs, [], fallback)

    fixed = made(n_frames, [n_frames], None)
    lengths = [
        n_frames,
        n_frames + 3,
        2 * n_frames + 101,
    ]  # the last ones are not multiples of the pooling
    takes_any = n_frames > 1 and all(_accepts(graph, _segments(model, 1, n)) for n in lengths[1:])
    return made("frames", lengths, fixed) if takes_any else fixed


def from_audio(run: Run, chain: Chain, model: "TrainedNet") -> GraphToWrite:
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
    notes = _about_audio(feature.sr, chain[0])
    outputs: dict[str, list[int | str]] = {
        "mel": ["rows", model.spec.n_dims],
        "logits": ["segments", len(model.spec.outputs)],
        "scores": ["segments", len(run.labels)],
    }
    return GraphToWrite(graph, "audio", examples[0], examples, ["samples"], outputs, notes)


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


def from_track(run: Run, chain: Chain) -> GraphToWrite:
    """Return the graph of a classifier, from the audio of a track to its scores."""
    import torch

    calibration = read_calibration(run)
    graph = track_graph(run, chain, calibration).eval()
    generator = torch.Generator().manual_seed(0)
    sr = audio_settings(run, chain)["sr"]
    lengths = [max(int(sr * seconds), graph.least_samples()) for seconds in (2.5, 1.3, 0.11)]
    examples = [0.1 * torch.randn(n, generator=generator) for n in lengths]
    outputs: dict[str, list[int | str]] = {"scores": [len(run.labels)]}
    if calibration is not None:
        outputs["probabilities"] = [len(run.labels)]
    notes = _about_audio(sr, chain[0])
    return GraphToWrite(graph, "audio", examples[0], examples, ["samples"], outputs, notes)


def _about_audio(sr: int, feature: Step) -> list[str]:
    """Say which audio the file reads."""
    notes = [f"the input is the mono audio of a whole track at {sr} Hz, in [-1, 1]"]
    excerpt = feature.settings.get("excerpt")
    if excerpt is not None:
        notes.append(
            f"the run was trained on the excerpt {excerpt} of each track; pass the same excerpt"
        )
    return notes
