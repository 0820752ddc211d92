"""A trained net: from the rows of a track to the scores of its segments.

All segments of a track, and no others, pass through the net together. So the score of a track
depends on the track alone, and not on the other tracks, their order or the number of processes.
"""

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import nn

from mcls.errors import ConfigError, suggest
from mcls.registry import find
from mcls.training.arithmetic import exact_arithmetic
from mcls.training.segment_augmentations import move_dims
from mcls.training.segments import Short, cut, grid, step_of
from mcls.training.standardise import Standardise

FORMAT = 1

#: Values that pass through a net at once; a longer track passes in pieces.
_BLOCK = 1 << 23

#: Share of a segment by which corner crops are moved: a crop of 224 of 256 is 16 off the centre.
_CORNER = 16 / 224

#: For each function from a logit to a score: the score of a label that no train track has, that of
#: one that all have, and the threshold from which on a label counts as present.
_SCORES = {
    "softmax": (0.0, 1.0, 0.5),
    "sigmoid": (0.0, 1.0, 0.5),
    "margin": (-1e6, 1e6, 0.0),
    "linear": (0.0, 0.0, 0.0),  # numbers have neither
}


@dataclass(frozen=True)
class NetSpec:
    """The description of a net: everything but its weights.

    Parameters
    ----------
    net : str
        Its name in the registry.
    settings : dict
        All settings of the net.
    n_frames, n_dims : int
        Rows of a segment, and dimensions of a row.
    outputs : tuple of int
        The label of each logit.
    always : tuple of int
        Labels that every train track has; they have no logit.
    multi_label : bool
        Whether a track may have several labels.
    loss : str
        Name of the loss in the registry.
    short : {'loop', 'pad'}
        How a track that is shorter than a segment is extended.
    learnt_from : tuple of str
        ``track_id`` of every train track.
    overlap : float
        Overlap of adjacent segments when a track is scored, as a fraction of a segment, in [0, 1).
    test_shift : int
        The score of a segment is the mean over shifts of up to this many dimensions up and down.
    five_crop : bool
        The score of a segment is the mean over the `places` of five crops.
    target_mean, target_scale : tuple of float
        Mean and standard deviation of the numbers of each output, for a regression.
    """

    net: str
    settings: dict[str, Any]
    n_frames: int
    n_dims: int
    outputs: tuple[int, ...]
    always: tuple[int, ...]
    multi_label: bool
    loss: str
    short: Short
    learnt_from: tuple[str, ...]
    overlap: float = 0.0
    test_shift: int = 0
    five_crop: bool = False
    target_mean: tuple[float, ...] = ()
    target_scale: tuple[float, ...] = ()

    @property
    def step(self) -> int:
        """Hop between segments, in rows."""
        return step_of(self.n_frames, self.overlap)

    @property
    def places(self) -> list[tuple[int, int]]:
        """Rows and dimensions by which a segment is moved; its score is the mean over these places.

        With `five_crop` the centre and four corners, a fourteenth of a segment away along each
        axis, as crops of 224 x 224 pixels are in images of 256 x 256.

        References
        ----------
        Krizhevsky, Sutskever & Hinton (2012), ImageNet classification with deep convolutional
        neural networks, section 4.1.

        Differs from the paper: there are no reflections, which make ten crops of the five: a net is
        not trained on sound that runs backwards, nor on a spectrum upside down. A crop is moved
        within its track; a spectrum has nothing beyond its last band, which is repeated instead.
        """
        later, higher = (round(n * _CORNER) for n in (self.n_frames, self.n_dims))
        corners = [(t, d) for t in (-later, later) for d in (-higher, higher)]
        shifts = range(-self.test_shift, self.test_shift + 1)
        crops = [(0, 0), *corners] if self.five_crop else [(0, 0)]
        return [(t, d + by) for by in shifts for t, d in crops]


class TrainedNet:
    """A net with its weights, used like a classifier.

    Parameters
    ----------
    spec : NetSpec
        Its description.
    net : nn.Module
        A net of the registry.
    standardise : Standardise
        The standardisation of its input.

    Attributes
    ----------
    classes_ : np.ndarray, int64
        The labels that it scores, ascending.
    multi_label_ : bool
        Whether a track may have several labels.
    n_features_in_ : int
        Dimensions of a row.
    threshold, lowest : float
        Score from which on a label counts as present; score of a label that it never saw.
    """

    def __init__(self, spec: NetSpec, net: nn.Module, standardise: Standardise) -> None:
        self.spec = spec
        self.net = net
        self.standardise = standardise
        self.kind: str = find("losses", spec.loss).facts["scores"]
        self.lowest, self.highest, self.threshold = _SCORES[self.kind]
        self.classes_ = np.array(sorted((*spec.outputs, *spec.always)), dtype=np.int64)
        self.multi_label_ = spec.multi_label
        self.n_features_in_ = spec.n_dims

    @property
    def device(self) -> torch.device:
        """The device that it computes on."""
        return self.standardise.mean.device

    @property
    def hidden_layers(self) -> tuple[str, ...]:
        """The names of the net's hidden layers, first to last."""
        return tuple(self.net.hidden)  # type: ignore[arg-type]  # part of a net's contract

    @property
    def layers(self) -> tuple[str, ...]:
        """The names of everything that `hidden` returns: the hidden layers."""
        return self.hidden_layers

    @property
    def at_once(self) -> int:
        """Segments that pass through the net at once."""
        return max(1, _BLOCK // (self.spec.n_frames * self.spec.n_dims))

    @property
    def middle(self) -> float:
        """Rows from the first row of a track to the middle of its first segment."""
        return (self.spec.n_frames - 1) / 2

    def with_net(self, net: nn.Module) -> "TrainedNet":
        """Return the same model with other weights, those of `net`."""
        other = copy.copy(self)
        other.net = net
        return other

    def with_overlap(self, overlap: float) -> "TrainedNet":
        """Return the same model with another overlap of the segments that it scores."""
        other = copy.copy(self)
        other.spec = replace(self.spec, overlap=overlap)
        return other

    def first_rows(self, n_rows: int) -> np.ndarray:
        """Return the first row of every segment that it scores in a track of `n_rows` rows."""
        return grid(n_rows, self.spec.n_frames, self.spec.overlap)

    def to(self, device: torch.device | str) -> "TrainedNet":
        """Move it to a device."""
        self.net.to(device)
        self.standardise.to(device)
        return self

    def logits(self, rows: np.ndarray, later: int = 0) -> torch.Tensor:
        """Return the logits of the segments of a track, ``(n_segments, n_outputs)``.

        Parameters
        ----------
        rows : np.ndarray, shape (n_rows, n_dims)
            One or more rows.
        later : int
            Rows by which every segment is moved, as far as the track goes.
        """
        with evaluating(self.net):
            return torch.cat([self.net(x).float() for x in self.segments(rows, later)])

    def scores_of(self, tracks: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Return the scores of the segments of each track, ``(n_segments, n_classes)`` float64."""
        return [np.mean([*self._scores_of_moved(rows)], axis=0) for rows in tracks]

    def scores_of_logits(self, logits: torch.Tensor) -> np.ndarray:
        """Return scores ``(n, n_classes)`` float64 from logits ``(n, n_outputs)``."""
        logits = logits.double().cpu()  # in 64 bits on the CPU, whatever the device
        if self.kind == "softmax":
            logits = logits.softmax(dim=1)
        elif self.kind == "sigmoid":
            logits = logits.sigmoid()
        elif self.kind == "linear":
            logits = logits * torch.tensor(self.spec.target_scale, dtype=torch.float64)
            logits = logits + torch.tensor(self.spec.target_mean, dtype=torch.float64)
        scores = np.full((len(logits), len(self.classes_)), self.highest)
        scores[:, np.searchsorted(self.classes_, self.spec.outputs)] = logits.numpy()
        return scores

    def hidden(self, rows: np.ndarray, layers: Sequence[str]) -> np.ndarray:
        """Return the concatenated activations of hidden layers, a row per segment.

        Parameters
        ----------
        rows : np.ndarray, shape (n_rows, n_dims)
            One or more rows.
        layers : sequence of str
            Names of the net's ``hidden`` layers. Maps are reduced to their maximum over the
            segment, or to their mean if the name ends with ``:mean``.

        Returns
        -------
        np.ndarray, shape (n_segments, n_units), float32

        References
        ----------
        Lee & Nam (2017), Multi-level and multi-scale feature aggregation using pre-trained
        convolutional neural networks for music auto-tagging: maximum within a segment. Choi et al.
        (2017), Transfer learning for music classification and regression tasks: mean.
        """
        kept: dict[str, list[torch.Tensor]] = {word: [] for word in layers}

        def keep(word: str, over: str) -> Any:
            def hook(module: nn.Module, given: Any, output: torch.Tensor) -> None:
                if output.ndim > 2:
                    maps = output.flatten(2)
                    output = maps.mean(dim=2) if over == "mean" else maps.amax(dim=2)
                kept[word].append(output.float().cpu())

            return hook

        hooks = []
        for word in layers:
            name, _, over = word.partition(":")
            hooks.append(self.net.get_submodule(name).register_forward_hook(keep(word, over)))
        try:
            self.logits(rows)
        finally:
            for hook in hooks:
                hook.remove()
        return torch.cat([torch.cat(kept[name]) for name in layers], dim=1).numpy()

    def tensors(self) -> dict[str, torch.Tensor]:
        """Return everything that was learnt, by name."""
        found = {f"net.{name}": tensor for name, tensor in self.net.state_dict().items()}
        found |= {f"input.{name}": tensor for name, tensor in self.standardise.state_dict().items()}
        return found

    def about(self) -> dict[str, Any]:
        """Return the description of the net as JSON can hold it."""
        return {"format": FORMAT, **asdict(self.spec), "joined": self.standardise.joined}

    def _scores_of_moved(self, rows: np.ndarray) -> Iterator[np.ndarray]:
        """Yield the scores of the segments at each of their places."""
        for later, by in self.spec.places:
            moved = move_dims(rows, by) if by else rows
            yield self.scores_of_logits(self.logits(moved, later))

    def segments(self, rows: np.ndarray, later: int = 0) -> Iterator[torch.Tensor]:
        """Yield batches of standardised segments of a track, ``(n, 1, n_frames, n_dims)``."""
        n_frames = self.spec.n_frames
        offsets = grid(len(rows), n_frames, self.spec.overlap)
        offsets = np.clip(offsets + later, 0, offsets[-1])
        mean = self.standardise.mean.cpu().numpy()
        mean = mean.reshape(n_frames, -1) if self.standardise.joined else mean
        for first in range(0, len(offsets), self.at_once):
            some = offsets[first : first + self.at_once]
            stops = np.full_like(some, len(rows))
            x = cut(
                rows, np.zeros_like(some), stops, some, n_frames, short=self.spec.short, mean=mean
            )
            yield self.standardise(torch.from_numpy(x[:, None]).to(self.device))


def chosen_layers(known: Sequence[str], wanted: Sequence[str]) -> list[str]:
    """Return the names of the hidden layers that are given by name, number (from 1) or ``all``.

    ``:mean`` or ``:max`` after a name says how maps are reduced; the default is the maximum.

    Raises
    ------
    ConfigError
        If there is no such layer, or no such reduction.
    """
    found: list[str] = []
    for given in wanted or [known[-1]]:
        word, colon, over = given.partition(":")
        if colon and over not in ("max", "mean"):
            raise ConfigError(
                f"layer {given!r}: cannot reduce maps by {over!r}; expected max or mean"
            )
        if word == "all":
            chosen = list(known)
        elif word in known:
            chosen = [word]
        elif word.isdigit() and 1 <= int(word) <= len(known):
            chosen = [known[int(word) - 1]]
        else:
            raise ConfigError(
                f"there is no layer {word!r}; {suggest(word, known)}, 1 to {len(known)}, or all"
            )
        found += [f"{name}:mean" for name in chosen] if over == "mean" else chosen
    return list(dict.fromkeys(found))


@contextmanager
def evaluating(net: nn.Module) -> Iterator[None]:
    """Disable gradients, dropout and reduced precision; the mode of the net is restored."""
    training = net.training
    net.eval()
    try:
        with torch.inference_mode(), exact_arithmetic():
            yield
    finally:
        net.train(training)
