"""The width at which a net has a given number of parameters."""

from collections.abc import Mapping
from typing import Any

import torch

from mcls.errors import ConfigError
from mcls.registry import find
from mcls.settings import resolve

#: The range of widths that is searched, and the number of halvings of it.
_NARROWEST, _WIDEST, _HALVINGS = 1 / 1024, 64.0, 16


def width_for(
    parameters: int,
    name: str,
    settings: Mapping[str, Any],
    n_frames: int,
    n_dims: int,
    n_labels: int,
) -> float:
    """Return the width at which a net has as many parameters as asked, as near as maps allow.

    Parameters
    ----------
    parameters : int
        Number of parameters.
    name : str
        Name of a net with the setting ``width``.
    settings : mapping of str to text or value
        Its other settings.
    n_frames, n_dims, n_labels : int
        Size of a segment, and number of labels.

    Raises
    ------
    ConfigError
        If a setting is unknown or out of range, or no width gives so many or so few parameters.

    Examples
    --------
    >>> width_for(100_000, "crnn", {}, 1366, 96, 50)
    0.5038
    >>> n_parameters("crnn", {"width": 0.5038}, 1366, 96, 50)
    99730
    """

    def count(width: float) -> int:
        return n_parameters(name, {**settings, "width": width}, n_frames, n_dims, n_labels)

    low, high = _NARROWEST, _WIDEST
    if not count(low) <= parameters <= count(high):
        raise ConfigError(
            f"{name}: no width gives {parameters} parameters; expected {count(low)} to "
            f"{count(high)}"
        )
    for _ in range(_HALVINGS):
        middle = (low * high) ** 0.5
        low, high = (middle, high) if count(middle) <= parameters else (low, middle)
    near = [float(f"{width:.4g}") for width in (low, high)]
    return min(near, key=lambda width: abs(count(width) - parameters))


def n_parameters(
    name: str, settings: Mapping[str, Any], n_frames: int, n_dims: int, n_labels: int
) -> int:
    """Return the number of parameters of a net; parameters as of `width_for`."""
    entry = find("nets", name)
    with torch.device("meta"):  # sizes without numbers
        net = entry.load()(n_frames, n_dims, n_labels, **resolve(entry, settings))
    return sum(parameter.numel() for parameter in net.parameters())
