"""A run of a classifier as one torch module, from the audio of a track to its scores."""

from collections.abc import Sequence

import torch
from torch import nn

from mcls.export.classifier_graph import ClassifierGraph
from mcls.export.mel_graph import MelGraph, MfccGraph


class TrackGraph(nn.Module):
    """Audio to scores, by the steps of a chain and a classifier.

    Parameters
    ----------
    steps : sequence of nn.Module
        A module per step; the last one makes the rows that the classifier reads.
    inputs : sequence of tuple of int
        The steps that each step reads; a step without any reads the audio.
    classifier : ClassifierGraph
        The classifier.
    """

    def __init__(
        self,
        steps: Sequence[nn.Module],
        inputs: Sequence[tuple[int, ...]],
        classifier: ClassifierGraph,
    ) -> None:
        super().__init__()
        self.steps = nn.ModuleList(steps)
        self.inputs = list(inputs)
        self.classifier = classifier

    def least_samples(self) -> int:
        """Return the smallest number of samples that the graph accepts."""
        features = (one for one in self.steps if isinstance(one, MelGraph | MfccGraph))
        return max(one.least_samples() for one in features)

    def forward(self, audio: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Return scores, and probabilities if the run is calibrated, of audio ``(n_samples,)``."""
        known: list[torch.Tensor] = []
        for step, inputs in zip(self.steps, self.inputs, strict=True):
            known.append(step(*[known[i] for i in inputs]) if inputs else step(audio))
        return self.classifier(known[-1])
