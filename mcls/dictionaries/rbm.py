"""Restricted Boltzmann machines: hidden units that explain rows, learnt by contrastive divergence.

`rbm_steps` says what a step computes, `rbm_units` what the units mean. On the CPU the same seed and
rows give the same bytes for any number of threads.
"""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal, Self

import numpy as np
from sklearn.utils.validation import check_is_fitted

from mcls.dictionaries.batches import RowBatches, Source, draw
from mcls.dictionaries.learner import Minibatches, MinibatchLearner
from mcls.dictionaries.rbm_measures import measured_there
from mcls.dictionaries.rbm_steps import RBMState, StepSettings, take_steps
from mcls.dictionaries.rbm_units import (
    check_rows,
    free_energy,
    means,
    reconstruction_errors,
    visible_biases_for,
)
from mcls.errors import ConfigError, DataError
from mcls.registry import register, register_preset

#: Everything that learning leaves: arrays by name, and numbers that JSON can hold.
Snapshot = tuple[Mapping[str, np.ndarray], Mapping[str, Any]]

#: Rows of each part on which reconstruction and free energy are measured, at most.
_MEASURED = 1024
#: Values of the settings that are words.
_CHOICES = {
    "visible": ("gaussian", "binary", "relu"),
    "hidden": ("binary", "relu"),
    "algorithm": ("cd", "pcd"),
    "reconstruct": ("auto", "means", "samples"),
    "sparsity": ("none", "lee", "bias"),
}
#: Standard deviation of the initial weights.
_DEVIATION = 0.01


@register("dictionaries", "rbm", encoder="feed-forward", watches_valid=True, distributed=True)
class RBM(MinibatchLearner):
    """Restricted Boltzmann machine, learnt by contrastive divergence or persistent chains.

    Parameters
    ----------
    n_atoms : int
        Number of hidden units.
    visible : {'gaussian', 'binary', 'relu'}
        Type of the visible units: variance 1, numbers in [0, 1], or numbers >= 0.
    hidden : {'binary', 'relu'}
        Type of the hidden units: binary (sigmoid), or noisy rectified linear units. The latter are
        ``max(0, x + N(0, sigmoid(x)))``; their mean is taken to be ``max(0, x)``.
    algorithm : {'cd', 'pcd'}
        Contrastive divergence (cd) or persistent contrastive divergence (pcd). pcd has as many
        chains as a minibatch has rows.
    n_gibbs : int
        Steps of Gibbs sampling per minibatch.
    reconstruct : {'auto', 'means', 'samples'}
        Set visible units to means or samples; auto: samples for pcd, means for cd. The
        chains of pcd would otherwise not be samples of the model.
    batch_size : int
        Rows per minibatch.
    n_epochs : int
        Number of passes over the rows.
    learning_rate : float
        Learning rate of the first epoch.
    rate_decay : float
        Factor of the learning rate from one epoch to the next, in (0, 1].
    rate_floor : float
        Minimum learning rate.
    momentum : float
        Momentum in the first fifth of the epochs, in [0, 1).
    final_momentum : float
        Momentum in the later epochs, in [0, 1).
    weight_cost : float
        Weight decay (L2 penalty of the weights).
    sparsity : {'none', 'lee', 'bias'}
        Rule that keeps the mean activation of hidden units near the target. lee follows the
        gradient of the squared distance between the target and the mean over the minibatch, on the
        hidden biases; bias moves the hidden biases against the distance of a running mean.
    target : float
        Target mean activation, above 0; for binary hidden units below 1.
    sparsity_cost : float
        Weight of the sparsity rule relative to the likelihood.
    activation_rate : float
        Weight of a minibatch in the running mean activation (sparsity bias).
    initial_bias : float
        Initial value of the hidden biases.
    device : str
        Torch device to compute on: cpu, cuda or cuda:1.
    random_state : int or None
        Random seed.

    Attributes
    ----------
    components_ : np.ndarray, shape (n_atoms, n_dims), float32
        The weights.
    biases_ : np.ndarray, shape (n_atoms,), float32
        The biases of the hidden units.
    visible_biases_ : np.ndarray, shape (n_dims,), float32
        The biases of the visible units. They begin at the rows' mean, or for binary units at the
        log odds of it.
    history_ : list of dict
        For each epoch: ``learning_rate``; ``activation``, the mean over rows and units while
        learning; and, measured after the epoch on up to 1024 rows, ``reconstruction``, the mean
        squared error per number of a reconstruction without sampling, and ``free_energy``, the mean
        in nats. Both come again as ``valid_...`` where there is a valid part: a free energy that
        falls on the train part but not on the valid part is overfitting. relu units have no free
        energy.
    usage_ : np.ndarray, shape (n_atoms,)
        Mean activation of each unit over the last epoch's rows.

    References
    ----------
    G. Hinton, "A practical guide to training restricted Boltzmann machines", 2010.
    T. Tieleman, "Training restricted Boltzmann machines using approximations to the likelihood
    gradient", ICML 2008 (persistent chains).
    V. Nair, G. Hinton, "Rectified linear units improve restricted Boltzmann machines", ICML 2010.
    H. Lee, C. Ekanadham, A. Ng, "Sparse deep belief net model for visual area V2", NIPS 2007
    (sparsity lee). Differs from the paper: Gaussian units have variance 1, and the sparsity's
    gradient is that of one minibatch. As in the paper (cited from memory), only the hidden biases
    follow that gradient.

    Examples
    --------
    >>> import numpy as np
    >>> rows = np.random.default_rng(0).normal(size=(200, 8)).astype(np.float32)
    >>> model = RBM(n_atoms=16, n_epochs=2, random_state=0).fit(rows)
    >>> model.components_.shape, model.transform(rows).shape
    ((16, 8), (200, 16))
    """

    _counts: ClassVar[tuple[str, ...]] = ("n_atoms", "n_gibbs", "batch_size", "n_epochs")

    def __init__(
        self,
        *,
        n_atoms: int = 256,
        visible: Literal["gaussian", "binary", "relu"] = "gaussian",
        hidden: Literal["binary", "relu"] = "binary",
        algorithm: Literal["cd", "pcd"] = "cd",
        n_gibbs: int = 1,
        reconstruct: Literal["auto", "means", "samples"] = "auto",
        batch_size: int = 100,
        n_epochs: int = 50,
        learning_rate: float = 0.01,
        rate_decay: float = 0.99,
        rate_floor: float = 0.003,
        momentum: float = 0.5,
        final_momentum: float = 0.9,
        weight_cost: float = 0.0002,
        sparsity: Literal["none", "lee", "bias"] = "none",
        target: float = 0.02,
        sparsity_cost: float = 3.0,
        activation_rate: float = 0.01,
        initial_bias: float = 0.0,
        device: str = "cpu",
        random_state: int | None = None,
    ) -> None:
        self.n_atoms = n_atoms
        self.visible = visible
        self.hidden = hidden
        self.algorithm = algorithm
        self.n_gibbs = n_gibbs
        self.reconstruct = reconstruct
        self.batch_size = batch_size
        self.n_epochs = n_epochs
        self.learning_rate = learning_rate
        self.rate_decay = rate_decay
        self.rate_floor = rate_floor
        self.momentum = momentum
        self.final_momentum = final_momentum
        self.weight_cost = weight_cost
        self.sparsity = sparsity
        self.target = target
        self.sparsity_cost = sparsity_cost
        self.activation_rate = activation_rate
        self.initial_bias = initial_bias
        self.device = device
        self.random_state = random_state

    def free_energy(self, X: np.ndarray) -> np.ndarray:
        """Return the free energy of some rows: lower is likelier, up to a constant of the model.

        Parameters
        ----------
        X : array-like, shape (n_rows, n_dims)
            The rows.

        Returns
        -------
        np.ndarray, shape (n_rows,), float64
            Free energy in nats.

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
        """Return everything that learning has left, for `restore`."""
        arrays = {**self._state.arrays, "usage": self.usage_, "measured": self._measured}
        numbers = {"seed": self._state.seed, "n_steps": self._state.n_steps}
        copies = {name: array.copy() for name, array in arrays.items()}
        return copies, {**numbers, "history": [*self.history_]}

    def restore(self, snapshot: Snapshot) -> Self:
        """Become what another RBM of the same settings was when it gave its `snapshot`."""
        arrays = {name: array.copy() for name, array in snapshot[0].items()}
        numbers = snapshot[1]
        self.usage_, self._measured = arrays.pop("usage"), arrays.pop("measured")
        self._state = RBMState(arrays, numbers["seed"], numbers["n_steps"])
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
        total, n_rows = np.zeros(1), 0

        def seen() -> RowBatches:
            nonlocal total, n_rows
            for rows in source():
                self._check_rows(rows)
                yield rows
                total = total + np.sum(rows, axis=0, dtype=np.float64)
                n_rows += len(rows)

        measured = _sample(seen(), rng)
        self.n_features_in_ = measured.shape[1]
        self._begin(total / n_rows, measured, rng)

    def _start_held(self, X: np.ndarray, rng: np.random.RandomState) -> None:
        measured = X[rng.permutation(len(X))[:_MEASURED]]
        self._begin(X.mean(axis=0, dtype=np.float64), measured, rng)

    def _watched(self, valid: Source) -> Source:
        """Return a sample of the rows, drawn with a generator that learning does not use."""

        def checked() -> RowBatches:
            for rows in valid():
                self._check_rows(rows)
                yield rows

        few = _sample(checked(), np.random.RandomState(0))
        return lambda: [few]

    def _begin(self, mean: np.ndarray, measured: np.ndarray, rng: np.random.RandomState) -> None:
        """Set the initial parameters; `measured`: the rows to measure after each epoch."""
        self._measured = measured
        self._state = RBMState.start(
            rng.normal(scale=_DEVIATION, size=(self.n_atoms, len(mean))),
            np.full(self.n_atoms, self.initial_bias),
            visible_biases_for(mean, self.visible),
            n_chains=self.batch_size if self.algorithm == "pcd" else 0,
            seed=int(rng.randint(2**31 - 1)),
        )
        self._publish()

    def _epoch(self, minibatches: Minibatches, *, left: int | None = None) -> dict[str, float]:
        late = len(self.history_) >= self.n_epochs / 5
        self.usage_ = take_steps(
            self._state,
            minibatches,
            self._step_settings(),
            learning_rate=self._rate,
            momentum=self.final_momentum if late else self.momentum,
            device=self.device,
        )
        self._publish()
        entry = {"learning_rate": float(self._rate), "activation": float(self.usage_.mean())}
        return entry | self._measure([self._measured])

    @property
    def _rate(self) -> float:
        floor = min(self.rate_floor, self.learning_rate)
        return max(floor, self.learning_rate * self.rate_decay ** len(self.history_))

    def _step_settings(self) -> StepSettings:
        persistent = self.algorithm == "pcd"
        return StepSettings(
            visible=self.visible,
            hidden=self.hidden,
            n_gibbs=self.n_gibbs,
            persistent=persistent,
            sample_visible=(
                persistent if self.reconstruct == "auto" else self.reconstruct == "samples"
            ),
            batch_size=self.batch_size,
            weight_cost=self.weight_cost,
            sparsity=self.sparsity,
            target=self.target,
            sparsity_cost=self.sparsity_cost,
            activation_rate=self.activation_rate,
        )

    def _measure(self, batches: Minibatches) -> dict[str, float]:
        rows = np.concatenate([np.asarray(one) for one in batches])
        if self.device == "cpu":
            measured = self._measured_here(rows)
        else:
            measured = measured_there(
                rows,
                self._parameters,
                visible=self.visible,
                hidden=self.hidden,
                energies=self._has_free_energy,
                device=self.device,
            )
        arrays = (*self._parameters, self.usage_, np.array(list(measured.values())))
        if not all(np.isfinite(array).all() for array in arrays):
            raise DataError(
                f"{self.registered_as}: learning diverged in epoch {len(self.history_) + 1} at a "
                f"learning rate of {self._rate:.4g} (its numbers are NaN or infinite); try a lower "
                "learning_rate, and standardise or whiten the rows: Gaussian units expect a "
                "variance of 1"
            )
        return measured

    def _measured_here(self, rows: np.ndarray) -> dict[str, float]:
        """Return what is measured of some rows, computed on the CPU."""
        with np.errstate(all="ignore"):  # an error follows if a number is not finite
            errors = reconstruction_errors(
                rows, *self._parameters, visible=self.visible, hidden=self.hidden
            )
            measured = {"reconstruction": float(errors.mean())}
            if self._has_free_energy:
                energies = free_energy(rows, *self._parameters, visible=self.visible)
                measured["free_energy"] = float(energies.mean())
        return measured

    def _publish(self) -> None:
        arrays = self._state.arrays
        self.components_, self.biases_ = arrays["weights"], arrays["biases"]
        self.visible_biases_ = arrays["visible_biases"]


SparseRBM = register_preset(
    "dictionaries",
    "sparse-rbm",
    of="rbm",
    summary="Sparse RBM of Nam et al. 2012: each hidden unit is active in about 2 % of the rows.",
    n_atoms=1024,
    learning_rate=0.007,
    weight_cost=0.001,
    sparsity="bias",
)
# The defaults are those of the code of J. Nam, J. Herrera, K. Lee, "A deep bag-of-features model
# for music auto-tagging", 2015; the method is that of J. Nam, J. Herrera, M. Slaney, J. Smith,
# "Learning sparse feature representations for music annotation and retrieval", ISMIR 2012. Differs
# from the code: 50 epochs rather than 300; the running mean begins at that of the first minibatch.


def _sample(batches: RowBatches, rng: np.random.RandomState) -> np.ndarray:
    sample, _ = draw(batches, _MEASURED, rng)
    return sample if len(sample) else np.zeros((1, sample.shape[1]), np.float32)
