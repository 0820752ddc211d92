"""The net of a DNN-HMM: from a window of frames to the states of hidden Markov models."""

from typing import Literal

from mcls.nets.blocks.layers import Init, Nonlinearity
from mcls.nets.mlp import MLP
from mcls.registry import register


@register(
    "nets", "dnn-hmm", source="Dahl et al. 2012", frames=11, dims=39, labels=50, outputs="states"
)
class DNNHMM(MLP):
    """Deep net whose outputs are the states of hidden Markov models, one HMM per class.

    GMM-HMMs are trained first, and their best paths give every frame a state. The net learns the
    state of the middle frame of a window, with cross-entropy. Its posteriors, divided by the priors
    of the states, replace the Gaussian mixtures; then frames are aligned again and the net is
    trained again, until the valid part is not recognised better. `mcls train --init DBN` starts
    each training of the net at the layers of a deep belief net, as the paper does.

    Parameters
    ----------
    layers : tuple of int
        Number of units of each hidden layer.
    states : int
        Number of states per class, >= 1.
    mixtures : int
        Number of Gaussians per state of the GMM-HMMs that give the first alignment.
    hmm : {'left-to-right', 'ergodic'}
        Transitions: to the same and the next state, or between all states.
    skips : bool
        Left-to-right HMMs may also skip a state.
    tied_states : int or None
        Number of outputs shared by the states of all classes; none: one per state.
    prior_scaling : bool
        Divide the posteriors by the priors of the states.
    realignments : int
        Maximum number of times that frames are aligned again, >= 0.
    priors : {'train', 'equal'}
        Prior probability of each class: equal, or its share of the train tracks.

    Attributes
    ----------
    hidden : tuple of str
        ``dense1``, ``dense2``, ...: ``(batch, units)``.

    References
    ----------
    Dahl, Yu, Deng & Acero (2012), Context-dependent pre-trained deep neural networks for
    large-vocabulary speech recognition, section III.

    Differs from the paper: one HMM per class, with no language model; states are tied by clustering
    their Gaussians, as classes have no phonetic context; hidden layers are smaller.
    """

    def __init__(
        self,
        n_frames: int,
        n_dims: int,
        n_labels: int,
        *,
        layers: tuple[int, ...] = (512, 512),
        nonlinearity: Nonlinearity = "sigmoid",
        dropout: float = 0.0,
        batch_norm: bool = False,
        init: Init = "xavier",
        states: int = 5,
        mixtures: int = 4,
        hmm: Literal["left-to-right", "ergodic"] = "left-to-right",
        skips: bool = False,
        tied_states: int | None = None,
        prior_scaling: bool = True,
        realignments: int = 3,
        priors: Literal["train", "equal"] = "train",
    ) -> None:
        super().__init__(
            n_frames,
            n_dims,
            n_labels,
            layers=layers,
            nonlinearity=nonlinearity,
            dropout=dropout,
            batch_norm=batch_norm,
            init=init,
        )
