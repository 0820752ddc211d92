"""Build nets by name, and look up the smallest segments that they take."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from mcls.registry import find
from mcls.settings import resolve

if TYPE_CHECKING:
    from torch import nn


def build_net(
    name: str,
    settings: Mapping[str, Any],
    n_frames: int,
    n_dims: int,
    n_labels: int,
    seed: int = 0,
) -> "nn.Module":
    """Build a net with initial weights that follow from a seed.

    Parameters
    ----------
    name : str
        Name of a net.
    settings : mapping of str to text or value
        Settings that differ from the net's defaults.
    n_frames, n_dims : int
        Size of a segment.
    n_labels : int
        Number of labels, 1 or more.
    seed : int
        Random seed of the initial weights. Torch's own generator is left as it was.

    Returns
    -------
    nn.Module
        The net, on the CPU and in training mode.

    Raises
    ------
    ConfigError
        If the name or a setting is unknown or out of range, or the segment is too small.
    """
    import torch

    entry = find("nets", name)
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)  # torch.manual_seed would seed CUDA as well
        return entry.load()(n_frames, n_dims, n_labels, **resolve(entry, settings))


def smallest_input(name: str, settings: Mapping[str, Any]) -> tuple[int, int]:
    """Return the fewest frames and dimensions that a net takes with these settings.

    Raises
    ------
    ConfigError
        If the name or a setting is unknown or out of range.

    Examples
    --------
    >>> smallest_input("dieleman", {})
    (51, 1)
    """
    entry = find("nets", name)
    frames, dims = entry.load().smallest(**resolve(entry, settings))
    return frames, dims
