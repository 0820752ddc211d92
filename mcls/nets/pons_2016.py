"""Filters along time, along frequency, or both: the nets of Pons, Lidy & Serra (2016).

A filter that is long in time and one dim high sees rhythm and the envelope of notes; one that is
high in frequency and one frame long sees timbre and chords. Sizes are frames x dims here, where the
paper writes dims x frames: its 1x60 is 60x1.
"""

from mcls.nets.blocks.branches import Branches
from mcls.nets.blocks.layers import Init, Nonlinearity
from mcls.registry import register


@register(
    "nets", "pons-time", source="Pons et al. 2016", sr=44100, hop=1024, frames=80, dims=40, labels=8
)
class PonsTime(Branches):
    """Filters of 60 frames and one dim, and of each the maximum over dims in every frame.

    Parameters
    ----------
    n_frames, n_dims : int
        Size of a segment.
    n_labels : int
        Logits.
    width : float
        Scales the number of filters, 32, above 0; 1 is the published net.
    length : int
        Frames of a filter; 200 for segments of 250 frames, as published, too.
    nonlinearity : str
        Of the filters.
    dropout : float
        Share of what the filters give that is left out in training, in [0, 1).
    batch_norm : bool
        Normalise the filters' maps before the nonlinearity.
    init : {'xavier', 'he', 'orthogonal', 'default'}
        How the first weights are drawn.

    Attributes
    ----------
    hidden : tuple of str
        ``time``: ``(batch, maps, frames, 1)``.

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
        length: int = 60,
        nonlinearity: Nonlinearity = "relu",
        dropout: float = 0.5,
        batch_norm: bool = False,
        init: Init = "xavier",
    ) -> None:
        super().__init__(
            n_frames,
            n_dims,
            n_labels,
            branches={"time": (length, 1)},
            units=None,
            counts={"length": length},
            width=width,
            nonlinearity=nonlinearity,
            dropout=dropout,
            batch_norm=batch_norm,
            init=init,
        )

    @staticmethod
    def smallest(*, length: int, **settings: object) -> tuple[int, int]:
        """Return the fewest frames and dims: those of a filter."""
        return length, 1


@register(
    "nets",
    "pons-frequency",
    source="Pons et al. 2016",
    sr=44100,
    hop=1024,
    frames=80,
    dims=40,
    labels=8,
)
class PonsFrequency(Branches):
    """Filters of one frame and 32 dims, and of each the maximum over frames at every dim.

    Parameters
    ----------
    n_frames, n_dims : int
        Size of a segment. A net also takes longer ones.
    n_labels : int
        Logits.
    width : float
        Scales the number of filters, 32, above 0; 1 is the published net.
    height : int
        Dims of a filter; 30 to 40 were published.
    nonlinearity : str
        Of the filters.
    dropout : float
        Share of what the filters give that is left out in training, in [0, 1).
    batch_norm : bool
        Normalise the filters' maps before the nonlinearity.
    init : {'xavier', 'he', 'orthogonal', 'default'}
        How the first weights are drawn.

    Attributes
    ----------
    hidden : tuple of str
        ``frequency``: ``(batch, maps, 1, dims)``.

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
        height: int = 32,
        nonlinearity: Nonlinearity = "relu",
        dropout: float = 0.5,
        batch_norm: bool = False,
        init: Init = "xavier",
    ) -> None:
        super().__init__(
            n_frames,
            n_dims,
            n_labels,
            branches={"frequency": (1, height)},
            units=None,
            counts={"height": height},
            width=width,
            nonlinearity=nonlinearity,
            dropout=dropout,
            batch_norm=batch_norm,
            init=init,
        )

    @staticmethod
    def smallest(*, height: int, **settings: object) -> tuple[int, int]:
        """Return the fewest frames and dims: those of a filter."""
        return 1, height


@register(
    "nets", "pons-tf", source="Pons et al. 2016", sr=44100, hop=1024, frames=80, dims=40, labels=8
)
class PonsTimeFrequency(Branches):
    """The filters of pons-time and of pons-frequency side by side, and a dense layer of 200 units.

    Its filters may begin at those of a trained pons-time and a trained pons-frequency, as
    published: ``mcls train --init``.

    Parameters
    ----------
    n_frames, n_dims : int
        Size of a segment.
    n_labels : int
        Logits.
    width : float
        Scales filters, 32 of each kind, and units, above 0; 1 is the published net.
    length : int
        Frames of a filter along time.
    height : int
        Dims of a filter along frequency.
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
        ``time``: ``(batch, maps, frames, 1)``; ``frequency``: ``(batch, maps, 1, dims)``;
        ``dense1``: ``(batch, units)``.

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
        length: int = 60,
        height: int = 32,
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
            branches={"time": (length, 1), "frequency": (1, height)},
            units=units,
            counts={"length": length, "height": height},
            width=width,
            nonlinearity=nonlinearity,
            dropout=dropout,
            batch_norm=batch_norm,
            init=init,
        )

    @staticmethod
    def smallest(*, length: int, height: int, **settings: object) -> tuple[int, int]:
        """Return the fewest frames and dims: those of the filters."""
        return length, height
