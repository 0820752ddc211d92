"""Five small convolutions of 32 maps: the compact net of Choi et al., whose layers are features."""

from mcls.nets.blocks.layers import Init, Nonlinearity
from mcls.nets.fcn import FullyConvolutional
from mcls.registry import register


@register(
    "nets",
    "compact-cnn",
    source="Choi et al. 2017",
    sr=12000,
    hop=256,
    frames=1360,
    dims=96,
    labels=50,
)
class CompactCNN(FullyConvolutional):
    """Fully convolutional, 5 layers of 32 maps; small enough for a laptop.

    All layers together are a feature of 160 numbers (``--layer all``), made to be learnt on one
    large set of music and used on small ones.

    Parameters
    ----------
    n_frames, n_dims : int
        Size of a segment. A net also takes longer ones.
    n_labels : int
        Logits.
    width : float
        Scales every hidden layer, above 0; 1 is the published net.
    nonlinearity : str
        Of all hidden units.
    dropout : float
        Share of the units that is left out after each layer in training, in [0, 1); the published
        net has none.
    batch_norm : bool
        Normalise each hidden layer before its nonlinearity.
    init : {'xavier', 'he', 'orthogonal', 'default'}
        How the first weights are drawn.

    Attributes
    ----------
    hidden : tuple of str
        ``conv1`` to ``conv5``: ``(batch, 32, frames, dims)``.

    References
    ----------
    Choi, Fazekas, Sandler & Cho (2017), Transfer learning for music classification and regression
    tasks; sizes as in the code its first author published (transfer_learning_music and
    compact_cnn).

    Differs from the published code: of segments of other than 96 dims, pools shrink to what is
    left, where the code has a table of pools by the number of dims.
    """

    maps = (32, 32, 32, 32, 32)
    pools = ((4, 2), (4, 3), (5, 2), (4, 2), (4, 4))

    def __init__(
        self,
        n_frames: int,
        n_dims: int,
        n_labels: int,
        *,
        width: float = 1.0,
        nonlinearity: Nonlinearity = "elu",
        dropout: float = 0.0,
        batch_norm: bool = True,
        init: Init = "he",
    ) -> None:
        super().__init__(
            n_frames,
            n_dims,
            n_labels,
            width=width,
            nonlinearity=nonlinearity,
            dropout=dropout,
            batch_norm=batch_norm,
            init=init,
        )
