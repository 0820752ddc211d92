"""Layers that come from a dictionary, and layers that encode."""

import numpy as np
import pytest

import mcls
from mcls.chain.model_cache import fitted_model
from mcls.disk.run import open_run
from mcls.errors import ConfigError, DataError
from mcls.stores.store import Store
from mcls.tables.predictions import read_predictions

#: Steps so small that weights stay what they were, to 1e-6.
STILL = {"optimizer": "sgd:lr=1e-9", "epochs": 1}


def learn(store, path, *, method="dbn", settings=("layers=8x5", "n_epochs=3"), **options):
    return mcls.learn_dict(store, path, method=method, settings=list(settings), **options).path


@pytest.mark.parametrize("preprocessing", [{}, {"whiten": 0.95}, {"standardize": False}])
def test_a_dbn_s_layers_and_preprocessing_begin_the_net(train, store, tmp_path, preprocessing):
    dbn = learn(store, tmp_path / "dbn.h5", context=2, **preprocessing)
    run = train("run", init=dbn, settings=["dropout=0"], **STILL)
    model = fitted_model(open_run(run))
    assert model.spec.n_frames == 2
    assert list(model.spec.settings["layers"]) == [8, 5]
    assert model.spec.settings["nonlinearity"] == "sigmoid"
    codes = Store(mcls.encode(store, tmp_path / "codes.h5", dicts=[dbn]).path).feature()
    stored = Store(store).feature()
    for i in (0, 25):
        rows = stored.track(i)
        even = len(rows) - len(rows) % 2
        ours = model.hidden(rows[:even], ["dense2"])
        theirs = codes.track(i)[0:even:2]  # the encoder joins every frame with the next
        np.testing.assert_allclose(ours, theirs, atol=1e-5)


def test_an_rbm_begins_the_first_layer_and_is_tuned(train, store, tmp_path):
    rbm = learn(store, tmp_path / "rbm.h5", method="rbm", size=9, settings=["n_epochs=2"])
    run = train(
        "run", init=rbm, epochs=40, optimizer="adam:lr=0.01", settings=["layers=9x8", "dropout=0"]
    )
    assert fitted_model(open_run(run)).spec.n_frames == 1
    assert mcls.evaluate(run, ["auc"], part="test")["auc"].macro.value > 0.9


def test_a_dictionary_that_does_not_fit_is_refused(train, store, vectors, tmp_path):
    dbn = learn(store, tmp_path / "dbn.h5")
    with pytest.raises(ConfigError, match="was learnt from other rows"):
        train("run", init=dbn, pool=["mean"])
    with pytest.raises(ConfigError, match=r"segments of 1; leave --segment"):
        train("run", init=dbn, frames=5)
    with pytest.raises(ConfigError, match="set layers= to their sizes"):
        train("run", init=dbn, settings=["layers=8x6"])
    kmeans = mcls.learn_dict(store, tmp_path / "kmeans.h5", size=4).path
    with pytest.raises(ConfigError, match="a dictionary of kmeans has no layers"):
        train("run", init=kmeans)
    leaking = learn(store, tmp_path / "leaking.h5", split="fold", fold="1")
    with pytest.raises(DataError, match="the dictionary 'dbn' was learnt from"):
        train("run", init=leaking)


def test_another_dictionary_of_the_same_name_is_another_run(train, store, tmp_path):
    learn(store, tmp_path / "dbn.h5")
    train("run", init=tmp_path / "dbn.h5", epochs=1, settings=[])
    (tmp_path / "dbn.h5").unlink()
    learn(store, tmp_path / "dbn.h5", seed=1)
    with pytest.raises(ConfigError, match="store, split or dictionary differs"):
        train("run", init=tmp_path / "dbn.h5", epochs=1, settings=[])


def test_hidden_layers_are_rows_with_a_time(train, store, tmp_path):
    run = train("run", frames=4, settings=["layers=7x5"], epochs=2)
    model, stored = fitted_model(open_run(run)), Store(store).feature()
    made = mcls.encode(store, tmp_path / "deep.h5", dicts=[run], layers=["2", "dense1"])
    deep = Store(made.path).feature()
    assert deep.n_dims == 12
    assert deep.frame_rate == stored.frame_rate / 4
    for i in range(36):
        expected = model.hidden(stored.track(i), ["dense2", "dense1"])
        np.testing.assert_array_equal(deep.track(i), expected)
    pooled = mcls.encode(store, tmp_path / "pooled.h5", dicts=[run], pool=["meanstd"])
    assert (pooled.n_rows, pooled.n_dims) == (36, 10)


def test_a_classifier_on_hidden_layers_scores_raw_rows_from_its_run_alone(train, store, tmp_path):
    net = train("net", epochs=5)
    given = {"model": "logistic", "settings": [], "dicts": [net], "pool": ["meanstd"]}
    run = mcls.train(store, tmp_path / "run", **given).path
    told = read_predictions(run / "predictions.csv")
    scores = {track.name: track.scores for track in mcls.predict(run, [store]).tracks}
    for name, expected in zip(told.track_ids, told.scores, strict=True):
        np.testing.assert_allclose(scores[name], expected, atol=1e-12)


def test_a_net_that_has_seen_a_held_out_track_does_not_encode_for_it(train, store, tmp_path):
    net = train("net", split="fold", fold="0", epochs=1)
    deep = mcls.encode(store, tmp_path / "deep.h5", dicts=[net]).path
    for source, dicts in ((deep, []), (store, [net])):
        with pytest.raises(DataError, match="the net 'mlp' was learnt from"):
            mcls.train(source, tmp_path / "run", dicts=dicts, split="fold", fold="1")
    mcls.train(deep, tmp_path / "run", model="logistic", split="fold", fold="0")


def test_what_cannot_encode_is_refused(train, store, vectors, tmp_path):
    svm = mcls.train(store, tmp_path / "svm", model="logistic", pool=["mean"]).path
    net = train("net", epochs=1)
    out = tmp_path / "out.h5"
    with pytest.raises(ConfigError, match="its model is 'logistic', which has no hidden layers"):
        mcls.encode(store, out, dicts=[svm])
    with pytest.raises(ConfigError, match="no layer 'dense7'"):
        mcls.encode(store, out, dicts=[net], layers=["dense7"])
    with pytest.raises(ConfigError, match="no run to take it from"):
        mcls.encode(store, out, pool=["mean"], layers=["1"])
    with pytest.raises(ConfigError, match="needs a dictionary"):
        mcls.encode(store, out, dicts=[net], encoder="hard")
    pooled = mcls.encode(store, tmp_path / "pooled.h5", pool=["mean"]).path
    with pytest.raises(ConfigError, match="holds"):
        mcls.encode(pooled, out, dicts=[net])


def test_a_cross_validation_of_a_net(store, tmp_path):
    recipe = {
        "train": {
            "model": "mlp",
            "param": ["layers=8"],
            "epochs": 5,
            "optimizer": "adam:lr=0.01",
            "augment": "noise",
            "device": "cpu",
        }
    }
    made = mcls.cross_validate(recipe, store, tmp_path / "cv", split="fold", valid=0.2)
    assert made.summary["n_tracks"] == 36
    assert made.summary["metrics"]["auc"]["macro"]["value"] > 0.9
    assert (tmp_path / "cv" / "fold-0" / "history.csv").is_file()
    assert not list((tmp_path / "cv").glob(".*"))
    with pytest.raises(ConfigError, match="no option 'epohcs': did you mean 'epochs'"):
        mcls.cross_validate({"train": {"epohcs": 3}}, store, tmp_path / "other", split="fold")
