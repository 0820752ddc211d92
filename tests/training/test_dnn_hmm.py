"""DNN-HMMs: `mcls train --model dnn-hmm`."""

import csv
import json

import numpy as np
import pytest
import torch

import mcls
from mcls.chain.model_cache import fitted_model
from mcls.disk.chain import Step
from mcls.disk.run import open_run
from mcls.errors import ConfigError, FormatError
from mcls.hmm.kernels import forward, viterbi
from mcls.hmm.models import offsets_of, start_models
from mcls.inspection.net import plot_alignment
from mcls.registry import defaults, find
from mcls.stages.export import export
from mcls.stores.store import NewRows, Store, StoreContents, write_store
from mcls.tables.predictions import read_predictions
from mcls.training.hybrid import StateDecoder

N_TRACKS = 60
OPTIONS = {
    "model": "dnn-hmm",
    "epochs": 4,
    "batch_size": 32,
    "device": "cpu",
    "optimizer": "adam:lr=1e-2",
    "frames": 3,
}
SETTINGS = ["layers=16", "states=3", "mixtures=1", "realignments=2"]


@pytest.fixture(scope="module")
def sequences(tmp_path_factory):
    """A store of tracks that go up or down: the same frames, in two orders."""
    rng = np.random.default_rng(5)
    path = tmp_path_factory.mktemp("dnn_hmm") / "store.h5"
    rows, labels = [], [("up", "down")[i % 2] for i in range(N_TRACKS)]
    for label in labels:
        ramp = np.linspace(-2, 2, rng.integers(2, 15))[:, None] * np.ones(4)
        one = ramp[::-1] if label == "down" else ramp
        rows.append((one + rng.normal(0, 0.5, ramp.shape)).astype(np.float32))
    columns = {
        "track_id": [f"t{i}" for i in range(N_TRACKS)],
        "path": [f"t{i}.wav" for i in range(N_TRACKS)],
        "labels": labels,
        "tags": ["a|b" if label == "up" else "b" for label in labels],
        "split": ["train"] * 36 + ["valid"] * 12 + ["test"] * 12,
        "alone": ["train"] * 36 + ["test"] * 24,
    }
    settings = {**defaults(find("features", "mel")), "n_mels": 4, "hop_length": 800}
    own = {"sr": 8000, "excerpt": None, "dtype": "float32"}
    chain = (Step("feature", "mel", settings | own),)
    new = NewRows("mel", chain, 10.0, 4, list(map(len, rows)), iter(rows), "float32")
    write_store(path, StoreContents(columns), [new])
    return path


def train(store, run, **options):
    given = {"settings": SETTINGS, **OPTIONS, **options}
    return mcls.train(store, run, **given).path


@pytest.fixture(scope="module")
def run(sequences, tmp_path_factory):
    return train(sequences, tmp_path_factory.mktemp("dnn_hmm") / "run")


def test_it_hears_the_order_of_frames_and_the_run_alone_scores(run, sequences):
    assert mcls.evaluate(run, ["accuracy"], part="test")["accuracy"].micro.value > 0.9
    told = read_predictions(run / "predictions.csv")
    found = {track.name: track.scores for track in mcls.predict(run, [sequences]).tracks}
    for name, expected in zip(told.track_ids, told.scores, strict=True):
        assert np.array_equal(found[name], expected)


def test_a_track_is_scored_as_its_scaled_likelihoods_say(run, sequences):
    """log p(state | window) - log p(state), the forward algorithm, and Bayes' rule: 1e-12."""
    model = fitted_model(open_run(run))
    rows = Store(sequences).feature().track(0)
    around = np.concatenate([rows[:1], rows, rows[-1:]])
    windows = np.stack([around[i : i + 3] for i in range(len(rows))])
    with torch.inference_mode():
        logits = model.net.eval()(model.standardise(torch.from_numpy(windows)[:, None]))
    decoder, offsets = model.decoder, offsets_of([len(rows)])
    emissions = logits.double().log_softmax(dim=1).numpy() - decoder.log_priors
    joint = decoder.log_class_priors + [
        forward(np.ascontiguousarray(emissions[:, pdfs]), offsets, *decoder.hmms.arcs(i))[0]
        for i, pdfs in enumerate(decoder.hmms.pdfs)
    ]
    expected = (joint - np.logaddexp.reduce(joint)) / len(rows)
    [found] = model.scores_of([rows])
    np.testing.assert_allclose(found[0], expected, atol=1e-6)  # the net computes in 32 bits
    assert np.exp(decoder.log_priors).sum() == pytest.approx(1)


def test_without_prior_scaling_nothing_is_divided(sequences, tmp_path):
    made = train(sequences, tmp_path / "run", settings=[*SETTINGS, "prior_scaling=false"], epochs=1)
    assert not fitted_model(open_run(made)).decoder.log_priors.any()


def test_each_round_aligns_again_and_the_best_is_kept(run):
    about = json.loads((run / "about.json").read_text(encoding="utf-8"))
    rounds = about["rounds"]
    values = [one["valid_accuracy"] for one in rounds]
    assert about["kept_round"] == int(np.argmax(values))
    assert len(rounds) == min(3, about["kept_round"] + 2)  # stops at the first that is not better
    assert all(0 <= one["moved"] < 0.5 for one in rounds[:-1])
    with (run / "history.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["epoch"]) for row in rows] == list(range(1, len(rows) + 1))
    assert {int(row["round"]) for row in rows} == set(range(len(rounds)))
    kept = rows[about["kept_epoch"] - 1]
    assert int(kept["round"]) == about["kept_round"]
    valid = mcls.evaluate(run, ["accuracy"], part="valid")["accuracy"].micro.value
    assert valid == pytest.approx(float(kept["valid_accuracy"]))


def test_without_a_valid_part_all_rounds_are_made_and_it_says_so(sequences, tmp_path):
    made = train(sequences, tmp_path / "run", split="alone", epochs=1)
    about = json.loads((made / "about.json").read_text(encoding="utf-8"))
    assert (len(about["rounds"]), about["kept_round"]) == (3, 2)
    assert any("last of 3 trainings is kept" in note for note in about["notes"])


@pytest.mark.parametrize("more", [["tied_states=4"], ["hmm=ergodic"], ["skips=true"]])
def test_other_hmms(sequences, tmp_path, more):
    made = train(sequences, tmp_path / "run", settings=[*SETTINGS, *more], epochs=2)
    decoder = fitted_model(open_run(made)).decoder
    assert decoder.hmms.n_pdfs == (4 if "tied" in more[0] else 6)
    assert mcls.evaluate(made, ["accuracy"], part="valid")["accuracy"].micro.value > 0.5


def test_it_starts_from_a_dbn(sequences, tmp_path):
    """The first weights are those of the DBN, whose context is the window of the net."""
    dbn = tmp_path / "dbn.h5"
    mcls.learn_dict(sequences, dbn, method="dbn", context=3, settings=["layers=8x5", "n_epochs=2"])
    frozen = {"epochs": 1, "optimizer": "sgd:lr=1e-9"}
    settings = ["states=2", "mixtures=1", "realignments=0"]
    options = {"init": [str(dbn)], "settings": settings, "frames": None, **frozen}
    model = fitted_model(open_run(train(sequences, tmp_path / "run", **options)))
    from mcls.disk.dictionary import read_dictionary

    weights = read_dictionary(dbn).step.arrays["weights_1"]
    np.testing.assert_allclose(model.net.dense1.linear.weight.detach().numpy(), weights, atol=1e-5)
    assert model.spec.n_frames == 3


def test_state_posteriors_are_codes(run, sequences, tmp_path):
    made = mcls.encode(sequences, tmp_path / "states.h5", dicts=[str(run)])
    assert made.n_dims == 6
    codes, rows = Store(made.path).feature(), Store(sequences).feature()
    assert np.array_equal(codes.offsets, rows.offsets)  # a row per frame
    assert codes.frame_rate == rows.frame_rate
    np.testing.assert_allclose(codes.rows.sum(axis=1), 1, atol=1e-5)
    model = fitted_model(open_run(run))
    emissions = np.log(codes.track(0)) - model.decoder.log_priors
    best = [
        viterbi(np.ascontiguousarray(emissions[:, pdfs]), offsets_of([len(emissions)]), *arcs)[1]
        for pdfs, arcs in zip(
            model.decoder.hmms.pdfs, map(model.decoder.hmms.arcs, range(2)), strict=True
        )
    ]
    assert np.isfinite(best).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"labels": "tags"}, "one HMM per class, so every track needs one label"),
        ({"overlap": 0.5}, "overlap=0.5 does not go with dnn-hmm"),
        ({"adversary": "tags"}, "adversary=tags does not go with dnn-hmm"),
        ({"loss": "hinge"}, "--loss hinge: dnn-hmm needs posteriors"),
        ({"settings": ["realignments=-1"]}, "realignments=-1; expected 0 or more"),
        ({"settings": ["states=0"]}, "states=0; expected 1 or more"),
        ({"settings": ["hmm=ergodic", "skips=true"]}, "skips=true is for hmm=left-to-right"),
    ],
)
def test_refusals(sequences, tmp_path, options, message):
    with pytest.raises(ConfigError, match=message):
        train(sequences, tmp_path / "run", **options)


def test_a_killed_training_goes_on_in_its_round(sequences, tmp_path):
    """Stopped in the second round, and started again: the bytes of one that was not stopped."""
    settings = [*SETTINGS[:-1], "realignments=1"]
    whole = train(sequences, tmp_path / "whole", settings=settings, split="alone")

    def stop(row):
        if row["epoch"] == 6:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(sequences, tmp_path / "run", settings=settings, split="alone", on_epoch=stop)
    seen = []
    again = train(
        sequences, tmp_path / "run", settings=settings, split="alone", on_epoch=seen.append
    )
    assert len(seen) < 8
    for name in ("model.safetensors", "predictions.csv"):
        assert (whole / name).read_bytes() == (again / name).read_bytes()


def test_a_decoder_that_does_not_fit_is_refused():
    arrays = StateDecoder(
        start_models(2, 3, "ergodic"), np.arange(2), np.zeros(6), np.zeros(2)
    ).arrays()
    StateDecoder.from_arrays(arrays, 6)
    with pytest.raises(FormatError, match="HMMs of 6 outputs"):
        StateDecoder.from_arrays({**arrays, "log_priors": np.zeros(5)}, 5)
    with pytest.raises(FormatError, match="HMMs of 2 classes"):
        StateDecoder.from_arrays({**arrays, "labels": np.arange(3)}, 6)


def test_the_alignment_of_a_track_is_drawn(run, sequences, tmp_path):
    """The best path is drawn as it is; a left-to-right one goes from first to last state."""
    page, shows = plot_alignment(run, track="t0", store=sequences)
    assert shows.startswith("3 states of up in t0")
    rows = Store(sequences).feature().track(0)
    path, gamma = fitted_model(open_run(run)).align(rows, 1)
    assert (path[0], path[-1]) == (0, 2)
    assert set(np.diff(path)) <= {0, 1}
    np.testing.assert_allclose(gamma.sum(axis=1), 1, atol=1e-9)
    drawn = [line.get_ydata() for axes in page.axes for line in axes.lines]
    assert any(np.array_equal(one, 1.0 + path) for one in drawn)
    with pytest.raises(ConfigError, match="--label sideways"):
        plot_alignment(run, track="t0", store=sequences, label="sideways")
    other = train(sequences, tmp_path / "mlp", model="mlp", settings=["layers=4"], epochs=1)
    with pytest.raises(ConfigError, match="'mlp', which has no states"):
        plot_alignment(other, track="t0", store=sequences)


def test_what_needs_labels_as_outputs_refuses_states(run, sequences, tmp_path):
    with pytest.raises(ConfigError, match="outputs of a dnn-hmm are states, not labels"):
        export(run, tmp_path / "net.pt2")
