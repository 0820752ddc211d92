"""Pooling of rows over time: over windows or over the whole track.

A pooler is written ``NAME[@SECONDS[/HOP]][:key=value,...]``: ``mean`` pools the whole track,
``max@1s`` windows of a second, ``max@5s/2.5s`` windows of five seconds every two and a half. A
window that extends beyond the end of the track is kept if at least half of it lies within the
track, or if it is the only one.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from mcls.errors import ConfigError
from mcls.registry import find, register
from mcls.settings import resolve, split_spec

Norm = Literal["none", "l1", "l2", "sqrt", "sqrt-l2"]

_WINDOW = re.compile(r"(?P<name>[\w-]+)(?:@(?P<window>[\d.]+)s?(?:/(?P<hop>[\d.]+)s?)?)?")


@dataclass(frozen=True)
class PoolSpec:
    """A pooler with its window and settings.

    Parameters
    ----------
    name : str
        Name in the registry.
    window, hop : float or None
        Length and hop of the windows in seconds; None pools the whole track.
    settings : dict
        Settings of the pooler.
    """

    name: str
    window: float | None
    hop: float | None
    settings: dict[str, Any]


def parse_pool(spec: str) -> PoolSpec:
    """Parse ``NAME[@SECONDS[/HOP]][:key=value,...]``.

    Raises
    ------
    ConfigError
        If it cannot be parsed, or the name or a setting is unknown.

    Examples
    --------
    >>> parse_pool("max@5s/2.5s:norm=l2")
    PoolSpec(name='max', window=5.0, hop=2.5, settings={'norm': 'l2'})
    """
    head, given = split_spec(spec)
    match = _WINDOW.fullmatch(head)
    if match is None:
        raise ConfigError(f"cannot parse the pooler {spec!r}; write NAME, NAME@1s or NAME@5s/2.5s")
    entry = find("poolers", match["name"])
    window = float(match["window"]) if match["window"] else None
    hop = float(match["hop"]) if match["hop"] else window
    if window is not None and hop is not None and not (window > 0 and 0 < hop <= window):
        raise ConfigError(
            f"pooler {spec!r}: the window must be above 0 s, and the hop above 0 s and at most "
            "the window"
        )
    return PoolSpec(entry.name, window, hop, resolve(entry, given))


def pool_rows(
    rows: np.ndarray, frame_rate: float | None, pool: PoolSpec
) -> tuple[np.ndarray, float | None]:
    """PoolSpec the rows of one track.

    Parameters
    ----------
    rows : np.ndarray, shape (n_rows, n_dims)
        At least one row.
    frame_rate : float or None
        Rows per second; None for rows without a time axis.
    pool : PoolSpec
        The pooler.

    Returns
    -------
    rows : np.ndarray, shape (n_windows, n_pooled), float32
    frame_rate : float or None
        Windows per second; None for the whole track.

    Raises
    ------
    ConfigError
        If windows are requested for rows without a time axis.
    """
    function = find("poolers", pool.name).load()
    if pool.window is None:
        return function(rows[None], **pool.settings), None
    if frame_rate is None:
        raise ConfigError(
            f"{pool.name}@{pool.window:g}s: the rows have no time axis (each is a whole track), "
            "so they cannot be pooled over windows"
        )
    length = max(1, round(pool.window * frame_rate))
    hop = max(1, round((pool.hop or pool.window) * frame_rate))
    starts = range(0, max(1, len(rows)), hop)
    whole = [start for start in starts if start + length <= len(rows)]
    pooled = []
    if whole:
        windows = np.lib.stride_tricks.sliding_window_view(rows, length, axis=0)[::hop]
        pooled.append(function(windows[: len(whole)].transpose(0, 2, 1), **pool.settings))
    rest = hop * len(whole)
    covered = whole[-1] + length if whole else 0
    if not whole or (len(rows) - rest >= length / 2 and len(rows) > covered):
        pooled.append(function(rows[None, rest:], **pool.settings))
    return np.concatenate(pooled), frame_rate / hop


def _normed(pooled: np.ndarray, norm: str) -> np.ndarray:
    """Normalise pooled vectors: ``(n_windows, n)``."""
    if norm.startswith("sqrt"):
        pooled = np.sign(pooled) * np.sqrt(np.abs(pooled))
    if norm.endswith("l2"):
        size = np.sqrt(np.einsum("ij,ij->i", pooled, pooled))
    elif norm == "l1":
        size = np.abs(pooled).sum(axis=1)
    else:
        return pooled.astype(np.float32, copy=False)
    return (pooled / np.where(size > 0, size, 1)[:, None]).astype(np.float32, copy=False)


@register("poolers", "histogram")
def histogram(windows: np.ndarray, *, norm: Norm = "none") -> np.ndarray:
    """Histogram of codes: the sum of each code over time, normalised to a total of 1.

    Parameters
    ----------
    windows : np.ndarray, shape (n_windows, n_rows, n_dims)
        Codes.
    norm : {'none', 'l1', 'l2', 'sqrt', 'sqrt-l2'}
        Normalisation of the pooled vector; sqrt is the signed square root.
    """
    sums = windows.sum(axis=1)
    total = sums.sum(axis=1, keepdims=True)
    return _normed(sums / np.where(total != 0, total, 1), norm)


@register("poolers", "mean")
def mean(windows: np.ndarray, *, norm: Norm = "none") -> np.ndarray:
    """Mean over time.

    Parameters
    ----------
    windows : np.ndarray, shape (n_windows, n_rows, n_dims)
        Rows.
    norm : {'none', 'l1', 'l2', 'sqrt', 'sqrt-l2'}
        Normalisation of the pooled vector; sqrt is the signed square root.
    """
    return _normed(windows.mean(axis=1), norm)


@register("poolers", "max")
def maximum(windows: np.ndarray, *, norm: Norm = "none") -> np.ndarray:
    """Maximum over time.

    Parameters
    ----------
    windows : np.ndarray, shape (n_windows, n_rows, n_dims)
        Rows.
    norm : {'none', 'l1', 'l2', 'sqrt', 'sqrt-l2'}
        Normalisation of the pooled vector; sqrt is the signed square root.
    """
    return _normed(windows.max(axis=1), norm)


@register("poolers", "std")
def std(windows: np.ndarray, *, norm: Norm = "none") -> np.ndarray:
    """Standard deviation over time.

    Parameters
    ----------
    windows : np.ndarray, shape (n_windows, n_rows, n_dims)
        Rows.
    norm : {'none', 'l1', 'l2', 'sqrt', 'sqrt-l2'}
        Normalisation of the pooled vector; sqrt is the signed square root.
    """
    return _normed(windows.std(axis=1, dtype=np.float64), norm)


@register("poolers", "meanstd")
def meanstd(windows: np.ndarray, *, norm: Norm = "none") -> np.ndarray:
    """Mean and standard deviation over time, concatenated.

    Parameters
    ----------
    windows : np.ndarray, shape (n_windows, n_rows, n_dims)
        Rows.
    norm : {'none', 'l1', 'l2', 'sqrt', 'sqrt-l2'}
        Normalisation of the pooled vector; sqrt is the signed square root.
    """
    both = [windows.mean(axis=1), windows.std(axis=1, dtype=np.float64)]
    return _normed(np.concatenate(both, axis=1), norm)


@register("poolers", "power")
def power(windows: np.ndarray, *, p: float = 2.0, norm: Norm = "none") -> np.ndarray:
    """L_p mean over time, (mean |x|^p)^(1/p): the mean for p = 1, towards the maximum for large p.

    Parameters
    ----------
    windows : np.ndarray, shape (n_windows, n_rows, n_dims)
        Rows.
    p : float
        Exponent, above 0.
    norm : {'none', 'l1', 'l2', 'sqrt', 'sqrt-l2'}
        Normalisation of the pooled vector; sqrt is the signed square root.
    """
    if p <= 0:
        raise ConfigError(f"power: p must be above 0, not {p}")
    sizes = np.abs(windows).astype(np.float64)
    top = np.maximum(sizes.max(axis=1, keepdims=True), np.finfo(np.float32).tiny)
    return _normed(top[:, 0] * np.mean((sizes / top) ** p, axis=1) ** (1 / p), norm)


@register("poolers", "statistics")
def statistics(windows: np.ndarray, *, norm: Norm = "none") -> np.ndarray:
    """Seven statistics: mean, deviation, skewness, kurtosis, median, minimum and maximum.

    Skewness and kurtosis (0 for a normal distribution) of a constant are 0. They are those of
    ``scipy.stats``, and the seven those of the features of FMA (Defferrard et al. 2017).

    Parameters
    ----------
    windows : np.ndarray, shape (n_windows, n_rows, n_dims)
        Rows.
    norm : {'none', 'l1', 'l2', 'sqrt', 'sqrt-l2'}
        Normalisation of the pooled vector; sqrt is the signed square root.
    """
    rows = windows.astype(np.float64)
    mean = rows.mean(axis=1)
    apart = rows - mean[:, None]
    variance = np.mean(apart**2, axis=1)
    scale = np.where(variance > (1e-6 * np.abs(mean)) ** 2, variance, np.inf)
    skewness = np.mean(apart**3, axis=1) / scale**1.5
    kurtosis = np.mean(apart**4, axis=1) / scale**2
    kurtosis = np.where(np.isinf(scale), 0.0, kurtosis - 3)
    order = [np.median(rows, axis=1), rows.min(axis=1), rows.max(axis=1)]
    seven = [mean, np.sqrt(variance), skewness, kurtosis, *order]
    return _normed(np.concatenate(seven, axis=1), norm)


def pool_settings(pool: PoolSpec) -> Mapping[str, Any]:
    """Return the settings of a pooler as a step of a chain."""
    return {"window": pool.window, "hop": pool.hop, **pool.settings}


def pool_of(name: str, settings: Mapping[str, Any]) -> PoolSpec:
    """Return the pooler of a step of a chain."""
    rest = {key: value for key, value in settings.items() if key not in ("window", "hop")}
    return PoolSpec(name, settings["window"], settings["hop"], rest)
