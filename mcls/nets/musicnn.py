"""Musically motivated filters, convolutions in time, pooling over time: Pons & Serra's musicnn."""

from mcls.nets.blocks.backends import Backend, Midend
from mcls.nets.blocks.front_back import FrontBack
from mcls.nets.blocks.frontends import FrontendName
from mcls.nets.blocks.layers import Init, Nonlinearity
from mcls.nets.blocks.stacks import Envelope
from mcls.registry import register


@register(
    "nets", "musicnn", source="Pons & Serra 2019", sr=16000, hop=256, frames=187, dims=96, labels=50
)
class Musicnn(FrontBack):
    """Timbral and temporal filters, three residual convolutions, all of them pooled over time.

    Every layer is normalised after its nonlinearity, and the segment as a whole before all.

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
        Of each convolution of the mid-end; the published large net has 512.
    residual_norm : bool
        Normalise what the second and third convolution add; the published code leaves it out.
    backend : str
        From maps over time to one vector.
    units : int
        Of the dense layer; the published large net has 500.
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
        ``frontend``, ``midend.conv1`` to ``midend.conv3``: ``(batch, maps, frames)``; ``dense1``:
        ``(batch, units)``. The layers of other front-ends and of the recurrent back-end have names
        of their own.

    References
    ----------
    Pons & Serra (2019), musicnn: pre-trained convolutional neural networks for music audio tagging;
    the code its first author published (musicnn-training).

    Differs from the published code: there the norms of the second and third convolution are
    computed and not used; ``residual_norm=false`` does the same. Its front-end begins with Glorot's
    weights and the rest with He's, where `init` is for all layers.
    """

    def __init__(
        self,
        n_frames: int,
        n_dims: int,
        n_labels: int,
        *,
        width: float = 1.0,
        frontend: FrontendName = "timbral+temporal",
        envelope: Envelope = "max",
        midend: Midend = "dense",
        midend_maps: int = 64,
        residual_norm: bool = True,
        backend: Backend = "global-pool",
        units: int = 200,
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
            input_norm=True,
            summary_norm=True,
            nonlinearity=nonlinearity,
            dropout=dropout,
            batch_norm=batch_norm,
            init=init,
        )
