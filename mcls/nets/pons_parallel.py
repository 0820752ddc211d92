"""Filters of any shapes side by side, and the black box of Pons, Lidy & Serra (2016).

Sizes are frames x dims here, where the paper writes dims x frames: its 12x8 is 8x12.
"""

from mcls.nets.blocks.branches import Branches, largest
from mcls.nets.blocks.filters import parse_shapes
from mcls.nets.blocks.layers import Init, Nonlinearity
from mcls.registry import register

_POOLED_DIMS = 4


@register(
    "nets",
    "pons-parallel",
    source="Pons et al. 2016",
    sr=44100,
    hop=1024,
    frames=80,
    dims=40,
    labels=8,
)
class PonsParallel(Branches):
    """Filters of any shapes side by side, and a dense layer of 200 units: pons-tf extended.

    A filter with more dims than frames is pooled over all frames, any other over all dims. So
    ``shapes=60x1,1x32`` is pons-tf.

    Parameters
    ----------
    n_frames, n_dims : int
        Size of a segment.
    n_labels : int
        Logits.
    width : float
        Scales filters, 32 of each shape, and units, above 0.
    shapes : str
        Of the filters, each FRAMESxDIMS, separated by commas.
    units : int
        Of the dense layer.
    nonlinearity : str
        Of all hidden units.
    dropout : float
        Share of the units that is left out before and after the dense layer in training, in [0, 1).
    batch_norm : bool
        Normalise each hidden layer before its nonlinearity.
    init : {'xavier', 'he', 'orthogonal', 'default'}
        How the first weights are drawn.

    Attributes
    ----------
    hidden : tuple of str
        ``branch1``, ``branch2``, ...: ``(batch, maps, frames, 1)`` or ``(batch, maps, 1, dims)``;
        ``dense1``: ``(batch, units)``.

    References
    ----------
    Pons, Lidy & Serra (2016), Experimenting with musically motivated convolutional neural networks.

    Differs from the paper: it suggests more shapes than two and does not try them.
    """

    def __init__(
        self,
        n_frames: int,
        n_dims: int,
        n_labels: int,
        *,
        width: float = 1.0,
        shapes: str = "9x1,3x3,1x9",
        units: int = 200,
        nonlinearity: Nonlinearity = "relu",
        dropout: float = 0.5,
        batch_norm: bool = False,
        init: Init = "xavier",
    ) -> None:
        read = parse_shapes("pons-parallel", shapes)
        super().__init__(
            n_frames,
            n_dims,
            n_labels,
            branches={f"branch{i}": shape for i, shape in enumerate(read, 1)},
            units=units,
            counts={},
            width=width,
            nonlinearity=nonlinearity,
            dropout=dropout,
            batch_norm=batch_norm,
            init=init,
        )

    @staticmethod
    def smallest(*, shapes: str, **settings: object) -> tuple[int, int]:
        """Return the fewest frames and dims: those of the filters."""
        return largest(parse_shapes("pons-parallel", shapes))


@register(
    "nets",
    "pons-blackbox",
    source="Pons et al. 2016",
    sr=44100,
    hop=1024,
    frames=80,
    dims=40,
    labels=8,
)
class PonsBlackBox(Branches):
    """Filters of 8 frames and 12 dims, a max-pool of 4 dims, and a dense layer of 200 units.

    The net without a musical motive that the others are compared with.

    Parameters
    ----------
    n_frames, n_dims : int
        Size of a segment.
    n_labels : int
        Logits.
    width : float
        Scales filters and units, above 0; 1 is the published net.
    length : int
        Frames of a filter; 200 for segments of 250 frames, as published, too.
    height : int
        Dims of a filter.
    units : int
        Of the dense layer.
    nonlinearity : str
        Of all hidden units.
    dropout : float
        Share of the units that is left out before and after the dense layer in training, in [0, 1).
    batch_norm : bool
        Normalise each hidden layer before its nonlinearity.
    init : {'xavier', 'he', 'orthogonal', 'default'}
        How the first weights are drawn.

    Attributes
    ----------
    hidden : tuple of str
        ``conv1``: ``(batch, maps, frames, dims)``; ``dense1``: ``(batch, units)``.

    References
    ----------
    Pons, Lidy & Serra (2016), Experimenting with musically motivated convolutional neural networks.
    """

    def __init__(
        self,
        n_frames: int,
        n_dims: int,
        n_labels: int,
        *,
        width: float = 1.0,
        length: int = 8,
        height: int = 12,
        units: int = 200,
        nonlinearity: Nonlinearity = "relu",
        dropout: float = 0.5,
        batch_norm: bool = False,
        init: Init = "xavier",
    ) -> None:
        super().__init__(
            n_frames,
            n_dims,
            n_labels,
            branches={"conv1": (length, height)},
            units=units,
            counts={"length": length, "height": height},
            pool=(1, _POOLED_DIMS),
            width=width,
            nonlinearity=nonlinearity,
            dropout=dropout,
            batch_norm=batch_norm,
            init=init,
        )

    @staticmethod
    def smallest(*, length: int, height: int, **settings: object) -> tuple[int, int]:
        """Return the fewest frames and dims: those of a filter."""
        return length, height
