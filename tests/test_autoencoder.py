"""Auto-encoder: slopes, sparsity that is kept, ties that hold, PCA where it must be PCA."""

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA
from sklearn.utils.estimator_checks import check_estimator

import mcls
from mcls.dictionaries.autoencoder import AutoEncoder
from mcls.errors import ConfigError, DataError
from mcls.parallel.threads import blocks_on
from mcls.registry import find
from mcls.tables.predictions import read_predictions


@pytest.fixture(scope="module")
def rows():
    """Rows of 12 numbers that lie near 5 directions, each used by some rows."""
    rng = np.random.default_rng(0)
    used = rng.normal(size=(3000, 5)) * (rng.random((3000, 5)) < 0.5)
    rows = used @ rng.normal(size=(5, 12)) + 0.3 * rng.normal(size=(3000, 12))
    return (rows / rows.std(axis=0)).astype(np.float32)


def model(**settings):
    kl = {"nonlinearity": "sigmoid", "sparsity": "kl"}
    small = {"n_atoms": 20, "batch_size": 100, "n_epochs": 10, "random_state": 0}
    return AutoEncoder(**kl | small | settings)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning")
@pytest.mark.parametrize(
    "settings", [{"tied": True}, {"sparsity": "kl", "nonlinearity": "sigmoid"}]
)
def test_scikit_learns_contract(settings):
    check_estimator(AutoEncoder(n_atoms=8, n_epochs=2, n_active=3, random_state=0, **settings))


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize(
    ("nonlinearity", "sparsity"),
    [
        ("sigmoid", "kl"),
        ("sigmoid", "none"),
        ("relu", "none"),
        ("tanh", "none"),
        ("linear", "none"),
        ("relu", "k"),
        ("tanh", "k"),
    ],
)
def test_slopes_are_finite_differences(rng, nonlinearity, sparsity, tied):
    settings = {"nonlinearity": nonlinearity, "sparsity": sparsity, "tied": tied}
    coder = model(n_active=4, weight=0.8, target=0.2, weight_decay=0.05, **settings)
    x = torch.tensor(rng.normal(size=(300, 5)))  # two blocks
    p = {
        "weights": torch.tensor(rng.normal(size=(7, 5))),
        "biases": torch.tensor(rng.normal(size=7)),
        "offsets": torch.tensor(rng.normal(size=5)),
    }
    if not tied:
        p["atoms"] = torch.tensor(rng.normal(size=(7, 5)))
    hidden = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        with blocks_on("cpu") as blocks:
            gradients, measured = coder._slopes(p, x, blocks, learn=True)
            for name, value in p.items():
                for i in np.ndindex(*value.shape):
                    sides = []
                    for step in (1e-6, -1e-6):
                        changed = {**p, name: value.clone()}
                        changed[name][i] += step
                        sides.append(coder._slopes(changed, x, blocks, learn=False)[1])
                    slope = float(sides[0]["objective"] - sides[1]["objective"]) / 2e-6
                    assert float(gradients[name][i]) == pytest.approx(slope, rel=1e-4, abs=1e-3)
    finally:
        torch.set_default_dtype(hidden)
    assert float(measured["objective"]) / 300 == pytest.approx(by_hand(coder, p, x), rel=1e-6)


def by_hand(coder, p, x):
    """The objective as the papers write it."""
    p = {name: value.numpy() for name, value in p.items()}
    x = x.numpy()
    a = x @ p["weights"].T + p["biases"]
    h = {
        "sigmoid": lambda: 1 / (1 + np.exp(-a)),
        "relu": lambda: np.maximum(a, 0),
        "tanh": lambda: np.tanh(a),
        "linear": lambda: a,
    }[coder.nonlinearity]()
    if coder.sparsity == "k":
        least = np.sort(np.abs(h), axis=1)[:, -coder.n_active][:, None]
        h = np.where(np.abs(h) >= least, h, 0)
    decoder = p.get("atoms", p["weights"])
    rebuilt = h @ decoder + p["offsets"]
    total = 0.5 * ((x - rebuilt) ** 2).sum(axis=1).mean()
    total += coder.weight_decay / 2 * ((p["weights"] ** 2).sum() + (decoder**2).sum())
    if coder.sparsity == "kl":
        t, q = coder.target, h.mean(axis=0)
        total += coder.weight * (t * np.log(t / q) + (1 - t) * np.log((1 - t) / (1 - q))).sum()
    return total


@pytest.mark.parametrize("tied", [False, True])
def test_linear_units_without_sparsity_are_pca(rows, tied):
    settings = {"nonlinearity": "linear", "sparsity": "none", "weight_decay": 0.0, "tied": tied}
    coder = model(n_atoms=4, n_epochs=30, learning_rate=0.01, **settings).fit(rows)
    error = np.mean((rows - coder.inverse_transform(coder.transform(rows))) ** 2)
    pca = PCA(4).fit(rows)
    least = np.mean((rows - pca.inverse_transform(pca.transform(rows))) ** 2)
    assert least * 0.9999 <= error <= 1.02 * least
    one = coder.history_[-1]["reconstruction"]
    assert one == pytest.approx(0.5 * rows.shape[1] * error, rel=0.02)


@pytest.mark.parametrize("target", [0.05, 0.2])
def test_kl_sparsity_reaches_its_target(rows, target):
    coder = model(target=target, weight=50.0, n_epochs=20).fit(rows)
    assert coder.transform(rows).mean() == pytest.approx(target, rel=0.1)
    assert coder.usage_.mean() == pytest.approx(target, rel=0.1)
    np.testing.assert_allclose(coder.transform(rows).mean(axis=0), target, rtol=0.5)
    loose = model(sparsity="none", n_epochs=20).fit(rows)
    assert loose.transform(rows).mean() > 1.5 * target
    assert coder.history_[-1]["reconstruction"] < 0.6 * coder.history_[0]["reconstruction"]


@pytest.mark.parametrize("nonlinearity", ["sigmoid", "tanh", "linear"])
def test_k_sparse_has_k_active(rows, nonlinearity):
    coder = model(sparsity="k", n_active=3, nonlinearity=nonlinearity, n_epochs=3).fit(rows)
    codes = coder.transform(rows)
    assert (np.count_nonzero(codes, axis=1) == 3).all()
    relu = model(sparsity="k", n_active=3, nonlinearity="relu", n_epochs=3).fit(rows)
    assert np.count_nonzero(relu.transform(rows), axis=1).max() == 3
    more = model(sparsity="k", n_active=99, nonlinearity="tanh", n_epochs=1).fit(rows)
    assert np.count_nonzero(more.transform(rows), axis=1).min() == 20


def test_tied_weights_are_tied(rows):
    tied, free = model(tied=True).fit(rows), model().fit(rows)
    np.testing.assert_array_equal(tied.components_, tied.weights_)
    assert np.abs(free.components_ - free.weights_).max() > 0.01


def test_noise_is_what_must_be_undone(rows):
    """Denoising shrinks: with linear units the best map is that of ridge regression."""
    free = {"nonlinearity": "linear", "sparsity": "none", "weight_decay": 0.0, "n_atoms": 12}
    coder = model(noise=1.0, n_epochs=40, learning_rate=0.01, **free).fit(rows)
    covariance = rows.T @ rows / len(rows)
    wanted = np.linalg.solve(covariance + np.eye(12), covariance)
    np.testing.assert_allclose(coder.weights_.T @ coder.components_, wanted, atol=0.05)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"tied": True, "sparsity": "none", "nonlinearity": "tanh"},
        {"sparsity": "k", "n_active": 4, "nonlinearity": "relu"},
    ],
)
def test_transform_is_the_registered_encoder(rows, settings):
    entry = find("dictionaries", "autoencoder")
    assert entry.facts["watches_valid"]
    assert all(setting.doc for setting in entry.settings.values())
    coder = model(n_epochs=1, **settings).fit(rows)
    encode = find("encoders", entry.facts["encoder"]).load()
    codes = encode(rows, coder.arrays(), **coder.encoder_settings())
    np.testing.assert_allclose(coder.transform(rows), codes, atol=1e-5)
    assert set(coder.arrays()) == {"atoms", "weights", "biases", "offsets"}


def test_same_seed_same_bytes_by_any_number_of_threads(rows, monkeypatch):
    state, bytes_of = torch.get_rng_state(), set()
    for threads in ("1", "2", "3"):
        monkeypatch.setenv("OMP_NUM_THREADS", threads)
        coder = model(n_epochs=2, batch_size=700, noise=0.1).fit(rows)
        bytes_of.add(b"".join(array.tobytes() for array in coder.arrays().values()))
    assert len(bytes_of) == 1
    assert torch.equal(torch.get_rng_state(), state)
    other = model(n_epochs=2, batch_size=700, noise=0.1, random_state=1).fit(rows)
    assert other.components_.tobytes() not in {
        each[: other.components_.nbytes] for each in bytes_of
    }


def test_batches_and_the_valid_part(rows):
    def source(size):
        return lambda: (rows[i : i + size] for i in range(0, 2000, size))

    alone = model(n_epochs=3).fit_batches(source(100))
    watched = model(n_epochs=3).fit_batches(source(1000), lambda: [rows[2000:]])
    assert alone.components_.tobytes() == watched.components_.tobytes()
    last = watched.history_[-1]
    assert len(watched.history_) == 3
    assert watched.n_steps_ == 60
    assert last["valid_reconstruction"] == pytest.approx(
        0.5
        * np.square(rows[2000:] - watched.inverse_transform(watched.transform(rows[2000:])))
        .sum(axis=1)
        .mean(),
        rel=1e-4,
    )
    assert last["valid_objective"] < watched.history_[0]["valid_objective"]


def test_partial_fit_goes_on(rows):
    coder = model()
    for part in np.split(rows, 6):
        coder.partial_fit(part)
    assert coder.n_steps_ == 30
    assert coder.history_[-1]["objective"] < coder.history_[0]["objective"]


def test_what_is_wrong_is_said(rows):
    with pytest.raises(ConfigError, match=r"autoencoder: n_epochs=0.*target=2.*noise=-1"):
        model(n_epochs=0, target=2, noise=-1).fit(rows)
    with pytest.raises(ConfigError, match=r"kl needs units between 0 and 1.*sigmoid"):
        model(nonlinearity="relu").fit(rows)
    with pytest.raises(DataError, match=r"diverged at minibatch.*learning_rate"):
        model(learning_rate=1e30, nonlinearity="linear", sparsity="none").fit(rows)
    once = iter([rows])
    with pytest.raises(DataError, match="none the next time"):
        model().fit_batches(lambda: once)
    with pytest.raises(DataError, match="rows of 3 numbers, expected 12"):
        model().fit_batches(lambda: [rows, rows[:, :3]])


@pytest.mark.gpu
def test_cuda_learns_what_the_cpu_learns(rows):
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    for settings in ({}, {"sparsity": "k", "nonlinearity": "relu", "n_active": 4}):
        cpu, cuda = (model(device=device, **settings).fit(rows) for device in ("cpu", "cuda"))
        last = [each.history_[-1]["objective"] for each in (cpu, cuda)]
        assert last[0] == pytest.approx(last[1], rel=0.02)


@pytest.mark.slow
def test_from_store_to_predictions_on_real_recordings(real_data, tmp_path):
    manifest = tmp_path / "esc10.csv"
    lines = ["path,labels,fold"]
    for i, path in enumerate(sorted((real_data / "esc10").rglob("*.ogg"))):
        if i % 5 == 0:
            lines.append(f"{path},{path.parent.name},{path.name[0]}")
    manifest.write_text("\n".join(lines) + "\n", encoding="utf-8")
    mcls.extract(manifest, tmp_path / "mel.h5", features=["mel:n_mels=40,compress=log1p"])
    part = {"split": "fold", "fold": "1"}
    kl = ["sparsity=kl", "nonlinearity=sigmoid"]
    learn = {"method": "autoencoder", "size": 64, "rows": 8000, "context": 4, "whiten": 0.9}
    learn |= {"settings": kl, **part}
    report = mcls.learn_dict(tmp_path / "mel.h5", tmp_path / "d.h5", **learn).report
    history = report["history"]
    assert history[-1]["valid_objective"] < history[0]["valid_objective"]
    assert 0.02 < history[-1]["valid_activation"] < 0.1  # the target is 0.05
    dicts, pool = [tmp_path / "d.h5"], ["max@1s", "mean"]
    mcls.train(tmp_path / "mel.h5", tmp_path / "run", dicts=dicts, pool=pool, **part)
    scored = read_predictions(tmp_path / "run" / "predictions.csv").only("test")
    hits = [bool(t[i]) for t, i in zip(scored.truth, scored.scores.argmax(axis=1), strict=True)]
    assert np.mean(hits) > 0.3  # chance is 0.1
