"""A trained net: rows of a track in, scores of its segments out. Needs torch, not Lightning.

All segments of a track, and no others, pass through the net together. So the score of a track
depends on the track alone: not on which tracks are scored beside it, in what order, by how many
processes or devices.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from mcls.errors import ConfigError, FormatError, MclsError, suggest
from mcls.nets import build_net
from mcls.registry import find
from mcls.training.segment_augmentations import move_dims
from mcls.training.segments import Short, cut, grid, step_of

FORMAT = 1

#: Numbers that pass through a net at once; a longer track passes in pieces.
_BLOCK = 1 << 23

#: Numbers of a segment that are believed.
_LARGEST = 1 << 28

#: By what a score is made of a logit: score of a label that no train track has, of one that all
#: have, and from which score on a label counts as present.
_SCORES = {
    "softmax": (0.0, 1.0, 0.5),
    "sigmoid": (0.0, 1.0, 0.5),
    "margin": (-1e6, 1e6, 0.0),
}


@dataclass(frozen=True)
class NetSpec:
    """What a net is, but for its weights.

    Parameters
    ----------
    net : str
        In the registry.
    settings : dict
        Of the net, all of them.
    n_frames, n_dims : int
        Rows of a segment, and numbers of a row.
    outputs : tuple of int
        The label that each logit stands for.
    always : tuple of int
        Labels that every train track has, and that no logit stands for.
    multi_label : bool
        Whether a track may have several labels.
    loss : str
        In the registry.
    short : {'loop', 'pad'}
        What is done with a track that is shorter than a segment.
    learnt_from : tuple of str
        ``track_id`` of every train track.
    overlap : float
        Share of a segment that the next one has, too, when a track is scored; in [0, 1).
    test_shift : int
        A segment's score is the mean over itself moved up and down by as many as these dims.
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

    @property
    def step(self) -> int:
        """Rows from the beginning of a segment to that of the next."""
        return step_of(self.n_frames, self.overlap)


class Standardise(nn.Module):
    """What comes before a net: the mean subtracted, the deviation divided by, maybe whitened.

    Parameters
    ----------
    mean, scale : torch.Tensor, shape (1,), (n_dims,) or (n_frames * n_dims,)
        Of all numbers, of each dim, or of each number of a segment.
    whitening : torch.Tensor, shape (n_frames * n_dims, n_kept), or None
        What the standardised numbers are multiplied with.
    joined : bool
        Whether the frames of a segment become one long row first.
    """

    mean: torch.Tensor
    scale: torch.Tensor
    whitening: torch.Tensor | None

    def __init__(
        self,
        mean: torch.Tensor,
        scale: torch.Tensor,
        whitening: torch.Tensor | None = None,
        *,
        joined: bool = False,
    ) -> None:
        super().__init__()
        self.register_buffer("mean", mean)
        self.register_buffer("scale", scale)
        self.register_buffer("whitening", whitening)
        self.joined = joined

    def shape(self, n_frames: int, n_dims: int) -> tuple[int, int]:
        """Return frames and dims of what comes out.

        Raises
        ------
        ConfigError
            If the segments do not fit.
        """
        if self.joined:
            n_frames, n_dims = 1, n_frames * n_dims
        sizes = (1, n_dims)
        kept = n_dims if self.whitening is None else self.whitening.shape[1]
        if (
            self.mean.ndim != 1
            or self.mean.shape != self.scale.shape
            or len(self.mean) not in sizes
            or (self.whitening is not None and len(self.whitening) != n_dims)
        ):
            raise ConfigError(
                f"rows of {n_dims} numbers for a standardising of {len(self.mean)} numbers"
            )
        return n_frames, kept

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Segments ``(batch, 1, n_frames, n_dims)`` of any type to float32 ones."""
        x = x.float()
        if self.joined:
            x = x.flatten(2).unsqueeze(2)  # (batch, 1, 1, n_frames * n_dims)
        x = (x - self.mean).div_(self.scale)
        return x if self.whitening is None else x @ self.whitening


class TrainedNet:
    """A net with its weights, used as the classifiers are.

    Parameters
    ----------
    spec : NetSpec
        What it is.
    net : nn.Module
        Of the registry.
    standardise : Standardise
        What comes before it.

    Attributes
    ----------
    classes_ : np.ndarray, int64
        The labels it gives scores of, ascending.
    multi_label_ : bool
        Whether a track may have several labels.
    n_features_in_ : int
        Numbers of a row.
    threshold, lowest : float
        From which score on a label counts as present; the score of a label it never saw.
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
        """Where it computes."""
        return self.standardise.mean.device

    def to(self, device: torch.device | str) -> "TrainedNet":
        """Move it to a device."""
        self.net.to(device)
        self.standardise.to(device)
        return self

    def logits(self, rows: np.ndarray) -> torch.Tensor:
        """Return logits of the segments of a track, ``(n_segments, n_outputs)``, on the device.

        Parameters
        ----------
        rows : np.ndarray, shape (n_rows, n_dims)
            One row or more.
        """
        with _evaluating(self.net):
            return torch.cat([self.net(x).float() for x in self._segments(rows)])

    def scores_of(self, tracks: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Return scores of the segments of each track, ``(n_segments, n_classes)`` float64."""
        return [np.mean([*self._scores_of_moved(rows)], axis=0) for rows in tracks]

    def scores_of_logits(self, logits: torch.Tensor) -> np.ndarray:
        """Return scores ``(n, n_classes)`` float64 from logits ``(n, n_outputs)``."""
        logits = logits.double().cpu()  # on the CPU in 64 bits, wherever the net is
        if self.kind == "softmax":
            logits = logits.softmax(dim=1)
        elif self.kind == "sigmoid":
            logits = logits.sigmoid()
        scores = np.full((len(logits), len(self.classes_)), self.highest)
        scores[:, np.searchsorted(self.classes_, self.spec.outputs)] = logits.numpy()
        return scores

    def hidden(self, rows: np.ndarray, layers: Sequence[str]) -> np.ndarray:
        """Return activations of hidden layers, side by side, a row per segment.

        Parameters
        ----------
        rows : np.ndarray, shape (n_rows, n_dims)
            One row or more.
        layers : sequence of str
            Out of the net's ``hidden``. Of maps the maximum over the segment is taken; with
            ``:mean`` after the name the mean.

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
        """Return all that was learnt, by name."""
        found = {f"net.{name}": tensor for name, tensor in self.net.state_dict().items()}
        found |= {f"input.{name}": tensor for name, tensor in self.standardise.state_dict().items()}
        return found

    def about(self) -> dict[str, Any]:
        """Return what JSON can hold: all but the tensors."""
        return {"format": FORMAT, **asdict(self.spec), "joined": self.standardise.joined}

    def _scores_of_moved(self, rows: np.ndarray) -> Iterator[np.ndarray]:
        """Yield scores of the segments, moved by -test_shift, ..., test_shift dims."""
        for by in range(-self.spec.test_shift, self.spec.test_shift + 1):
            moved = move_dims(rows, by) if by else rows
            yield self.scores_of_logits(self.logits(moved))

    def _segments(self, rows: np.ndarray) -> Iterator[torch.Tensor]:
        """Yield the standardised segments of a track in pieces, ``(n, 1, n_frames, n_dims)``."""
        n_frames = self.spec.n_frames
        offsets = grid(len(rows), n_frames, self.spec.overlap)
        size = max(1, _BLOCK // (n_frames * self.spec.n_dims))
        mean = self.standardise.mean.cpu().numpy()
        mean = mean.reshape(n_frames, -1) if self.standardise.joined else mean
        for first in range(0, len(offsets), size):
            some = offsets[first : first + size]
            stops = np.full_like(some, len(rows))
            x = cut(
                rows, np.zeros_like(some), stops, some, n_frames, short=self.spec.short, mean=mean
            )
            yield self.standardise(torch.from_numpy(x[:, None]).to(self.device))


def read_net(tensors: Mapping[str, torch.Tensor], about: Mapping[str, Any]) -> TrainedNet:
    """Rebuild a net from what `TrainedNet.tensors` and `TrainedNet.about` gave.

    The net is laid out without memory first, so that a file's claims are checked before anything
    is allocated for them.

    Raises
    ------
    FormatError
        If they are not those of a net of mcls.
    """
    try:
        if about["format"] != FORMAT:
            raise FormatError(f"a net of format {about['format']}; this mcls reads {FORMAT}")
        spec = NetSpec(
            net=str(about["net"]),
            settings=dict(about["settings"]),
            n_frames=int(about["n_frames"]),
            n_dims=int(about["n_dims"]),
            outputs=tuple(map(int, about["outputs"])),
            always=tuple(map(int, about["always"])),
            multi_label=bool(about["multi_label"]),
            loss=str(about["loss"]),
            short="pad" if about["short"] == "pad" else "loop",
            learnt_from=tuple(map(str, about["learnt_from"])),
            overlap=float(about.get("overlap", 0.0)),  # older nets have none
            test_shift=int(about.get("test_shift", 0)),  # nor this
        )
        labels = [*spec.outputs, *spec.always]
        if min(labels) < 0 or len(set(labels)) < len(labels):
            raise FormatError(f"a net of labels {labels}")
        if not 1 <= spec.n_frames * spec.n_dims <= _LARGEST:
            raise FormatError(f"segments of {spec.n_frames} rows of {spec.n_dims} numbers")
        if not 0 <= spec.overlap < 1:
            raise FormatError(f"segments that overlap by {spec.overlap} of their rows")
        if not 0 <= spec.test_shift < spec.n_dims:
            raise FormatError(f"{spec.n_dims} dims that are moved by {spec.test_shift}")
        own = {
            name.partition(".")[2]: t for name, t in tensors.items() if name.startswith("input.")
        }
        whitening = own.get("whitening")
        standardise = Standardise(
            own["mean"], own["scale"], whitening, joined=bool(about["joined"])
        )
        sizes = standardise.shape(spec.n_frames, spec.n_dims)
        with torch.device("meta"):
            net = build_net(spec.net, spec.settings, *sizes, len(spec.outputs))
        weights = {name.partition(".")[2]: t for name, t in tensors.items() if name[:4] == "net."}
        for name, expected in net.state_dict().items():
            if name in weights and weights[name].dtype != expected.dtype:
                raise FormatError(f"{name} is {weights[name].dtype}; expected {expected.dtype}")
        net.load_state_dict(weights, assign=True)
        return TrainedNet(spec, net, standardise)
    except MclsError as error:
        raise FormatError(str(error)) from error
    except (KeyError, TypeError, ValueError, RuntimeError, AttributeError) as error:
        said = str(error).partition("\n")[0]
        raise FormatError(f"not a net of mcls ({type(error).__name__}: {said})") from error


def chosen_layers(net: nn.Module, wanted: Sequence[str]) -> list[str]:
    """Return the hidden layers that some words mean: a name, a number from 1 on, or ``all``.

    After each may stand ``:mean`` or ``:max``, what is taken of maps; the maximum goes without
    saying.

    Raises
    ------
    ConfigError
        If there is no such layer, or something else is to be taken of it.
    """
    known: tuple[str, ...] = tuple(net.hidden)  # type: ignore[arg-type]  # part of a net's contract
    found: list[str] = []
    for given in wanted or [known[-1]]:
        word, colon, over = given.partition(":")
        if colon and over not in ("max", "mean"):
            raise ConfigError(f"layer {given!r}: {over!r} of its maps; expected max or mean")
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
def _evaluating(net: nn.Module) -> Iterator[None]:
    """No gradients, no dropout, full precision; the net is left in the mode it was in."""
    training = net.training
    net.eval()
    exact = torch.backends.cudnn.flags(enabled=True, deterministic=True, allow_tf32=False)
    try:
        with torch.inference_mode(), exact:
            yield
    finally:
        net.train(training)
