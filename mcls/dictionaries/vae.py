"""The variational auto-encoder: a Gaussian for each row's code, whose mean is the code.

A row x gives the mean m and the variance v of its latent variables, a sample z = m + sqrt(v) noise
gives the reconstruction y, and the objective is minus the evidence lower bound with weight beta,

    mean over rows of 0.5 ||x - y||^2 + beta KL,  KL = 0.5 sum(m^2 + v - log v - 1)

where the likelihood is a Gaussian of variance 1 around y. Encoder and decoder have one hidden layer
each. On the CPU the same seed and rows give the same bytes, for any number of threads.
"""

from typing import Any, Literal

import numpy as np
import torch
from sklearn.utils import check_random_state

from mcls.dictionaries.tensors import TensorDict, add_up
from mcls.dictionaries.torch_learner import BLOCK, TorchLearner
from mcls.parallel.threads import Blocks
from mcls.registry import register

#: Log variances are kept within this range, so that their exponential is finite.
_RANGE = 20.0


@register("dictionaries", "vae", encoder="vae", watches_valid=True, distributed=True)
class VAE(TorchLearner):
    """Variational auto-encoder: the mean of a row's latent variables is its code.

    Parameters
    ----------
    n_atoms : int
        Number of latent variables.
    n_hidden : int
        Hidden units of the encoder, and of the decoder.
    nonlinearity : {'tanh', 'relu', 'sigmoid'}
        Nonlinearity of the hidden units; reconstructions are linear.
    beta : float
        Weight of the KL divergence, at least 0; 1 is the evidence lower bound.
    batch_size : int
        Rows per minibatch.
    n_epochs : int
        Number of passes over the rows.
    learning_rate : float
        Initial learning rate of Adam; it falls linearly to 0 over all epochs.
    device : str
        Torch device to compute on: cpu, cuda or cuda:1.
    random_state : int or None
        Random seed.

    Attributes
    ----------
    components_ : np.ndarray, shape (n_atoms, n_dims), float32
        Half the change of the reconstruction as one latent variable goes from -1 to 1 and the
        others are 0.
    parameters_ : dict of str to np.ndarray
        Weights and biases: ``encoder_weights`` (n_hidden, n_dims), ``mean_weights`` and
        ``variance_weights`` (n_atoms, n_hidden), ``decoder_weights`` (n_hidden, n_atoms),
        ``output_weights`` (n_dims, n_hidden), and the same with ``_biases``.
    history_ : list of dict
        For each epoch, means over the rows of the ``objective``, of ``reconstruction``
        0.5 ||x - y||^2 and of ``divergence`` KL; with ``valid_`` in front, the same of the valid
        part's rows, reconstructed from the mean.
    usage_ : np.ndarray, shape (n_atoms,)
        Mean divergence of each latent variable over the last epoch's rows; near 0 it is not used.
    n_steps_ : int
        Minibatches learnt from.

    References
    ----------
    D. Kingma, M. Welling, "Auto-encoding variational Bayes", ICLR 2014: eq. 10 and appendix B.
    I. Higgins et al., "beta-VAE", ICLR 2017: beta.
    Differs from Kingma & Welling: Adam instead of Adagrad, no weight decay, and a variance of the
    likelihood that is 1 and not learnt. So rows should be standardised but not whitened: after
    whitening no direction of the rows is larger than that noise, and no code pays.

    Examples
    --------
    >>> rows = np.random.default_rng(0).normal(size=(200, 8)).astype(np.float32)
    >>> model = VAE(n_atoms=3, n_epochs=2, random_state=0).fit(rows)
    >>> model.transform(rows).shape, model.sample(5, random_state=0).shape
    ((200, 3), (5, 8))
    """

    _advice = "a lower learning_rate, or rows that are standardised"

    def __init__(
        self,
        *,
        n_atoms: int = 32,
        n_hidden: int = 256,
        nonlinearity: Literal["tanh", "relu", "sigmoid"] = "tanh",
        beta: float = 1.0,
        batch_size: int = 100,
        n_epochs: int = 20,
        learning_rate: float = 0.001,
        device: str = "cpu",
        random_state: int | None = None,
    ) -> None:
        self.n_atoms = n_atoms
        self.n_hidden = n_hidden
        self.nonlinearity = nonlinearity
        self.beta = beta
        self.batch_size = batch_size
        self.n_epochs = n_epochs
        self.learning_rate = learning_rate
        self.device = device
        self.random_state = random_state

    def arrays(self) -> dict[str, np.ndarray]:
        """Return what encoders and samples need: ``atoms``, and all weights and biases."""
        return {"atoms": self.components_, **self.parameters_}

    def encoder_settings(self) -> dict[str, Any]:
        """Return the settings of the encoder ``vae`` that give what `transform` does."""
        return {"nonlinearity": self.nonlinearity}

    def sample(self, n_rows: int, *, random_state: int | None = None) -> np.ndarray:
        """Return rows that are drawn from the model, ``(n_rows, n_dims)`` float32.

        Latent variables are drawn from their prior, a standard Gaussian, and decoded; the noise of
        the likelihood is not added.
        """
        rng = check_random_state(random_state)
        return self.inverse_transform(rng.standard_normal((n_rows, self.n_atoms)))

    def _wrong(self) -> list[str]:
        bad = super()._wrong()
        if self.n_hidden < 1:
            bad.append(f"n_hidden={self.n_hidden} must be at least 1")
        if not self.beta >= 0:
            bad.append(f"beta={self.beta} must be at least 0")
        return bad

    def _begin(self, sample: np.ndarray, rng: np.random.RandomState) -> dict[str, np.ndarray]:
        """Draw weights as Glorot & Bengio (2010) do; biases are 0."""
        n_dims = sample.shape[1]
        sizes = {
            "encoder": (self.n_hidden, n_dims),
            "mean": (self.n_atoms, self.n_hidden),
            "variance": (self.n_atoms, self.n_hidden),
            "decoder": (self.n_hidden, self.n_atoms),
            "output": (n_dims, self.n_hidden),
        }
        arrays = {}
        for name, shape in sizes.items():
            edge = np.sqrt(6 / sum(shape))
            arrays[f"{name}_weights"] = rng.uniform(-edge, edge, shape).astype(np.float32)
            arrays[f"{name}_biases"] = np.zeros(shape[0], np.float32)
        return arrays

    def _slopes(
        self, p: TensorDict, x: torch.Tensor, blocks: Blocks, *, learn: bool
    ) -> tuple[TensorDict, TensorDict]:
        drawn = self._normal(len(x), self.n_atoms) if learn else x.new_zeros(len(x), self.n_atoms)
        noise = drawn.to(x)
        names = list(p)

        def block(rows: slice) -> TensorDict:
            leaves = {name: p[name].detach().requires_grad_(learn) for name in names}
            with torch.set_grad_enabled(learn):
                measured = self._objective(leaves, x[rows], noise[rows])
                slopes: tuple[torch.Tensor, ...] = ()
                if learn:
                    slopes = torch.autograd.grad(measured["objective"], list(leaves.values()))
            found = {f"slope {name}": slope for name, slope in zip(names, slopes, strict=False)}
            return found | {name: value.detach() for name, value in measured.items()}

        sums = add_up(blocks(len(x), BLOCK, block))
        gradients = {name: sums.pop(f"slope {name}") for name in names if learn}
        return gradients, sums

    def _objective(self, p: TensorDict, x: torch.Tensor, noise: torch.Tensor) -> TensorDict:
        """Return the sums over a block of rows of the objective and its parts."""
        hidden = self._activate(x @ p["encoder_weights"].T + p["encoder_biases"])
        mean = hidden @ p["mean_weights"].T + p["mean_biases"]
        log_variance = hidden @ p["variance_weights"].T + p["variance_biases"]
        log_variance = log_variance.clamp(-_RANGE, _RANGE)
        z = mean + (0.5 * log_variance).exp() * noise
        reconstruction = 0.5 * (x - self._decode(p, z)).square().sum()
        each = 0.5 * (mean.square() + log_variance.exp() - log_variance - 1).sum(dim=0)
        return {
            "objective": reconstruction + self.beta * each.sum(),
            "reconstruction": reconstruction,
            "divergence": each.sum(),
            "usage": each,
        }

    def _encode(self, p: TensorDict, x: torch.Tensor) -> torch.Tensor:
        hidden = self._activate(x @ p["encoder_weights"].T + p["encoder_biases"])
        return hidden @ p["mean_weights"].T + p["mean_biases"]

    def _decode(self, p: TensorDict, z: torch.Tensor) -> torch.Tensor:
        hidden = self._activate(z @ p["decoder_weights"].T + p["decoder_biases"])
        return hidden @ p["output_weights"].T + p["output_biases"]

    def _activate(self, units: torch.Tensor) -> torch.Tensor:
        return getattr(torch, self.nonlinearity)(units)

    def _publish(self, arrays: dict[str, np.ndarray]) -> None:
        self.parameters_ = arrays
        p = {name: torch.from_numpy(array) for name, array in arrays.items()}
        ends = [self._decode(p, side * torch.eye(self.n_atoms)) for side in (1, -1)]
        self.components_ = ((ends[0] - ends[1]) / 2).numpy()
