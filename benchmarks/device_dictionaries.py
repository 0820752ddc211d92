"""Dictionaries on a GPU against two CPU threads of the same machine, in one run.

    python benchmarks/device_dictionaries.py [--device cuda] [--rows 50000] [--quick]

Learnt on both sides, from the same rows of 384 numbers in the same minibatches: an RBM of 1024
hidden units, minibatches of 1000 rows, of which an epoch is timed: a fifth of what six epochs take
longer than one; sparse coding and PSD (512 atoms, 3 epochs), sparse
coding with minibatches of 4096 rows, which learn-dict chooses on a GPU, and of 512, which it
chooses on a CPU; an auto-encoder (1024 units, 3 epochs); K-means (512 atoms, 20 passes). The last
figure of each learning stands beside the seconds: both sides should have learnt as well. --quick
takes a fifth of the rows. Every side learns once from few rows before it is timed, so that loops
are compiled and libraries loaded. With --device cpu the ratio is that of two equal sides.
"""

import argparse
import os
import time

os.environ["OMP_NUM_THREADS"] = "2"

import numpy as np
import torch
from dictionaries import synthetic_rows, unit
from sklearn.base import clone
from threadpoolctl import threadpool_limits

from mcls.dictionaries.autoencoder import AutoEncoder
from mcls.dictionaries.kmeans import KMeans
from mcls.dictionaries.learner import Dictionary
from mcls.dictionaries.psd import PSD
from mcls.dictionaries.rbm import RBM
from mcls.dictionaries.sparse_coding import SparseCoding

N_DIMS = 384
BOLTZMANN = RBM(n_atoms=1024, batch_size=1000, n_epochs=1, random_state=0)
SPARSE = SparseCoding(n_atoms=512, n_epochs=3, random_state=0)
#: Seconds, and the last entry of the history.
Timed = tuple[float, dict[str, float]]
#: What is learnt, the setting of its length, and the figure that is compared.
LEARNT: dict[str, tuple[Dictionary, str, str]] = {
    "sparse-coding 512, batch 4096": (
        clone(SPARSE).set_params(batch_size=4096),
        "n_epochs",
        "objective",
    ),
    "sparse-coding 512, batch 512": (SPARSE, "n_epochs", "objective"),
    "psd 512": (PSD(n_atoms=512, n_epochs=3, random_state=0), "n_epochs", "objective"),
    "autoencoder 1024": (
        AutoEncoder(n_atoms=1024, n_epochs=3, random_state=0),
        "n_epochs",
        "objective",
    ),
    "kmeans 512": (
        KMeans(n_atoms=512, max_iter=20, tol=0.0, random_state=0),
        "max_iter",
        "distance",
    ),
}


def learn(model: Dictionary, device: str, rows: np.ndarray) -> Timed:
    """Return the seconds of learning, and the last entry of its history."""
    fresh = clone(model).set_params(device=device)
    start = time.perf_counter()
    fresh.fit_batches(lambda: (rows[i : i + 8192] for i in range(0, len(rows), 8192)))
    return time.perf_counter() - start, fresh.history_[-1]


def epoch(device: str, rows: np.ndarray) -> Timed:
    """Return the seconds of an epoch of the RBM, and the last entry of its history."""
    one, _ = learn(BOLTZMANN, device, rows)
    six, last = learn(clone(BOLTZMANN).set_params(n_epochs=6), device, rows)
    return (six - one) / 5, last


def line(name: str, figure: str, here: Timed, there: Timed, device: str) -> str:
    """Return what both sides took and reached."""
    return (
        f"{name} | two CPU threads {here[0]:.3g} s, {figure} {here[1][figure]:.5g} | "
        f"{device} {there[0]:.3g} s, {there[1][figure]:.5g} | x{here[0] / there[0]:.1f}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--rows", type=int, default=50_000)
    parser.add_argument("--quick", action="store_true", help="a fifth of the rows")
    options = parser.parse_args()
    threadpool_limits(limits=2)
    torch.set_num_threads(2)
    on_card = options.device.startswith("cuda")
    where = torch.cuda.get_device_name(options.device) if on_card else options.device
    rows = unit(synthetic_rows(options.rows // (5 if options.quick else 1), N_DIMS))
    rows *= np.float32(np.sqrt(N_DIMS))  # each number has a variance of 1
    print(f"{len(rows)} rows of {N_DIMS} numbers; {where}, torch {torch.__version__}", flush=True)
    few = rows[: 8192 if on_card else 1024]
    learn(BOLTZMANN, options.device, few)
    both = [epoch(device, rows) for device in ("cpu", options.device)]
    name = "rbm 384->1024, batch 1000, an epoch"
    print(line(name, "reconstruction", *both, options.device), flush=True)
    for name, (model, length, figure) in LEARNT.items():
        for device in ("cpu", options.device):
            learn(clone(model).set_params(**{length: 1}), device, few)
        both = [learn(model, device, rows) for device in ("cpu", options.device)]
        print(line(name, figure, *both, options.device), flush=True)


if __name__ == "__main__":
    main()
