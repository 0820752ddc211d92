"""What is measured after each epoch: the valid part, gradient norms and dead units."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import nn

from mcls.errors import DataError
from mcls.evaluation import evaluate
from mcls.evaluation.aggregate import tracks_of_segments
from mcls.evaluation.suitable import default_metrics
from mcls.registry import find
from mcls.settings import split_spec
from mcls.tables.predictions import Predictions
from mcls.training.model import TrainedNet, evaluating
from mcls.training.segments import Tracks

#: The range of a nonlinearity's outputs, and the distance from an end that counts as saturated.
_ENDS: dict[type[nn.Module], tuple[float | None, float | None, float]] = {
    nn.ReLU: (0.0, None, 0.0),
    nn.Sigmoid: (0.0, 1.0, 0.01),
    nn.Tanh: (-1.0, 1.0, 0.01),
    nn.ELU: (-1.0, None, 0.01),
    nn.SELU: (-1.7581, None, 0.01),
}

Loss = Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]


@dataclass(frozen=True)
class Validation:
    """The valid part and the metric that is monitored on it.

    Parameters
    ----------
    tracks : Tracks
        Tracks of the valid part, with a column of targets per logit.
    truth : np.ndarray, shape (n_tracks, n_labels), bool or float64
        True labels, or the numbers of a regression in their own units.
    names : list of str
        Names of all labels.
    how : {'mean', 'vote', 'max'}
        Aggregation from segments to tracks.
    monitor : str
        ``loss`` or a metric: it selects the best epoch.
    unknown : np.ndarray, shape (n_tracks, n_labels), bool, or None
        Labels that are unknown.
    """

    tracks: Tracks
    truth: np.ndarray
    names: list[str]
    how: str
    monitor: str
    unknown: np.ndarray | None = field(default=None, kw_only=True)

    def measure(self, model: TrainedNet, loss: Loss, share: torch.Tensor) -> dict[str, float]:
        """Return the loss and the metrics of a model, as ``valid_loss``, ``valid_auc`` ...

        Raises
        ------
        DataError
            If the monitored metric cannot be computed.
        """
        losses, scores = [], []
        rows = map(self.tracks.track, range(len(self.tracks)))
        on_card = model.device.type == "cuda"  # where a track alone leaves most of it idle
        each = packed_logits(model, rows) if on_card else map(model.logits, rows)
        for i, logits in enumerate(each):
            targets = torch.from_numpy(self.targets_of(i)).to(model.device)
            if not targets.isnan().all():
                losses.append(loss(logits, targets.expand_as(logits), share).mean())
            scores.append(model.scores_of_logits(logits))
        found = {"loss": float(torch.stack(losses).double().mean())}
        tracks = np.array(list(tracks_of_segments(model, scores, len(self.names), self.how)))
        if np.isfinite(tracks).all():
            found |= self._metrics(tracks, model.multi_label_)
        if self.monitor not in found:
            raise DataError(
                f"{self.monitor} cannot be computed on the {len(self.tracks)} tracks of the valid "
                "part, so it cannot select the best epoch; use --monitor loss, or more valid tracks"
            )
        return {f"valid_{name}": value for name, value in found.items()}

    def targets_of(self, i: int) -> np.ndarray:
        """Return the targets of a track, ``(n_outputs,)``, or of each of its segments."""
        return self.tracks.targets[i]

    def value(self, row: Mapping[str, float]) -> float:
        """Return the monitored value of an epoch's row; higher is better."""
        value = row[f"valid_{self.monitor}"]
        if self.monitor == "loss":
            return -value
        name, _ = split_spec(self.monitor)
        return -value if find("metrics", name).facts.get("lower_is_better") else value

    def _metrics(self, scores: np.ndarray, multi_label: bool) -> dict[str, float]:
        n = len(scores)
        predictions = Predictions(
            track_ids=[str(i) for i in range(n)],
            parts=["valid"] * n,
            folds=[""] * n,
            names=self.names,
            truth=self.truth,
            scores=scores,
            multi_label=multi_label,
            unknown=self.unknown,
        )
        wanted = default_metrics(predictions)
        if self.monitor != "loss":
            wanted.append(self.monitor)
        report = evaluate(predictions, wanted, intervals=False)
        figures = {name: one.main for name, one in report.metrics.items()}
        return {name: figure.value for name, figure in figures.items() if figure is not None}


def packed_logits(model: TrainedNet, tracks: Iterable[np.ndarray]) -> Iterator[torch.Tensor]:
    """Yield the logits of the segments of each track, ``(n_segments, n_outputs)``.

    The segments of several tracks pass through the net at once. The logits are those of
    `TrainedNet.logits` but for rounding, which depends on the number of segments.

    Parameters
    ----------
    model : TrainedNet
        The net.
    tracks : iterable of np.ndarray, each (n_rows, n_dims)
        Rows of each track.
    """
    waiting: list[list[torch.Tensor]] = []
    n_segments = 0
    for rows in tracks:
        waiting.append(list(model.segments(rows)))
        n_segments += sum(map(len, waiting[-1]))
        if n_segments >= model.at_once:
            yield from _logits_of(model, waiting)
            waiting, n_segments = [], 0
    if waiting:
        yield from _logits_of(model, waiting)


def _logits_of(model: TrainedNet, tracks: list[list[torch.Tensor]]) -> Iterator[torch.Tensor]:
    """Return the logits of each track, given its segments in pieces."""
    segments = torch.cat([piece for pieces in tracks for piece in pieces])
    with evaluating(model.net):
        logits = [model.net(x).float() for x in segments.split(model.at_once)]
    return iter(torch.cat(logits).split([sum(map(len, pieces)) for pieces in tracks]))


def mean_norms(norms: Sequence[Mapping[str, torch.Tensor]]) -> dict[str, float]:
    """Return the mean of each layer group's gradient norms, as ``grad_NAME``."""
    names = norms[0] if norms else ()
    return {f"grad_{name}": float(torch.stack([n[name] for n in norms]).mean()) for name in names}


def gradient_norms(net: nn.Module) -> dict[str, torch.Tensor]:
    """Return the gradient norm of each child of the net."""
    found = {}
    for name, child in net.named_children():
        gradients = [p.grad for p in child.parameters() if p.grad is not None]
        if gradients:
            found[name] = torch.stack([g.norm() for g in gradients]).norm()
    return found


def dead_shares(
    net: nn.Module, x: torch.Tensor, watch_more: Callable[[str, torch.Tensor], None] | None = None
) -> dict[str, float]:
    """Return the share of dead units of each hidden layer, as ``dead_NAME``.

    A unit is dead if its outputs for a whole batch are at the same end of its nonlinearity: at 0
    for rectified units, within 0.01 of an end for saturating ones.

    Parameters
    ----------
    net : nn.Module
        A net with the attribute ``hidden``, the names of its hidden layers.
    x : torch.Tensor, shape (batch, 1, n_frames, n_dims)
        Standardised segments.
    watch_more : callable or None
        Called with the name and the outputs of each hidden layer.
    """
    found: dict[str, float] = {}

    def watch(name: str, ends: Sequence[tuple[float | None, float | None, float]]) -> Any:
        def hook(module: nn.Module, given: Any, output: torch.Tensor) -> None:
            outputs = output.transpose(0, 1).flatten(1)  # (units, batch and places)
            low, high = outputs.amin(dim=1), outputs.amax(dim=1)
            dead = torch.zeros_like(low, dtype=torch.bool)
            for least, most, near in ends:
                if least is not None:
                    dead |= high <= least + near
                if most is not None:
                    dead |= low >= most - near
            found[f"dead_{name}"] = float(dead.float().mean())
            if watch_more is not None:
                watch_more(name, output)

        return hook

    hooks = []
    for name in net.hidden:  # type: ignore[union-attr]  # part of a net's contract
        layer = net.get_submodule(name)
        ends = [_ENDS[type(m)] for m in layer.modules() if type(m) in _ENDS]
        hooks.append(layer.register_forward_hook(watch(name, ends)))
    training = net.training
    try:
        net.eval()
        with torch.inference_mode():
            net(x)
    finally:
        net.train(training)
        for hook in hooks:
            hook.remove()
    return found
