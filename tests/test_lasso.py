"""Lasso, OMP and FISTA codes against solvers we did not write, and against their definitions."""

import numpy as np
import pytest
from sklearn.decomposition import sparse_encode
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import Lasso, orthogonal_mp_gram

from mcls.dictionaries.lasso import kkt_gap, lasso, lasso_objective
from mcls.dictionaries.omp import omp
from mcls.errors import ConfigError, DataError
from mcls.registry import find

#: Objectives agree to this part of themselves.
GAP = 1e-4


def unit(rows):
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture(scope="module")
def problem():
    rng = np.random.default_rng(0)
    atoms = unit(rng.normal(size=(96, 24)))
    codes = rng.normal(size=(300, 96)) * (rng.random((300, 96)) < 0.05)
    rows = codes @ atoms + 0.1 * rng.normal(size=(300, 24))
    return (rows * rng.uniform(0.1, 10, size=(300, 1))).astype(np.float32), atoms


@pytest.mark.parametrize("positive", [False, True])
@pytest.mark.parametrize("penalty", [0.03, 0.15, 0.5])
def test_objective_equals_scikit_learns_lasso(problem, penalty, positive):
    rows, atoms = problem[0][:60], problem[1]
    codes = lasso(rows, atoms, penalty=penalty, positive=positive)
    ours = lasso_objective(rows, atoms, codes, penalty=penalty)
    for i, row in enumerate(rows.astype(np.float64)):
        alpha = penalty * np.linalg.norm(row) / atoms.shape[1]
        model = Lasso(
            alpha=alpha, fit_intercept=False, positive=positive, tol=1e-8, max_iter=100_000
        )
        model.fit(atoms.T.astype(np.float64), row)
        theirs = lasso_objective(rows[i : i + 1], atoms, model.coef_[None], penalty=penalty)[0]
        assert ours[i] <= theirs * (1 + GAP)
        assert theirs <= ours[i] * (1 + GAP)


def test_objective_equals_sparse_encode(problem):
    rows, atoms = unit(problem[0]), problem[1]
    theirs = sparse_encode(
        rows.astype(float), atoms.astype(float), algorithm="lasso_cd", alpha=0.2, max_iter=10_000
    )
    ours = lasso(rows, atoms, penalty=0.2)
    a = lasso_objective(rows, atoms, ours, penalty=0.2)
    b = lasso_objective(rows, atoms, theirs, penalty=0.2)
    np.testing.assert_allclose(a, b, rtol=GAP)


@pytest.mark.parametrize("positive", [False, True])
@pytest.mark.parametrize("penalty", [0.01, 0.1, 0.4])
@pytest.mark.parametrize("tol", [1e-2, 1e-3])
def test_optimality_conditions_hold_to_the_tolerance(problem, penalty, positive, tol):
    codes = lasso(*problem, penalty=penalty, positive=positive, tol=tol)
    gap = kkt_gap(*problem, codes, penalty=penalty, positive=positive)
    assert gap.max() <= 1.02 * tol  # 2 % for single precision
    assert codes.any()
    assert not positive or codes.min() >= 0


def test_atoms_that_are_nearly_the_same():
    rng = np.random.default_rng(1)
    base = rng.normal(size=(10, 30))
    atoms = unit(np.repeat(base, 12, axis=0) + 0.03 * rng.normal(size=(120, 30)))
    atoms = np.concatenate([atoms, atoms[:5]])
    rows = rng.normal(size=(100, 30)).astype(np.float32)
    codes = lasso(rows, atoms, penalty=0.02)
    assert kkt_gap(rows, atoms, codes, penalty=0.02).max() <= 1.02e-3


def test_a_code_scales_with_its_row(problem):
    rows, atoms = problem
    np.testing.assert_allclose(
        lasso(8 * rows, atoms, penalty=0.2), 8 * lasso(rows, atoms, penalty=0.2), rtol=1e-5
    )


def test_orthogonal_atoms_give_soft_thresholds():
    rows = np.random.default_rng(0).normal(size=(50, 6)).astype(np.float32)
    weights = 0.3 * np.linalg.norm(rows, axis=1, keepdims=True)
    expected = np.sign(rows) * np.maximum(np.abs(rows) - weights, 0)
    codes = lasso(rows, np.eye(6), penalty=0.3)
    assert (np.abs(codes - expected) <= 1.02e-3 * weights).all()


def test_zeros_and_a_large_penalty_give_zeros(problem):
    rows, atoms = problem
    assert not lasso(np.zeros((3, 24)), atoms).any()
    assert not lasso(rows, atoms, penalty=1.0).any()
    assert lasso(rows[:0], atoms).shape == (0, 96)
    assert lasso(rows, np.zeros((4, 24))).shape == (300, 4)


@pytest.mark.parametrize("encode", [lasso, omp])
def test_a_row_alone_or_in_company_has_the_same_bytes(problem, encode, monkeypatch):
    rows, atoms = problem
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    together = encode(rows, atoms)
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert encode(rows, atoms).tobytes() == together.tobytes()
    alone = np.concatenate([encode(row[None], atoms) for row in rows[:150]])
    assert alone.tobytes() == together[:150].tobytes()
    assert encode(rows[::-1], atoms)[::-1].tobytes() == together.tobytes()


def test_read_only_memory_maps_and_half_precision(problem, tmp_path):
    rows, atoms = problem
    np.save(tmp_path / "rows.npy", rows)
    mapped = np.load(tmp_path / "rows.npy", mmap_mode="r")
    assert lasso(mapped, atoms).tobytes() == lasso(rows, atoms).tobytes()
    assert lasso(rows.astype(np.float16), atoms).dtype == np.float32


@pytest.mark.parametrize("encode", [lasso, omp])
def test_what_does_not_fit_is_refused(problem, encode):
    rows, atoms = problem
    with pytest.raises(DataError, match="do not fit"):
        encode(rows[:, :5], atoms)
    with pytest.raises(DataError, match="finite"):
        encode(np.full((2, 24), np.nan), atoms)
    with pytest.raises(ConfigError):
        encode(rows, atoms, **({"penalty": 0.0} if encode is lasso else {"n_nonzero": 0}))


@pytest.mark.parametrize("n_nonzero", [1, 4, 10])
def test_omp_equals_scikit_learns(problem, n_nonzero):
    rows, atoms = (part.astype(np.float64) for part in problem)
    theirs = orthogonal_mp_gram(atoms @ atoms.T, atoms @ rows.T, n_nonzero_coefs=n_nonzero).T
    ours = omp(rows, atoms, n_nonzero=n_nonzero)
    assert ((ours != 0).sum(axis=1) <= n_nonzero).all()
    same = ((ours != 0) == (theirs != 0)).all(axis=1)
    assert same.mean() > 0.98  # two atoms may correlate the same in single precision
    np.testing.assert_allclose(ours[same], theirs[same], rtol=1e-3, atol=1e-4)
    left = [np.linalg.norm(rows - codes @ atoms, axis=1) for codes in (ours, theirs)]
    assert left[0].sum() == pytest.approx(left[1].sum(), rel=1e-2)


def test_omp_finds_a_sparse_code_and_stops_there():
    rng = np.random.default_rng(2)
    atoms = unit(rng.normal(size=(60, 40)))
    codes = np.zeros((80, 60))
    for code in codes:
        code[rng.choice(60, 3, replace=False)] = rng.choice([-1, 1], 3) * rng.uniform(1, 2, 3)
    found = omp(codes @ atoms, atoms, n_nonzero=20, tol=1e-3)
    right = ((found != 0) == (codes != 0)).all(axis=1)
    assert right.mean() > 0.9
    np.testing.assert_allclose(found[right], codes[right], atol=1e-4)


def test_omp_leaves_out_atoms_that_add_nothing():
    atoms = np.eye(3)[[0, 0, 1, 1]]
    codes = omp(np.array([[2.0, 1.0, 5.0]]), atoms, n_nonzero=4)
    np.testing.assert_array_equal(codes, [[2, 0, 1, 0]])


@pytest.mark.parametrize("positive", [False, True])
@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
def test_fista_is_the_same_lasso(problem, positive, device):
    torch = pytest.importorskip("torch")
    if device == "cuda" and not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    from mcls.dictionaries.fista import fista

    rows, atoms = np.concatenate([problem[0], np.zeros((1, 24), np.float32)]), problem[1]
    codes = fista(rows, atoms, penalty=0.1, positive=positive, device=device)
    assert kkt_gap(rows, atoms, codes, penalty=0.1, positive=positive).max() <= 1.02e-3
    a = lasso_objective(rows, atoms, codes, penalty=0.1)
    b = lasso_objective(
        rows, atoms, lasso(rows, atoms, penalty=0.1, positive=positive), penalty=0.1
    )
    np.testing.assert_allclose(a, b, rtol=GAP)
    with pytest.warns(ConvergenceWarning, match="did not reach"):
        fista(rows, atoms, penalty=0.1, max_iter=2, device=device)


def test_the_bound_of_eigenvalues_is_one_and_near():
    torch = pytest.importorskip("torch")
    from mcls.dictionaries.fista import eigenvalue_bound

    rng = np.random.default_rng(0)
    for matrix in (rng.normal(size=(90, 40)), 1e4 * rng.normal(size=(5, 60)), np.eye(512)):
        gram = torch.tensor(matrix @ matrix.T, dtype=torch.float32)
        ratio = float(eigenvalue_bound(gram)) / np.linalg.eigvalsh(matrix @ matrix.T)[-1]
        assert 1 <= ratio <= 1.0002 * len(gram) ** (1 / 64)
    assert 0 < float(eigenvalue_bound(torch.zeros(3, 3))) < 1e-6


@pytest.mark.parametrize("name", ["lasso", "omp", "threshold"])
def test_encoders(problem, name):
    rows, atoms = problem
    encode = find("encoders", name).load()
    codes = encode(rows, {"atoms": atoms})
    assert codes.shape == (300, 96)
    assert codes.dtype == np.float32
    apart = encode(rows, {"atoms": atoms}, split_signs=True)
    assert apart.min() == 0
    np.testing.assert_array_equal(apart[:, :96] - apart[:, 96:], codes)
    if name != "omp":
        assert encode(rows, {"atoms": atoms}, positive=True).min() == 0
        orthonormal = np.linalg.qr(np.random.default_rng(0).normal(size=(24, 24)))[0]
        one, other = (
            find("encoders", kind).load()(rows, {"atoms": orthonormal.astype(np.float32)})
            for kind in ("lasso", "threshold")
        )
        weights = 0.2 * np.linalg.norm(rows, axis=1, keepdims=True)
        assert (np.abs(one - other) <= 1.02e-3 * weights).all()
