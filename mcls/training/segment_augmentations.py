"""Augmentations of segments, applied to a batch in training after the random crop.

An augmentation is a function of a `Batch` and a random generator that returns a batch. It works on
whole batches in the units of the store, for instance dB; ``mean`` and ``scale`` are the statistics
of the train rows in these units. Augmentations are applied in the given order.

Random numbers are drawn by NumPy. With the fact ``on_device`` an augmentation changes arrays and
tensors alike, by the same numbers, so that the rows of a training may stay on a GPU. The others
change arrays only: they draw as many numbers as there are values, or need more of NumPy.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from mcls.errors import ConfigError
from mcls.registry import find, register
from mcls.settings import resolve, split_spec


@dataclass(frozen=True)
class MovedLabels:
    """How labels follow a shift of the dimensions; see `shift`.

    Parameters
    ----------
    dims : int
        Dimensions per semitone.
    order : np.ndarray, shape (2 * n + 1, n_labels), int
        ``order[n + s, j]`` is the label that becomes label j when shifted by s semitones.
    """

    dims: int
    order: np.ndarray


@dataclass(frozen=True)
class Batch:
    """A batch of segments with their labels: arrays, or tensors on one device.

    Parameters
    ----------
    x : np.ndarray or torch.Tensor, shape (batch, n_frames, n_dims), float32
        Segments in the units of the store. An augmentation may write into them.
    y : np.ndarray or torch.Tensor, shape (batch, n_labels), float32
        Labels, 0 or 1; between if segments were mixed, NaN if they are unknown.
    mean, scale : np.ndarray or torch.Tensor, shape (n_dims,), float32
        Mean and standard deviation of the train rows; 0 and 1 if none were learnt.
    moved_labels : MovedLabels or None
        How labels follow a shift; None leaves them as they are.
    """

    x: Any
    y: Any
    mean: Any
    scale: Any
    moved_labels: MovedLabels | None = None

    def like(self, values: np.ndarray) -> Any:
        """Return values as what the segments are: an array, or a tensor on their device."""
        if isinstance(self.x, np.ndarray):
            return values
        import torch

        return torch.from_numpy(values).to(self.x.device)


Augment = Callable[[Batch, np.random.Generator], Batch]


@dataclass(frozen=True)
class RegisteredAugment:
    """An augmentation of the registry with its settings.

    Parameters
    ----------
    apply : callable
        The augmentation.
    on_device : bool
        Whether it changes tensors as well.
    """

    apply: Augment
    on_device: bool

    def __call__(self, batch: Batch, rng: np.random.Generator) -> Batch:
        """Return the changed batch."""
        return self.apply(batch, rng)


def augmentations_of(specs: Sequence[str]) -> list[Augment]:
    """Return the augmentations that ``NAME[:key=value,...]`` name, in order.

    Raises
    ------
    ConfigError
        If a name or a setting is unknown.
    """
    found: list[Augment] = []
    for spec in specs:
        name, given = split_spec(spec)
        entry = find("segment-augmentations", name)
        apply = partial(entry.load(), **resolve(entry, given))
        found.append(RegisteredAugment(apply, entry.facts.get("on_device", False)))
    return found


@register("segment-augmentations", "specaugment", on_device=True)
def specaugment(
    batch: Batch,
    rng: np.random.Generator,
    *,
    frames: float = 0.1,
    dims: float = 0.15,
    masks: int = 2,
) -> Batch:
    """SpecAugment: replace random bands of frames and of dimensions by the mean.

    Parameters
    ----------
    batch : Batch
        Segments.
    rng : np.random.Generator
        Draws the widths and positions for each segment.
    frames, dims : float
        Largest width of a mask, as a fraction of the axis, in [0, 1].
    masks : int
        Number of masks along each axis.

    References
    ----------
    Park et al. (2019), SpecAugment: a simple data augmentation method for automatic speech
    recognition.

    Differs from the paper: there is no time warping.
    """
    if not (0 <= frames <= 1 and 0 <= dims <= 1 and masks >= 0):
        raise ConfigError(
            f"specaugment: frames={frames}, dims={dims}, masks={masks}; expected fractions in "
            "[0, 1] and 0 masks or more"
        )
    x = batch.x
    n, n_frames, n_dims = x.shape
    for _ in range(masks):
        hidden = batch.like(_random_bands(rng, n, n_frames, frames))[:, :, None]
        hidden = hidden | batch.like(_random_bands(rng, n, n_dims, dims))[:, None, :]
        if isinstance(x, np.ndarray):
            np.copyto(x, batch.mean, where=hidden)
        else:
            x = batch.mean.where(hidden, x)
    return replace(batch, x=x)


@register("segment-augmentations", "mixup", on_device=True)
def mixup(batch: Batch, rng: np.random.Generator, *, alpha: float = 0.2) -> Batch:
    """Mixup: mix each segment and its labels with another segment of the batch.

    A label that is unknown in one of the two is unknown in the mixture.

    Parameters
    ----------
    batch : Batch
        Segments.
    rng : np.random.Generator
        Draws the other segment and the weight for each segment.
    alpha : float
        Parameter of the distribution Beta(alpha, alpha) of the weights, above 0.

    References
    ----------
    Zhang et al. (2018), mixup: beyond empirical risk minimization.
    """
    if alpha <= 0:
        raise ConfigError(f"mixup: alpha={alpha}; expected above 0")
    n = len(batch.x)
    share = batch.like(rng.beta(alpha, alpha, n).astype(np.float32))
    other = batch.like(rng.permutation(n))
    x = batch.x + (batch.x[other] - batch.x) * (1 - share)[:, None, None]
    y = batch.y + (batch.y[other] - batch.y) * (1 - share)[:, None]
    return replace(batch, x=x, y=y)


@register("segment-augmentations", "roll", on_device=True)
def roll(batch: Batch, rng: np.random.Generator) -> Batch:
    """Rotate each segment in time by a random number of frames.

    Parameters
    ----------
    batch : Batch
        Segments.
    rng : np.random.Generator
        Draws the rotation of each segment.
    """
    n, n_frames, _ = batch.x.shape
    start = rng.integers(0, n_frames, (n, 1))
    index = batch.like((start + np.arange(n_frames)) % n_frames)
    return replace(batch, x=batch.x[batch.like(np.arange(n))[:, None], index])


@register(
    "segment-augmentations",
    "shift",
    threatens=["key", "pitch"],
    follows="transpose",
    on_device=True,
)
def shift(batch: Batch, rng: np.random.Generator, *, dims: int = 2, wrap: bool = False) -> Batch:
    """Shift each segment by a few dimensions: a pitch shift if the axis is log-frequency.

    If labels follow (`MovedLabels`), the shifts are whole semitones.

    Parameters
    ----------
    batch : Batch
        Segments.
    rng : np.random.Generator
        Draws the shift of each segment.
    dims : int
        Largest shift up or down; the outermost dimension is repeated at the edge.
    wrap : bool
        Move what leaves at one edge in at the other, as chroma needs.
    """
    n, n_frames, n_dims = batch.x.shape
    if not 0 <= dims < n_dims:
        raise ConfigError(f"shift: dims={dims}; expected 0 to {n_dims - 1}")
    y, moved = batch.y, batch.moved_labels
    segment = batch.like(np.arange(n))[:, None]
    if moved is None:
        by = rng.integers(-dims, dims + 1, (n, 1))
    else:
        most = dims // moved.dims
        semitones = rng.integers(-most, most + 1, (n, 1))
        by = semitones * moved.dims
        order = moved.order[len(moved.order) // 2 + semitones[:, 0]]
        columns = np.tile(np.arange(y.shape[1]), (n, 1))
        columns[:, : order.shape[1]] = order  # the groups after the labels do not move
        y = y[segment, batch.like(columns)]
    frame = batch.like(np.arange(n_frames))[None, :, None]
    dim = batch.like(_moved_dims(n_dims, by[:, 0], wrap=wrap))[:, None]
    return replace(batch, x=batch.x[segment[:, :, None], frame, dim], y=y)


@register("segment-augmentations", "gain", threatens=["loudness"], on_device=True)
def gain(batch: Batch, rng: np.random.Generator, *, low: float = -6.0, high: float = 6.0) -> Batch:
    """Add a random offset to each segment: a gain, if the rows are in dB.

    Parameters
    ----------
    batch : Batch
        Segments.
    rng : np.random.Generator
        Draws the offset of each segment.
    low, high : float
        Smallest and largest offset, in the units of the rows.
    """
    if low > high:
        raise ConfigError(f"gain: low={low} is above high={high}")
    x = batch.x
    x += batch.like(rng.uniform(low, high, (len(x), 1, 1)).astype(np.float32))
    return batch


@register("segment-augmentations", "noise")
def noise(batch: Batch, rng: np.random.Generator, *, amount: float = 0.1) -> Batch:
    """Add Gaussian noise to every value.

    Parameters
    ----------
    batch : Batch
        Segments.
    rng : np.random.Generator
        Draws the noise.
    amount : float
        Standard deviation of the noise, relative to that of each dimension.
    """
    drawn = rng.standard_normal(batch.x.shape, dtype=np.float32)
    np.add(batch.x, drawn * (np.float32(amount) * batch.scale), out=batch.x)
    return batch


@register("segment-augmentations", "pca-jitter", threatens=["loudness"])
def pca_jitter(
    batch: Batch, rng: np.random.Generator, *, amount: float = 0.1, components: int = 0
) -> Batch:
    """Add a random combination of principal components to all frames of a segment.

    A segment becomes a little louder, darker or brighter, in the ways in which frames vary.
    The components are those of the frames of the batch.

    Parameters
    ----------
    batch : Batch
        Segments.
    rng : np.random.Generator
        Draws the offset along each component for each segment.
    amount : float
        Standard deviation of the offset, relative to that of the frames; 0 or
        more.
    components : int
        Number of components, by decreasing variance; 0 takes all.

    References
    ----------
    Krizhevsky, Sutskever & Hinton (2012), ImageNet classification with deep convolutional neural
    networks: applied to the colours of pixels.

    Differs from the paper: the offset along a component is proportional to the standard deviation,
    not to the variance, so that it does not depend on the units of the rows; the components are
    those of a batch, not of the whole train part.
    """
    if amount < 0 or components < 0:
        raise ConfigError(
            f"pca-jitter: amount={amount}, components={components}; expected 0 or more of each"
        )
    n, _, n_dims = batch.x.shape
    frames = batch.x.reshape(-1, n_dims) - batch.x.mean(axis=(0, 1), dtype=float).astype(np.float32)
    variances, directions = np.linalg.eigh(frames.T @ frames / len(frames))  # smallest first
    deviations = np.sqrt(np.maximum(variances, 0))
    if components:
        deviations[: max(0, n_dims - components)] = 0
    # rotated to the components and back, so that the signs of the components do not matter
    drawn = rng.standard_normal((n, n_dims), dtype=np.float32) @ directions
    moved = (np.float32(amount) * drawn * deviations) @ directions.T
    np.add(batch.x, moved[:, None, :], out=batch.x)
    return batch


def move_dims(x: np.ndarray, by: np.ndarray | int, *, wrap: bool = False) -> np.ndarray:
    """Return `x` with its last axis moved: dimension 0 becomes dimension `by`.

    Parameters
    ----------
    x : np.ndarray, shape (..., n_dims)
        Values; without `wrap` the outermost dimension is repeated at the edge.
    by : np.ndarray or int
        Dimensions up (above 0) or down; broadcast against the other axes of `x`.
    wrap : bool
        Move dimensions that leave at one edge in at the other.

    Examples
    --------
    >>> move_dims(np.array([1, 2, 3, 4]), 1).tolist(), move_dims(np.array([1, 2, 3]), -2).tolist()
    ([1, 1, 2, 3], [3, 3, 3])
    """
    index = _moved_dims(x.shape[-1], by, wrap=wrap)
    return np.take_along_axis(x, index.reshape((1,) * (x.ndim - index.ndim) + index.shape), axis=-1)


def _moved_dims(n_dims: int, by: np.ndarray | int, *, wrap: bool) -> np.ndarray:
    """Return which dimension is moved to each place, ``(..., n_dims)``."""
    index = np.arange(n_dims) - np.asarray(by)[..., None]
    return index % n_dims if wrap else np.clip(index, 0, n_dims - 1)


def _random_bands(rng: np.random.Generator, n: int, length: int, widest: float) -> np.ndarray:
    """Return masks ``(n, length)``: a band of up to `widest` of the length in each row."""
    width = np.floor(rng.uniform(0, widest * length + 1, n)).clip(max=length)
    start = np.floor(rng.uniform(0, length - width + 1))
    place = np.arange(length)
    return (place >= start[:, None]) & (place < (start + width)[:, None])
