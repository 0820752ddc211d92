"""Restricted Boltzmann machines: hidden units that explain rows, learnt by contrastive divergence.

Two methods with one implementation: `RBM`, and `SparseRBM`, whose hidden units are seldom active.
What a step computes is said in `rbm_steps`, how it is computed in `rbm_cpu` and `rbm_torch`.

On the CPU the same seed and rows give the same bytes, by however many threads.
"""

from typing import Literal

from mcls.dictionaries.rbm_learner import RBMLearner
from mcls.registry import register


@register("dictionaries", "rbm", encoder="feed-forward", watches_valid=True)
class RBM(RBMLearner):
    """Restricted Boltzmann machine, learnt by contrastive divergence or persistent chains.

    Parameters
    ----------
    n_atoms : int
        Number of hidden units.
    visible : {'gaussian', 'binary', 'relu'}
        What rows are: numbers of variance 1, numbers within [0, 1], or numbers of 0 or more.
    hidden : {'binary', 'relu'}
        Hidden units: on or off with the sigmoid's probability, or noisy rectified linear ones,
        ``max(0, x + N(0, sigmoid(x)))``, whose mean is taken for ``max(0, x)``.
    algorithm : {'cd', 'pcd'}
        Where the negative statistics come from: from the data by some turns of Gibbs sampling, or
        from persistent chains, as many as there are rows in a minibatch.
    n_gibbs : int
        Turns of Gibbs sampling a step.
    reconstruct : {'auto', 'means', 'samples'}
        What visible units are set to when hidden units drive them. With auto: samples for pcd,
        whose chains would else not be samples of the model, means for cd.
    batch_size : int
        Rows in a minibatch.
    n_epochs : int
        How often every row is seen.
    learning_rate : float
        Step along the mean slope of a minibatch.
    rate_decay : float
        Factor of the learning rate from one epoch to the next, in (0, 1].
    rate_floor : float
        The learning rate falls no lower.
    momentum : float
        Share of the last step that is made again, in the first fifth of the epochs.
    final_momentum : float
        The same in later epochs.
    weight_cost : float
        Weights shrink by this times the learning rate, a step.
    sparsity : {'none', 'lee', 'bias'}
        How hidden units are held near a mean activity: not at all; by the slope of the squared gap
        between target and minibatch mean, on the hidden biases; or by moving the hidden biases
        against the gap of a running mean.
    target : float
        The mean activation wanted, above 0; for binary hidden units below 1.
    sparsity_cost : float
        Weight of the sparsity, beside the likelihood.
    activation_rate : float
        Share of a minibatch in the running mean, for sparsity bias.
    initial_bias : float
        Of the hidden units.
    device : str
        Where to compute: ``cpu``, or a torch device such as ``cuda``.
    random_state : int or None
        Seed of the weights, of the order of rows and of all samples.

    Attributes
    ----------
    components_ : np.ndarray, shape (n_atoms, n_dims), float32
        The weights.
    biases_ : np.ndarray, shape (n_atoms,), float32
        Of the hidden units.
    visible_biases_ : np.ndarray, shape (n_dims,), float32
        They begin at the rows' mean, or for binary units at the log odds of it.
    history_ : list of dict
        Of each epoch: ``learning_rate``; ``activation``, the mean over rows and units while
        learning; ``reconstruction``, the mean squared error per number of a reconstruction without
        sampling, and ``free_energy``, the mean in nats, both of the same thousand rows (or of all,
        if they are fewer) after the epoch; both again as ``valid_...`` where there is a valid part.
        Free energy falling on the rows but not on the valid ones is overfitting. relu units have no
        free energy, and none is recorded.
    usage_ : np.ndarray, shape (n_atoms,)
        Mean activation of each unit over the last epoch's rows.

    References
    ----------
    G. Hinton, "A practical guide to training restricted Boltzmann machines", 2010.
    T. Tieleman, "Training restricted Boltzmann machines using approximations to the likelihood
    gradient", ICML 2008 (persistent chains).
    V. Nair, G. Hinton, "Rectified linear units improve restricted Boltzmann machines", ICML 2010.
    H. Lee, C. Ekanadham, A. Ng, "Sparse deep belief net model for visual area V2", NIPS 2007
    (sparsity lee). Differs from the paper: Gaussian units have variance 1, and the slope of the
    sparsity is that of one minibatch. As in the paper, from memory of it, only the hidden biases
    follow that slope.

    Examples
    --------
    >>> import numpy as np
    >>> rows = np.random.default_rng(0).normal(size=(200, 8)).astype(np.float32)
    >>> model = RBM(n_atoms=16, n_epochs=2, random_state=0).fit(rows)
    >>> model.components_.shape, model.transform(rows).shape
    ((16, 8), (200, 16))
    """

    def __init__(
        self,
        *,
        n_atoms: int = 256,
        visible: Literal["gaussian", "binary", "relu"] = "gaussian",
        hidden: Literal["binary", "relu"] = "binary",
        algorithm: Literal["cd", "pcd"] = "cd",
        n_gibbs: int = 1,
        reconstruct: Literal["auto", "means", "samples"] = "auto",
        batch_size: int = 100,
        n_epochs: int = 50,
        learning_rate: float = 0.01,
        rate_decay: float = 0.99,
        rate_floor: float = 0.003,
        momentum: float = 0.5,
        final_momentum: float = 0.9,
        weight_cost: float = 0.0002,
        sparsity: Literal["none", "lee", "bias"] = "none",
        target: float = 0.02,
        sparsity_cost: float = 3.0,
        activation_rate: float = 0.01,
        initial_bias: float = 0.0,
        device: str = "cpu",
        random_state: int | None = None,
    ) -> None:
        self.n_atoms = n_atoms
        self.visible = visible
        self.hidden = hidden
        self.algorithm = algorithm
        self.n_gibbs = n_gibbs
        self.reconstruct = reconstruct
        self.batch_size = batch_size
        self.n_epochs = n_epochs
        self.learning_rate = learning_rate
        self.rate_decay = rate_decay
        self.rate_floor = rate_floor
        self.momentum = momentum
        self.final_momentum = final_momentum
        self.weight_cost = weight_cost
        self.sparsity = sparsity
        self.target = target
        self.sparsity_cost = sparsity_cost
        self.activation_rate = activation_rate
        self.initial_bias = initial_bias
        self.device = device
        self.random_state = random_state


@register("dictionaries", "sparse-rbm", encoder="feed-forward", watches_valid=True)
class SparseRBM(RBM):
    """Sparse RBM: hidden units that are each active in some hundredths of the rows.

    An `RBM` that by default is that of Nam et al.: Gaussian visible and binary hidden units, one
    turn of contrastive divergence, hidden biases moved against the gap between a running mean of
    the activation and its target.

    Parameters
    ----------
    n_epochs : int
        How often every row is seen; the paper's code makes 300 epochs.
    All others
        As those of `RBM`, with other defaults.

    Attributes
    ----------
    components_, biases_, visible_biases_, history_, usage_
        As those of `RBM`.

    References
    ----------
    J. Nam, J. Herrera, M. Slaney, J. Smith, "Learning sparse feature representations for music
    annotation and retrieval", ISMIR 2012, and the code of J. Nam, J. Herrera, K. Lee, "A deep
    bag-of-features model for music auto-tagging", 2015, whose numbers are the defaults.
    Differs from the code: 50 epochs rather than 300; the running mean begins at that of the first
    minibatch.

    Examples
    --------
    >>> import numpy as np
    >>> rows = np.random.default_rng(0).normal(size=(200, 8)).astype(np.float32)
    >>> model = SparseRBM(n_atoms=16, n_epochs=2, random_state=0).fit(rows)
    >>> model.components_.shape, model.usage_.shape
    ((16, 8), (16,))
    """

    def __init__(
        self,
        *,
        n_atoms: int = 1024,
        visible: Literal["gaussian", "binary", "relu"] = "gaussian",
        hidden: Literal["binary", "relu"] = "binary",
        algorithm: Literal["cd", "pcd"] = "cd",
        n_gibbs: int = 1,
        reconstruct: Literal["auto", "means", "samples"] = "auto",
        batch_size: int = 100,
        n_epochs: int = 50,
        learning_rate: float = 0.007,
        rate_decay: float = 0.99,
        rate_floor: float = 0.003,
        momentum: float = 0.5,
        final_momentum: float = 0.9,
        weight_cost: float = 0.001,
        sparsity: Literal["none", "lee", "bias"] = "bias",
        target: float = 0.02,
        sparsity_cost: float = 3.0,
        activation_rate: float = 0.01,
        initial_bias: float = 0.0,
        device: str = "cpu",
        random_state: int | None = None,
    ) -> None:
        super().__init__(
            n_atoms=n_atoms,
            visible=visible,
            hidden=hidden,
            algorithm=algorithm,
            n_gibbs=n_gibbs,
            reconstruct=reconstruct,
            batch_size=batch_size,
            n_epochs=n_epochs,
            learning_rate=learning_rate,
            rate_decay=rate_decay,
            rate_floor=rate_floor,
            momentum=momentum,
            final_momentum=final_momentum,
            weight_cost=weight_cost,
            sparsity=sparsity,
            target=target,
            sparsity_cost=sparsity_cost,
            activation_rate=activation_rate,
            initial_bias=initial_bias,
            device=device,
            random_state=random_state,
        )
