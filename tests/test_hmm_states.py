"""State posteriors of a gmm-hmm as codes: against hmmlearn, in a store, and refused to leak."""

import hmmlearn.hmm
import numpy as np
import pytest
from scipy.linalg import block_diag

import mcls
from mcls.chain.states import states_step
from mcls.chain.step import kind_of
from mcls.classifiers.gmm_hmm import GMMHMM
from mcls.disk.chain import Step
from mcls.disk.run import open_run
from mcls.errors import ConfigError, DataError
from mcls.stores.store import NewRows, Store, StoreContents, write_store

N_TRACKS = 24


def _tracks(rng, n_tracks=N_TRACKS):
    """Tracks of three dimensions that rise or fall, and their class."""
    kinds = np.arange(n_tracks) % 2
    tracks = []
    for kind in kinds:
        ramp = np.linspace(-2, 2, rng.integers(6, 15))[:, None] * np.ones(3)
        tracks.append((ramp[::-1] if kind else ramp) + rng.normal(0, 1.0, ramp.shape))
    return tracks, kinds


def _fitted(tracks, y, **settings):
    lengths = np.array([len(rows) for rows in tracks])
    model = GMMHMM(states=2, mixtures=2, hmm="ergodic", **settings)
    return model.fit(np.concatenate(tracks), np.repeat(y, lengths, axis=0), lengths=lengths)


def _one_hmm_of_hmmlearn(model):
    """All HMMs of a classifier as one of hmmlearn, whose first state chooses the class."""
    arrays = {name: np.asarray(one) for name, one in model.arrays_.items()}
    starts = np.exp(arrays["log_start"]) * np.exp(model.log_prior_)[:, None]
    theirs = hmmlearn.hmm.GMMHMM(starts.size, arrays["means"].shape[1], covariance_type="diag")
    theirs.startprob_ = starts.ravel()
    theirs.transmat_ = block_diag(*np.exp(arrays["log_transitions"]))
    theirs.weights_ = np.exp(arrays["log_weights"])
    theirs.means_, theirs.covars_ = arrays["means"], arrays["variances"]
    theirs.n_features = theirs.means_.shape[2]
    return theirs


def test_posteriors_equal_hmmlearn_s_of_all_classes_together(rng):
    """Forward-backward over the HMMs of all classes, weighted by the priors: 1e-9."""
    tracks, kinds = _tracks(rng)
    model = _fitted(tracks, kinds)
    theirs = _one_hmm_of_hmmlearn(model)
    for rows in tracks[:4]:
        unsure = rows * 0.2  # so that no class has it all
        found = model.state_posteriors(unsure)
        np.testing.assert_allclose(found, theirs.predict_proba(model._scaled(unsure)), atol=1e-9)
        np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-9)
    assert 0.001 < found[:, :2].sum(axis=1).min() < 0.999


def test_tied_states_are_one_column(rng):
    tracks, kinds = _tracks(rng)
    found = _fitted(tracks, kinds, tied_states=3).state_posteriors(tracks[0])
    assert found.shape == (len(tracks[0]), 3)
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-9)


def test_each_label_adds_up_to_one_with_its_absence(rng):
    tracks, kinds = _tracks(rng)
    both = np.stack([kinds == 0, np.arange(len(kinds)) % 3 == 0], axis=1)
    model = _fitted(tracks, both)
    found = model.state_posteriors(tracks[1]).reshape(-1, 4, 2).sum(axis=2)
    np.testing.assert_allclose(found[:, :2] + found[:, 2:], 1, atol=1e-9)
    odds = model.scores_of([tracks[1]])[0][0] * len(tracks[1])
    np.testing.assert_allclose(found[0, :2], 1 / (1 + np.exp(-odds)), atol=1e-9)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder with a store of such tracks, and a run of gmm-hmm."""
    folder = tmp_path_factory.mktemp("states")
    tracks, kinds = _tracks(np.random.default_rng(3))
    columns = {
        "track_id": [f"t{i}" for i in range(N_TRACKS)],
        "path": [f"t{i}.wav" for i in range(N_TRACKS)],
        "labels": [("down", "up")[kind] for kind in kinds],
        "split": ["train"] * 16 + ["test"] * 8,
        "other": ["test"] * 8 + ["train"] * 16,
    }
    chain = (
        Step("feature", "mel", {"n_mels": 3, "sr": 8000, "excerpt": None, "dtype": "float32"}),
    )
    rows = [one.astype(np.float32) for one in tracks]
    new = NewRows("mel", chain, 10.0, 3, list(map(len, rows)), iter(rows), "float32")
    write_store(folder / "store.h5", StoreContents(columns), [new])
    settings = ["states=2", "mixtures=1"]
    mcls.train(folder / "store.h5", folder / "run", model="gmm-hmm", settings=settings)
    return folder


@pytest.mark.parametrize("layers", [(), ("states",)])
def test_encode_gives_a_row_per_frame(made, tmp_path, layers):
    out = mcls.encode(made / "store.h5", tmp_path / "s.h5", dicts=[made / "run"], layers=layers)
    codes, rows = Store(out.path).feature(), Store(made / "store.h5").feature()
    assert (out.n_dims, codes.frame_rate) == (4, rows.frame_rate)
    assert np.array_equal(codes.offsets, rows.offsets)
    expected = open_run(made / "run").model().state_posteriors(rows.track(5))
    np.testing.assert_array_equal(codes.track(5), expected.astype(np.float32))


def test_states_are_refused_for_tracks_that_the_hmms_have_seen(made, tmp_path):
    out = mcls.encode(made / "store.h5", tmp_path / "s.h5", dicts=[made / "run"]).path
    options = {"model": "logistic", "pool": ["mean"]}
    mcls.train(out, tmp_path / "fits", **options)
    with pytest.raises(DataError, match="'gmm-hmm' was learnt from 8 tracks"):
        mcls.train(out, tmp_path / "leaks", split="other", **options)


def test_other_layers_of_a_gmm_hmm_are_refused(made, tmp_path):
    with pytest.raises(ConfigError, match="a gmm-hmm has no hidden layers; expected states"):
        mcls.encode(made / "store.h5", tmp_path / "s.h5", dicts=[made / "run"], layers=["dense1"])


def test_a_track_without_rows_is_refused(made):
    step = states_step(open_run(made / "run"))
    with pytest.raises(DataError, match="no rows"):
        kind_of(step).apply(step, [(np.empty((0, 3), np.float32), 10.0)])
