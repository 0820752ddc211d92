"""`mcls train` with nets: runs, scores, what is watched, what is refused."""

import csv
import json

import numpy as np
import pytest
import torch
from torch.optim.swa_utils import AveragedModel

import mcls
from mcls.chain.model_cache import fitted_model
from mcls.disk.run import open_run
from mcls.errors import ConfigError, MclsError
from mcls.evaluation.aggregate import score_tracks
from mcls.stores.store import Store
from mcls.tables.predictions import read_predictions
from mcls.training.lr_finder import steepest


def history(run):
    with (run / "history.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def about(run):
    return json.loads((run / "about.json").read_text(encoding="utf-8"))


def test_a_net_learns_and_the_run_alone_scores(train, store):
    run = train("run", epochs=15)
    rows = history(run)
    assert len(rows) == 15
    assert float(rows[-1]["train_loss"]) < float(rows[0]["train_loss"])
    assert mcls.evaluate(run, ["accuracy"], part="test")["accuracy"].micro.value == 1
    kept = about(run)["kept_epoch"]
    losses = [float(row["valid_loss"]) for row in rows]
    assert kept == 1 + int(np.argmin(losses))
    told = read_predictions(run / "predictions.csv")
    found = mcls.predict(run, [store])
    scores = {track.name: track.scores for track in found.tracks}
    for name, expected in zip(told.track_ids, told.scores, strict=True):
        assert np.array_equal(scores[name], expected)  # the CSV keeps all digits
    assert not mcls.train(
        store, run, model="mlp", settings=["layers=16"], epochs=15, batch_size=16, device="cpu"
    ).computed


def test_kept_weights_are_those_of_the_best_epoch(train):
    run = train("run", epochs=12, optimizer="sgd:lr=0.5", monitor="accuracy")
    rows = history(run)
    values = [float(row["valid_accuracy"]) for row in rows]
    kept = about(run)["kept_epoch"]
    assert kept == 1 + int(np.argmax(values))
    valid = mcls.evaluate(run, ["accuracy"], part="valid")["accuracy"].micro.value
    assert valid == pytest.approx(values[kept - 1])


def test_standardisation_is_learnt_from_train_alone_and_kept_in_the_file(train, store):
    model = fitted_model(open_run(train("run", epochs=1)))
    stored = Store(store).feature()
    seen = stored.rows[: stored.offsets[20]]
    np.testing.assert_allclose(model.standardise.mean, seen.mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(model.standardise.scale, seen.std(axis=0), rtol=1e-4)
    model = fitted_model(open_run(train("all", epochs=1, standardize="global")))
    np.testing.assert_allclose(float(model.standardise.mean), seen.mean(), rtol=1e-5)
    np.testing.assert_allclose(float(model.standardise.scale), seen.std(), rtol=1e-4)


def test_the_same_seed_gives_the_same_bytes_whatever_the_workers(train):
    given = {"epochs": 2, "augment": ["noise", "mixup"], "frames": 4, "settings": ["layers=8"]}
    first = train("a", **given)
    again = train("b", workers=2, **given)
    other = train("c", seed=1, **given)
    weights = [(run / "model.safetensors").read_bytes() for run in (first, again, other)]
    assert weights[0] == weights[1]
    assert weights[0] != weights[2]
    assert (first / "predictions.csv").read_bytes() == (again / "predictions.csv").read_bytes()


def test_the_caller_s_generators_and_warnings_are_left_alone(train):
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    np.random.seed(5)  # this is what must not be touched
    state = np.random.get_state()[1].copy()
    train("run", epochs=1)
    assert torch.equal(torch.rand(3), expected)
    assert np.array_equal(np.random.get_state()[1], state)


def test_scores_do_not_depend_on_how_many_tracks_are_scored_at_once(train, store):
    run = train("run", model="fcn3", settings=["width=0.01"], frames=20, epochs=2)
    model, opened = fitted_model(open_run(run)), Store(store)
    rows = [opened.feature().track(i) for i in range(opened.n_tracks)]
    told = read_predictions(run / "predictions.csv")
    for block in (1, 100, 10_000):
        scores = list(score_tracks(model, rows, n_labels=3, block_rows=block))
        for name, expected in zip(told.track_ids, told.scores, strict=True):
            assert np.array_equal(scores[opened.track_ids.index(name)], expected)


def test_several_labels_one_on_all_tracks(train):
    run = train("run", labels="tags", epochs=10, settings=["layers=16"], loss="bce")
    model = fitted_model(open_run(run))
    assert model.spec.always == (0,)  # "all" is on every train track
    told = read_predictions(run / "predictions.csv")
    assert (told.scores[:, 0] == 1).all()
    assert mcls.evaluate(run, ["auc"], part="test")["auc"].macro.value > 0.9


@pytest.mark.parametrize("loss", ["hinge", "l1", "l2", "focal:gamma=1", "bce"])
def test_every_loss_trains_on_one_label_per_track(train, loss):
    run = train("run", loss=loss, epochs=8, optimizer="adam:lr=0.01")
    assert mcls.evaluate(run, ["auc"], part="test")["auc"].macro.value > 0.9


def test_rows_that_are_whole_tracks(train, vectors):
    run = train("run", source=vectors, epochs=30, optimizer="adam:lr=0.01")
    assert about(run)["segment_rows"] == 1
    assert mcls.evaluate(run, ["auc"], part="test")["auc"].macro.value > 0.9
    with pytest.raises(ConfigError, match="a row is a whole track here"):
        train("other", source=vectors, segment=2.0)


def test_rows_encoded_in_passing(train):
    run = train("run", pool=["meanstd"], epochs=20, optimizer="adam:lr=0.01")
    assert fitted_model(open_run(run)).n_features_in_ == 12
    assert mcls.evaluate(run, ["auc"], part="test")["auc"].macro.value > 0.9


def test_segments_by_seconds_and_by_the_net_s_own_length(train):
    assert about(train("a", segment=1.5, epochs=1))["segment_rows"] == 15
    net = {"model": "fcn3", "settings": ["width=0.01"], "epochs": 1}
    lengths = [int(n) for n in np.random.default_rng(8).integers(5, 61, 36)[:20]]
    assert about(train("b", **net))["segment_rows"] == int(np.median(lengths))


def test_what_is_watched(train):
    rows = []
    run = train("run", settings=["layers=16x8"], on_epoch=rows.append)
    assert list(rows[0])[:3] == ["epoch", "train_loss", "valid_loss"]
    wanted = {"valid_accuracy", "valid_auc", "lr", "seconds", "dead_dense1", "dead_dense2"}
    assert wanted | {"grad_dense1", "grad_dense2", "grad_output"} <= set(rows[0])
    assert [row["epoch"] for row in rows] == [1, 2, 3, 4]
    assert {key: float(value) for key, value in history(run)[2].items()} == rows[2]


def test_patience_stops_and_the_ladder_climbs_down(train):
    run = train("run", epochs=200, optimizer="sgd:lr=1.0", patience=3)
    made = about(run)
    assert made["epochs"] == made["kept_epoch"] + 3 < 200
    ladder = "ladder:rungs=3,factor=0.1,patience=2"
    run = train("ladder", epochs=200, optimizer="sgd:lr=1.0", schedule=ladder)
    rates = [float(row["lr"]) for row in history(run)]
    assert len(rates) < 200
    np.testing.assert_allclose(sorted(set(rates)), [0.01, 0.1, 1])


def test_mean_weights_are_the_mean_torch_keeps(train, monkeypatch):
    seen = []
    update = AveragedModel.update_parameters

    def watch(self, net):
        update(self, net)
        seen.append({k: v.clone() for k, v in net.state_dict().items()})

    monkeypatch.setattr(AveragedModel, "update_parameters", watch)
    run = train("run", epochs=1, ema=0.9, split="alone")
    model = fitted_model(open_run(run))
    mean = seen[0]
    for weights in seen[1:]:
        mean = {k: 0.9 * mean[k] + 0.1 * weights[k] for k in mean}
    for name, tensor in model.net.state_dict().items():
        torch.testing.assert_close(tensor, mean[name])


def test_penalties_and_clipping_do_what_they_say(train):
    def size(run):
        weights = fitted_model(open_run(run)).net.parameters()
        return sum(float(w.detach().abs().sum()) for w in weights)

    plain = size(train("plain", split="alone"))
    assert size(train("l1", split="alone", l1=0.1)) < 0.9 * plain
    decayed = train("l2", split="alone", optimizer="adamw:lr=1e-3,weight_decay=10")
    assert size(decayed) < 0.95 * plain
    slow = history(train("clip", clip=1e-9, optimizer="sgd:lr=1", epochs=3))
    losses = [float(row["valid_loss"]) for row in slow]
    assert np.ptp(losses) < 1e-6


def test_without_a_valid_part_the_last_epoch_is_kept_and_said(train):
    run = train("run", split="alone")
    assert about(run)["kept_epoch"] == 4
    assert any("no valid part: the last epoch (4) is kept" in n for n in about(run)["notes"])
    for given in ({"patience": 3}, {"schedule": "plateau"}, {"schedule": "ladder"}):
        with pytest.raises(ConfigError, match="needs a valid part, but there is none"):
            train("other", split="alone", **given)


def test_a_loss_that_is_no_number_stops_the_run(train, tmp_path):
    with pytest.raises(MclsError, match=r"the loss is nan in epoch \d+, step \d+: .*:lr=1e\+19"):
        train("run", optimizer="sgd:lr=1e20", epochs=9)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"model": "mpl"}, "no 'mpl' among the classifiers or nets; did you mean 'mlp'"),
        ({"model": "svm", "epochs": 3, "settings": []}, "epochs=3 is an option of nets"),
        ({"epoch": 3}, "no option 'epoch'; did you mean 'epochs'"),
        ({"epochs": 0}, "epochs=0; expected 1 or more"),
        ({"frames": 2, "segment": 1.0}, "give one"),
        ({"ema": 1.0}, "ema=1.0; expected"),
        ({"precision": "8"}, "precision=8 is not one of 32, tf32, bf16, 16"),
        ({"optimizer": "adam:rate=1"}, "unknown setting 'rate'"),
        ({"schedule": "stpe"}, "did you mean 'step'"),
        ({"augment": ["mixpu"]}, "did you mean 'mixup'"),
        ({"monitor": "acc"}, "no 'acc' among the metrics"),
        ({"labels": "tags", "loss": "cross-entropy"}, "needs exactly one label per track"),
        ({"labels": "tags", "monitor": "accuracy"}, "needs exactly one label per track"),
        ({"model": "cnn1d", "settings": [], "frames": 3}, "too small"),
        ({"device": "cuda"}, "this machine has 0 CUDA devices"),
        ({"precision": "16"}, "--precision 16 is for CUDA; on a CPU use bf16"),
    ],
)
def test_what_does_not_fit_is_refused_before_anything_is_made(train, tmp_path, given, said):
    if given.get("device") == "cuda" and torch.cuda.is_available():
        pytest.skip("there is a CUDA device")
    with pytest.raises(ConfigError, match=said):
        train("run", **given)
    assert list(tmp_path.iterdir()) == []


def test_every_step_of_mixed_precision_uses_the_weights_of_the_step_before(train):
    given = {"optimizer": "sgd:lr=0.1", "split": "alone", "epochs": 1}
    runs = [train(precision, precision=precision, **given) for precision in ("32", "bf16")]
    losses = [float(history(run)[0]["train_loss"]) for run in runs]
    assert losses[1] == pytest.approx(losses[0], rel=0.02)


@pytest.mark.parametrize("precision", ["bf16"])
def test_mixed_precision_trains_and_scores_are_wide(train, precision):
    run = train("run", precision=precision, epochs=10, optimizer="adam:lr=0.01")
    weights = fitted_model(open_run(run)).tensors().values()
    assert {tensor.dtype for tensor in weights} == {torch.float32}
    assert mcls.evaluate(run, ["auc"], part="test")["auc"].macro.value > 0.9


def test_the_rate_may_be_found(train):
    run = train("run", find_lr=True, epochs=1)
    rate = about(run)["lr"]
    assert 1e-6 < rate < 1
    assert float(history(run)[0]["lr"]) == rate


def test_the_steepest_fall_is_found_among_noise(rng):
    rates = np.geomspace(1e-6, 1, 100)
    x = np.log10(rates)
    fall = 2.3 - 1.5 / (1 + np.exp(-4 * (x + 3)))  # steepest at 1e-3
    blown = np.where(x > -1, 20 * (x + 1) ** 2, 0)
    for _ in range(20):
        found = steepest(rates, fall + blown + rng.normal(0, 0.3, 100))
        assert found is not None
        assert 10**-3.6 < found < 10**-2.4
    assert steepest(rates, 2 + x / 6) is None
    noise = [steepest(rates, rng.normal(2, 0.3, 100)) for _ in range(200)]
    assert noise.count(None) > 130  # 79 % of 2000: the lowest of many means may be low by chance
    assert steepest(rates[:5], fall[:5]) is None


SMALL_MAPS = {"model": "fcn3", "settings": ["width=0.01"], "frames": 4, "crops": 1}


@pytest.mark.parametrize("compile", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_a_batch_of_one_segment_is_no_riddle_to_batch_norm(train, tmp_path, compile):
    with pytest.raises(ConfigError, match=r"a batch has one segment .*fcn3.*use --batch-size 2"):
        train("run", batch_size=1, epochs=1, compile=compile, **SMALL_MAPS)
    assert list(tmp_path.iterdir()) == []
    train("run", batch_size=2, epochs=1, **SMALL_MAPS)
    train("mlp", batch_size=1, epochs=1)  # nets without batch norm learn from single segments


@pytest.mark.slow
def test_two_processes_share_a_training(train, store):
    rows = []
    run = train("run", devices=2, epochs=10, optimizer="adam:lr=0.01", on_epoch=rows.append)
    assert len(rows) == 10
    assert mcls.evaluate(run, ["auc"], part="test")["auc"].macro.value > 0.9
    told = read_predictions(run / "predictions.csv")
    scores = {track.name: track.scores for track in mcls.predict(run, [store]).tracks}
    assert all(
        np.array_equal(scores[n], s) for n, s in zip(told.track_ids, told.scores, strict=True)
    )


@pytest.mark.slow
def test_an_error_in_one_of_several_processes_is_the_error_of_the_training(train, tmp_path):
    with pytest.raises(MclsError, match=r"the loss is nan in epoch \d+, step \d+: .*:lr=1e\+19"):
        train("run", devices=2, optimizer="sgd:lr=1e20", epochs=9)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_a_compiled_net_learns(train):
    run = train("run", compile=True, epochs=10, optimizer="adam:lr=0.01")
    assert mcls.evaluate(run, ["auc"], part="test")["auc"].macro.value > 0.9


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("precision", ["32", "tf32", "bf16", "16"])
def test_cuda_trains_and_the_cpu_scores_alike(train, store, precision):
    net = {"model": "fcn3", "settings": ["width=0.02"], "frames": 20}
    run = train("run", device="cuda", precision=precision, epochs=10, **net)
    told = read_predictions(run / "predictions.csv")
    scores = {track.name: track.scores for track in mcls.predict(run, [store]).tracks}
    for name, expected in zip(told.track_ids, told.scores, strict=True):
        np.testing.assert_allclose(scores[name], expected, atol=1e-4)
