"""How RBMs learn: what an epoch of minibatches is, and what is measured after it."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.utils.validation import check_is_fitted

from mcls.dictionaries.batches import Batches, Source, draw
from mcls.dictionaries.learner import MinibatchLearner
from mcls.dictionaries.rbm_steps import RBMState, Steps, StepSettings
from mcls.dictionaries.rbm_units import (
    check_rows,
    free_energy,
    means,
    reconstruction_errors,
    visible_biases_for,
)
from mcls.errors import ConfigError, DataError
from mcls.parallel.threads import one_blas_thread

#: All that learning leaves: arrays by name, and numbers that JSON can hold.
Snapshot = tuple[Mapping[str, np.ndarray], Mapping[str, Any]]

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


class RBMLearner(MinibatchLearner):
    """Base of the two RBMs, which differ in what their settings are by default.

    The settings and attributes are those of `RBM`.
    """

    visible: Any
    hidden: Any
    algorithm: str
    n_gibbs: int
    reconstruct: str
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

    _counts: ClassVar[tuple[str, ...]] = ("n_atoms", "n_gibbs", "batch_size", "n_epochs")

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
        X = self._rows(X, reset=False)
        if not self._has_free_energy:
            raise ConfigError(f"{self.registered_as}: relu units have no free energy")
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

    def snapshot(self) -> Snapshot:
        """Return all that learning has left, for `restore`."""
        state = self._state
        arrays = {
            "weights": state.weights,
            "biases": state.biases,
            "visible_biases": state.visible_biases,
            **{f"velocities_{i}": velocity for i, velocity in enumerate(state.velocities)},
            "averages": state.averages,
            "chains": state.chains,
            "usage": self.usage_,
            "measured": self._measured,
        }
        there = {name: array.copy() for name, array in arrays.items() if array is not None}
        numbers = {"seed": state.seed, "n_steps": state.n_steps, "history": [*self.history_]}
        return there, numbers

    def restore(self, snapshot: Snapshot) -> Self:
        """Become what another RBM of the same settings was when it gave its `snapshot`."""
        arrays = {name: array.copy() for name, array in snapshot[0].items()}
        numbers = snapshot[1]
        self._state = RBMState(
            weights=arrays["weights"],
            biases=arrays["biases"],
            visible_biases=arrays["visible_biases"],
            velocities=(arrays["velocities_0"], arrays["velocities_1"], arrays["velocities_2"]),
            averages=arrays.get("averages"),
            chains=arrays.get("chains"),
            seed=numbers["seed"],
            n_steps=numbers["n_steps"],
        )
        self._measured, self.usage_ = arrays["measured"], arrays["usage"]
        self.history_ = [*numbers["history"]]
        self._publish()
        self.n_features_in_ = self.components_.shape[1]
        return self

    @property
    def _has_free_energy(self) -> bool:
        return self.visible != "relu" and self.hidden == "binary"

    @property
    def _parameters(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        return self.components_, self.biases_, self.visible_biases_

    def _codes(self, rows: np.ndarray) -> np.ndarray:
        return means(rows @ self.components_.T + self.biases_, self.hidden)

    def _wrong(self) -> list[str]:
        bad = [
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
        return bad

    def _check_rows(self, rows: np.ndarray) -> None:
        check_rows(rows, self.visible, self.registered_as)

    def _start(self, source: Source, rng: np.random.RandomState) -> None:
        seen = _Seen(source(), self._check_rows)
        measured = _sample(seen, rng)
        self.n_features_in_ = len(seen.total)
        self._begin(seen.total / seen.n_rows, measured, rng)

    def _start_held(self, X: np.ndarray, rng: np.random.RandomState) -> None:
        measured = X[rng.permutation(len(X))[:_MEASURED]]
        self._begin(X.mean(axis=0, dtype=np.float64), measured, rng)

    def _watched(self, valid: Source) -> Source:
        """Return some of the rows, drawn aside, so that watching changes nothing that is learnt."""
        few = _sample(_Seen(valid(), self._check_rows), np.random.RandomState(0))
        return lambda: [few]

    def _begin(self, mean: np.ndarray, measured: np.ndarray, rng: np.random.RandomState) -> None:
        """Set the parameters' first values; `measured`: the rows to measure after each epoch."""
        self._measured = measured
        self._state = RBMState.start(
            rng.normal(scale=_SPREAD, size=(self.n_atoms, len(mean))),
            np.full(self.n_atoms, self.initial_bias),
            visible_biases_for(mean, self.visible),
            n_chains=self.batch_size if self.algorithm == "pcd" else 0,
            seed=int(rng.randint(2**31 - 1)),
        )
        self._publish()

    def _epoch(self, batches: Batches, *, left: int | None = None) -> dict[str, float]:
        rate, late = self._rate, len(self.history_) >= self.n_epochs / 5
        momentum = self.final_momentum if late else self.momentum
        with one_blas_thread():
            with self._steps() as steps:
                for rows in batches:
                    steps.step(rows, rate, momentum)
            self._publish()
            self.usage_ = steps.mean_activation()
        entry = {"learning_rate": float(rate), "activation": float(self.usage_.mean())}
        return entry | self._measure([self._measured])

    @property
    def _rate(self) -> float:
        floor = min(self.rate_floor, self.learning_rate)
        return max(floor, self.learning_rate * self.rate_decay ** len(self.history_))

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

    def _measure(self, batches: Batches) -> dict[str, float]:
        """Return the mean squared error per number of a mean-field reconstruction, and more."""
        (rows,), measured = batches, {}
        units = {"visible": self.visible, "hidden": self.hidden}
        with np.errstate(all="ignore"):  # what is not finite is told below
            errors = reconstruction_errors(rows, *self._parameters, **units)
            measured["reconstruction"] = float(errors.mean())
            if self._has_free_energy:
                energies = free_energy(rows, *self._parameters, visible=self.visible)
                measured["free_energy"] = float(energies.mean())
        arrays = (*self._parameters, self.usage_, np.array(list(measured.values())))
        if not all(np.isfinite(array).all() for array in arrays):
            raise DataError(
                f"{self.registered_as}: learning diverged in epoch {len(self.history_) + 1}, at a "
                f"learning rate of {self._rate:.4g}: its numbers are no longer finite; try a lower "
                "learning_rate, and standardised or whitened rows, for Gaussian units expect a "
                "variance of 1"
            )
        return measured

    def _publish(self) -> None:
        state = self._state
        self.components_, self.biases_ = state.weights, state.biases
        self.visible_biases_ = state.visible_biases


class _Seen:
    """Rows in passing: checked, and added up."""

    def __init__(self, batches: Batches, check: Callable[[np.ndarray], None]) -> None:
        self.batches, self.check = batches, check
        self.total: np.ndarray = np.zeros(0)
        self.n_rows = 0

    def __iter__(self) -> Iterator[np.ndarray]:
        for batch in self.batches:
            self.check(batch)
            total = np.asarray(np.sum(batch, axis=0, dtype=np.float64))
            self.total = total if not self.n_rows else self.total + total
            self.n_rows += len(batch)
            yield batch


def _sample(rows: Batches, rng: np.random.RandomState) -> np.ndarray:
    sample, _ = draw(rows, _MEASURED, rng)
    return sample if len(sample) else np.zeros((1, sample.shape[1]), np.float32)
