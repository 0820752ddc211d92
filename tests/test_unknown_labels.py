"""Labels that nobody knows of (`flute?`): not learnt from, not measured, never taken as absent.

References: scikit-learn on the rows of which a label is known, and torch's binary cross-entropy
with a mask. Tolerance 1e-12 in double, 1e-6 in single precision.
"""

import csv
import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import (
    average_precision_score,
    brier_score_loss,
    f1_score,
    log_loss,
    precision_score,
    recall_score,
    roc_auc_score,
)
from sklearn.preprocessing import StandardScaler

from mcls.classifiers.logistic import Logistic
from mcls.classifiers.svm import SVM
from mcls.cli.main import cli
from mcls.errors import ConfigError, DataError
from mcls.evaluation import evaluate
from mcls.evaluation.calibration import calibrate
from mcls.evaluation.errors import worst_errors
from mcls.evaluation.label_curves import roc_curves
from mcls.evaluation.thresholds import best_thresholds
from mcls.registry import entries
from mcls.settings import function_of
from mcls.tables.class_folders import scan_class_folders
from mcls.tables.labels import parse_labels, split_labels
from mcls.tables.predictions import Predictions, read_predictions, write_predictions
from mcls.training.losses import of_known

N_LABELS = 4


def predictions(rng: np.random.Generator, n: int = 120) -> Predictions:
    """Return scores with unknown labels; the last label is known of few tracks."""
    truth = rng.random((n, N_LABELS)) < 0.4
    scores = np.clip(0.35 * truth + rng.random((n, N_LABELS)).round(2) * 0.65, 0.01, 0.99)
    unknown = rng.random((n, N_LABELS)) < 0.6
    unknown[30:, 3] = True
    return Predictions(
        [f"t{i}" for i in range(n)],
        ["test"] * n,
        [""] * n,
        ["a", "b", "c", "d"],
        truth & ~unknown,
        scores,
        multi_label=True,
        unknown=unknown,
    )


def test_cells_name_what_is_unknown() -> None:
    table = parse_labels(["a|b?", "b", "c ?", "?"], allow_empty=True, unknown=True)
    assert table.names == ["?", "a", "b", "c"]
    assert table.unknown is not None
    assert table.unknown.astype(int).tolist() == [[0, 0, 1, 0], [0] * 4, [0, 0, 0, 1], [0] * 4]
    assert table.multi_label
    assert table.texts() == ["a|b?", "b", "c?", "?"]
    assert np.array_equal(np.isnan(table.targets()), table.unknown)
    assert split_labels("a|b?") == ["a"]
    assert parse_labels(["a|b"], unknown=True).unknown is None
    assert parse_labels(["who?|b"], names=["who?", "b"]).matrix.all()  # named so by the run


def test_unknown_is_refused_where_it_cannot_be() -> None:
    with pytest.raises(DataError, match="t:3: 'b\\?' says that nobody knows"):
        parse_labels(["a", "b?"], where=["t:2", "t:3"])
    with pytest.raises(DataError, match="both 'a' and 'a\\?'; keep one"):
        parse_labels(["a|a?"], unknown=True)


def test_predictions_survive(tmp_path: Path, rng: np.random.Generator) -> None:
    one = predictions(rng)
    write_predictions(tmp_path / "p.csv", one)
    again = read_predictions(tmp_path / "p.csv")
    assert np.array_equal(again.unknown, one.unknown)
    assert np.array_equal(again.truth, one.truth)
    assert again.multi_label
    assert np.array_equal(again.only("test").unknown, one.unknown)


@pytest.mark.parametrize("threshold", [0.5, [0.3, 0.4, 0.5, 0.6]])
def test_metrics_of_labels_are_those_of_scikit_learn_on_known_tracks(
    rng: np.random.Generator, threshold: float | list[float]
) -> None:
    one = predictions(rng)
    names = ["auc", "ap", "f1", "precision", "recall", "log-loss", "brier"]
    found = evaluate(one, names, threshold=threshold, intervals=False)
    limits = np.broadcast_to(threshold, N_LABELS)

    def by_sklearn(name: str, y: np.ndarray, p: np.ndarray, limit: np.ndarray) -> float:
        if name in ("auc", "ap"):
            return {"auc": roc_auc_score, "ap": average_precision_score}[name](y, p)
        if name in ("log-loss", "brier"):
            return {"log-loss": log_loss, "brier": brier_score_loss}[name](y, p)
        metric = {"f1": f1_score, "precision": precision_score, "recall": recall_score}[name]
        return metric(y, p >= limit, zero_division=0)

    assert one.unknown is not None
    known = ~one.unknown
    for name in names:
        for j, label in enumerate(one.names):
            rows = known[:, j]
            right = by_sklearn(name, one.truth[rows, j], one.scores[rows, j], limits[j])
            assert found[name].per_label[label].value == pytest.approx(right, abs=1e-12)
        pairs = np.broadcast_to(limits, known.shape)[known]
        right = by_sklearn(name, one.truth[known], one.scores[known], pairs)
        assert found[name].micro.value == pytest.approx(right, abs=1e-12), name
    assert found.n_known == dict(zip(one.names, known.sum(axis=0).tolist(), strict=True))
    assert found.as_dict()["metrics"]["auc"]["per_label"]["d"]["known"] == known[:, 3].sum()
    assert any("pairs of a track and a label are unknown" in note for note in found.notes)


def test_the_interval_of_a_label_is_that_of_its_known_tracks(rng: np.random.Generator) -> None:
    one = predictions(rng)
    assert one.unknown is not None
    found = evaluate(one, ["auc", "f1"])
    for j, label in enumerate(one.names):
        rows = np.flatnonzero(~one.unknown[:, j])
        alone = Predictions(
            [one.track_ids[i] for i in rows],
            ["test"] * len(rows),
            [""] * len(rows),
            [label],
            one.truth[rows, j, None],
            one.scores[rows, j, None],
            multi_label=True,
        )
        for metric in ("auc", "f1"):
            whole, own = found[metric].per_label[label], evaluate(alone, [metric])[metric]
            right = own.per_label[label]
            assert (whole.low, whole.high) == pytest.approx((right.low, right.high), abs=1e-9)


def test_nothing_unknown_changes_nothing(rng: np.random.Generator) -> None:
    one = predictions(rng)
    known, masked = replace(one, unknown=None), replace(one, unknown=np.zeros_like(one.truth))
    names = ["auc", "ap", "f1", "log-loss", "ece"]
    left, right = evaluate(known, names), evaluate(masked, names)
    for name in names:
        assert (left[name].macro is None) == (right[name].macro is None)
        for label, value in left[name].per_label.items():
            other = right[name].per_label[label]
            assert value.as_dict() == pytest.approx(other.as_dict(), abs=1e-12)
        assert left[name].micro.value == pytest.approx(right[name].micro.value, abs=1e-12)


def test_what_needs_whole_tracks_is_refused(rng: np.random.Generator) -> None:
    with pytest.raises(ConfigError, match="precision-at-k needs all labels of a track"):
        evaluate(predictions(rng), ["precision-at-k"])


def test_a_label_that_is_unknown_everywhere_is_left_out(rng: np.random.Generator) -> None:
    one = predictions(rng)
    unknown = one.unknown.copy()
    unknown[:, 0] = True
    found = evaluate(replace(one, unknown=unknown, truth=one.truth & ~unknown))
    assert found.left_out["a"] == "it is unknown on every track"
    assert "a" not in found["auc"].per_label


def test_thresholds_curves_errors_and_calibration_know_it(rng: np.random.Generator) -> None:
    one = predictions(rng, 300)
    unknown = one.unknown
    limits = best_thresholds(one.truth, one.scores, default=0.5, unknown=unknown)
    curves = roc_curves(one.truth, one.scores, unknown)
    told = calibrate(
        one.scores, one.truth, multi_label=True, are_probabilities=True, unknown=unknown
    )
    for j in range(3):
        rows = ~unknown[:, j]
        truth, scores = one.truth[rows, j, None], one.scores[rows, j, None]
        assert limits[j] == best_thresholds(truth, scores, default=0.5)[0]
        assert curves.per_label[j].area == pytest.approx(roc_auc_score(truth[:, 0], scores[:, 0]))
        own = calibrate(scores, truth, multi_label=True, are_probabilities=True)
        assert told.slope[j] == pytest.approx(own.slope[0], rel=1e-4)
        assert told.offset[j] == pytest.approx(own.offset[0], abs=1e-4)
    errors = worst_errors(one.truth, one.scores, threshold=0.5, unknown=unknown)
    assert errors
    assert not any(unknown[error.track, error.label] for error in errors)


@pytest.mark.parametrize("spec", ["bce", "bce:positive_weight=3", "focal", "hinge", "l2"])
def test_the_loss_is_the_mean_over_known_pairs(spec: str) -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(6, 5, generator=generator, requires_grad=True)
    targets = (torch.rand(6, 5, generator=generator) < 0.5).float()
    targets[torch.rand(6, 5, generator=generator) < 0.5] = torch.nan
    targets[2] = torch.nan
    share = torch.full((5,), 0.4)
    loss = function_of("losses", spec)
    found = of_known(loss, logits, targets, share)
    known = ~targets.isnan()
    pairs = logits[known][:, None], targets[known][:, None]
    right = loss(*pairs, torch.full((1,), 0.4)).mean()
    assert found.shape == (6,)
    assert found[2] == 0
    torch.testing.assert_close(found.mean(), right, rtol=1e-6, atol=1e-6)
    [gradient] = torch.autograd.grad(found.mean(), logits)
    assert torch.equal(gradient[~known], torch.zeros(int((~known).sum())))
    if spec == "bce":
        mask = known.float()
        by_torch = torch.nn.functional.binary_cross_entropy_with_logits(
            logits, targets.nan_to_num(), weight=mask, reduction="sum"
        )
        torch.testing.assert_close(found.mean(), by_torch / mask.sum(), rtol=1e-6, atol=1e-6)


def tags(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return rows and labels, NaN where they are unknown; labels 3 and 4 cannot be learnt."""
    X = rng.normal(size=(160, 6))
    Y = (X[:, :5] + 0.3 * rng.normal(size=(160, 5)) > 0).astype(float)
    Y[:, 3], Y[:, 4] = 0, 1
    Y[rng.random(Y.shape) < 0.5] = np.nan
    return X, Y


def test_classifiers_learn_each_label_from_the_rows_that_have_it(rng: np.random.Generator) -> None:
    X, Y = tags(rng)
    scores = Logistic().fit(X, Y).scores(X)
    for label in range(3):
        rows = ~np.isnan(Y[:, label])
        scaler = StandardScaler().fit(X[rows])
        by_sklearn = LogisticRegression(C=1.0, max_iter=Logistic().max_iter)
        by_sklearn.fit(scaler.transform(X[rows]), Y[rows, label])
        right = by_sklearn.predict_proba(scaler.transform(X))[:, 1]
        np.testing.assert_allclose(scores[:, label], right, rtol=1e-6)
    assert (scores[:, 3] == 0).all()
    assert (scores[:, 4] == 1).all()


@pytest.mark.parametrize(
    "name", [n for n, e in entries("classifiers").items() if not e.facts.get("regression")]
)
def test_every_classifier_learns_from_known_rows_or_says_no(
    name: str, rng: np.random.Generator, tmp_path: Path
) -> None:
    from mcls.disk.model import read_model, write_model

    X, Y = tags(rng)
    entry = entries("classifiers")[name]
    model = entry.load()(**({"n_estimators": 20} if name == "random-forest" else {}))
    if name == "gmm-hmm":
        with pytest.raises(ConfigError, match="does not learn from unknown labels"):
            model.fit(X, Y)
        return
    if name == "average":
        X = np.repeat(X[:, :5], 2, axis=1)
    model.fit(X, Y)
    aucs = []
    for label in range(3):
        rows = ~np.isnan(Y[:, label])
        aucs.append(roc_auc_score(Y[rows, label], model.scores(X)[rows, label]))
    assert name == "average" or min(aucs) > 0.9
    write_model(tmp_path / "model.skops", model)
    assert np.array_equal(read_model(tmp_path / "model.skops").scores(X), model.scores(X))
    whole = np.nan_to_num(Y) == 1  # fitted anew, nothing of it is left
    fresh = clone(model).fit(X, whole).scores(X)
    assert np.array_equal(model.fit(X, whole).scores(X), fresh)


@pytest.mark.parametrize("name", ["logistic", "svm", "random-forest"])
def test_exported_classifiers_know_labels_that_were_learnt_alone(
    name: str, rng: np.random.Generator
) -> None:
    from mcls.export.classifier_graph import ClassifierGraph

    X, Y = tags(rng)
    model = (
        entries("classifiers")[name]
        .load()(**({"n_estimators": 5} if name == "random-forest" else {}))
        .fit(X, Y)
    )
    graph = ClassifierGraph(model, name, 5, "mean", None)
    for row in X[:5].astype(np.float32):
        [found] = graph(torch.from_numpy(row[None]))
        right = model.scores(row[None].astype(np.float64))[0]
        np.testing.assert_allclose(found.numpy(), right, rtol=1e-5, atol=1e-6)


def test_settings_are_chosen_on_known_valid_rows(rng: np.random.Generator) -> None:
    X, Y = tags(rng)
    model = SVM().fit(X[:80], Y[:80], valid=(X[80:], Y[80:]))
    for j, label in enumerate(np.flatnonzero(model.known_)):
        train, valid = (~np.isnan(some[:, label]) for some in (Y[:80], Y[80:]))
        own = SVM().fit(
            X[:80][train],
            Y[:80][train, label, None] == 1,
            valid=(X[80:][valid], Y[80:][valid, label, None] == 1),
        )
        assert model.alone_[j].C_ == own.C_
        assert np.array_equal(model.scores(X)[:, label], own.scores(X)[:, 0])


@pytest.mark.parametrize("name", ["knn", "random-forest", "gmm"])
def test_a_single_tag_is_learnt(name: str, rng: np.random.Generator) -> None:
    X = rng.normal(size=(80, 3))
    Y = X[:, :1] > 0
    scores = entries("classifiers")[name].load()().fit(X, Y).scores(X)
    assert scores.shape == (80, 1)
    assert roc_auc_score(Y[:, 0], scores[:, 0]) > 0.9


def run(*words: object) -> str:
    result = CliRunner().invoke(cli, [str(word) for word in words], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


@pytest.fixture(scope="module")
def sparse_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of synthetic tracks with tags of which two thirds are unknown."""
    from mcls.tables.manifest import read_manifest, write_manifest

    folder = tmp_path_factory.mktemp("sparse")
    run("data", "synth", folder / "toy", "--tracks", 60, "--seconds", 1)
    source = folder / "toy" / "manifest.csv"
    manifest = read_manifest(source)
    rng = np.random.default_rng(3)
    table = manifest.labels("tags")
    unknown = rng.random(table.matrix.shape) < 0.6
    cells = [
        "|".join(
            name + ("?" if marks[j] else "")
            for j, name in enumerate(table.names)
            if row[j] or marks[j]
        )
        for row, marks in zip(table.matrix, unknown, strict=True)
    ]
    manifest.columns["tags"] = cells
    write_manifest(manifest, source)
    run("extract", source, folder / "store.h5", "--feature", "mel:n_mels=12")
    return folder / "store.h5"


def test_a_run_from_extraction_to_comparison(sparse_store: Path, tmp_path: Path) -> None:
    one, net, tags = tmp_path / "one", tmp_path / "net", ("--labels", "tags")
    said = run("train", sparse_store, one, *tags, "--model", "logistic", "--pool", "meanstd")
    assert "pairs of a track and a label are unknown" in said
    run("train", sparse_store, net, *tags, "--model", "mlp", "--epochs", 2, "--monitor", "auc")
    own = read_predictions(one / "predictions.csv")
    assert own.unknown is not None
    assert 0.4 < own.unknown.mean() < 0.8
    about = json.loads((net / "about.json").read_text())
    assert any("are unknown" in note for note in about["summary"]["notes"])
    assert "nan" not in (net / "history.csv").read_text()
    output = run("eval", one, "--per-label")
    assert "known" in output
    assert "unknown; metrics are over the others" in output
    assert "auc" in run("compare", one, net)
    run("report", one, "-o", tmp_path / "report.html", "--no-audio")
    page = (tmp_path / "report.html").read_text()
    assert "unknown: " in page
    hidden = {
        (own.track_ids[i], own.names[j]) for i, j in zip(*np.nonzero(own.unknown), strict=True)
    }
    lines = list(csv.DictReader(io.StringIO(run("eval", one, "--errors", 500, "--csv"))))
    assert lines
    assert not any((line["track"], line["label"]) in hidden for line in lines)


def test_other_unknown_labels_cannot_be_compared(rng: np.random.Generator, tmp_path: Path) -> None:
    one = predictions(rng)
    write_predictions(tmp_path / "a.csv", one)
    write_predictions(tmp_path / "b.csv", replace(one, unknown=None))
    result = CliRunner().invoke(cli, ["compare", str(tmp_path / "a.csv"), str(tmp_path / "b.csv")])
    assert result.exit_code == 1
    assert "other true labels" in result.output


def test_a_question_mark_in_a_single_label_is_refused(sparse_store: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="'who\\?' says that nobody knows"):
        parse_labels(["who?", "rock"])
    (tmp_path / "who?").mkdir()
    (tmp_path / "who?/a.wav").touch()
    with pytest.raises(DataError, match="folder 'who\\?' ends with '\\?', which marks"):
        scan_class_folders(tmp_path)
    words = ["learn-dict", str(sparse_store), str(tmp_path / "d.h5"), "--labels", "tags"]
    result = CliRunner().invoke(cli, [*words, "--method", "dbn", "-p", "up_down=1"])
    assert result.exit_code == 1
    assert "for tags only" in result.output
