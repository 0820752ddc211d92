"""Predictive sparse decomposition: sparse codes, and a fast encoder that learns to predict them.

Atoms D of norm 1, codes z and an encoder p(x) = gains * tanh(x W + biases) are learnt together. For
each row x of a minibatch the code minimises

    0.5 ||x - z D||^2  +  penalty ||z||_1  +  0.5 pull ||z - p(x)||^2

Then, with the codes held, D takes one step down the slope of the first term and is scaled back to
norm 1, and the encoder one step down the slope of the last. Afterwards the encoder alone gives the
codes, by one matrix product.

A pull makes the problem strictly convex, so that there is one code for each row, whatever finds it;
it also makes codes less sparse and atoms less exact, the more the worse the encoder predicts. Codes
are found by coordinate descent on the CPU, by FISTA from the prediction on elsewhere. Either ends
when every atom meets the optimality conditions; with r = D (x - z D) - pull (z - p):

    |r_j - penalty sign(z_j)| <= tol penalty  where z_j is not 0,   |r_j| <= (1 + tol) penalty else

On the CPU the same seed and rows give the same bytes, for any number of threads.
"""

from typing import Any, Literal

import numpy as np
import torch

from mcls.dictionaries.coordinate_descent import solve_rows
from mcls.dictionaries.fista import solve
from mcls.dictionaries.lasso import lasso, row_norms
from mcls.dictionaries.tensors import TensorDict, add_up
from mcls.dictionaries.torch_learner import BLOCK, TorchLearner
from mcls.parallel.threads import Blocks
from mcls.registry import register

#: Steps of FISTA for a minibatch, at most.
_MAX_ITER = 500


@register("dictionaries", "psd", encoder="feed-forward", watches_valid=True, distributed=True)
class PSD(TorchLearner):
    """Predictive sparse decomposition: atoms for sparse codes, and an encoder that predicts them.

    Parameters
    ----------
    n_atoms : int
        Number of atoms.
    penalty : float
        Weight of the L1 penalty, above 0; higher is sparser. It is not relative to the row's norm:
        rows should be standardised or whitened, each number of variance 1.
    pull : float
        Weight of the distance of codes from predictions while solving for the codes. It
        is the first paper's prediction term; with 0, codes ignore the encoder, as in the second.
    nonlinearity : {'tanh', 'relu'}
        Nonlinearity of the encoder; with relu no code is negative.
    batch_size : int
        Rows per minibatch.
    n_epochs : int
        Number of passes over the rows.
    learning_rate : float
        Initial learning rate of Adam; it falls linearly to 0 over all epochs.
    tol : float
        Tolerance of the optimality conditions, as a share of the penalty.
    device : str
        Torch device to compute on: cpu, cuda or cuda:1.
    random_state : int or None
        Random seed.

    Attributes
    ----------
    components_ : np.ndarray, shape (n_atoms, n_dims), float32
        The atoms, of norm 1.
    weights_, biases_, gains_ : np.ndarray, shapes (n_atoms, n_dims), (n_atoms,), (n_atoms,)
        The encoder.
    history_ : list of dict
        For each epoch, means over the rows of the ``objective``, its parts ``reconstruction``
        0.5 ||x - z D||^2 and ``prediction`` 0.5 ||z - p||^2, the share of codes that are
        ``nonzero`` and the mean absolute ``activation`` of the encoder; with ``valid_`` in front,
        the same of the valid part's rows, with the parameters at the end of the epoch.
    usage_ : np.ndarray, shape (n_atoms,)
        Share of the last epoch's rows whose sparse code uses each atom.
    n_steps_ : int
        Minibatches learnt from.
    n_replaced_ : int
        Atoms restarted because a whole epoch did not use them.

    References
    ----------
    K. Kavukcuoglu, M. Ranzato, Y. LeCun, "Fast inference in sparse coding algorithms with
    applications to object recognition", NYU technical report CBLL-TR-2008-12-01.
    M. Henaff, K. Jarrett, K. Kavukcuoglu, Y. LeCun, "Unsupervised learning of sparse features for
    scalable audio classification", ISMIR 2011.
    Differs from the papers: codes are solved to a tolerance, not by a number of steps; steps are
    Adam's; atoms begin as rows, the encoder near their codes; without a pull the encoder is learnt
    beside the atoms (the second paper: after them); there is no encoder with a shrinkage function.

    Examples
    --------
    >>> rows = np.random.default_rng(0).normal(size=(200, 8)).astype(np.float32)
    >>> model = PSD(n_atoms=16, n_epochs=2, random_state=0).fit(rows)
    >>> model.components_.shape, model.transform(rows).shape
    ((16, 8), (200, 16))
    """

    _waits = True
    _advice = "a lower learning_rate, a higher penalty, or rows that are standardised"

    def __init__(
        self,
        *,
        n_atoms: int = 256,
        penalty: float = 1.0,
        pull: float = 0.0,
        nonlinearity: Literal["tanh", "relu"] = "tanh",
        batch_size: int = 500,
        n_epochs: int = 10,
        learning_rate: float = 0.01,
        tol: float = 0.1,
        device: str = "cpu",
        random_state: int | None = None,
    ) -> None:
        self.n_atoms = n_atoms
        self.penalty = penalty
        self.pull = pull
        self.nonlinearity = nonlinearity
        self.batch_size = batch_size
        self.n_epochs = n_epochs
        self.learning_rate = learning_rate
        self.tol = tol
        self.device = device
        self.random_state = random_state

    def arrays(self) -> dict[str, np.ndarray]:
        """Return what encoders need: ``atoms``, ``weights``, ``biases`` and ``gains``."""
        return {
            "atoms": self.components_,
            "weights": self.weights_,
            "biases": self.biases_,
            "gains": self.gains_,
        }

    def encoder_settings(self) -> dict[str, Any]:
        """Return the settings of the encoder ``feed-forward`` that give what `transform` does."""
        return {"nonlinearity": self.nonlinearity}

    def _wrong(self) -> list[str]:
        bad = super()._wrong()
        if not self.penalty > 0:
            bad.append(f"penalty={self.penalty} must be above 0")
        if not self.pull >= 0:
            bad.append(f"pull={self.pull} must be at least 0")
        if not self.tol > 0:
            bad.append(f"tol={self.tol} must be above 0")
        if self.nonlinearity not in ("tanh", "relu"):
            bad.append(f"nonlinearity={self.nonlinearity} must be tanh or relu")
        return bad

    def _begin(self, sample: np.ndarray, rng: np.random.RandomState) -> dict[str, np.ndarray]:
        """Take rows as atoms, and the encoder that is best for their codes with one scale for all.

        With s the scale, gain * tanh(s x . d) is about gain * s * (x . d): the gain is three times
        the typical code, so that most stay where tanh is straight, and s is fitted.
        """
        self.n_replaced_ = 0
        rows = sample[: self.n_atoms]
        noise = rng.normal(size=(self.n_atoms - len(rows), sample.shape[1]))
        atoms = np.concatenate([rows, noise.astype(np.float32)])
        atoms /= row_norms(atoms)[:, None]
        some = sample[-1000:]
        typical = np.sqrt(np.mean(some**2) * some.shape[1]) if len(some) else 1.0
        positive = self.nonlinearity == "relu"
        relative = min(0.9, self.penalty / max(float(typical), 1e-6))
        codes = lasso(some, atoms, penalty=relative, positive=positive, tol=0.1)
        likeness = some @ atoms.T
        used = codes[codes != 0]
        gain = 3 * float(np.sqrt(np.mean(used**2))) if len(used) and not positive else 1.0
        energy = float(np.sum(likeness**2, dtype=np.float64))
        scale = float(np.sum(codes * likeness, dtype=np.float64)) / max(energy, 1e-12) / gain
        return {
            "atoms": atoms,
            "weights": atoms * np.float32(max(scale, 1e-3)),
            "biases": np.zeros(self.n_atoms, np.float32),
            "gains": np.full(self.n_atoms, gain, np.float32),
        }

    def _slopes(
        self, p: TensorDict, x: torch.Tensor, blocks: Blocks, *, learn: bool
    ) -> tuple[TensorDict, TensorDict]:
        find = self._solver(p)
        sums = add_up(
            blocks(len(x), BLOCK, lambda rows: self._block(p, x[rows], find, learn=learn))
        )
        return {name: sums.pop(name) for name in p if learn}, sums

    def _block(self, p: TensorDict, x: torch.Tensor, find: "Solver", *, learn: bool) -> TensorDict:
        """Return the sums of gradients and measures over a block of rows."""
        hidden = self._hidden(p, x)
        prediction = hidden * p["gains"]
        z = find(x, prediction)
        error = torch.addmm(x, z, p["atoms"], alpha=-1)
        off = prediction - z
        reconstruction, missed = 0.5 * error.square().sum(), 0.5 * off.square().sum()
        n_atoms = z.shape[1]
        sums = {
            "objective": reconstruction + self.penalty * z.abs().sum() + self.pull * missed,
            "reconstruction": reconstruction,
            "prediction": missed,
            "nonzero": (z != 0).sum() / n_atoms,
            "activation": prediction.abs().sum() / n_atoms,
            "usage": (z != 0).sum(dim=0).float(),
        }
        if learn:
            sums["atoms"] = -(z.T @ error)
            sums["gains"] = (off * hidden).sum(dim=0)
            slope = 1 - hidden.square() if self.nonlinearity == "tanh" else (hidden > 0).float()
            off.mul_(p["gains"]).mul_(slope)
            sums["weights"] = off.T @ x
            sums["biases"] = off.sum(dim=0)
        return sums

    def _solver(self, p: TensorDict) -> "Solver":
        return Solver(
            p["atoms"],
            penalty=self.penalty,
            pull=self.pull,
            positive=self.nonlinearity == "relu",
            tol=self.tol,
        )

    def _hidden(self, p: TensorDict, x: torch.Tensor) -> torch.Tensor:
        """Return the encoder's units before their gains."""
        units = torch.addmm(p["biases"], x, p["weights"].T)
        return units.tanh_() if self.nonlinearity == "tanh" else units.relu_()

    def _settle(self, p: TensorDict) -> None:
        atoms = p["atoms"]
        atoms /= torch.linalg.vector_norm(atoms, dim=1, keepdim=True).clamp_(min=1e-12)

    def _renew(self, idle: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Make rows the new atoms, with an encoder like that of the others."""
        usable = np.flatnonzero(row_norms(rows) > 0)
        fresh = rows[self._rng.permutation(usable)[: len(idle)]]
        idle, arrays = idle[: len(fresh)], self._arrays
        size, gain = np.median(row_norms(arrays["weights"])), np.median(arrays["gains"])
        arrays["atoms"][idle] = fresh / row_norms(fresh)[:, None]
        arrays["weights"][idle] = arrays["atoms"][idle] * size
        arrays["biases"][idle] = 0
        arrays["gains"][idle] = gain
        self.n_replaced_ += len(idle)
        return idle

    def _encode(self, p: TensorDict, x: torch.Tensor) -> torch.Tensor:
        return self._hidden(p, x) * p["gains"]

    def _publish(self, arrays: dict[str, np.ndarray]) -> None:
        self.components_ = arrays["atoms"]
        self.weights_, self.biases_ = arrays["weights"], arrays["biases"]
        self.gains_ = arrays["gains"]


class Solver:
    """Finds the codes of rows that have a prediction, for some atoms.

    Parameters
    ----------
    atoms : torch.Tensor, shape (n_atoms, n_dims)
        D.
    penalty, pull, positive, tol
        As of `PSD`; `positive`: no code may be negative.
    compiled : bool or None
        Use coordinate descent, compiled for the CPU; None: if the atoms are on the CPU.
    """

    def __init__(
        self,
        atoms: torch.Tensor,
        *,
        penalty: float,
        pull: float,
        positive: bool,
        tol: float,
        compiled: bool | None = None,
    ) -> None:
        self.atoms, self.penalty, self.pull = atoms, penalty, pull
        self.positive, self.tol = positive, tol
        self.compiled = atoms.device.type == "cpu" if compiled is None else compiled
        self.gram = atoms @ atoms.T
        self.gram.diagonal().add_(pull)

    def __call__(self, x: torch.Tensor, prediction: torch.Tensor) -> torch.Tensor:
        """Return the codes of rows ``(n, n_dims)`` with predictions ``(n, n_atoms)``."""
        c = torch.addmm(prediction, x, self.atoms.T, beta=self.pull)
        if not self.compiled:
            w = c.new_full((len(c), 1), self.penalty)
            how = (self.positive, self.tol, _MAX_ITER)
            return solve(c, w, self.gram, *how, start=prediction)[0]
        codes = np.zeros(c.shape, np.float32)
        weights = np.full(len(codes), self.penalty, np.float32)
        met = np.ones(len(codes), bool)
        gram, tol = self.gram.numpy(), np.float32(self.tol)
        solve_rows(gram, c.numpy(), weights, tol, self.positive, codes, met)
        return torch.from_numpy(codes)
