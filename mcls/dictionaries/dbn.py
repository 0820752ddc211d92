"""Deep belief networks: stacked RBMs, each learnt from the hidden units of the one below.

The layers are learnt one after another. While one is, the layers below it turn each batch of rows
into mean activations, anew in every epoch: so memory grows neither with the rows nor with the
number of layers. Every layer is an `RBM` with its history. With ``up_down`` all layers are then
fine-tuned together (`mcls.dictionaries.up_down`).
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal, Self

import numpy as np
from sklearn.utils import check_random_state

from mcls.dictionaries.batches import Source, held, regroup
from mcls.dictionaries.learner import Dictionary
from mcls.dictionaries.rbm import RBM, Snapshot
from mcls.dictionaries.up_down import Directed, Memory, Network, UpDownSettings, fine_tune
from mcls.errors import ConfigError, MclsError
from mcls.parallel.threads import for_blocks, one_blas_thread
from mcls.registry import register

#: Rows in a batch, and those of it that go up the layers together, on one thread.
_BLOCK, _TOGETHER = 8192, 1024


@register(
    "dictionaries",
    "dbn",
    encoder="dbn",
    watches_valid=True,
    resumes=True,
    labels_if="up_down",
    distributed=True,
)
class DBN(Dictionary):
    """Deep belief network: RBMs learnt layer by layer, and fine-tuned as a whole if asked.

    The number of atoms is that of the last layer; `learn-dict --size` has no effect. A setting that
    is a list holds one value for all layers, or one for each.

    Parameters
    ----------
    layers : tuple of int
        Hidden units of each layer, from the lowest: 1024x1024x512.
    visible : {'gaussian', 'binary', 'relu'}
        Type of the visible units: variance 1, numbers in [0, 1], or numbers >= 0.
    hidden : {'binary', 'relu'}
        Type of the hidden units of every layer: binary (sigmoid) or rectified linear.
    algorithm : {'cd', 'pcd'}
        Contrastive divergence (cd) or persistent contrastive divergence (pcd).
    n_gibbs : int
        Steps of Gibbs sampling per minibatch.
    batch_size : int
        Rows per minibatch.
    n_epochs : tuple of int
        Number of passes over the rows, for all layers or for each.
    learning_rate : tuple of float
        Learning rate of the first epoch, for all layers or for each.
    rate_decay : float
        Factor of the learning rate from one epoch to the next, in (0, 1].
    rate_floor : float
        Minimum learning rate.
    momentum : float
        Momentum in the first fifth of a layer's epochs, in [0, 1).
    final_momentum : float
        Momentum in the later epochs, in [0, 1).
    weight_cost : tuple of float
        Weight decay (L2 penalty of the weights), for all layers or for each.
    sparsity : {'none', 'lee', 'bias'}
        Rule that keeps the mean activation of hidden units near the target; see `rbm`.
    target : float
        Target mean activation, above 0; for binary hidden units below 1.
    sparsity_cost : float
        Weight of the sparsity rule relative to the likelihood.
    up_down : int
        Epochs of fine-tuning by the up-down algorithm; 0: none.
    up_down_rate : float
        Learning rate of the fine-tuning, above 0.
    up_down_gibbs : int
        Steps of Gibbs sampling at the top while fine-tuning.
    device : str
        Torch device to compute on: cpu, cuda or cuda:1.
    random_state : int or None
        Random seed.

    Attributes
    ----------
    rbms_ : list of RBM
        The layers, from the lowest.
    network_ : Network or None
        The fine-tuned weights, from which codes are computed; see `mcls.dictionaries.up_down`.
    components_ : np.ndarray, shape (layers[-1], n_dims), float32
        The product of the layers' weights: the pattern of each unit of the last layer if all layers
        were linear. It is for plots; codes are computed layer by layer.
    history_ : list of dict
        For each epoch: the ``layer``, from 1, and the numbers that `RBM` records; then those of
        `fine_tune`.
    usage_ : np.ndarray, shape (layers[-1],)
        Mean activation of each unit of the last layer over its last epoch's rows.

    References
    ----------
    G. Hinton, S. Osindero et al., "A fast learning algorithm for deep belief nets", Neural
    Computation 18, 2006: also the up-down algorithm. Differs from the paper: the uppermost RBM is
    learnt without labels first, then with them, for as many epochs, then up-down begins.
    P. Hamel, D. Eck, "Learning features from music audio with deep belief networks", ISMIR 2010:
    layers, epochs and learning rate of the defaults. Differs from the paper: momentum, weight cost
    and minibatches are those of `rbm`, which the paper does not give.

    Examples
    --------
    >>> rows = np.random.default_rng(0).normal(size=(200, 8)).astype(np.float32)
    >>> model = DBN(layers=(16, 4), random_state=0).fit(rows)
    >>> model.transform(rows).shape, model.components_.shape
    ((200, 4), (4, 8))
    """

    rbms_: list[RBM]
    network_: Network | None
    usage_: np.ndarray

    _counts = ()  # each layer checks its own

    def __init__(
        self,
        *,
        layers: tuple[int, ...] = (50, 50, 50),
        visible: Literal["gaussian", "binary", "relu"] = "gaussian",
        hidden: Literal["binary", "relu"] = "binary",
        algorithm: Literal["cd", "pcd"] = "cd",
        n_gibbs: int = 1,
        batch_size: int = 100,
        n_epochs: tuple[int, ...] = (5,),
        learning_rate: tuple[float, ...] = (0.001,),
        rate_decay: float = 1.0,
        rate_floor: float = 0.0,
        momentum: float = 0.5,
        final_momentum: float = 0.9,
        weight_cost: tuple[float, ...] = (0.0002,),
        sparsity: Literal["none", "lee", "bias"] = "none",
        target: float = 0.02,
        sparsity_cost: float = 3.0,
        up_down: int = 0,
        up_down_rate: float = 0.01,
        up_down_gibbs: int = 3,
        device: str = "cpu",
        random_state: int | None = None,
    ) -> None:
        self.layers = layers
        self.visible = visible
        self.hidden = hidden
        self.algorithm = algorithm
        self.n_gibbs = n_gibbs
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
        self.up_down = up_down
        self.up_down_rate = up_down_rate
        self.up_down_gibbs = up_down_gibbs
        self.device = device
        self.random_state = random_state

    def fit_batches(
        self,
        source: Source,
        valid: Source | None = None,
        *,
        kept: Sequence[Snapshot] = (),
        keep: Callable[[int, Snapshot], None] | None = None,
        labelled: Source | None = None,
        valid_labelled: Source | None = None,
    ) -> Self:
        """Learn from batches that need not fit in memory.

        Parameters
        ----------
        source : callable
            ``source()`` yields the rows from the first on, in arrays of any length; each layer
            calls it once to begin and once for each of its epochs. Rows of one recording should
            not all come together.
        valid : callable or None
            Yields rows of the same kind, some of which are measured after every epoch; nothing is
            learnt from them.
        kept : sequence of Snapshot
            Snapshots of the lowest layers, learnt before from the same rows with the same settings;
            they are restored, not learnt again.
        keep : callable or None
            Called with ``(layer, snapshot)`` after each layer, counted from 1.
        labelled, valid_labelled : callable or None
            Yield the rows of `source` and `valid` with a column per label behind them, 1 for the
            label of the row; up-down learns from them. None: it learns without labels.

        Raises
        ------
        ConfigError
            If a setting is wrong.
        DataError
            If there are no rows, rows of different lengths or rows the visible units cannot be, or
            if learning diverges.
        """
        self._start()
        for rbm, snapshot in zip(self._new, kept, strict=False):
            self._add(rbm.restore(snapshot))
        for i, rbm in enumerate(self._new[len(self.rbms_) :], len(self.rbms_) + 1):
            with _layer(i):
                rbm.fit_batches(self._above(source), None if valid is None else self._above(valid))
            self._add(rbm)
            if keep is not None:
                keep(i, rbm.snapshot())
        self.n_features_in_ = self.components_.shape[1]
        if self.up_down:
            self._fine_tune(labelled or source, valid_labelled or valid, bool(labelled))
        return self

    def _fine_tune(self, source: Source, valid: Source | None, with_labels: bool) -> None:
        """Go on with all layers together, from the RBMs."""
        n_labels = next(iter(source())).shape[1] - self.n_features_in_
        top = self.rbms_[-1]
        layers = [
            Directed(*(one.copy() for one in (w, b, w, c)))
            for w, b, c in (rbm._parameters for rbm in self.rbms_[:-1])
        ]
        weights, biases, below = (one.copy() for one in top._parameters)
        label_weights = np.zeros((len(biases), n_labels), np.float32)
        memory = Memory(weights, label_weights, biases, below, np.zeros(n_labels, np.float32))
        network = Network(layers, memory, self.visible)
        settings = UpDownSettings(
            n_epochs=self.up_down,
            label_epochs=self._lists()["n_epochs"][-1] if with_labels else 0,
            batch_size=self.batch_size,
            learning_rate=self.up_down_rate,
            n_gibbs=self.up_down_gibbs,
        )
        rng = check_random_state(self.random_state)
        self.history_ += fine_tune(network, source, valid, settings, rng)
        self.network_ = network
        self.components_ = layers[0].weights
        for above in (*(layer.weights for layer in layers[1:]), memory.weights):
            self.components_ = above @ self.components_

    def partial_fit(self, X: np.ndarray, y: object = None) -> Self:
        """Let every layer, from below, go on learning from some more rows, each seen once.

        Parameters
        ----------
        X : array-like, shape (n_rows, n_dims)
            The rows.
        y : object
            Ignored.
        """
        if self.up_down:
            raise ConfigError("dbn: partial_fit goes layer by layer; use it with up_down=0")
        first = not hasattr(self, "rbms_")
        X = self._rows(X, reset=first)
        if first:
            self._start()
        layers = self._new if first else self.rbms_
        self.rbms_ = []
        for i, rbm in enumerate(layers, 1):
            with _layer(i):
                rbm.partial_fit(self._codes(X))
            self._add(rbm, epochs=1)
        return self

    def arrays(self) -> dict[str, np.ndarray]:
        """Return ``weights_1``, ``biases_1``, ``visible_biases_1``, and so on for each layer.

        Weights are ``(units of the layer, units below)``. ``atoms`` is `components_`. After up-down
        the layers below the top have ``generative_weights_1`` and so on as well, and with labels
        there are ``label_weights`` ``(units of the last layer, labels)`` and ``label_biases``.
        """
        arrays = {"atoms": self.components_}
        if self.network_ is not None:
            return arrays | self.network_.arrays()
        for i, rbm in enumerate(self.rbms_, 1):
            arrays[f"weights_{i}"] = rbm.components_
            arrays[f"biases_{i}"] = rbm.biases_
            arrays[f"visible_biases_{i}"] = rbm.visible_biases_
        return arrays

    def encoder_settings(self) -> dict[str, Any]:
        """Return the settings of the encoder ``dbn`` that give what `transform` gives."""
        return {"nonlinearity": "sigmoid" if self.hidden == "binary" else "relu"}

    def _wrong(self) -> list[str]:
        n = len(self.layers)
        bad = [
            f"{name}={getattr(self, name)} must hold one value, or {n}, one for each layer"
            for name, values in self._lists().items()
            if len(values) != n
        ]
        if self.up_down < 0:
            bad.append(f"up_down={self.up_down} must be at least 0")
        if self.up_down and (n < 2 or self.hidden != "binary" or self.visible == "relu"):
            bad.append(
                "up_down needs two layers or more, hidden=binary and visible=gaussian or binary"
            )
        if not self.up_down_rate > 0 or self.up_down_gibbs < 1:
            bad.append("up_down_rate must be above 0 and up_down_gibbs at least 1")
        if not n:
            bad.append("layers is empty: write the units of each layer, such as 1024x512")
        return bad

    def _lists(self) -> dict[str, list[Any]]:
        """Return the settings that may differ from layer to layer, with a value for each."""
        n = len(self.layers)
        return {name: _each(getattr(self, name), n) for name in _LISTED}

    def _start(self) -> None:
        """Make a new RBM for each layer, from the settings."""
        self._check_settings()
        lists, rng = self._lists(), check_random_state(self.random_state)
        self._new = [
            RBM(
                n_atoms=self.layers[i],
                visible=self.hidden if i else self.visible,
                random_state=int(rng.randint(2**31 - 1)),
                **{name: values[i] for name, values in lists.items()},
                **{name: getattr(self, name) for name in _PASSED},
            )
            for i in range(len(self.layers))
        ]
        for i, rbm in enumerate(self._new, 1):
            with _layer(i):
                rbm._check_settings()
        self.rbms_ = []
        self.history_ = []
        self.network_ = None

    def _add(self, rbm: RBM, *, epochs: int | None = None) -> None:
        """Put a layer that has learnt on top; `epochs`: how many of its history are new."""
        new = rbm.history_ if epochs is None else rbm.history_[-epochs:]
        self.rbms_.append(rbm)
        self.history_ += [{"layer": len(self.rbms_), **entry} for entry in new]
        weights = rbm.components_
        self.components_ = weights if len(self.rbms_) == 1 else weights @ self.components_
        self.usage_ = rbm.usage_

    def _source(self, X: np.ndarray) -> Source:
        return held(X, check_random_state(self.random_state))

    def _codes(self, rows: np.ndarray) -> np.ndarray:
        if not self.rbms_:
            return rows
        if self.network_ is not None:
            with one_blas_thread():
                return self.network_.codes(rows)
        codes = np.empty((len(rows), len(self.components_)), np.float32)

        def work(which: slice) -> None:
            block = rows[which]
            for rbm in self.rbms_:
                block = rbm._codes(block)
            codes[which] = block

        for_blocks(len(rows), _TOGETHER, work)
        return codes

    def _above(self, source: Source) -> Source:
        """Return a source of what the layers so far make of the rows."""
        return lambda: map(self._codes, regroup(source(), _BLOCK))


#: Settings that may be lists.
_LISTED = ("n_epochs", "learning_rate", "weight_cost")
#: Settings that every layer has as they are.
_PASSED = (
    "hidden",
    "algorithm",
    "n_gibbs",
    "batch_size",
    "rate_decay",
    "rate_floor",
    "momentum",
    "final_momentum",
    "sparsity",
    "target",
    "sparsity_cost",
    "device",
)


@contextmanager
def _layer(i: int) -> Iterator[None]:
    """Say in an error which layer it comes from."""
    try:
        yield
    except MclsError as error:
        raise type(error)(f"dbn, layer {i}: {error}") from error


def _each(values: Sequence[Any] | float, n: int) -> list[Any]:
    """Return a value for each layer; one value stands for all."""
    listed = list(values) if isinstance(values, Sequence) else [values]
    return listed * n if len(listed) == 1 else listed
