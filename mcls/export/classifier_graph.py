"""Classifiers of rows as torch modules, in float64: their standardisation and their scores."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from mcls.classifiers.base import RowClassifier
from mcls.classifiers.logistic import Logistic
from mcls.classifiers.random_forest import RandomForest
from mcls.classifiers.svm import SVM
from mcls.errors import ConfigError
from mcls.evaluation.calibration import Calibration
from mcls.export.rows_graph import ArrayModule


class SvmGraph(ArrayModule):
    """Margins of a support vector machine."""

    support: torch.Tensor
    coef: torch.Tensor
    intercept: torch.Tensor

    def __init__(self, model: SVM) -> None:
        super().__init__()
        self.kernel, self.gamma = model.kernel, float(model.gamma_)
        if model.support_ is None:
            self.kernel = "linear"
        support = np.zeros((1, 1)) if model.support_ is None else model.support_
        self.keep(support=support, coef=model.coef_.T, intercept=model.intercept_)

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        """Return margins ``(n_rows, n_labels)``."""
        if self.kernel == "linear":
            return rows @ self.coef + self.intercept
        apart = rows[:, None] - self.support  # (n_rows, n_support, n_dims)
        if self.kernel == "rbf":
            distances = apart.square().sum(2)
        else:
            both = rows[:, None] + self.support
            distances = (apart.square() / torch.where(both != 0, both, 1.0)).sum(2)
        return torch.exp(-self.gamma * distances) @ self.coef + self.intercept


class LogisticGraph(ArrayModule):
    """Probabilities of a logistic regression."""

    coef: torch.Tensor
    intercept: torch.Tensor

    def __init__(self, model: Logistic) -> None:
        super().__init__()
        self.multi_label = model.multi_label_
        coef = np.concatenate([one.coef_ for one in model.models_])
        self.binary = not self.multi_label and len(coef) == 1
        intercept = np.concatenate([one.intercept_ for one in model.models_])
        self.keep(coef=coef.T, intercept=intercept)

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        """Return probabilities ``(n_rows, n_labels)``."""
        z = rows @ self.coef + self.intercept
        if self.binary:
            return torch.cat([torch.sigmoid(-z), torch.sigmoid(z)], dim=1)
        return torch.sigmoid(z) if self.multi_label else torch.softmax(z, dim=1)


class ForestGraph(ArrayModule):
    """Probabilities of a random forest: all trees go one level down at a time."""

    left: torch.Tensor
    right: torch.Tensor
    feature: torch.Tensor
    limit: torch.Tensor
    value: torch.Tensor
    roots: torch.Tensor

    def __init__(self, model: RandomForest) -> None:
        super().__init__()
        trees = [one.tree_ for one in model.model_.estimators_]
        sizes = [tree.node_count for tree in trees]
        roots = np.concatenate([[0], np.cumsum(sizes)[:-1]]).astype(np.int64)
        self.depth = max(tree.max_depth for tree in trees)
        parts: dict[str, list[np.ndarray]] = {"left": [], "right": [], "feature": []}
        for tree, root in zip(trees, roots, strict=True):
            leaf = tree.children_left < 0  # a leaf leads to itself
            own = np.arange(tree.node_count)
            parts["left"].append(root + np.where(leaf, own, tree.children_left))
            parts["right"].append(root + np.where(leaf, own, tree.children_right))
            parts["feature"].append(np.where(leaf, 0, tree.feature))
        for name, some in parts.items():
            tensor = torch.tensor(np.concatenate(some).astype(np.int64))
            self.register_buffer(name, tensor, persistent=False)
        self.register_buffer("roots", torch.tensor(roots), persistent=False)
        value = np.concatenate([tree.value for tree in trees])  # (n_nodes, n_outputs, n_classes)
        value = value / value.sum(axis=2, keepdims=True)
        self.keep(
            limit=np.concatenate([tree.threshold for tree in trees]),
            value=value[:, :, 1] if model.multi_label_ else value[:, 0],
        )

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        """Return probabilities ``(n_rows, n_labels)``."""
        rows = rows.float().double()  # scikit-learn compares values of 32 bits
        nodes = self.roots.expand(rows.shape[0], self.roots.shape[0])
        for _ in range(self.depth):
            goes_left = rows.gather(1, self.feature[nodes]) <= self.limit[nodes]
            nodes = torch.where(goes_left, self.left[nodes], self.right[nodes])
        return self.value[nodes].mean(1)


#: The classifiers that can be exported.
CLASSIFIERS: dict[type, type[nn.Module]] = {
    SVM: SvmGraph,
    Logistic: LogisticGraph,
    RandomForest: ForestGraph,
}


class ScaledGraph(ArrayModule):
    """Rows to the scores of the labels that vary, with the standardisation of a classifier."""

    mean: torch.Tensor
    scale: torch.Tensor

    def __init__(self, model: RowClassifier) -> None:
        super().__init__()
        self.model = CLASSIFIERS[type(model)](model)
        scaler: Any = model.scaler_
        self.keep(
            mean=np.zeros(1) if scaler is None else scaler.mean_,
            scale=np.ones(1) if scaler is None else scaler.scale_,
        )

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        """Return scores ``(n_rows, n_labels)``."""
        found: torch.Tensor = self.model((rows - self.mean) / self.scale)
        return found


class AloneGraph(nn.Module):
    """Rows to the scores of labels that were learnt alone, as some of them are unknown."""

    def __init__(self, models: Sequence[RowClassifier]) -> None:
        super().__init__()
        self.each = nn.ModuleList(ScaledGraph(one) for one in models)

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        """Return scores ``(n_rows, n_labels)``."""
        return torch.cat([one(rows) for one in self.each], dim=1)


class ClassifierGraph(ArrayModule):
    """Rows of a track to the scores of all labels of the run, and to probabilities.

    Parameters
    ----------
    model : RowClassifier
        The classifier.
    name : str
        Its name, for messages.
    n_labels : int
        Number of labels of the run.
    aggregate : str
        How the scores of rows become those of the track.
    calibration : Calibration or None
        Scores to probabilities.

    Raises
    ------
    ConfigError
        If the classifier cannot be exported.
    """

    place: torch.Tensor
    ends: torch.Tensor

    def __init__(
        self,
        model: RowClassifier,
        name: str,
        n_labels: int,
        aggregate: str,
        calibration: Calibration | None,
    ) -> None:
        super().__init__()
        if type(model) not in CLASSIFIERS:
            known = ", ".join(sorted(kind.__name__.lower() for kind in CLASSIFIERS))
            raise ConfigError(
                f"the model is {name}, which cannot be exported; nets can, and {known}. "
                "Use `mcls predict`"
            )
        alone = model.alone_
        self.model = ScaledGraph(model) if alone is None else AloneGraph(alone)
        self.aggregate, self.multi_label = aggregate, model.multi_label_
        self.threshold = model.threshold
        self.keep(ends=np.array([[model.lowest, model.highest]]))
        known_labels = np.flatnonzero(model.known_)
        place = np.full(n_labels, len(known_labels))  # the column of the lowest score ...
        if model.multi_label_:
            place[model.classes_[model.always_]] += 1  # ... and that of the highest
        place[model.classes_[known_labels]] = np.arange(len(known_labels))
        self.register_buffer("place", torch.tensor(place), persistent=False)
        self.calibration = None if calibration is None else CalibrationGraph(calibration)

    def forward(self, rows: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Return scores, and probabilities if there is a calibration, ``(n_labels,)``, float32."""
        found = self.model(rows.double())
        found = torch.cat([found, self.ends.expand(found.shape[0], 2)], dim=1)
        scores = self._of_track(found.index_select(1, self.place))
        if self.calibration is None:
            return (scores.float(),)
        return scores.float(), self.calibration(scores).float()

    def _of_track(self, scores: torch.Tensor) -> torch.Tensor:
        """Aggregate like `mcls.evaluation.aggregate.aggregate`."""
        if self.aggregate == "max":
            return scores.amax(0)
        if self.aggregate == "vote" and self.multi_label:
            scores = (scores >= self.threshold).double()
        elif self.aggregate == "vote":
            labels = torch.arange(scores.shape[1], device=scores.device)
            scores = (scores.argmax(1, keepdim=True) == labels).double()
        return scores.mean(0)


class CalibrationGraph(ArrayModule):
    """Scores of a track to probabilities; see `mcls.evaluation.calibration`."""

    slope: torch.Tensor
    offset: torch.Tensor

    def __init__(self, calibration: Calibration) -> None:
        super().__init__()
        self.keep(slope=calibration.slope, offset=calibration.offset)
        self.logs, self.multi_label = calibration.are_probabilities, calibration.multi_label
        self.floor = calibration.floor

    def forward(self, scores: torch.Tensor) -> torch.Tensor:
        """Return probabilities ``(n_labels,)``."""
        if self.logs:
            p = scores.clamp(self.floor, 1 - self.floor)
            scores = torch.log(p) - torch.log1p(-p) if self.multi_label else torch.log(p)
        z = self.slope * scores + self.offset
        return torch.sigmoid(z) if self.multi_label else torch.softmax(z, dim=0)
