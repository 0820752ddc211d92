"""What a receptive field is; `mcls.nets.receptive_field` measures it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class ReceptiveField:
    """The part of a segment that the middle unit of a hidden layer depends on.

    Parameters
    ----------
    layer : str
        Name of the layer in the net's ``hidden``.
    frames, dims : int
        Size of the part.
    all_frames, all_dims : bool
        True if the part is the whole segment along this axis.
    first_frame, first_dim : int
        First frame and first dimension of the part.
    over_time : bool
        True if the layer still has frames, rather than one vector for the segment.
    """

    layer: str
    frames: int
    dims: int
    all_frames: bool
    all_dims: bool
    first_frame: int
    first_dim: int
    over_time: bool
