"""PSD: codes are optimal, slopes are those of the objective, planted atoms are found again."""

import numpy as np
import pytest
import torch
from scipy.optimize import minimize
from sklearn.utils.estimator_checks import check_estimator

import mcls
from mcls.dictionaries.lasso import lasso
from mcls.dictionaries.psd import PSD, Solver
from mcls.errors import ConfigError, DataError
from mcls.registry import find
from mcls.tables.predictions import read_predictions


@pytest.fixture(scope="module")
def planted():
    rng = np.random.default_rng(0)
    atoms = rng.normal(size=(24, 16))
    atoms /= np.linalg.norm(atoms, axis=1, keepdims=True)
    codes = np.zeros((4000, 24))
    for code in codes:
        code[rng.choice(24, 2, replace=False)] = rng.uniform(2, 4, 2) * rng.choice([-1, 1], 2)
    return (codes @ atoms + 0.02 * rng.normal(size=(4000, 16))).astype(np.float32), atoms


@pytest.fixture(scope="module")
def learnt(planted):
    valid = planted[0][3500:]
    return model(n_epochs=20).fit_batches(lambda: [planted[0][:3500]], lambda: [valid])


def model(**settings):
    return PSD(
        **{"n_atoms": 28, "penalty": 0.5, "pull": 0.02, "batch_size": 100, "random_state": 0}
        | settings
    )


def problem(rng, n=40, n_atoms=30, n_dims=12):
    atoms = rng.normal(size=(n_atoms, n_dims))
    atoms /= np.linalg.norm(atoms, axis=1, keepdims=True)
    x, prediction = 3 * rng.normal(size=(n, n_dims)), rng.normal(size=(n, n_atoms))
    return [torch.tensor(a, dtype=torch.float32) for a in (atoms, x, prediction)]


def misses(x, atoms, prediction, z, penalty, pull, positive):
    """How far the optimality conditions of PSD's codes are missed, in parts of the penalty."""
    x, atoms, prediction, z = (a.double() for a in (x, atoms, prediction, z))
    r = (x - z @ atoms) @ atoms.T - pull * (z - prediction)
    off = ((r if positive else r.abs()) - penalty).clamp(min=0)
    return torch.where(z != 0, (r - penalty * z.sign()).abs(), off).max() / penalty


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning")
def test_scikit_learns_contract():
    check_estimator(PSD(n_atoms=8, n_epochs=2, random_state=0))


@pytest.mark.parametrize("compiled", [True, False])
@pytest.mark.parametrize("positive", [True, False])
@pytest.mark.parametrize("pull", [0.0, 0.3, 2.0])
def test_codes_meet_the_optimality_conditions(rng, compiled, positive, pull):
    atoms, x, prediction = problem(rng)
    settings = {"penalty": 0.7, "pull": pull, "positive": positive, "tol": 1e-3}
    z = Solver(atoms, compiled=compiled, **settings)(x, prediction)
    assert misses(x, atoms, prediction, z, 0.7, pull, positive) <= 1.5e-3
    assert 0.1 < (z != 0).float().mean() < 0.95
    assert not positive or z.min() == 0


def test_codes_are_the_minimum_that_a_general_solver_finds(rng):
    atoms, x, prediction = problem(rng, n=3, n_atoms=6, n_dims=5)
    z = Solver(atoms, penalty=0.5, pull=0.4, positive=False, tol=1e-5)(x, prediction)
    a = atoms.double().numpy()
    for row, p, code in zip(x.double().numpy(), prediction.double().numpy(), z, strict=True):

        def objective(u, row=row, p=p):
            v = u[:6] - u[6:]  # positive and negative part: smooth, with bounds
            return 0.5 * np.sum((row - v @ a) ** 2) + 0.5 * u.sum() + 0.2 * np.sum((v - p) ** 2)

        found = minimize(objective, np.ones(12), bounds=[(0, None)] * 12, options={"ftol": 1e-14})
        np.testing.assert_allclose(code, found.x[:6] - found.x[6:], atol=2e-3)


def test_without_pull_codes_are_the_lassos(rng):
    atoms, x, prediction = problem(rng)
    x = x / torch.linalg.vector_norm(x, dim=1, keepdim=True)  # mcls's penalty is per norm
    for compiled in (True, False):
        solver = Solver(atoms, penalty=0.2, pull=0, positive=False, tol=1e-5, compiled=compiled)
        wanted = lasso(x.numpy(), atoms.numpy(), penalty=0.2, tol=1e-5)
        np.testing.assert_allclose(solver(x, prediction), wanted, atol=1e-3)


@pytest.mark.parametrize("nonlinearity", ["tanh", "relu"])
def test_slopes_are_finite_differences(rng, nonlinearity):
    """The codes are held: the objective's slope at its minimum over them (envelope theorem)."""
    atoms, x, _ = problem(rng, n=20, n_atoms=7, n_dims=5)
    p = {
        "atoms": atoms,
        "weights": torch.tensor(rng.normal(size=(7, 5)) * 0.3),
        "biases": torch.tensor(rng.normal(size=7) * 0.3),
        "gains": torch.tensor(rng.uniform(0.5, 2, 7)),
    }
    p = {name: value.float() for name, value in p.items()}
    psd = model(nonlinearity=nonlinearity, penalty=0.4, pull=0.7)
    z = psd._solver(p)(x, psd._encode(p, x))
    gradients = psd._block(p, x, lambda x, prediction: z, learn=True)

    def objective(changed):
        q = {name: value.double() for name, value in changed.items()}
        units = x.double() @ q["weights"].T + q["biases"]
        hidden = units.tanh() if nonlinearity == "tanh" else units.clamp(min=0)
        code = z.double()
        missed = ((code - hidden * q["gains"]) ** 2).sum()
        return 0.5 * ((x.double() - code @ q["atoms"]) ** 2).sum(), 0.5 * missed

    for name, value in p.items():
        part = 0 if name == "atoms" else 1
        for i in np.ndindex(*value.shape):
            sides = []
            for step in (1e-4, -1e-4):
                changed = {**p, name: value.double().clone()}
                changed[name][i] += step
                sides.append(objective(changed)[part])
            slope = float(sides[0] - sides[1]) / 2e-4
            assert float(gradients[name][i]) == pytest.approx(slope, rel=1e-3, abs=2e-3), name


def test_finds_planted_atoms(planted, learnt):
    match = np.abs(planted[1] @ learnt.components_.T).max(axis=1)
    assert (match > 0.97).mean() >= 0.9
    np.testing.assert_allclose(np.linalg.norm(learnt.components_, axis=1), 1, atol=1e-5)


def test_the_encoder_learns_to_predict(planted, learnt):
    for part in ("", "valid_"):
        objectives = [epoch[f"{part}objective"] for epoch in learnt.history_]
        assert objectives[-1] < 0.9 * objectives[0]
    rows = planted[0][3500:]
    prediction = learnt.transform(rows)
    relative = 0.5 / np.linalg.norm(rows, axis=1).mean()
    codes = lasso(rows, learnt.components_, penalty=relative)
    assert np.corrcoef(prediction.ravel(), codes.ravel())[0, 1] > 0.7
    likeness = rows @ learnt.components_.T  # the best that correlations alone can do
    likeness *= np.sum(likeness * codes) / np.sum(likeness**2)
    assert np.sum((prediction - codes) ** 2) < 0.7 * np.sum((likeness - codes) ** 2)
    last = learnt.history_[-1]
    assert last["valid_activation"] == pytest.approx(np.abs(prediction).mean(), rel=1e-4)
    assert len(learnt.history_) == 20
    assert learnt.n_steps_ == 20 * 35


def test_the_prediction_error_falls_while_the_atoms_stay(planted):
    psd = model(pull=0.0, n_epochs=20).fit(planted[0])  # found: the atoms hardly move any more
    before = psd.history_[-1]
    start = {**psd._begin(planted[0][:100], np.random.RandomState(0)), "atoms": psd.components_}
    psd._arrays = {name: array.copy() for name, array in start.items()}
    psd.set_params(learning_rate=0.003)
    for _ in range(10):
        psd.partial_fit(planted[0])
    errors = [epoch["prediction"] for epoch in psd.history_[20:]]
    assert errors[-1] < 0.95 * errors[0]
    assert errors[-1] == pytest.approx(before["prediction"], rel=0.2)


def test_usage_counts_the_sparse_codes(learnt):
    assert learnt.usage_.shape == (28,)
    assert learnt.usage_.mean() == pytest.approx(learnt.history_[-1]["nonzero"], rel=1e-4)
    assert 0.02 < learnt.usage_.mean() < 0.4


@pytest.mark.parametrize("nonlinearity", ["tanh", "relu"])
def test_transform_is_the_registered_encoder(planted, nonlinearity):
    entry = find("dictionaries", "psd")
    assert entry.facts["watches_valid"]
    assert all(setting.doc for setting in entry.settings.values())
    psd = model(nonlinearity=nonlinearity, n_epochs=1).fit(planted[0])
    encode = find("encoders", entry.facts["encoder"]).load()
    codes = encode(planted[0], psd.arrays(), **psd.encoder_settings())
    np.testing.assert_allclose(psd.transform(planted[0]), codes, atol=1e-5)
    assert codes.min() == 0 if nonlinearity == "relu" else codes.min() < 0
    assert set(psd.arrays()) == {"atoms", "weights", "biases", "gains"}
    assert psd.transform(planted[0]).dtype == np.float32


def test_same_seed_same_bytes_by_any_number_of_threads(planted, monkeypatch):
    state, before = torch.get_rng_state(), torch.get_num_threads()
    bytes_of = set()
    for threads in ("1", "2", "3"):
        monkeypatch.setenv("OMP_NUM_THREADS", threads)
        psd = model(n_epochs=2, batch_size=700).fit(planted[0])
        bytes_of.add(b"".join(array.tobytes() for array in psd.arrays().values()))
    assert len(bytes_of) == 1
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.get_num_threads() == before
    other = model(n_epochs=2, batch_size=700, random_state=1).fit(planted[0])
    assert other.components_.tobytes() not in {
        each[: other.components_.nbytes] for each in bytes_of
    }


def test_batches_give_the_same_bytes_however_they_are_cut(planted):
    rows = planted[0]
    learnt = [
        model(n_epochs=2).fit_batches(
            lambda s=size: (rows[i : i + s] for i in range(0, len(rows), s))
        )
        for size in (130, 4000)
    ]
    assert learnt[0].components_.tobytes() == learnt[1].components_.tobytes()
    assert learnt[0].weights_.tobytes() == learnt[1].weights_.tobytes()


def test_the_valid_part_is_only_watched(planted):
    alone = model(n_epochs=2).fit_batches(lambda: [planted[0]])
    watched = model(n_epochs=2).fit_batches(lambda: [planted[0]], lambda: [planted[0][:50]])
    assert alone.components_.tobytes() == watched.components_.tobytes()
    assert "valid_objective" not in alone.history_[0]


def test_partial_fit_goes_on(planted):
    psd = model()
    for part in np.split(planted[0], 8):
        psd.partial_fit(part)
    assert psd.n_steps_ == 8 * 5
    assert len(psd.history_) == 8
    assert psd.history_[-1]["objective"] < psd.history_[0]["objective"]


def test_atoms_without_use_start_again(planted, monkeypatch):
    psd, far = model(n_epochs=3, pull=0.0), np.zeros(16, np.float32)
    far[0] = 1
    begin = psd._begin

    def two_useless(sample, rng):
        arrays = begin(sample, rng)
        arrays["atoms"][:2] = far  # the planted rows have nothing there
        return arrays

    rows = planted[0].copy()
    rows[:, 0] = 0
    monkeypatch.setattr(psd, "_begin", two_useless)
    psd.fit(rows)
    assert psd.n_replaced_ >= 2
    assert psd.usage_.min() > 0
    assert np.abs(psd.components_[:, 0]).max() < 0.5


def test_few_rows_and_rows_of_zeros():
    psd = model(n_atoms=10, n_epochs=2).fit(np.zeros((5, 4)))
    assert np.isfinite(psd.components_).all()
    assert np.isfinite(psd.transform(np.zeros((5, 4)))).all()
    one = model(n_atoms=10, n_epochs=2).fit(np.ones((1, 4)))
    assert np.isfinite(one.transform(np.ones((3, 4)))).all()


def test_what_is_wrong_is_said(planted):
    with pytest.raises(ConfigError, match=r"psd: n_atoms=0.*penalty=-1.*pull=-1.*tol=0"):
        model(n_atoms=0, penalty=-1, pull=-1, tol=0).fit(planted[0])
    with pytest.raises(DataError, match="no rows"):
        model().fit_batches(list)
    with pytest.raises(DataError, match=r"diverged at minibatch \d+.*learning_rate"):
        model(learning_rate=1e30, n_epochs=2).fit(planted[0])
    holed = planted[0].copy()
    holed[3000] = np.nan
    with pytest.raises(DataError, match="the rows must be finite"):
        model().fit_batches(lambda: [holed])
    with pytest.raises(ConfigError, match=r"device=nowhere.*use cpu"):
        model(device="nowhere").fit(planted[0])


def test_learning_by_fista_is_learning_by_coordinate_descent(planted, monkeypatch):
    """What other devices do, done on the CPU."""
    settings = {"n_epochs": 2, "tol": 1e-3, "pull": 0.5, "batch_size": 200}
    compiled = model(**settings).fit(planted[0][:1000])
    exact = PSD._solver

    def by_fista(self, p):
        made = exact(self, p)
        known = {name: getattr(made, name) for name in ("penalty", "pull", "positive", "tol")}
        return Solver(p["atoms"], compiled=False, **known)

    monkeypatch.setattr(PSD, "_solver", by_fista)
    fista = model(**settings).fit(planted[0][:1000])
    np.testing.assert_allclose(fista.components_, compiled.components_, atol=5e-3)
    assert fista.history_[-1]["objective"] == pytest.approx(
        compiled.history_[-1]["objective"], rel=1e-3
    )


@pytest.mark.gpu
def test_cuda_learns_what_the_cpu_learns(planted):
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    cpu = model(n_epochs=5, tol=1e-3).fit(planted[0])
    cuda = model(n_epochs=5, tol=1e-3, device="cuda").fit(planted[0])
    last = [each.history_[-1]["objective"] for each in (cpu, cuda)]
    assert last[0] == pytest.approx(last[1], rel=0.02)
    np.testing.assert_allclose(
        cuda.transform(planted[0]), cuda.set_params(device="cpu").transform(planted[0]), atol=1e-4
    )


@pytest.mark.slow
def test_from_store_to_predictions_on_real_recordings(real_data, tmp_path):
    manifest = tmp_path / "esc10.csv"
    lines = ["path,labels,fold"]
    for i, path in enumerate(sorted((real_data / "esc10").rglob("*.ogg"))):
        if i % 5 == 0:
            lines.append(f"{path},{path.parent.name},{path.name[0]}")
    manifest.write_text("\n".join(lines) + "\n", encoding="utf-8")
    mcls.extract(manifest, tmp_path / "cqt.h5", features=["cqt:compress=log1p"])
    part = {"split": "fold", "fold": "1"}
    settings = ["n_epochs=2"]
    learn = {"method": "psd", "size": 64, "rows": 4000, "settings": settings, **part}
    report = mcls.learn_dict(tmp_path / "cqt.h5", tmp_path / "d.h5", **learn).report
    assert report["utilisation"] > 0.9
    assert "valid_objective" in report["history"][-1]
    pool = ["mean@5s/2.5s"]
    mcls.train(tmp_path / "cqt.h5", tmp_path / "run", dicts=[tmp_path / "d.h5"], pool=pool, **part)
    scored = read_predictions(tmp_path / "run" / "predictions.csv").only("test")
    hits = [bool(t[i]) for t, i in zip(scored.truth, scored.scores.argmax(axis=1), strict=True)]
    assert np.mean(hits) > 0.3  # chance is 0.1
