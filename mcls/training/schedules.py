"""Learning rate schedules: factors of the optimizer's learning rate over the training.

A schedule is a pure function of the position in the training (`When`) and of the validation results
so far, so it has no state to save, and its curve can be drawn before anything is trained (`rates`).
A factor of 0 ends the training.

The fact ``per`` says whether the learning rate may change every ``step`` or every ``epoch``. With
``reloads_best`` the training returns to the best weights, with a fresh optimizer, whenever the
learning rate falls.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from mcls.errors import ConfigError
from mcls.registry import find, register
from mcls.settings import resolve, split_spec


@dataclass(frozen=True)
class When:
    """A position in the training.

    Parameters
    ----------
    step : int
        Steps done so far, over all epochs.
    n_steps : int
        Steps of the whole training.
    steps_per_epoch : int
        Steps of an epoch.
    values : tuple of float
        Monitored validation metric after each finished epoch; higher is better.
    """

    step: int
    n_steps: int
    steps_per_epoch: int = 1
    values: tuple[float, ...] = ()

    @property
    def epoch(self) -> int:
        """Epochs done so far."""
        return self.step // self.steps_per_epoch


#: A schedule with its settings.
Schedule = Callable[[When], float]


def schedule_of(spec: str) -> tuple[Schedule, dict[str, object]]:
    """Return the schedule that ``NAME[:key=value,...]`` names, and its facts.

    Raises
    ------
    ConfigError
        If the name or a setting is unknown, or a setting is out of range.
    """
    name, given = split_spec(spec)
    entry = find("schedules", name)
    made = partial(entry.load(), **resolve(entry, given))
    made(When(0, 1))  # refuses settings out of range
    return made, entry.facts


def rates(
    spec: str, n_steps: int, *, steps_per_epoch: int = 1, values: Sequence[float] = ()
) -> np.ndarray:
    """Return the factor of the learning rate at every step.

    Parameters
    ----------
    spec : str
        ``NAME[:key=value,...]``.
    n_steps : int
        Steps of the training.
    steps_per_epoch : int
        Steps of an epoch.
    values : sequence of float
        Validation metric after each epoch, higher is better; for schedules that wait for a plateau.

    Returns
    -------
    np.ndarray, shape (n_steps,), float64

    Examples
    --------
    >>> rates("step:every=2,factor=0.5", 5).tolist()
    [1.0, 1.0, 0.5, 0.5, 0.25]
    """
    schedule, _ = schedule_of(spec)
    moments = (
        When(step, n_steps, steps_per_epoch, tuple(values[: step // steps_per_epoch]))
        for step in range(n_steps)
    )
    return np.array([schedule(when) for when in moments], dtype=np.float64)


@register("schedules", "constant", per="epoch")
def constant(when: When) -> float:
    """Keep the learning rate constant."""
    return 1.0


@register("schedules", "step", per="epoch")
def step(when: When, *, every: int = 30, factor: float = 0.1) -> float:
    """Multiply the learning rate by a factor every few epochs.

    Parameters
    ----------
    when : When
        The position in the training.
    every : int
        Number of epochs between the steps.
    factor : float
        Factor of the learning rate, above 0.
    """
    _check("step", every=every >= 1, factor=factor > 0)
    return factor ** (when.epoch // every)


@register("schedules", "exponential", per="epoch")
def exponential(when: When, *, factor: float = 0.95) -> float:
    """Multiply the learning rate by a factor every epoch.

    Parameters
    ----------
    when : When
        The position in the training.
    factor : float
        Factor of the learning rate, above 0.
    """
    _check("exponential", factor=factor > 0)
    return factor**when.epoch


@register("schedules", "inverse-time", per="step")
def inverse_time(when: When, *, half: float = 10.0) -> float:
    """Decrease the learning rate as 1 / (1 + epochs / half).

    Parameters
    ----------
    when : When
        The position in the training.
    half : float
        Epochs after which the learning rate is half of its first value.
    """
    _check("inverse-time", half=half > 0)
    return 1 / (1 + when.step / when.steps_per_epoch / half)


@register("schedules", "cosine-restarts", per="step")
def cosine_restarts(
    when: When, *, period: float = 10.0, grow: float = 2.0, lowest: float = 0.0
) -> float:
    """Decrease the learning rate along half a cosine, then restart (SGDR).

    Parameters
    ----------
    when : When
        The position in the training.
    period : float
        Epochs until the first restart.
    grow : float
        Factor by which each period is longer than the one before, 1 or more.
    lowest : float
        Learning rate at the end of a period, as a fraction of the first, in [0, 1].

    References
    ----------
    Loshchilov & Hutter (2017), SGDR: stochastic gradient descent with warm restarts.
    """
    _check("cosine-restarts", period=period > 0, grow=grow >= 1, lowest=0 <= lowest <= 1)
    since = when.step / when.steps_per_epoch
    while since >= period:
        since -= period
        period *= grow
    tiny = np.finfo(float).tiny  # a factor of 0 would end the training
    return max(tiny, lowest + (1 - lowest) * (1 + math.cos(math.pi * since / period)) / 2)


@register("schedules", "cyclic", per="step")
def cyclic(when: When, *, period: float = 8.0, lowest: float = 0.1, decay: float = 1.0) -> float:
    """Raise and lower the learning rate in triangles.

    Parameters
    ----------
    when : When
        The position in the training.
    period : float
        Epochs of a triangle, from the lowest point over the highest to the lowest.
    lowest : float
        Learning rate at the lowest point, as a fraction of the highest, in (0, 1].
    decay : float
        Factor of the height of the triangles after each period, in (0, 1].

    References
    ----------
    Smith (2017), Cyclical learning rates for training neural networks.
    """
    _check("cyclic", period=period > 0, lowest=0 < lowest <= 1, decay=0 < decay <= 1)
    cycle, place = divmod(when.step / when.steps_per_epoch / period, 1)
    return lowest + (1 - lowest) * (1 - abs(2 * place - 1)) * decay**cycle


@register("schedules", "one-cycle", per="step")
def one_cycle(when: When, *, warm: float = 0.3, first: float = 0.04, last: float = 1e-4) -> float:
    """Raise and lower the learning rate once, along half cosines, over the whole training.

    Parameters
    ----------
    when : When
        The position in the training.
    warm : float
        Fraction of the training in which the learning rate rises, in (0, 1).
    first, last : float
        First and last learning rate, as a fraction of the highest, in (0, 1].

    References
    ----------
    Smith & Topin (2019), Super-convergence.

    Differs from the paper: the momentum is constant.
    """
    _check("one-cycle", warm=0 < warm < 1, first=0 < first <= 1, last=0 < last <= 1)
    place = when.step / max(1, when.n_steps - 1)
    if place < warm:
        low, height = first, (1 - math.cos(math.pi * place / warm)) / 2
    else:
        low, height = last, (1 + math.cos(math.pi * (place - warm) / (1 - warm))) / 2
    return low + (1 - low) * height


@register("schedules", "plateau", per="epoch", needs_valid=True)
def plateau(
    when: When, *, factor: float = 0.5, patience: int = 5, gain: float = 0.0, lowest: float = 1e-4
) -> float:
    """Multiply the learning rate by a factor when validation has stopped improving.

    Parameters
    ----------
    when : When
        The position in the training.
    factor : float
        Factor of the learning rate, in (0, 1).
    patience : int
        Epochs without improvement before the learning rate falls, 1 or more.
    gain : float
        Smallest change of the monitored metric that counts as an improvement.
    lowest : float
        Lowest learning rate, as a fraction of the first.
    """
    _check("plateau", factor=0 < factor < 1, patience=patience >= 1, lowest=0 <= lowest <= 1)
    return max(lowest, factor ** _plateaus(when.values, patience, gain))


@register("schedules", "ladder", per="epoch", needs_valid=True, reloads_best=True)
def ladder(when: When, *, rungs: int = 5, factor: float = 0.2, patience: int = 3) -> float:
    """At a plateau return to the best weights and reduce the learning rate.

    Parameters
    ----------
    when : When
        The position in the training.
    rungs : int
        Number of learning rates, 1 or more; the training ends after the last one.
    factor : float
        Factor from one learning rate to the next, in (0, 1).
    patience : int
        Epochs without improvement before the learning rate falls, 1 or more.

    References
    ----------
    Lee, Park, Kim & Nam (2017), Sample-level deep convolutional neural networks for music
    auto-tagging using raw waveforms.
    """
    _check("ladder", rungs=rungs >= 1, factor=0 < factor < 1, patience=patience >= 1)
    done = _plateaus(when.values, patience, 0.0)
    return factor**done if done < rungs else 0.0


def _plateaus(values: Sequence[float], patience: int, gain: float) -> int:
    """Count the times that `patience` epochs in a row brought no improvement."""
    best, waited, found = -math.inf, 0, 0
    for value in values:
        if value > best + gain:
            best, waited = value, 0
        else:
            waited += 1
            if waited == patience:
                found, waited = found + 1, 0
    return found


def _check(name: str, **settings: bool) -> None:
    bad = [key for key, good in settings.items() if not good]
    if bad:
        raise ConfigError(
            f"schedule {name}: {', '.join(bad)} out of range; see mcls list schedules {name}"
        )
