"""What is written of a net: standardising, net and scores as one module, mel before it or not."""

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
        Its weights are shared, not copied.
    n_labels : int
        Of the run; a label that the net never saw has its own score.
    """

    place: torch.Tensor
    ends: torch.Tensor

    def __init__(self, model: TrainedNet, n_labels: int) -> None:
        super().__init__()
        self.standardise = model.standardise
        self.net = model.net
        self.kind = model.kind
        n_outputs = len(model.spec.outputs)
        place = np.full(n_labels, n_outputs)  # a column of the lowest score ...
        place[list(model.spec.always)] = n_outputs + 1  # ... and one of the highest
        place[list(model.spec.outputs)] = np.arange(n_outputs)
        self.register_buffer("place", torch.tensor(place), persistent=False)
        ends = torch.tensor([[model.lowest, model.highest]], dtype=torch.float32)
        self.register_buffer("ends", ends, persistent=False)

    def forward(self, segments: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """``(batch, n_frames, n_dims)`` to logits and scores, ``(batch, n_labels)``."""
        logits = self.net(self.standardise(segments.unsqueeze(1)))
        scores = logits
        if self.kind == "softmax":
            scores = logits.softmax(dim=1)
        elif self.kind == "sigmoid":
            scores = logits.sigmoid()
        scores = torch.cat([scores, self.ends.expand(scores.shape[0], 2)], dim=1)
        return logits, scores.index_select(1, self.place)


class AudioGraph(nn.Module):
    """The audio of a track to its rows, and to logits and scores of its segments.

    Segments lie side by side; a last one that would not be whole ends with the track. So they are
    those that ``mcls predict`` scores.

    Parameters
    ----------
    mel : MelGraph
        From audio to rows.
    segments : SegmentGraph
        From segments to scores.
    model : TrainedNet
        How long a segment is, and what is done with a short track.
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
        """``(n_samples,)`` to rows ``(n, n_mels)``, logits and scores ``(n_segments, ...)``."""
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
