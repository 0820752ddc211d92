"""Spectrogram and waveform front-ends with one back-end: Pons et al.'s tagging at scale."""

from mcls.nets.blocks.backends import Backend, Midend
from mcls.nets.blocks.front_back import FrontBack
from mcls.nets.blocks.frontends import FrontendName
from mcls.nets.blocks.layers import Init, Nonlinearity
from mcls.nets.blocks.stacks import Envelope
from mcls.registry import register


@register(
    "nets",
    "pons-2018",
    source="Pons et al. 2018",
    sr=16000,
    hop=256,
    frames=937,
    dims=96,
    labels=50,
)
class Pons2018(FrontBack):
    """Filters of many shapes, three convolutions of 512 maps, two residual, pooled over time.

    Every layer is normalised after its nonlinearity.

    Parameters
    ----------
    n_frames, n_dims : int
        Size of a segment. All back-ends but mlp take other lengths, too.
    n_labels : int
        Logits.
    width : float
        Scales every hidden layer, above 0; 1 is the published net.
    frontend : str
        From the segment to maps over time.
    envelope : {'max', 'mean'}
        Temporal filters read every dim, of which the maximum is taken, or the mean of all dims.
    midend : {'dense', 'residual', 'pons-2018', 'none'}
        Convolutions over all maps: front-end and all three side by side, or the last.
    midend_maps : int
        Of each convolution of the mid-end.
    residual_norm : bool
        Normalise what the second and third convolution add.
    backend : str
        From maps over time to one vector.
    units : int
        Of the dense layer.
    nonlinearity : str
        Of all hidden units.
    dropout : float
        Share of the units that is left out before and after the dense layer in training, in [0, 1).
    batch_norm : bool
        Normalise each hidden layer after its nonlinearity.
    init : {'xavier', 'he', 'orthogonal', 'default'}
        How the first weights are drawn.

    Attributes
    ----------
    hidden : tuple of str
        ``frontend``, or its layers ``frontend.conv1``, ..., and ``midend.conv1`` to
        ``midend.conv3``: ``(batch, maps, frames)``; ``dense1``: ``(batch, units)``.

    References
    ----------
    Pons, Nieto, Prockup, Schmidt, Ehmann & Serra (2018), End-to-end learning for music audio
    tagging at scale; the code its first author published (music-audio-tagging-at-scale-models).

    The length of a segment, 15 s at 16 kHz, is from memory of the paper.
    """

    def __init__(
        self,
        n_frames: int,
        n_dims: int,
        n_labels: int,
        *,
        width: float = 1.0,
        frontend: FrontendName = "pons-2018",
        envelope: Envelope = "mean",
        midend: Midend = "pons-2018",
        midend_maps: int = 512,
        residual_norm: bool = True,
        backend: Backend = "global-pool",
        units: int = 500,
        nonlinearity: Nonlinearity = "relu",
        dropout: float = 0.5,
        batch_norm: bool = True,
        init: Init = "he",
    ) -> None:
        super().__init__(
            n_frames,
            n_dims,
            n_labels,
            width=width,
            frontend=frontend,
            envelope=envelope,
            midend=midend,
            midend_maps=midend_maps,
            residual_norm=residual_norm,
            backend=backend,
            units=units,
            input_norm=False,
            summary_norm=False,
            nonlinearity=nonlinearity,
            dropout=dropout,
            batch_norm=batch_norm,
            init=init,
        )


@register(
    "nets",
    "waveform-frontend",
    source="Pons et al. 2018",
    sr=16000,
    hop=1,
    frames=240000,
    dims=1,
    labels=50,
)
class WaveformFrontend(FrontBack):
    """Seven convolutions of 3 samples, then the mid-end and back-end of pons-2018.

    A segment is read as samples: rows of the feature ``waveform`` are one sample each; rows of more
    are joined. Every layer is normalised after its nonlinearity.

    Parameters
    ----------
    n_frames, n_dims : int
        Size of a segment, of n_frames x n_dims samples. All back-ends but mlp take other lengths.
    n_labels : int
        Logits.
    width : float
        Scales every hidden layer, above 0; 1 is the published net.
    midend : {'dense', 'residual', 'pons-2018', 'none'}
        Convolutions over all maps: front-end and all three side by side, or the last.
    midend_maps : int
        Of each convolution of the mid-end.
    residual_norm : bool
        Normalise what the second and third convolution add.
    backend : str
        From maps over time to one vector.
    units : int
        Of the dense layer.
    nonlinearity : str
        Of all hidden units.
    dropout : float
        Share of the units that is left out before and after the dense layer in training, in [0, 1).
    batch_norm : bool
        Normalise each hidden layer after its nonlinearity.
    init : {'xavier', 'he', 'orthogonal', 'default'}
        How the first weights are drawn.

    Attributes
    ----------
    hidden : tuple of str
        ``frontend.conv1`` to ``frontend.conv7``, ``midend.conv1`` to ``midend.conv3``:
        ``(batch, maps, frames)``; ``dense1``: ``(batch, units)``.

    References
    ----------
    As of pons-2018; the front-end is after Lee, Park, Kim & Nam (2017), Sample-level deep
    convolutional neural networks for music auto-tagging using raw waveforms.

    The length of a segment, 15 s at 16 kHz, is from memory of the paper.
    """

    def __init__(
        self,
        n_frames: int,
        n_dims: int,
        n_labels: int,
        *,
        width: float = 1.0,
        midend: Midend = "pons-2018",
        midend_maps: int = 512,
        residual_norm: bool = True,
        backend: Backend = "global-pool",
        units: int = 500,
        nonlinearity: Nonlinearity = "relu",
        dropout: float = 0.5,
        batch_norm: bool = True,
        init: Init = "he",
    ) -> None:
        super().__init__(
            n_frames,
            n_dims,
            n_labels,
            width=width,
            frontend="waveform",
            envelope="mean",
            midend=midend,
            midend_maps=midend_maps,
            residual_norm=residual_norm,
            backend=backend,
            units=units,
            input_norm=False,
            summary_norm=False,
            nonlinearity=nonlinearity,
            dropout=dropout,
            batch_norm=batch_norm,
            init=init,
        )

    @staticmethod
    def smallest(
        *, midend: Midend, frontend: FrontendName = "waveform", **settings: object
    ) -> tuple[int, int]:
        """Return the fewest samples, as frames of one dim."""
        return FrontBack.smallest(frontend=frontend, midend=midend)
