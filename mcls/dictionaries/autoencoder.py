"""The sparse auto-encoder: hidden units that are rarely active and reconstruct the row.

The units of a row x are h = f(x W + biases), its reconstruction is h D + offsets. The objective is

    mean over rows of 0.5 ||x - h D - offsets||^2  +  0.5 weight_decay (||W||^2 + ||D||^2)

plus, with ``sparsity="kl"``, weight times the sum over units of

    KL(target || mean) = target log(target / mean) + (1 - target) log((1 - target) / (1 - mean))

where `mean` is the unit's mean over the minibatch. With ``sparsity="k"`` instead, only the k units
of each row that are largest by absolute value are kept, the others are 0. When tied, D is W. With
noise, the units see the row with Gaussian noise added and reconstruct the row without it.

On the CPU the same seed and rows give the same bytes, for any number of threads.
"""

from typing import Any, Literal

import numpy as np
import torch

from mcls.dictionaries.tensors import TensorDict, add_up
from mcls.dictionaries.torch_learner import BLOCK, TorchLearner
from mcls.parallel.threads import Blocks
from mcls.registry import register

#: Means are kept this far from 0 and 1, where the divergence has no slope.
_EDGE = 1e-6


@register(
    "dictionaries", "autoencoder", encoder="feed-forward", watches_valid=True, distributed=True
)
class AutoEncoder(TorchLearner):
    """Sparse auto-encoder with one layer of units: the k largest of each row, or KL sparsity.

    Parameters
    ----------
    n_atoms : int
        Number of hidden units.
    nonlinearity : {'sigmoid', 'relu', 'tanh', 'linear'}
        Nonlinearity of the hidden units; reconstructions are linear.
    sparsity : {'kl', 'k', 'none'}
        Sparsity rule: KL divergence (sigmoid only), the k largest, or none.
    target : float
        Target mean activation of each unit, in (0, 1) (sparsity kl).
    weight : float
        Weight of the KL divergence, at least 0 (sparsity kl).
    n_active : int
        Active units per row (sparsity k).
    tied : bool
        Use the encoder's weights, transposed, for the reconstruction.
    noise : float
        Standard deviation of the Gaussian noise added to rows while learning (0: none).
    weight_decay : float
        Weight of the squared weights in the objective, at least 0.
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
        D: the contribution of each unit to the reconstruction.
    offsets_ : np.ndarray, shape (n_dims,)
        Added to every reconstruction.
    weights_, biases_ : np.ndarray, shapes (n_atoms, n_dims), (n_atoms,)
        The encoder.
    history_ : list of dict
        For each epoch, means over the rows of the ``objective``, of ``reconstruction``
        0.5 ||x - h D - offsets||^2 and of the units' absolute ``activation``; with ``valid_`` in
        front, the same of the valid part's rows, with the parameters at the end of the epoch and
        without noise.
    usage_ : np.ndarray, shape (n_atoms,)
        Mean absolute value of each unit over the last epoch's rows.
    n_steps_ : int
        Minibatches learnt from.

    References
    ----------
    A. Ng, "Sparse autoencoder", lecture notes CS294A, Stanford 2011.
    A. Makhzani, B. Frey, "k-sparse autoencoders", arXiv 1312.5663, 2013.
    P. Vincent et al., "Stacked denoising autoencoders", JMLR 11, 2010.
    Differs from them: means are those of a minibatch and steps are Adam's (Ng: all rows, L-BFGS);
    k is the same from the first step on and in `transform`, and ranks absolute values (Makhzani:
    decreases to k, keeps more units at test time, ranks signed values).

    Examples
    --------
    >>> rows = np.random.default_rng(0).normal(size=(200, 8)).astype(np.float32)
    >>> model = AutoEncoder(n_atoms=16, n_epochs=2, random_state=0).fit(rows)
    >>> model.components_.shape, model.transform(rows).shape
    ((16, 8), (200, 16))
    """

    _advice = "a lower learning_rate or weight, or rows that are standardised"

    def __init__(
        self,
        *,
        n_atoms: int = 256,
        nonlinearity: Literal["sigmoid", "relu", "tanh", "linear"] = "relu",
        sparsity: Literal["kl", "k", "none"] = "k",
        target: float = 0.05,
        weight: float = 3.0,
        n_active: int = 10,
        tied: bool = False,
        noise: float = 0.0,
        weight_decay: float = 1e-4,
        batch_size: int = 500,
        n_epochs: int = 20,
        learning_rate: float = 0.003,
        device: str = "cpu",
        random_state: int | None = None,
    ) -> None:
        self.n_atoms = n_atoms
        self.nonlinearity = nonlinearity
        self.sparsity = sparsity
        self.target = target
        self.weight = weight
        self.n_active = n_active
        self.tied = tied
        self.noise = noise
        self.weight_decay = weight_decay
        self.batch_size = batch_size
        self.n_epochs = n_epochs
        self.learning_rate = learning_rate
        self.device = device
        self.random_state = random_state

    def arrays(self) -> dict[str, np.ndarray]:
        """Return ``atoms``, ``weights``, ``biases`` and the ``offsets`` of reconstructions."""
        return {
            "atoms": self.components_,
            "weights": self.weights_,
            "biases": self.biases_,
            "offsets": self.offsets_,
        }

    def encoder_settings(self) -> dict[str, Any]:
        """Return the settings of the encoder ``feed-forward`` that give what `transform` does."""
        n_active = self.n_active if self.sparsity == "k" else None
        return {"nonlinearity": self.nonlinearity, "n_active": n_active}

    def _wrong(self) -> list[str]:
        bad = super()._wrong()
        if self.sparsity == "kl" and self.nonlinearity != "sigmoid":
            bad.append(
                f"sparsity=kl needs units between 0 and 1, not nonlinearity={self.nonlinearity}; "
                "use nonlinearity=sigmoid, or sparsity=k"
            )
        if not 0 < self.target < 1:
            bad.append(f"target={self.target} must be between 0 and 1")
        if self.n_active < 1:
            bad.append(f"n_active={self.n_active} must be at least 1")
        for name in ("weight", "noise", "weight_decay"):
            if not getattr(self, name) >= 0:
                bad.append(f"{name}={getattr(self, name)} must be at least 0")
        return bad

    def _begin(self, sample: np.ndarray, rng: np.random.RandomState) -> dict[str, np.ndarray]:
        """Draw weights as Glorot & Bengio (2010) do; with kl, units begin near their target."""
        shape = (self.n_atoms, sample.shape[1])
        edge = np.sqrt(6 / sum(shape))
        bias = np.log(self.target / (1 - self.target)) if self.sparsity == "kl" else 0.0
        arrays = {
            "weights": rng.uniform(-edge, edge, shape).astype(np.float32),
            "biases": np.full(self.n_atoms, bias, np.float32),
            "offsets": np.zeros(shape[1], np.float32),
        }
        if not self.tied:
            arrays["atoms"] = rng.uniform(-edge, edge, shape).astype(np.float32)
        return arrays

    def _slopes(
        self, p: TensorDict, x: torch.Tensor, blocks: Blocks, *, learn: bool
    ) -> tuple[TensorDict, TensorDict]:
        given = self._noisy(x) if learn and self.noise else x
        hidden = torch.empty(len(x), len(p["biases"]), device=x.device)

        def activate(which: slice) -> TensorDict:
            hidden[which] = self._encode(p, given[which])
            return {"usage": hidden[which].abs().sum(dim=0), "sum": hidden[which].sum(dim=0)}

        measured = add_up(blocks(len(x), BLOCK, activate))
        measured["activation"] = measured["usage"].mean()
        divergence, pressure = self._pressure(measured.pop("sum") / len(x))
        sums = add_up(
            blocks(
                len(x),
                BLOCK,
                lambda rows: self._block(
                    p, x[rows], given[rows], hidden[rows], pressure, learn=learn
                ),
            )
        )
        measured["reconstruction"] = sums.pop("reconstruction")
        decoder = "weights" if self.tied else "atoms"
        size = p["weights"].square().sum() + p[decoder].square().sum()
        rest = divergence + 0.5 * self.weight_decay * size
        measured["objective"] = measured["reconstruction"] + len(x) * rest
        if learn:
            for name, times in (("weights", 2 if self.tied else 1), ("atoms", 1)):
                if name in sums:
                    sums[name].add_(p[name], alpha=times * len(x) * self.weight_decay)
        return sums, measured

    def _block(
        self,
        p: TensorDict,
        x: torch.Tensor,
        given: torch.Tensor,
        hidden: torch.Tensor,
        pressure: torch.Tensor | None,
        *,
        learn: bool,
    ) -> TensorDict:
        """Return the sums of gradients over a block of rows, and of their squared errors."""
        decoder = p["weights"] if self.tied else p["atoms"]
        error = torch.addmm(p["offsets"], hidden, decoder).sub_(x)
        sums = {"reconstruction": 0.5 * error.square().sum()}
        if not learn:
            return sums
        back = error @ decoder.T
        if pressure is not None:
            back += pressure
        if self.nonlinearity == "sigmoid":
            back.mul_(hidden).addcmul_(back, hidden, value=-1)
        elif self.nonlinearity == "tanh":
            back.mul_(1 - hidden.square())
        elif self.nonlinearity == "relu":
            back.mul_(hidden > 0)
        if self.sparsity == "k":
            back.mul_(hidden != 0)
        sums["offsets"] = error.sum(dim=0)
        sums["weights"], sums["biases"] = back.T @ given, back.sum(dim=0)
        if self.tied:
            sums["weights"].addmm_(hidden.T, error)
        else:
            sums["atoms"] = hidden.T @ error
        return sums

    def _pressure(self, means: torch.Tensor) -> tuple[torch.Tensor | float, torch.Tensor | None]:
        """Return the weighted divergence of the units' means, and its slope for each unit."""
        if self.sparsity != "kl":
            return 0.0, None
        q, t = means.clamp(_EDGE, 1 - _EDGE), self.target
        divergence = t * torch.log(t / q) + (1 - t) * torch.log((1 - t) / (1 - q))
        return self.weight * divergence.sum(), self.weight * ((1 - t) / (1 - q) - t / q)

    def _noisy(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.noise * self._normal(*x.shape)

    def _encode(self, p: TensorDict, x: torch.Tensor) -> torch.Tensor:
        units = torch.addmm(p["biases"], x, p["weights"].T)
        if self.nonlinearity == "sigmoid":
            units.sigmoid_()
        elif self.nonlinearity == "relu":
            units.relu_()
        elif self.nonlinearity == "tanh":
            units.tanh_()
        if self.sparsity == "k" and self.n_active < units.shape[1]:
            best = units.abs().topk(self.n_active, dim=1, sorted=False).indices
            return torch.zeros_like(units).scatter_(1, best, units.gather(1, best))
        return units

    def _publish(self, arrays: dict[str, np.ndarray]) -> None:
        self.weights_, self.biases_ = arrays["weights"], arrays["biases"]
        self.components_ = arrays["weights"] if self.tied else arrays["atoms"]
        self.offsets_ = arrays["offsets"]
