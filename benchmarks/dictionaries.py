"""Dictionaries against the specialists: the same threads, the same objective, in one run.

    python benchmarks/dictionaries.py [SECTION ...] [--data FOLDER] [--threads 1 2] [--repeats 5]

Sections (one function each, below ``SECTIONS``; all of them without a name):

* **lasso**: codes of unit-norm rows for one penalty, against SPAMS (``spams.lasso``) and
  scikit-learn (``sparse_encode(algorithm="lasso_cd")``, one call and one job, timed on fewer rows,
  in double precision: its fixed tolerance of 1e-8 cannot be met in single precision, where it is
  several times slower still). The dictionary is the same; objectives must agree within 1e-4 of
  themselves. All three stop by rules of their own, far inside that.
* **rows**: lasso time against the number of rows: linear.
* **learning**: dictionary learning until the objective of rows held out, each time coded by the
  same solver, is reached: that of scikit-learn's MiniBatchDictionaryLearning after one pass, and
  that of SPAMS's ``trainDL`` after three. All have the same number of atoms, penalty, batch size
  and threads; scikit-learn and SPAMS get double precision, which both are written for.
* **kmeans**: the nearest of 512 and of 1024 atoms for each of 200,000 synthetic rows of 128
  numbers, and of the patches in ``--data``, against faiss-cpu (``IndexFlatL2``, k = 1). The line
  names the kernels of both sides' OpenBLAS: that of faiss-cpu's wheel may take those of an old
  processor for one it does not know, unless ``OPENBLAS_CORETYPE=SkylakeX`` (Haswell, Zen) is set.
  Then learning until the mean squared distance is reached that MiniBatchKMeans stops at.
* **rbm**: one epoch of an RBM, 256 binary visible and 1024 hidden units, minibatches of 100 and of
  1000 rows, against scikit-learn's BernoulliRBM, in single precision too. Beside it the time that
  the five matrix products of each minibatch need at the rate of a product of two square matrices,
  measured in the same turns.

Rows are whitened patches of 8 frames of a 128-band log mel spectrogram of the recordings in
``--data``, and without or besides it synthetic rows: sparse mixtures of random atoms plus noise.
The sides take turns; times are medians of the repeats, with the lowest and the highest; ratios are
between medians. A side that is not installed (``pip install spams-bin``) is left out and said so.
"""

import argparse
import importlib.util
import itertools
import os
import statistics
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from figures import Figure, beside, clock
from sklearn.cluster import MiniBatchKMeans
from sklearn.decomposition import MiniBatchDictionaryLearning, sparse_encode
from sklearn.neural_network import BernoulliRBM
from threadpoolctl import threadpool_info, threadpool_limits

from mcls.dictionaries.kmeans import KMeans, nearest
from mcls.dictionaries.lasso import lasso, lasso_objective
from mcls.dictionaries.rbm import RBM
from mcls.dictionaries.sparse_coding import SparseCoding

#: Dimensions x atoms.
SIZES = ((128, 512), (160, 1024))
PENALTIES = (0.1, 0.15, 0.2)
AGREE = 1e-4
SKLEARN_ROWS = 500
AUDIO = {".wav", ".ogg", ".mp3", ".flac"}
HAS_FAISS = importlib.util.find_spec("faiss") is not None
HAS_SPAMS = importlib.util.find_spec("spams") is not None


def synthetic_rows(n_rows: int, n_dims: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    atoms = rng.normal(size=(2 * n_dims, n_dims)).astype(np.float32)
    codes = rng.normal(size=(n_rows, len(atoms))) * (rng.random((n_rows, len(atoms))) < 0.03)
    return (codes @ atoms + 2 * rng.normal(size=(n_rows, n_dims))).astype(np.float32)


def mel_patches(folder: Path, n_rows: int, n_files: int = 240, seed: int = 0) -> np.ndarray:
    """Return patches (n_rows, 1024) of 8 frames of log mel spectra, from files drawn by seed."""
    import librosa

    rng = np.random.default_rng(seed)
    files = sorted(file for file in folder.rglob("*") if file.suffix.lower() in AUDIO)
    patches = []
    for i in rng.permutation(len(files))[:n_files]:
        y, sr = librosa.load(files[i], sr=22050, duration=5)
        mel = librosa.feature.melspectrogram(y=y, sr=sr, n_fft=1024, hop_length=512, power=1)
        frames = np.log10(1 + 10 * mel).T
        if len(frames) >= 8:
            windows = np.lib.stride_tricks.sliding_window_view(frames, 8, axis=0)
            patches.append(windows[::2].reshape(-1, 8 * 128))
    rows = np.concatenate(patches)
    return rows[rng.permutation(len(rows))[:n_rows]].astype(np.float32)


def whiten(rows: np.ndarray, n_dims: int) -> np.ndarray:
    rows = rows - rows.mean(axis=0)
    values, vectors = np.linalg.eigh(rows.T @ rows / len(rows))
    scale = vectors[:, ::-1][:, :n_dims] / np.sqrt(values[::-1][:n_dims] + 0.01)
    return unit(rows @ scale)


def unit(rows: np.ndarray) -> np.ndarray:
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.ascontiguousarray((rows / norms)[norms[:, 0] > 0], dtype=np.float32)


def datasets(options: argparse.Namespace) -> dict[str, Callable[[int], np.ndarray]]:
    """Return, by name, what gives unit-norm rows of so many dimensions."""
    made = {"synthetic": lambda n_dims: unit(synthetic_rows(options.rows, n_dims))}
    if options.data:
        patches = mel_patches(options.data, options.rows)
        made["mel"] = lambda n_dims: whiten(patches, n_dims)
    return made


def take_turns(
    sides: dict[str, Callable[[], object]], repeats: int
) -> tuple[dict[str, list[float]], dict[str, object]]:
    """Run every side once to warm it, then time them in turns; return seconds and results."""
    results = {name: side() for name, side in sides.items()}
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(repeats):
        for name, side in sides.items():
            start = clock()
            side()
            seconds[name].append(clock() - start)
    return seconds, results


def spread(values: list[float], scale: float = 1.0) -> str:
    low, high = sorted((scale * min(values), scale * max(values)))
    return f"{scale * statistics.median(values):.3g} ({low:.3g} to {high:.3g})"


def set_threads(threads: int) -> None:
    os.environ["OMP_NUM_THREADS"] = str(threads)
    threadpool_limits(limits=threads)


def section_lasso(options: argparse.Namespace) -> None:
    for (name, make), (n_dims, n_atoms) in itertools.product(datasets(options).items(), SIZES):
        rows = make(n_dims)
        atoms = SparseCoding(n_atoms=n_atoms, penalty=0.15, n_epochs=2, random_state=0)
        atoms = atoms.fit(rows).components_
        for threads, penalty in itertools.product(options.threads, PENALTIES):
            set_threads(threads)
            lasso_line(f"{name} {n_dims}x{n_atoms}", rows, atoms, penalty, threads, options.repeats)


@dataclass(frozen=True)
class LassoTimes:
    """Seconds a row of each side, what they found, and how far the objectives are apart."""

    seconds: dict[str, list[float]]
    nonzero: float
    gap: dict[str, float]


def lasso_times(
    rows: np.ndarray, atoms: np.ndarray, penalty: float, threads: int, repeats: int
) -> LassoTimes:
    """Time the lasso of all sides that are installed; they must solve the same problem."""
    few, double = rows[:SKLEARN_ROWS].astype(np.float64), atoms.astype(np.float64)
    sides: dict[str, Callable[[], np.ndarray]] = {
        "mcls": lambda: lasso(rows, atoms, penalty=penalty),
        "sklearn": lambda: sparse_encode(few, double, algorithm="lasso_cd", alpha=penalty),
    }
    if HAS_SPAMS:
        import spams

        x, d = np.asfortranarray(rows.T), np.asfortranarray(atoms.T)
        sides["spams"] = lambda: spams.lasso(x, D=d, lambda1=penalty, mode=2, numThreads=threads)
    seconds, results = take_turns(sides, repeats)  # type: ignore[arg-type]
    n_rows = lengths(sides, rows, few)
    ours = lasso_objective(rows, atoms, results["mcls"], penalty=penalty)  # type: ignore[arg-type]
    gap = {}
    for side in [side for side in sides if side != "mcls"]:
        codes = results[side] if side == "sklearn" else results[side].toarray().T  # type: ignore[attr-defined]
        theirs = lasso_objective(rows[: len(codes)], atoms, codes, penalty=penalty)
        gap[side] = ours[: len(codes)].mean() / theirs.mean() - 1
        assert abs(gap[side]) <= AGREE, f"{side} does not solve the same problem: {gap[side]}"
    per_row = {side: [s / n_rows[side] for s in times] for side, times in seconds.items()}
    return LassoTimes(per_row, np.count_nonzero(results["mcls"]) / len(rows), gap)


def lasso_line(
    what: str, rows: np.ndarray, atoms: np.ndarray, penalty: float, threads: int, repeats: int
) -> None:
    found = lasso_times(rows, atoms, penalty, threads, repeats)
    rate = {side: [1 / s for s in times] for side, times in found.seconds.items()}
    words = [f"lasso {what} penalty {penalty} threads {threads}", f"nonzero {found.nonzero:.1f}"]
    words += [f"mcls {spread(rate['mcls'], 1e-3)} k rows/s"]
    for side, gap in found.gap.items():
        ratio = statistics.median(rate["mcls"]) / statistics.median(rate[side])
        words.append(f"{side} {spread(rate[side], 1e-3)}, x{ratio:.2f}, objective {gap:+.1e}")
    print(" | ".join(words), flush=True)


def lengths(sides: dict, rows: np.ndarray, few: np.ndarray) -> dict[str, int]:
    return {side: len(few if side == "sklearn" else rows) for side in sides}


def section_rows(options: argparse.Namespace) -> None:
    rows = unit(synthetic_rows(16000, 128))
    atoms = unit(synthetic_rows(512, 128, seed=1))
    set_threads(1)
    for n in (1000, 2000, 4000, 8000, 16000):
        part = rows[:n]
        sides = {"mcls": lambda part=part: lasso(part, atoms, penalty=0.15)}
        seconds, _ = take_turns(sides, options.repeats)
        print(f"rows {n}: {spread(seconds['mcls'], 1e6 / n)} us a row", flush=True)


def section_learning(options: argparse.Namespace) -> None:
    penalty = 0.15
    for (name, make), threads in itertools.product(datasets(options).items(), options.threads):
        n_dims, n_atoms = SIZES[0]
        rows = make(n_dims)
        held_out, rows = rows[:2000], rows[2000:]
        set_threads(threads)
        goals = {"sklearn": learn_sklearn, **({"spams": learn_spams} if HAS_SPAMS else {})}
        SparseCoding(n_atoms=8, n_epochs=1).fit(rows[:100])  # warm
        for side, learn in goals.items():
            ours, theirs, goal = learning_times(
                learn, rows, held_out, n_atoms, penalty, threads, options.repeats
            )
            ratio = statistics.median(theirs) / statistics.median(ours)
            print(
                f"learning {name} {n_dims}x{n_atoms} threads {threads} | to {goal:.4f} | "
                f"mcls {spread(ours)} s | {side} {spread(theirs)} s | x{ratio:.2f}",
                flush=True,
            )


def learning_times(
    learn: Callable[..., tuple[float, np.ndarray]],
    rows: np.ndarray,
    held_out: np.ndarray,
    n_atoms: int,
    penalty: float,
    threads: int,
    repeats: int,
) -> tuple[list[float], list[float], float]:
    """Return our seconds to the other side's objective, its own seconds, and the last objective."""
    ours, theirs, goal = [], [], np.inf
    for seed in range(repeats):
        seconds, atoms = learn(rows, n_atoms, penalty, threads, seed)
        goal = held_out_objective(held_out, atoms, penalty)
        theirs.append(seconds)
        ours.append(seconds_to(goal, rows, held_out, n_atoms, penalty, seed))
    return ours, theirs, goal


def held_out_objective(rows: np.ndarray, atoms: np.ndarray, penalty: float) -> float:
    codes = lasso(rows, atoms, penalty=penalty)
    return float(lasso_objective(rows, atoms, codes, penalty=penalty).mean())


def learn_sklearn(
    rows: np.ndarray, n_atoms: int, penalty: float, threads: int, seed: int
) -> tuple[float, np.ndarray]:
    model = MiniBatchDictionaryLearning(
        n_atoms,
        alpha=penalty,
        batch_size=512,
        max_iter=1,
        fit_algorithm="cd",
        n_jobs=threads,
        random_state=seed,
    )
    double = rows.astype(np.float64)
    start = clock()
    model.fit(double)
    return clock() - start, unit(model.components_)


def learn_spams(
    rows: np.ndarray, n_atoms: int, penalty: float, threads: int, seed: int
) -> tuple[float, np.ndarray]:
    import spams

    first = rows[np.random.default_rng(seed).permutation(len(rows))[:n_atoms]]
    x = np.asfortranarray(rows.T, dtype=np.float64)
    start = clock()
    atoms = spams.trainDL(
        x,
        D=np.asfortranarray(first.T, dtype=np.float64),
        lambda1=penalty,
        mode=2,
        iter=3 * -(-len(rows) // 512),
        batchsize=512,
        numThreads=threads,
        verbose=False,
    )
    return clock() - start, unit(np.asarray(atoms).T)


def seconds_to(
    goal: float, rows: np.ndarray, held_out: np.ndarray, n_atoms: int, penalty: float, seed: int
) -> float:
    """Return how long we learn, epoch by epoch, until held-out rows cost no more than `goal`."""
    rng = np.random.default_rng(seed)
    model = SparseCoding(n_atoms=n_atoms, penalty=penalty, random_state=seed)
    seconds = 0.0
    for _ in range(40):
        order = rng.permutation(len(rows))
        start = clock()
        model.partial_fit(rows[order])
        seconds += clock() - start
        if held_out_objective(held_out, model.components_, penalty) <= goal:
            return seconds
    raise SystemExit(f"the objective {goal} was not reached in 40 epochs")


def section_rbm(options: argparse.Namespace) -> None:
    n_visible, n_hidden, n_rows = 256, 1024, 20_000
    rows = (np.random.default_rng(0).random((n_rows, n_visible)) < 0.3).astype(np.float32)
    square = np.random.default_rng(0).random((2048, 2048), dtype=np.float32)
    for threads, batch in itertools.product(options.threads, (100, 1000)):
        set_threads(threads)
        sides = rbm_sides(rows, n_hidden, batch)
        sides["sgemm"] = lambda: square @ square
        seconds, _ = take_turns(sides, options.repeats)
        medians = {side: statistics.median(values) for side, values in seconds.items()}
        rate = 2 * len(square) ** 3 / medians["sgemm"]
        products = 10 * n_rows * n_visible * n_hidden / rate
        words = [f"rbm {n_visible}->{n_hidden} batch {batch} threads {threads}"]
        words += [f"sklearn {spread(seconds['sklearn'])} s"]
        words += [
            f"{side} {spread(seconds[side])} s, x{medians['sklearn'] / medians[side]:.2f}, "
            f"products {100 * products / medians[side]:.0f} %"
            for side in ("cd", "pcd")
        ]
        words += [f"sgemm {rate / 1e9:.0f} GFLOP/s"]
        print(" | ".join(words), flush=True)


def rbm_sides(rows: np.ndarray, n_hidden: int, batch: int) -> dict[str, Callable[[], object]]:
    """Return one epoch of our two algorithms and of scikit-learn's."""
    common = {"batch_size": batch, "learning_rate": 0.01, "random_state": 0}

    def ours(algorithm: str) -> object:
        model = RBM(n_atoms=n_hidden, visible="binary", n_epochs=1, **common)
        return model.set_params(algorithm=algorithm).fit(rows)

    return {
        "cd": lambda: ours("cd"),
        "pcd": lambda: ours("pcd"),
        "sklearn": lambda: BernoulliRBM(n_hidden, n_iter=1, **common).fit(rows),
    }


def section_kmeans(options: argparse.Namespace) -> None:
    made = {"synthetic": np.concatenate([synthetic_rows(20_000, 128, seed) for seed in range(10)])}
    if options.data:
        made["mel"] = whiten(mel_patches(options.data, 200_000, n_files=800), 128)
    runs = itertools.product(made.items(), (512, 1024), options.threads)
    for (name, rows), n_atoms, threads in runs:
        what = f"kmeans {name} {len(rows)}x{rows.shape[1]} to {n_atoms} threads {threads}"
        set_threads(threads)
        if HAS_FAISS:
            assignment_line(what, rows, n_atoms, threads, options.repeats)
        kmeans_line(what, rows, n_atoms, options.repeats)


def nearest_times(
    rows: np.ndarray, n_atoms: int, threads: int, repeats: int
) -> tuple[dict[str, list[float]], float]:
    """Return the seconds of both sides to the nearest atoms, and how far distances are apart."""
    import faiss

    faiss.omp_set_num_threads(threads)
    threadpool_limits(limits=threads)  # of its own BLAS too
    atoms = rows[np.random.default_rng(0).permutation(len(rows))[:n_atoms]]
    index = faiss.IndexFlatL2(rows.shape[1])
    index.add(atoms)
    sides: dict[str, Callable[[], object]] = {
        "mcls": lambda: nearest(rows, atoms),
        "faiss": lambda: index.search(rows, 1),
    }
    seconds, results = take_turns(sides, repeats)
    ours, theirs = results["mcls"][1], results["faiss"][0][:, 0]  # type: ignore[index]
    gap = float(np.abs(ours - theirs).max() / theirs.mean())
    assert gap <= AGREE, f"faiss finds other distances: {gap}"
    return seconds, gap


def blas_kernels() -> str:
    """Return the kernels that the OpenBLAS of each library takes for this processor."""
    blas = [one for one in threadpool_info() if one["internal_api"] == "openblas"]
    return ", ".join(f"{Path(one['filepath']).parent.name} {one['architecture']}" for one in blas)


def assignment_line(what: str, rows: np.ndarray, n_atoms: int, threads: int, repeats: int) -> None:
    seconds, gap = nearest_times(rows, n_atoms, threads, repeats)
    ratio = statistics.median(seconds["faiss"]) / statistics.median(seconds["mcls"])
    print(
        f"{what} | nearest | mcls {spread(seconds['mcls'])} s | faiss {spread(seconds['faiss'])} s "
        f"| x{ratio:.2f}, distances within {gap:.0e} | {blas_kernels()}",
        flush=True,
    )


def kmeans_line(what: str, rows: np.ndarray, n_atoms: int, repeats: int) -> None:
    ours, theirs = [], []
    for seed in range(repeats):
        start = clock()
        model = MiniBatchKMeans(n_atoms, compute_labels=False, random_state=seed).fit(rows)
        theirs.append(clock() - start)
        goal = nearest(rows, model.cluster_centers_)[1].mean(dtype=float)
        distance, passes = np.inf, 1
        while distance > goal:  # twice the passes, from the start
            start = clock()
            model = KMeans(n_atoms=n_atoms, max_iter=passes, tol=0.0, random_state=seed)
            model.fit_batches(lambda: (rows[i : i + 8192] for i in range(0, len(rows), 8192)))
            seconds = clock() - start
            distance = nearest(rows, model.components_)[1].mean(dtype=float)
            passes *= 2
        ours.append(seconds)
    print(
        f"{what} | learning to {goal:.4g} ({distance:.4g}) | mcls {spread(ours)} s | sklearn "
        f"{spread(theirs)} s | x{statistics.median(theirs) / statistics.median(ours):.2f}",
        flush=True,
    )


def figures(repeats: int = 5) -> list[Figure]:
    """Return the figures of one thread on synthetic rows, beside the libraries installed."""
    set_threads(1)
    n_dims, n_atoms = SIZES[0]
    rows = unit(synthetic_rows(12_000, n_dims))
    binary = (np.random.default_rng(0).random((20_000, 256)) < 0.3).astype(np.float32)
    found = []
    if HAS_SPAMS:
        atoms = SparseCoding(n_atoms=n_atoms, penalty=0.15, n_epochs=2, random_state=0)
        times = lasso_times(rows, atoms.fit(rows).components_, 0.15, 1, repeats).seconds
        what = f"lasso of a row, {n_dims} x {n_atoms}"
        found.append(beside(what, times["mcls"], "SPAMS", times["spams"], 2.3))
        ours, theirs, _ = learning_times(
            learn_spams, rows[2000:], rows[:2000], n_atoms, 0.15, 1, min(repeats, 3)
        )
        found.append(beside("sparse coding, to an objective", ours, "SPAMS", theirs))
    if HAS_FAISS:
        many = np.concatenate([synthetic_rows(20_000, n_dims, seed) for seed in range(10)])
        times, _ = nearest_times(many, n_atoms, 1, repeats)
        what = f"nearest of {n_atoms} atoms, {len(many):,} rows"
        found.append(beside(what, times["mcls"], "faiss", times["faiss"], 0.95))
    for batch in (100, 1000):
        times, _ = take_turns(rbm_sides(binary, 1024, batch), repeats)
        for name in ("cd", "pcd"):
            what = f"RBM epoch, batch {batch}, {name}"
            found.append(beside(what, times[name], "scikit-learn", times["sklearn"]))
    return found


SECTIONS = {
    "lasso": section_lasso,
    "rows": section_rows,
    "learning": section_learning,
    "kmeans": section_kmeans,
    "rbm": section_rbm,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sections", nargs="*", metavar="SECTION", help=", ".join(SECTIONS))
    parser.add_argument("--data", type=Path, help="a folder of recordings")
    parser.add_argument("--threads", type=int, nargs="+", default=[1])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--rows", type=int, default=12000)
    options = parser.parse_args()
    for unknown in set(options.sections) - set(SECTIONS):
        parser.error(f"no section {unknown}; there are {', '.join(SECTIONS)}")
    for side, there in (("spams", HAS_SPAMS), ("faiss", HAS_FAISS)):
        if not there:
            print(f"{side} is not installed: left out")
    for name in options.sections or SECTIONS:
        SECTIONS[name](options)


if __name__ == "__main__":
    main()
