"""The exported modules: standardisation, net and scores, optionally after the mel spectrogram."""

import numpy as np
import torch
from torch import nn

from mcls.export.mel_graph import MelGraph
from mcls.training.model import TrainedNet


class SegmentGraph(nn.Module):
    """Segments of rows to logits and scores.

    Parameters
    ----------
    model : TrainedNet
        The model; its weights are shared, not copied.
    n_labels : int
        Number of labels of the run; labels that the net has not seen get a constant score.
    """

    place: torch.Tensor
    ends: torch.Tensor
    numbers: torch.Tensor

    def __init__(self, model: TrainedNet, n_labels: int) -> None:
        super().__init__()
        self.standardise = model.standardise
        self.net = model.net
        self.kind = model.kind
        n_outputs = len(model.spec.outputs)
        place = np.full(n_labels, n_outputs)  # the column of the lowest score ...
        place[list(model.spec.always)] = n_outputs + 1  # ... and that of the highest
        place[list(model.spec.outputs)] = np.arange(n_outputs)
        self.register_buffer("place", torch.tensor(place), persistent=False)
        ends = torch.tensor([[model.lowest, model.highest]], dtype=torch.float32)
        spec = model.spec
        scale = torch.tensor([spec.target_scale, spec.target_mean], dtype=torch.float32)
        self.register_buffer("numbers", scale, persistent=False)
        self.register_buffer("ends", ends, persistent=False)

    def forward(self, segments: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return logits and scores ``(batch, n_labels)`` of ``(batch, n_frames, n_dims)``."""
        logits = self.net(self.standardise(segments.unsqueeze(1)))
        scores = logits
        if self.kind == "softmax":
            scores = logits.softmax(dim=1)
        elif self.kind == "sigmoid":
            scores = logits.sigmoid()
        elif self.kind == "linear":
            scores = logits * self.numbers[0] + self.numbers[1]
        scores = torch.cat([scores, self.ends.expand(scores.shape[0], 2)], dim=1)
        return logits, scores.index_select(1, self.place)


class AudioGraph(nn.Module):
    """The audio of a track to its rows, and to logits and scores of its segments.

    Segments follow each other without gaps, and the last one ends with the track, as in
    ``mcls predict``.

    Parameters
    ----------
    mel : MelGraph
        The mel spectrogram.
    segments : SegmentGraph
        The net.
    model : TrainedNet
        The model, for the length of segments and the treatment of short tracks.
    """

    fill: torch.Tensor

    def __init__(self, mel: MelGraph, segments: SegmentGraph, model: TrainedNet) -> None:
        super().__init__()
        self.mel = mel
        self.segments = segments
        self.n_frames = model.spec.n_frames
        self.step = model.spec.step
        self.pads = model.spec.short == "pad"
        standardise = model.standardise
        mean = standardise.mean.reshape(self.n_frames, -1) if standardise.joined else None
        fill = standardise.mean if mean is None else mean
        self.register_buffer("fill", fill.clone(), persistent=False)

    def forward(self, audio: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return rows, logits and scores ``(n_segments, n_labels)`` of audio ``(n_samples,)``."""
        rows = self.mel(audio)
        n, length = rows.shape[0], self.n_frames
        if self.step == length:
            n_segments = (n + length - 1) // length
        else:
            n_segments = 1 + (torch.sym_max(n - length, 0) + self.step - 1) // self.step
        starts = torch.arange(n_segments, device=rows.device) * self.step
        last = torch.full_like(starts, n - length)
        starts = torch.minimum(starts, last).clamp(min=0)
        place = starts[:, None] + torch.arange(length, device=rows.device)
        segments = rows[place % torch.full_like(place, n)]  # (n_segments, n_frames, n_mels)
        if self.pads:
            segments = torch.where((place >= n)[:, :, None], self.fill, segments)
        logits, scores = self.segments(segments)
        return rows, logits, scores
