"""mcls export of classic systems: the file computes what predict computes from the audio."""

import importlib.util
import json
from dataclasses import replace

import numpy as np
import pytest
import torch

import mcls
from mcls.audio.files import read_audio
from mcls.chain.graph import track_graph
from mcls.chain.step import kind_of
from mcls.data.synthetic import make_synth
from mcls.disk.chain import Step
from mcls.disk.run import open_run
from mcls.errors import ConfigError
from mcls.export.mel_graph import MfccGraph
from mcls.export.rows_graph import DictionaryGraph, PoolerGraph
from mcls.features import make
from mcls.features.pooling import parse_pool, pool_rows
from mcls.registry import find
from mcls.settings import resolve
from mcls.stages.calibrate import read_calibration
from mcls.stages.export import export
from mcls.stages.predict import predict

SR = 8000
has_onnx = all(importlib.util.find_spec(one) for one in ("onnx", "onnxscript", "onnxruntime"))


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(n_threads)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A synthetic set, with MFCC, mel spectra and two dictionaries."""
    folder = tmp_path_factory.mktemp("classifiers")
    make_synth(folder / "toy", n_tracks=36, seconds=1.5)
    features = ["mfcc:n_fft=512,hop_length=256,n_mels=40,n_mfcc=13,delta=2", "mel:n_mels=24"]
    mcls.extract(folder / "toy/manifest.csv", folder / "s.h5", features=features, sr=SR, jobs=1)
    for feature, more in (("mfcc", {}), ("mel", {"context": 3, "whiten": 0.99})):
        out = folder / f"{feature}-dict.h5"
        mcls.learn_dict(folder / "s.h5", out, feature=feature, method="kmeans", size=16, **more)
    return folder


#: Runs of every classifier, encoder and pooler that can be exported.
SYSTEMS = {
    "rbf": {"model": "svm", "feature": "mfcc", "pool": ["meanstd"], "settings": {"C": 1}},
    "linear": {"model": "svm", "pool": ["mean"], "settings": {"kernel": "linear", "C": 1}},
    "chi2": {"model": "svm", "pool": ["histogram"], "settings": {"kernel": "chi2", "C": 1}},
    "logistic": {"model": "logistic", "pool": ["max:norm=sqrt-l2"]},
    "forest": {"model": "random-forest", "pool": ["std"], "settings": {"n_estimators": 10}},
    "frames": {"model": "logistic", "feature": "mfcc", "aggregate": "vote"},
    "two": {"model": "svm", "feature": "mfcc,mel", "pool": ["mean:norm=l1"], "settings": {"C": 1}},
}
SYSTEMS["linear"]["dicts"], SYSTEMS["linear"]["encoder"] = ["mel-dict.h5"], "triangle"
SYSTEMS["chi2"]["dicts"] = ["mfcc-dict.h5"]
SYSTEMS["logistic"]["dicts"] = ["mfcc-dict.h5", "mel-dict.h5"]
SYSTEMS["logistic"]["encoder"] = "soft-threshold:alpha=0.1,split_signs=true"
SYSTEMS["forest"]["feature"] = "mfcc"


def trained(place, name):
    options = dict(SYSTEMS[name])
    if "dicts" in options:
        options["dicts"] = [place / one for one in options["dicts"]]
    run = place / name
    return run if run.exists() else mcls.train(place / "s.h5", run, **options).path


@pytest.mark.parametrize("name", SYSTEMS)
def test_the_graph_of_a_run_scores_as_predict_does(place, name):
    run = open_run(trained(place, name))
    calibration = read_calibration(run)
    graph = track_graph(run, run.chain(), calibration).eval()
    files = sorted((place / "toy").rglob("*.wav"))[::4]
    for track in predict(run.path, files).tracks:
        y, _ = read_audio(track.name, sr=SR)
        with torch.no_grad():
            found = [one.numpy() for one in graph(torch.from_numpy(y))]
        np.testing.assert_allclose(found[0], track.scores, atol=1e-5)
        assert (track.probabilities is None) == (calibration is None)
        if calibration is not None:
            np.testing.assert_allclose(found[1], track.probabilities, atol=1e-5)


@pytest.mark.skipif(not has_onnx, reason="needs the extra: pip install 'mcls[export]'")
def test_the_file_of_a_run_scores_as_predict_does_and_is_a_feature(place):
    import onnxruntime

    run, file = trained(place, "rbf"), place / "rbf.onnx"
    done = export(run, file)
    assert done.computed
    assert not export(run, file).computed
    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    about = json.loads(session.get_modelmeta().custom_metadata_map["mcls"])
    assert about["classifier"] == "svm"
    assert about["sample_rate"] == SR
    [*files] = sorted((place / "toy").rglob("*.wav"))[:3]
    expected = predict(run, files).tracks
    for track in expected:
        y, _ = read_audio(track.name, sr=SR)
        for n, more in ((len(y), track.scores), (len(y) - 700, None), (50, None)):
            found = session.run(None, {"audio": y[:n]})
            assert np.isfinite(found[0]).all()
            if more is not None:
                np.testing.assert_allclose(found[0], more, atol=1e-5)
                np.testing.assert_allclose(found[1], track.probabilities, atol=1e-5)
    y, _ = read_audio(expected[0].name, sr=SR)
    rows = make("onnx", SR, path=str(file), window=len(y) / SR).rows(y)
    np.testing.assert_allclose(rows[0], expected[0].scores, atol=1e-5)


@pytest.mark.parametrize("delta", [0, 2])
@pytest.mark.parametrize("n", [1, 1500, 2047, 2304, 9000])
def test_mfcc_is_that_of_the_extractor(delta, n, rng):
    feature = make("mfcc", SR, n_fft=512, hop_length=256, n_mels=40, delta=delta, lifter=22.0)
    y = (rng.normal(0, 0.1, n) * np.hanning(n + 2)[1:-1]).astype(np.float32)
    found = MfccGraph(feature)(torch.from_numpy(y)).numpy()
    expected = feature.rows(y)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize("encoder", ["hard", "triangle", "soft-threshold"])
@pytest.mark.parametrize("n", [1, 2, 7])
def test_codes_are_those_of_the_encoder(encoder, n, rng):
    arrays = {"atoms": rng.normal(size=(5, 6)).astype(np.float32)}
    settings = resolve(find("encoders", encoder), {})
    rows = rng.normal(size=(n, 3)).astype(np.float32)
    joined = np.stack([rows[[i, min(i + 1, n - 1)]].ravel() for i in range(max(1, n - 1))])
    expected = find("encoders", encoder).load()(joined, arrays, **settings)
    found = DictionaryGraph(arrays, encoder, settings, 2)(torch.from_numpy(rows))
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("pooler", ["histogram", "mean", "max", "std", "meanstd"])
@pytest.mark.parametrize("norm", ["none", "l1", "l2", "sqrt", "sqrt-l2"])
def test_pooled_rows_are_those_of_the_pooler(pooler, norm, rng):
    for rows in (rng.normal(size=(7, 3)), np.zeros((2, 3))):
        pool = parse_pool(f"{pooler}:norm={norm}")
        expected, _ = pool_rows(rows.astype(np.float32), None, pool)
        found = PoolerGraph(pooler, pool.settings)(torch.from_numpy(rows.astype(np.float32)))
        np.testing.assert_allclose(found, expected, atol=1e-5)


def test_several_labels_and_labels_of_no_track(rng):
    from mcls.classifiers.logistic import Logistic
    from mcls.classifiers.random_forest import RandomForest
    from mcls.classifiers.svm import SVM
    from mcls.evaluation.aggregate import tracks_of_segments
    from mcls.evaluation.calibration import calibrate
    from mcls.export.classifier_graph import ClassifierGraph

    X = rng.normal(size=(60, 4))
    Y = X[:, :3] + 0.1 * rng.normal(size=(60, 3)) > 0
    Y = np.column_stack([Y, np.zeros(60, bool), np.ones(60, bool)])
    two = X[:, 0] > 0
    cases = [(SVM(C=1.0), Y), (Logistic(), Y), (RandomForest(n_estimators=5), Y)]
    cases += [(Logistic(), 2 * two), (SVM(C=1.0), 2 * two), (RandomForest(n_estimators=5), 2 * two)]
    for model, y in cases:
        model.fit(X, y)
        rows = rng.normal(size=(6, 4))
        for how in ("mean", "max", "vote"):
            [expected] = tracks_of_segments(model, [model.scores(rows)], 5, how)
            calibration = None
            if model.multi_label_ and model.highest == 1:
                calibration = calibrate(
                    rng.uniform(size=(40, 5)),
                    rng.uniform(size=(40, 5)) < 0.5,
                    multi_label=True,
                    are_probabilities=True,
                )
            graph = ClassifierGraph(model, "it", 5, how, calibration)
            found = [one.numpy() for one in graph(torch.from_numpy(rows))]
            np.testing.assert_allclose(found[0], expected, rtol=1e-6, atol=1e-6)
            if calibration is not None:
                np.testing.assert_allclose(found[1], calibration(expected[None])[0], atol=1e-6)


def test_what_cannot_be_exported_is_named(place, tmp_path):
    settings = {"sr": SR, "excerpt": None, "dtype": "float32"}
    window = {"window": 0.5, "hop": 0.5, "norm": "none"}
    coded = {"context": 1, "encoder": "lasso", "encoder_settings": {}}
    arrays = {"atoms": np.eye(3)}
    for step, what in (
        (Step("feature", "rms", settings), "the feature rms cannot be exported; mel and mfcc can"),
        (Step("feature", "mel", {**settings, "sr": None}), "extract with --sr"),
        (Step("feature", "mel", {**settings, "delta": 1}), "mel spectrogram with deltas"),
        (Step("pool", "mean", window, (0,)), r"the pooler mean@0.5s cannot be exported"),
        (Step("pool", "power", {"window": None, "hop": None, "p": 2.0}, (0,)), "the pooler power"),
        (Step("dictionary", "kmeans", coded, (0,), arrays), "the encoder lasso cannot be"),
        (Step("net", "mlp", {"net": "mlp", "layers": []}, (0,)), "the net mlp cannot be exported"),
    ):
        with pytest.raises(ConfigError, match=what):
            kind_of(step).graph(step, None)
    run = open_run(trained(place, "two"))
    chain = run.chain()
    other = replace(chain[0], settings={**chain[0].settings, "sr": 2 * SR})
    with pytest.raises(ConfigError, match="read audio at different rates"):
        track_graph(run, (other, *chain[1:]), None)
    imported = Step("imported", "clap", {"rate": None, "n_dims": 3})
    with pytest.raises(ConfigError, match="reads clap, rows that another program made"):
        track_graph(run, (imported,), None)
