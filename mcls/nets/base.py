"""The base class of nets, which documents the settings that they share."""

from collections.abc import Callable
from typing import ClassVar

from torch import nn


class Net(nn.Module):
    """Base class of nets, which turn segments into logits.

    Parameters
    ----------
    n_frames, n_dims : int
        Size of a segment.
    n_labels : int
        Number of labels, which is that of the logits.
    width : float
        Factor on the size of every hidden layer, above 0; 1 is the published net.
    nonlinearity : str
        Nonlinearity of the hidden layers.
    dropout : float
        Share of the hidden units that dropout sets to zero in training, in [0, 1).
    batch_norm : bool
        Normalise each hidden layer over the batch, before its nonlinearity.
    init : {'xavier', 'he', 'orthogonal', 'default'}
        Distribution from which the initial weights are drawn.

    Attributes
    ----------
    hidden : tuple of str
        Names of the submodules whose outputs are the hidden layers, first to last.
    auxiliary_weight : float
        Weight of the losses of further logits, which ``forward`` may return after the logits in
        training (and only then), as a tuple.
    """

    registered_as: ClassVar[str]
    hidden: tuple[str, ...]
    auxiliary_weight: float = 0.0

    #: Returns the fewest frames and dimensions of a segment; is called with all settings.
    smallest: ClassVar[Callable[..., tuple[int, int]]]
