"""An RBM's steps on a torch device; the same statistics as on the CPU, other random numbers."""

from __future__ import annotations

from types import TracebackType
from typing import Self

import numpy as np
import torch

from mcls.dictionaries.rbm_steps import RBMState, Steps, StepSettings, sparsity_step


class TorchSteps(Steps):
    """Steps on a torch device; the state is copied there, and back at the end.

    Parameters
    ----------
    state : RBMState
        Brought up to date when the ``with`` ends.
    settings : StepSettings
        Unit types, chains and costs.
    device : str
        A torch device: ``cuda``, ``cuda:1``, ``cpu``.
    """

    def __init__(self, state: RBMState, settings: StepSettings, device: str) -> None:
        super().__init__(state, settings)
        self.device = device
        self._weights, self._biases, self._visible_biases = (
            self._there(array) for array in (state.weights, state.biases, state.visible_biases)
        )
        self._velocities = [self._there(array) for array in state.velocities]
        self._averages = None if state.averages is None else self._there(state.averages)
        if state.chains is not None:
            self._states = self._there(state.chains).T.contiguous()
        self._activation = torch.zeros(len(state.weights), dtype=torch.float64, device=device)
        self._random = torch.Generator(device=device)

    def __enter__(self) -> Self:
        self._random.manual_seed(self._key())
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        state = self.state
        state.weights, state.biases, state.visible_biases = (
            array.cpu().numpy() for array in (self._weights, self._biases, self._visible_biases)
        )
        of_weights, of_biases, of_visible = (array.cpu().numpy() for array in self._velocities)
        state.velocities = of_weights, of_biases, of_visible
        if self._averages is not None:
            state.averages = self._averages.cpu().numpy()
        if state.chains is not None:
            state.chains = self._states.T.contiguous().cpu().numpy()

    def mean_activation(self) -> np.ndarray:
        """Return each hidden unit's mean over the rows seen, ``(n_hidden,)`` float64."""
        mean: np.ndarray = (self._activation / max(1, self.n_rows)).cpu().numpy()
        return mean

    def _there(self, array: np.ndarray) -> torch.Tensor:
        return torch.tensor(array, dtype=torch.float32, device=self.device)

    def _learn(self, rows: np.ndarray, rate: float, momentum: float) -> None:
        persistent, last = self.settings.persistent, self.settings.n_gibbs - 1
        self._data = self._there(rows)
        self._positive(sampled=not persistent)
        for turn in range(self.settings.n_gibbs):
            self._reconstruct()
            self._negative(sampled=persistent or turn < last)
        self._update(rate, momentum)

    def _positive(self, *, sampled: bool) -> None:
        self._driven = torch.addmm(self._biases, self._data, self._weights.T)
        self._means = _mean(self._driven, self.settings.hidden)
        if sampled:
            self._states = self._sample(self._driven, self.settings.hidden)

    def _reconstruct(self) -> None:
        kind = self.settings.visible
        drive = torch.addmm(self._visible_biases, self._states, self._weights)
        sampled = self.settings.sample_visible
        self._model = self._sample(drive, kind) if sampled else _mean(drive, kind)

    def _negative(self, *, sampled: bool) -> None:
        drive = torch.addmm(self._biases, self._model, self._weights.T)
        self._model_means = _mean(drive, self.settings.hidden)
        if sampled:
            self._states = self._sample(drive, self.settings.hidden)

    def _update(self, rate: float, momentum: float) -> None:
        n, m = len(self._data), len(self._model)
        of_weights, of_biases, of_visible = self._velocities
        of_weights *= momentum
        of_weights.addmm_(self._means.T, self._data, alpha=rate / n)
        of_weights.addmm_(self._model_means.T, self._model, alpha=-rate / m)
        of_weights.add_(self._weights, alpha=-rate * self.settings.weight_cost)
        activation = self._means.mean(dim=0)
        of_biases *= momentum
        of_biases += rate * (activation - self._model_means.mean(dim=0))
        of_visible *= momentum
        of_visible += rate * (self._data.mean(dim=0) - self._model.mean(dim=0))
        self._weights += of_weights
        self._biases += of_biases
        self._visible_biases += of_visible
        slope = (self._driven > 0).float()
        if self.settings.hidden == "binary":
            slope = self._means * (1 - self._means)
        pressed, self._averages = sparsity_step(
            self.settings, self._averages, activation, slope.mean(dim=0)
        )
        self._biases += rate * pressed
        self._activation += self._means.sum(dim=0, dtype=torch.float64)

    def _sample(self, drive: torch.Tensor, kind: str) -> torch.Tensor:
        """Return states for the input of some units, biases included."""
        if kind == "binary":
            uniform = torch.rand(drive.shape, generator=self._random, device=self.device)
            return (uniform < torch.sigmoid(drive)).float()
        noise = torch.randn(drive.shape, generator=self._random, device=self.device)
        if kind == "gaussian":
            return drive + noise
        return (drive + torch.sigmoid(drive).sqrt() * noise).clamp(min=0)


def _mean(drive: torch.Tensor, kind: str) -> torch.Tensor:
    if kind == "binary":
        return torch.sigmoid(drive)
    return drive.clamp(min=0) if kind == "relu" else drive
