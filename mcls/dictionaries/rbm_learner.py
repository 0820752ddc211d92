"""How RBMs learn: epochs of minibatches, what is measured after each, scikit-learn's contract."""

from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import Tags, check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from mcls.dictionaries.batches import Batches, Source, draw, regroup, shuffled
from mcls.dictionaries.rbm_steps import RBMState, Steps, StepSettings
from mcls.dictionaries.rbm_units import check_rows, free_energy, means, visible_biases_for
from mcls.errors import ConfigError, DataError
from mcls.threads import one_blas_thread

#: Rows of each part on which reconstruction and free energy are measured, at most.
_MEASURED = 1024
#: What settings in words may be.
_CHOICES = {
    "visible": ("gaussian", "binary", "relu"),
    "hidden": ("binary", "relu"),
    "algorithm": ("cd", "pcd"),
    "reconstruct": ("auto", "means", "samples"),
    "sparsity": ("none", "lee", "bias"),
}
#: Standard deviation of the first weights.
_SPREAD = 0.01


class RBMLearner(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """Base of the two RBMs, which differ in what their settings are by default.

    The settings and attributes are those of `RBM`.
    """

    registered_as: str
    n_atoms: int
    visible: Any
    hidden: Any
    algorithm: str
    n_gibbs: int
    reconstruct: str
    batch_size: int
    n_epochs: int
    learning_rate: float
    rate_decay: float
    rate_floor: float
    momentum: float
    final_momentum: float
    weight_cost: float
    sparsity: Any
    target: float
    sparsity_cost: float
    activation_rate: float
    initial_bias: float
    device: str
    random_state: int | None

    def fit(self, X: np.ndarray, y: object = None) -> Self:
        """Learn from rows in memory, in an order drawn anew for each epoch.

        Parameters
        ----------
        X : array-like, shape (n_rows, n_dims)
            The rows.
        y : object
            Ignored.
        """
        X = validate_data(self, X, dtype=np.float32, order="C")
        self._check_settings()
        rng = check_random_state(self.random_state)
        self._start_with(X, rng)
        size = self.batch_size
        for _ in range(self.n_epochs):
            order = rng.permutation(len(X))
            self._epoch(X[order[i : i + size]] for i in range(0, len(X), size))
        return self

    def fit_batches(self, source: Source, valid: Source | None = None) -> Self:
        """Learn from batches that need not fit in memory.

        Parameters
        ----------
        source : callable
            ``source()`` yields the rows from the first on, in arrays of any length; it is called
            once to see their mean and once for each epoch. Rows of one recording should not all
            come together.
        valid : callable or None
            Yields rows of the same kind, some of which are measured after every epoch; nothing is
            learnt from them.

        Raises
        ------
        ConfigError
            If a setting is wrong.
        DataError
            If there are no rows, rows of different lengths or rows the visible units cannot be, or
            if learning diverges.
        """
        self._check_settings()
        rng = check_random_state(self.random_state)
        seen = _Seen(source(), self.visible, self._name)
        measured = {"": _sample(seen, rng)}
        if valid is not None:  # drawn aside, so that watching changes nothing that is learnt
            aside = np.random.RandomState(0)
            measured["valid_"] = _sample(_Seen(valid(), self.visible, self._name), aside)
        self.n_features_in_ = len(seen.total)
        self._start(seen.total / seen.n_rows, measured, rng)
        for _ in range(self.n_epochs):
            self._epoch(shuffled(source(), self.batch_size, rng))
        return self

    def partial_fit(self, X: np.ndarray, y: object = None) -> Self:
        """Go on learning from some more rows, each seen once, in the order given.

        Every call counts as an epoch for the learning rate and the momentum. The first rows decide
        the visible biases that learning begins with, and are those that later calls measure.

        Parameters
        ----------
        X : array-like, shape (n_rows, n_dims)
            The rows.
        y : object
            Ignored.
        """
        first = not hasattr(self, "components_")
        X = validate_data(self, X, dtype=np.float32, order="C", reset=first)
        self._check_settings()
        if first:
            self._start_with(X, check_random_state(self.random_state))
        else:
            check_rows(X, self.visible, self._name)
        self._epoch(regroup([X], self.batch_size))
        return self

    def transform(self, X: np.ndarray) -> np.ndarray:
        """Return the mean activations of the hidden units: what `feed-forward` gives.

        Parameters
        ----------
        X : array-like, shape (n_rows, n_dims)
            The rows.

        Returns
        -------
        np.ndarray, shape (n_rows, n_atoms), float32
        """
        check_is_fitted(self)
        X = validate_data(self, X, dtype=np.float32, order="C", reset=False)
        return self._codes(X)

    def free_energy(self, X: np.ndarray) -> np.ndarray:
        """Return the free energy of some rows: lower is likelier, up to a constant of the model.

        Parameters
        ----------
        X : array-like, shape (n_rows, n_dims)
            The rows.

        Returns
        -------
        np.ndarray, shape (n_rows,), float64
            In nats.

        Raises
        ------
        ConfigError
            If units are relu, which have none.
        """
        check_is_fitted(self)
        X = validate_data(self, X, dtype=np.float32, order="C", reset=False)
        if not self._has_free_energy:
            raise ConfigError(f"{self._name}: relu units have no free energy")
        return free_energy(X, *self._parameters, visible=self.visible)

    def arrays(self) -> dict[str, np.ndarray]:
        """Return the ``weights`` ``(n_atoms, n_dims)``, also as ``atoms``, and both biases."""
        return {
            "atoms": self.components_,
            "weights": self.components_,
            "biases": self.biases_,
            "visible_biases": self.visible_biases_,
        }

    def encoder_settings(self) -> dict[str, Any]:
        """Return the settings of the encoder ``feed-forward`` that give what `transform` gives."""
        return {"nonlinearity": "sigmoid" if self.hidden == "binary" else "relu"}

    @property
    def _name(self) -> str:
        return self.registered_as

    @property
    def _n_features_out(self) -> int:
        return len(self.components_)

    @property
    def _has_free_energy(self) -> bool:
        return self.visible != "relu" and self.hidden == "binary"

    @property
    def _parameters(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        return self.components_, self.biases_, self.visible_biases_

    def _codes(self, rows: np.ndarray) -> np.ndarray:
        return means(rows @ self.components_.T + self.biases_, self.hidden)

    def _check_settings(self) -> None:
        bad = [
            f"{name}={getattr(self, name)} must be at least 1"
            for name in ("n_atoms", "n_gibbs", "batch_size", "n_epochs")
            if getattr(self, name) < 1
        ]
        bad += [
            f"{name}={getattr(self, name)} must be at least 0"
            for name in ("rate_floor", "weight_cost", "sparsity_cost")
            if not getattr(self, name) >= 0
        ]
        bad += [
            f"{name}={getattr(self, name)} must be in [0, 1)"
            for name in ("momentum", "final_momentum")
            if not 0 <= getattr(self, name) < 1
        ]
        bad += [
            f"{name}={getattr(self, name)} must be above 0 and at most 1"
            for name in ("rate_decay", "activation_rate")
            if not 0 < getattr(self, name) <= 1
        ]
        bad += [
            f"{name}={getattr(self, name)!r} must be one of {', '.join(known)}"
            for name, known in _CHOICES.items()
            if getattr(self, name) not in known
        ]
        if not self.learning_rate > 0:
            bad.append(f"learning_rate={self.learning_rate} must be above 0")
        if not self.target > 0 or (self.hidden == "binary" and self.target >= 1):
            bad.append(f"target={self.target} must be above 0, and below 1 for binary units")
        if bad:
            raise ConfigError(f"{self._name}: " + "; ".join(bad))

    def _start_with(self, X: np.ndarray, rng: np.random.RandomState) -> None:
        check_rows(X, self.visible, self._name)
        few = X[rng.permutation(len(X))[:_MEASURED]]
        self._start(X.mean(axis=0, dtype=np.float64), {"": few}, rng)

    def _start(
        self, mean: np.ndarray, measured: dict[str, np.ndarray], rng: np.random.RandomState
    ) -> None:
        """Set the parameters' first values; `measured`: rows to measure, by prefix of the names."""
        self._measured = measured
        self._state = RBMState.start(
            rng.normal(scale=_SPREAD, size=(self.n_atoms, len(mean))),
            np.full(self.n_atoms, self.initial_bias),
            visible_biases_for(mean, self.visible),
            n_chains=self.batch_size if self.algorithm == "pcd" else 0,
            seed=int(rng.randint(2**31 - 1)),
        )
        self.history_: list[dict[str, float]] = []
        self._publish()

    def _epoch(self, batches: Batches) -> None:
        done = len(self.history_)
        floor = min(self.rate_floor, self.learning_rate)
        rate = max(floor, self.learning_rate * self.rate_decay**done)
        momentum = self.final_momentum if done >= self.n_epochs / 5 else self.momentum
        with one_blas_thread():
            with self._steps() as steps:
                for rows in batches:
                    steps.step(rows, rate, momentum)
            self._publish()
            self.usage_ = steps.mean_activation()
            entry = {"learning_rate": float(rate), "activation": float(self.usage_.mean())}
            with np.errstate(all="ignore"):  # what is not finite is told below
                for part, rows in self._measured.items():
                    entry |= {part + name: value for name, value in self._measure(rows).items()}
        arrays = (*self._parameters, np.array(list(entry.values())))
        if not all(np.isfinite(array).all() for array in arrays):
            raise DataError(
                f"{self._name}: learning diverged in epoch {done + 1}, at a learning rate of "
                f"{rate:.4g}: its numbers are no longer finite; try a lower learning_rate, and "
                "standardised or whitened rows, for Gaussian units expect a variance of 1"
            )
        self.history_.append(entry)

    def _steps(self) -> Steps:
        settings = StepSettings(
            visible=self.visible,
            hidden=self.hidden,
            n_gibbs=self.n_gibbs,
            persistent=self.algorithm == "pcd",
            sample_visible=(
                self.algorithm == "pcd"
                if self.reconstruct == "auto"
                else self.reconstruct == "samples"
            ),
            batch_size=self.batch_size,
            weight_cost=self.weight_cost,
            sparsity=self.sparsity,
            target=self.target,
            sparsity_cost=self.sparsity_cost,
            activation_rate=self.activation_rate,
        )
        if self.device == "cpu":
            from mcls.dictionaries.rbm_cpu import CPUSteps  # compiled: half a second to import

            return CPUSteps(self._state, settings)
        from mcls.dictionaries.rbm_torch import TorchSteps  # torch is loaded where it is asked for

        return TorchSteps(self._state, settings, self.device)

    def _measure(self, rows: np.ndarray) -> dict[str, float]:
        """Return the mean squared error per number of a mean-field reconstruction, and more."""
        weights, biases, visible_biases = self._parameters
        hidden = means(rows @ weights.T + biases, self.hidden)
        gap = means(hidden @ weights + visible_biases, self.visible) - rows
        measured = {"reconstruction": float(np.mean(np.square(gap), dtype=np.float64))}
        if self._has_free_energy:
            energies = free_energy(rows, *self._parameters, visible=self.visible)
            measured["free_energy"] = float(energies.mean())
        return measured

    def _publish(self) -> None:
        state = self._state
        self.components_, self.biases_ = state.weights, state.biases
        self.visible_biases_ = state.visible_biases

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags


class _Seen:
    """Rows in passing: checked, and added up."""

    def __init__(self, batches: Batches, visible: str, name: str) -> None:
        self.batches, self.visible, self.name = batches, visible, name
        self.total: np.ndarray = np.zeros(0)
        self.n_rows = 0

    def __iter__(self) -> Any:
        for batch in self.batches:
            check_rows(batch, self.visible, self.name)
            total = np.asarray(np.sum(batch, axis=0, dtype=np.float64))
            self.total = total if not self.n_rows else self.total + total
            self.n_rows += len(batch)
            yield batch


def _sample(rows: Batches, rng: np.random.RandomState) -> np.ndarray:
    sample, _ = draw(rows, _MEASURED, rng)
    return sample if len(sample) else np.zeros((1, sample.shape[1]), np.float32)
