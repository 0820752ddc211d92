"""The paths of optimizers on a surface."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from mcls.errors import ConfigError
from mcls.explain.surfaces import Array, Surface
from mcls.registry import entries, find
from mcls.settings import resolve, split_spec
from mcls.training.schedules import rates

#: Learning rates of which the best is taken if none is given: three per decade.
LEARNING_RATES = tuple(float(f"{10 ** (i / 3):.2g}") for i in range(-12, 4))


@dataclass(frozen=True)
class Trajectory:
    """The path of an optimizer.

    Parameters
    ----------
    optimizer : str
        Its name in the registry.
    lr : float
        Its learning rate.
    points : np.ndarray, shape (n_steps + 1, 2)
        The start, and the place after each step.
    losses : np.ndarray, shape (n_steps + 1,)
        Loss at the points.
    """

    optimizer: str
    lr: float
    points: Array
    losses: Array


def trajectories(
    surface: Surface,
    optimizers: Sequence[str] = (),
    *,
    n_steps: int = 100,
    schedule: str = "constant",
    start: tuple[float, float] | None = None,
) -> list[Trajectory]:
    """Return the paths of optimizers from one start.

    Parameters
    ----------
    surface : Surface
        The loss.
    optimizers : sequence of str
        ``NAME[:key=value,...]``; empty: all optimizers of the registry. Without ``lr`` the learning
        rate of ``LEARNING_RATES`` with the lowest mean loss over the path is used.
    n_steps : int
        Steps, 1 or more.
    schedule : str
        ``NAME[:key=value,...]``, the learning rate schedule. A step counts as an epoch.
    start : tuple of float or None
        Where all of them start; None: the start of the surface.

    Raises
    ------
    ConfigError
        If an optimizer, schedule or setting is unknown or out of range.
    """
    if n_steps < 1:
        raise ConfigError(f"n_steps={n_steps}; expected 1 or more")
    factors = rates(schedule, n_steps)
    begin = np.array(surface.start if start is None else start, dtype=np.float64)
    found = []
    for spec in optimizers or list(entries("optimizers")):
        name, given = split_spec(spec)
        tried = [float(given["lr"])] if "lr" in given else LEARNING_RATES
        paths = [_path(surface, name, {**given, "lr": lr}, begin, factors) for lr in tried]
        found.append(min(paths, key=_mean_loss))
    return found


def _path(
    surface: Surface, name: str, given: dict[str, object], start: Array, factors: Array
) -> Trajectory:
    entry = find("optimizers", name)
    settings = resolve(entry, given)
    point = torch.nn.Parameter(torch.tensor(start))
    optimizer = entry.load()([point], **settings)
    points = [start]
    for factor in factors:
        with np.errstate(over="ignore"):  # a learning rate may be far too high
            slope = surface.gradient(points[-1])
        point.grad = torch.from_numpy(slope)
        for group in optimizer.param_groups:
            group["lr"] = settings["lr"] * factor
        optimizer.step()
        points.append(point.detach().numpy().copy())
        if not np.isfinite(points[-1]).all():
            points += [points[-1]] * (len(factors) + 1 - len(points))
            break
    path = np.stack(points)
    with np.errstate(over="ignore", invalid="ignore"):
        losses = surface.value(path)
    return Trajectory(name, settings["lr"], path, losses)


def _mean_loss(one: Trajectory) -> float:
    """Return the mean loss of a path; infinite if it diverges."""
    mean = float(one.losses.mean())
    return mean if np.isfinite(mean) else np.inf
