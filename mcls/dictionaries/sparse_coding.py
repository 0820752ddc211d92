"""Sparse coding: each row is a sum of few atoms, which are learnt from minibatches.

Online dictionary learning of Mairal et al. (2009). It minimises, over atoms D of norm 1 and codes
Z, the mean over rows of the lasso's objective (see `lasso`), every row scaled to norm 1. Each
minibatch is coded with the present atoms; its codes are added to two statistics, which slowly
forget; one pass of block coordinate descent on them gives the next atoms. So memory does not grow
with the rows, and each minibatch costs the same.

On the CPU the same seed and rows give the same bytes, for any number of threads.
"""

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from mcls.dictionaries.atom_update import add_codes, update_atoms
from mcls.dictionaries.batches import Source, draw
from mcls.dictionaries.lasso import lasso, row_norms
from mcls.dictionaries.learner import Minibatches, MinibatchLearner
from mcls.dictionaries.usage import perplexity
from mcls.parallel.processes import n_sharing, shared
from mcls.parallel.threads import one_blas_thread
from mcls.registry import register

if TYPE_CHECKING:
    import torch

#: An atom that no code has used for this many rows per atom is restarted.
_IDLE = 10


@register("dictionaries", "sparse-coding", encoder="lasso", distributed=True, gpu_batch_size=4096)
class SparseCoding(MinibatchLearner):
    """Sparse coding by online dictionary learning.

    Parameters
    ----------
    n_atoms : int
        Number of atoms.
    penalty : float
        Weight of the L1 penalty, in (0, 1), for a row of norm 1; higher is sparser.
    positive : bool
        Restrict codes to values of 0 or more.
    batch_size : int
        Rows per minibatch. `learn-dict --device cuda` takes 4096 where none is given.
    n_epochs : int
        Number of passes over the rows.
    forget : float
        Exponent of the forgetting factor (1 - 1/t) ** forget; 0 never forgets.
    tol : float
        Tolerance of the optimality conditions, as a share of the penalty.
    device : str
        Torch device to compute codes on: cpu, cuda or cuda:1. Atoms are updated on the CPU.
    random_state : int or None
        Random seed.

    Attributes
    ----------
    components_ : np.ndarray, shape (n_atoms, n_dims), float32
        The atoms, of norm 1.
    history_ : list of dict
        The mean ``objective`` of each epoch, each row coded with the atoms of its time.
    usage_ : np.ndarray, shape (n_atoms,)
        Share of the last epoch's rows that use each atom.
    perplexity_ : float
        exp(entropy of the usage): how many atoms are in effective use.
    n_steps_ : int
        Minibatches seen.
    n_replaced_ : int
        Atoms restarted because no code used them.

    References
    ----------
    J. Mairal, F. Bach, J. Ponce, G. Sapiro, "Online dictionary learning for sparse coding", ICML
    2009. Differs from the paper: rows are scaled to norm 1, atoms have norm 1 rather than at most
    1, the statistics forget by the rule of the 2010 journal version.

    Examples
    --------
    >>> rows = np.random.default_rng(0).normal(size=(200, 8)).astype(np.float32)
    >>> model = SparseCoding(n_atoms=16, random_state=0).fit(rows)
    >>> model.components_.shape, model.transform(rows).shape
    ((16, 8), (200, 16))
    """

    _reorders: ClassVar[bool] = False

    def __init__(
        self,
        *,
        n_atoms: int = 256,
        penalty: float = 0.2,
        positive: bool = False,
        batch_size: int = 512,
        n_epochs: int = 5,
        forget: float = 3.0,
        tol: float = 1e-3,
        device: str = "cpu",
        random_state: int | None = None,
    ) -> None:
        self.n_atoms = n_atoms
        self.penalty = penalty
        self.positive = positive
        self.batch_size = batch_size
        self.n_epochs = n_epochs
        self.forget = forget
        self.tol = tol
        self.device = device
        self.random_state = random_state

    def encoder_settings(self) -> dict[str, Any]:
        """Return the settings of the encoder ``lasso`` that give the codes of ``transform``."""
        return {"penalty": self.penalty, "positive": self.positive, "tol": self.tol}

    def _codes(self, rows: np.ndarray) -> np.ndarray:
        settings: dict[str, Any] = {"penalty": self.penalty, "positive": self.positive}
        if self.device == "cpu":
            return lasso(rows, self.components_, tol=self.tol, **settings)
        from mcls.dictionaries.fista import fista  # torch is loaded only where it is asked for

        return fista(rows, self.components_, tol=self.tol, device=self.device, **settings)

    def _wrong(self) -> list[str]:
        bad = []
        if not 0 < self.penalty < 1:
            bad.append(f"penalty={self.penalty} must be between 0 and 1")
        if not self.forget >= 0:
            bad.append(f"forget={self.forget} must be at least 0")
        if not self.tol > 0:
            bad.append(f"tol={self.tol} must be above 0")
        return bad

    def _start(self, source: Source, rng: np.random.RandomState) -> None:
        self._begin(draw(source(), self.n_atoms, rng)[0], rng)

    def _start_held(self, X: np.ndarray, rng: np.random.RandomState) -> None:
        used = X[np.flatnonzero(row_norms(X) > 0)]
        self._begin(used[rng.permutation(len(used))[: self.n_atoms]], rng)

    def _start_part(self, X: np.ndarray, rng: np.random.RandomState) -> None:
        self._start(lambda: [X], rng)

    def _begin(self, sample: np.ndarray, rng: np.random.RandomState) -> None:
        """Take sampled rows as the first atoms, and noise where there are too few."""
        n_dims = self.n_features_in_ = sample.shape[1]
        noise = rng.normal(size=(self.n_atoms - len(sample), n_dims))
        atoms = np.concatenate([sample, noise.astype(np.float32)])
        self.components_ = atoms / row_norms(atoms)[:, None]
        self.n_steps_ = 0
        self.n_replaced_ = 0
        self._rng = rng
        self._a = np.zeros((self.n_atoms, self.n_atoms), dtype=np.float32)
        self._b = np.zeros((self.n_atoms, n_dims), dtype=np.float32)
        self._idle = np.zeros(self.n_atoms, dtype=np.int64)

    def _epoch(self, batches: Minibatches, *, left: int | None = None) -> dict[str, float]:
        total, n_rows = 0.0, 0
        uses = np.zeros(self.n_atoms, dtype=np.int64)
        for batch in batches:
            total += self._step(batch, uses)
            n_rows += len(batch)
        self.usage_ = uses / n_rows
        self.perplexity_ = perplexity(uses)
        return {"objective": total / n_rows}

    def _step(self, batch: "np.ndarray | torch.Tensor", uses: np.ndarray) -> float:
        """Learn from one minibatch; return the sum of its objectives."""
        self.n_steps_ += 1
        keep = np.float32((1 - 1 / self.n_steps_) ** self.forget)
        self._a *= keep
        self._b *= keep
        rows: np.ndarray | torch.Tensor
        if isinstance(batch, np.ndarray):
            rows, used, objective = self._add_codes(batch)
        else:
            rows, used, objective = self._add_device_codes(batch)
        uses += used
        self._replace_idle(used > 0, rows)
        with one_blas_thread():
            update_atoms(self.components_, self._a, self._b)
        return float(objective)

    def _add_codes(self, batch: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
        """Add the codes of rows to the statistics.

        Returns the rows, scaled to norm 1, how many of them use each atom, and the sum of their
        objectives.
        """
        norms = row_norms(batch)
        rows = batch / np.where(norms > 0, norms, 1)[:, None]
        parts = np.array_split(rows, n_sharing())
        codes = np.concatenate([*shared(parts, self._codes)])
        objective = add_codes(codes, rows, self.components_, self.penalty, self._a, self._b)
        return rows, np.count_nonzero(codes, axis=0), objective

    def _add_device_codes(self, batch: "torch.Tensor") -> "tuple[torch.Tensor, np.ndarray, float]":
        """Do what `_add_codes` does with rows on a device; the statistics stay on the CPU."""
        from mcls.dictionaries.fista import code_sums

        norms = batch.square().sum(dim=1, keepdim=True).sqrt()
        rows = batch / norms.where(norms > 0, 1)
        sums = code_sums(
            rows, self.components_, penalty=self.penalty, positive=self.positive, tol=self.tol
        )
        self._a += sums.a
        self._b += sums.b
        return rows, sums.used, sums.objective

    def _replace_idle(self, used: np.ndarray, rows: "np.ndarray | torch.Tensor") -> None:
        self._idle = np.where(used, 0, self._idle + len(rows))
        dead = np.flatnonzero(self._idle >= _IDLE * self.n_atoms)
        if not len(dead):
            return
        some = rows if isinstance(rows, np.ndarray) else rows.cpu().numpy()
        usable = np.flatnonzero(some.any(axis=1))
        fresh = usable[self._rng.permutation(len(usable))[: len(dead)]]
        dead = dead[: len(fresh)]
        self.components_[dead] = some[fresh]
        self._a[dead] = 0
        self._a[:, dead] = 0
        self._b[dead] = 0
        self._idle[dead] = 0
        self.n_replaced_ += len(dead)
