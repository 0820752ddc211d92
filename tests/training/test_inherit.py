"""Layers of trained nets as the first weights of another."""

import numpy as np
import pytest
import torch

import mcls
from mcls.chain.model_cache import fitted_model
from mcls.disk.run import open_run
from mcls.errors import ConfigError, DataError

#: Steps so small that weights stay what they were, to 1e-6.
STILL = {"optimizer": "sgd:lr=1e-9", "epochs": 1}

TIME, FREQUENCY = ["length=3", "width=0.1"], ["height=4", "width=0.1"]
BOTH = ["length=3", "height=4", "units=30", "width=0.1"]


@pytest.fixture
def parts(train):
    """A trained pons-time and a trained pons-frequency, ten frames at a time."""
    time = train("time", model="pons-time", settings=TIME, frames=10)
    return [time, train("frequency", model="pons-frequency", settings=FREQUENCY, frames=10)]


def weights(run) -> dict[str, torch.Tensor]:
    return fitted_model(open_run(run)).net.state_dict()


def test_filters_of_both_begin_at_those_of_each(train, parts):
    both = train("both", model="pons-tf", settings=BOTH, frames=10, init=parts, **STILL)
    made = weights(both)
    for run, layer in zip(parts, ("time", "frequency"), strict=True):
        for key in ("weight", "bias"):
            theirs = weights(run)[f"{layer}.conv.{key}"]
            np.testing.assert_allclose(made[f"{layer}.conv.{key}"], theirs, atol=1e-6)
    alone = weights(train("alone", model="pons-tf", settings=BOTH, frames=10, **STILL))
    own = alone["dense1.linear.weight"]
    np.testing.assert_allclose(made["dense1.linear.weight"], own, atol=1e-6)
    assert (made["time.conv.weight"] - alone["time.conv.weight"]).abs().max() > 0.01


def test_one_of_two_may_be_given_and_the_recorded_settings_name_it(train, parts):
    both = train("both", model="pons-tf", settings=BOTH, frames=10, init=parts[0], **STILL)
    theirs = weights(parts[0])["time.conv.weight"]
    np.testing.assert_allclose(weights(both)["time.conv.weight"], theirs, atol=1e-6)
    assert open_run(both).settings["train"]["init"] == [str(parts[0])]


def test_a_net_begins_at_itself_with_other_labels_and_its_own_input(train, store, tmp_path):
    first = train("first", settings=["layers=9"], frames=4, standardize="global")
    second = train("second", settings=["layers=9"], frames=4, labels="tags", init=first, **STILL)
    ours, theirs = (fitted_model(open_run(run)) for run in (second, first))
    rows = np.random.default_rng(1).normal(-40, 5, (8, 6)).astype(np.float32)
    np.testing.assert_allclose(
        ours.hidden(rows, ["dense1"]), theirs.hidden(rows, ["dense1"]), atol=1e-5
    )
    assert ours.multi_label_ and not theirs.multi_label_


def test_layers_that_do_not_fit_are_refused(train, parts, store, tmp_path):
    time, frequency = parts
    given = {"model": "pons-tf", "frames": 10}
    with pytest.raises(
        ConfigError,
        match=r"time of pons-time has .*weight 3x1x3x1, but here it has .*weight 3x1x5x1",
    ):
        train("run", settings=[*BOTH[1:], "length=5"], init=[time], **given)
    with pytest.raises(ConfigError, match=r"both pons-time and pons-time have the layer time"):
        train("run", settings=BOTH, init=[time, time], **given)
    with pytest.raises(ConfigError, match=r"pons-frequency has the layers frequency, but none of"):
        train("run", settings=["layers=4"], frames=10, init=[frequency])
    other = train(
        "other", model="pons-frequency", settings=FREQUENCY, frames=10, standardize="none"
    )
    with pytest.raises(ConfigError, match=r"pons-time and pons-frequency were standardised by oth"):
        train("run", settings=BOTH, init=[time, other], **given)


def test_what_is_no_net_or_of_other_rows_is_refused(train, parts, store, tmp_path):
    svm = mcls.train(store, tmp_path / "svm", model="logistic", pool=["mean"]).path
    with pytest.raises(ConfigError, match="its model is 'logistic', which has no layers"):
        train("run", init=svm)
    kmeans = mcls.learn_dict(store, tmp_path / "kmeans.h5", size=4).path
    with pytest.raises(
        ConfigError, match="give one dictionary, or one or several runs of nets, but not both"
    ):
        train("run", init=[kmeans, parts[0]])
    with pytest.raises(ConfigError, match="was learnt from other rows"):
        train("run", model="pons-time", settings=TIME, dicts=[kmeans], init=parts[0])


def test_a_net_that_has_seen_held_out_tracks_gives_no_layers(train, store, tmp_path):
    seen = train("seen", split="fold", fold="0")
    with pytest.raises(DataError, match="the net 'mlp' was learnt from"):
        train("run", init=seen, split="fold", fold="1")


def test_what_the_first_net_has_seen_is_remembered(train, store, tmp_path):
    first = train("first", split="fold", fold="0", valid=0.3, seed=1)
    second = train("second", split="fold", fold="0", valid=0.0, init=first)
    seen = [set(fitted_model(open_run(run)).spec.learnt_from) for run in (first, second)]
    assert seen[0] < seen[1]


def test_another_net_of_the_same_name_is_another_run(train, parts):
    given = {"model": "pons-tf", "settings": BOTH, "frames": 10, **STILL}
    train("both", init=parts, **given)
    changed = train("time", model="pons-time", settings=TIME, frames=10, seed=1, overwrite=True)
    with pytest.raises(ConfigError, match="store, split or dictionary differs"):
        train("both", init=[changed, parts[1]], **given)
