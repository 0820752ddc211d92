"""Time the decoding and the training of HMMs against hmmlearn, on one thread, in one run.

    OMP_NUM_THREADS=1 python benchmarks/hmm.py [--tracks 200] [--frames 60] [--repeats 5]

* **decode**: the log-likelihoods of tracks under ten GMM-HMMs (five states of four Gaussians, 26
  dimensions) and the best path through each, which is what the classification of a spoken digit
  takes: left-to-right and ergodic. Emissions are included.
* **one long track**: the same for one track of all frames.
* **train**: ten iterations of Baum-Welch of one HMM.

Both sides must find the same paths. The sides take turns; times are medians.
"""

import argparse
import logging
import statistics
import time
from collections.abc import Callable
from functools import partial

import numpy as np
from hmmlearn.hmm import GMMHMM

from mcls.hmm.baum_welch import Sequences, baum_welch
from mcls.hmm.kernels import viterbi
from mcls.hmm.mixtures import Mixtures
from mcls.hmm.models import HMMs, offsets_of, start_models

N_MODELS, N_STATES, N_MIXTURES, N_DIMS = 10, 5, 4, 26


def made(rng: np.random.Generator, topology: str) -> tuple[HMMs, Mixtures, list[GMMHMM]]:
    """Return random HMMs, ours and theirs; tracks may end in any state, as with hmmlearn."""
    ours = start_models(N_MODELS, N_STATES, topology)  # type: ignore[arg-type]
    ours = HMMs(ours.log_start, ours.log_transitions, np.zeros_like(ours.log_end), ours.pdfs)
    shape = (N_MODELS * N_STATES, N_MIXTURES)
    mixtures = Mixtures(
        np.log(rng.dirichlet(np.ones(N_MIXTURES), shape[0])),
        rng.normal(size=(*shape, N_DIMS)),
        rng.uniform(0.5, 2, size=(*shape, N_DIMS)),
    )
    theirs = []
    for model in range(N_MODELS):
        pdfs = ours.pdfs[model]
        one = GMMHMM(N_STATES, N_MIXTURES, init_params="", n_iter=10, tol=-np.inf)
        one.startprob_ = np.exp(ours.log_start[model])
        one.transmat_ = np.exp(ours.log_transitions[model])
        one.weights_ = np.exp(mixtures.log_weights[pdfs])
        one.means_, one.covars_ = mixtures.means[pdfs], mixtures.variances[pdfs]
        one.n_features = N_DIMS
        theirs.append(one)
    return ours, mixtures, theirs


def compare(name: str, ours: Callable[[], object], theirs: Callable[[], object], n: int) -> None:
    seconds: dict[str, list[float]] = {"ours": [], "hmmlearn": []}
    for _ in range(n):
        for side, call in (("ours", ours), ("hmmlearn", theirs)):
            started = time.perf_counter()
            call()
            seconds[side].append(time.perf_counter() - started)
    ours_s, theirs_s = (statistics.median(seconds[side]) for side in seconds)
    print(f"{name:38} ours {ours_s:8.4f} s  hmmlearn {theirs_s:8.4f} s  {theirs_s / ours_s:6.1f} x")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--tracks", type=int, default=200)
    parser.add_argument("--frames", type=int, default=60)
    parser.add_argument("--repeats", type=int, default=5)
    args = parser.parse_args()
    logging.getLogger("hmmlearn").setLevel(logging.ERROR)
    rng = np.random.default_rng(0)
    for topology in ("left-to-right", "ergodic"):
        measure(rng, topology, [args.frames] * args.tracks, args.repeats)


def measure(rng: np.random.Generator, topology: str, lengths: list[int], repeats: int) -> None:
    """Time all sections for one topology."""
    hmms, mixtures, theirs = made(rng, topology)
    rows = rng.normal(size=(sum(lengths), N_DIMS))

    def decode_ours(lengths: list[int]) -> list[np.ndarray]:
        densities, offsets = mixtures.log_densities(rows), offsets_of(lengths)
        return [
            viterbi(np.ascontiguousarray(densities[:, pdfs]), offsets, *hmms.arcs(model))[0]
            for model, pdfs in enumerate(hmms.pdfs)
        ]

    def decode_theirs(lengths: list[int]) -> list[np.ndarray]:
        return [one.decode(rows, lengths)[1] for one in theirs]

    for name, some in ((f"{len(lengths)} tracks", lengths), ("one long track", [len(rows)])):
        for mine, other in zip(decode_ours(some), decode_theirs(some), strict=True):
            assert np.array_equal(mine, other), "the paths differ"
        ours, other_side = partial(decode_ours, some), partial(decode_theirs, some)
        compare(f"decode, {topology}, {name}", ours, other_side, repeats)

    first = HMMs(*(array[:1] for array in vars(hmms).values()))
    train_ours = partial(
        baum_welch,
        first,
        mixtures.only(first.pdfs[0]),
        [Sequences(rows, offsets_of(lengths))],
        floor=np.full(N_DIMS, 1e-6),
        max_iter=10,
        tol=-np.inf,
    )
    train_ours()
    compare(f"train, {topology}", train_ours, partial(theirs[0].fit, rows, lengths), 1)


if __name__ == "__main__":
    main()
