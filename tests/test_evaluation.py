"""Metrics: equal to scikit-learn's with ties, intervals, and what cannot be measured."""

import json
import time
import warnings
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest
from sklearn import metrics as peer

from mcls.errors import ConfigError, DataError
from mcls.evaluation import across_folds, evaluate
from mcls.evaluation.jackknife import MAX_UNITS, Spread, interval, units_of
from mcls.evaluation.measure import measure
from mcls.registry import entries, find
from mcls.tables.predictions import Predictions

RANKED = {"auc": peer.roc_auc_score, "ap": peer.average_precision_score}
DECIDED = {
    "f1": peer.f1_score,
    "precision": peer.precision_score,
    "recall": peer.recall_score,
}


def table(truth: np.ndarray, scores: np.ndarray, *, multi_label: bool) -> Predictions:
    n_tracks, n_labels = truth.shape
    return Predictions(
        [f"t{i}" for i in range(n_tracks)],
        ["test"] * n_tracks,
        [""] * n_tracks,
        [f"label {j}" for j in range(n_labels)],
        truth.astype(bool),
        scores.astype(np.float64),
        multi_label,
    )


def tags(
    rng: np.random.Generator, n: int = 200, n_labels: int = 6, decimals: int = 1
) -> Predictions:
    """Draw tags whose scores are rounded, so that there are many ties."""
    truth = rng.random((n, n_labels)) < np.linspace(0.05, 0.6, n_labels)
    truth[0], truth[1] = True, False
    scores = (rng.normal(size=truth.shape) + truth).round(decimals)
    return table(truth, 1 / (1 + np.exp(-scores)), multi_label=True)


def classes(rng: np.random.Generator, n: int = 200, n_labels: int = 5) -> Predictions:
    truth = np.eye(n_labels, dtype=bool)[rng.permutation(np.arange(n) % n_labels)]
    return table(truth, (rng.normal(size=truth.shape) + truth).round(1), multi_label=False)


@pytest.mark.parametrize("name", RANKED)
@pytest.mark.parametrize("decimals", [0, 1, 15])
def test_ranking_metrics_equal_scikit_learn(name: str, decimals: int, rng) -> None:
    some = tags(rng, decimals=decimals)
    report = evaluate(some, [name], intervals=False)
    for average in ("macro", "micro"):
        expected = RANKED[name](some.truth, some.scores, average=average)
        assert getattr(report[name], average).value == pytest.approx(expected, abs=1e-12)
    each = RANKED[name](some.truth, some.scores, average=None)
    found = [report[name].per_label[label].value for label in some.names]
    np.testing.assert_allclose(found, each, atol=1e-12)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_ranking_metrics_equal_scikit_learn_on_anything(data: st.DataObject) -> None:
    n = data.draw(st.integers(2, 12))
    truth = np.array(data.draw(st.lists(st.booleans(), min_size=n, max_size=n)))
    few = st.sampled_from([-1.0, 0.0, 0.25, 1e-9, 1e9, 3.0])
    scores = np.array(data.draw(st.lists(few, min_size=n, max_size=n)))
    if truth.all() or not truth.any():
        truth[0] = not truth[0]
    both = table(
        np.stack([truth, ~truth], axis=1), np.stack([scores, scores], axis=1), multi_label=True
    )
    report = evaluate(both, ["auc", "ap"], intervals=False)
    for name, theirs in RANKED.items():
        found = report[name].per_label["label 0"].value
        assert found == pytest.approx(theirs(truth, scores), abs=1e-12)


@pytest.mark.parametrize("name", DECIDED)
@pytest.mark.parametrize("average", ["macro", "micro"])
def test_decisions_equal_scikit_learn(name: str, average: str, rng) -> None:
    single, multi = classes(rng), tags(rng)
    found = getattr(evaluate(single, [name], intervals=False)[name], average).value
    expected = DECIDED[name](
        single.truth.argmax(axis=1), single.scores.argmax(axis=1), average=average
    )
    assert found == pytest.approx(expected, abs=1e-12)
    found = getattr(evaluate(multi, [name], threshold=0.6, intervals=False)[name], average).value
    expected = DECIDED[name](multi.truth, multi.scores >= 0.6, average=average, zero_division=0)
    assert found == pytest.approx(expected, abs=1e-12)


def test_accuracy_equals_scikit_learn(rng) -> None:
    some = classes(rng)
    truth, said = some.truth.argmax(axis=1), some.scores.argmax(axis=1)
    found = evaluate(some, ["accuracy"], intervals=False, confusion=True)
    assert found["accuracy"].main.value == peer.accuracy_score(truth, said)
    balanced = peer.balanced_accuracy_score(truth, said)
    assert found["accuracy"].macro.value == pytest.approx(balanced, abs=1e-12)
    assert found.confusion == peer.confusion_matrix(truth, said).tolist()


@pytest.mark.parametrize("name", ["auc", "ap", "f1", "precision", "recall", "accuracy"])
@pytest.mark.parametrize("multi_label", [True, False])
def test_perfect_scores_give_1_and_reversed_scores_give_the_least(
    name: str, multi_label: bool, rng
) -> None:
    if name == "accuracy" and multi_label:
        return
    some = tags(rng) if multi_label else classes(rng)
    perfect = evaluate(replace(some, scores=some.truth * 1.0), [name])[name]
    for figure in (perfect.macro, perfect.micro, *perfect.per_label.values()):
        assert (figure.value, figure.high) == (1, 1)
        assert 0.5 < figure.low < 1
    reverse = evaluate(replace(some, scores=1.0 - some.truth), [name], intervals=False)[name]
    if name == "ap":
        assert reverse.macro.value < 0.5
    else:
        assert reverse.macro.value == reverse.micro.value == 0


OF_NUMBERS = {n for n, entry in entries("metrics").items() if entry.facts.get("regression")}
OF_LABELS = {n for n, entry in entries("metrics").items() if "single_label_only" in entry.facts}


@pytest.mark.parametrize("name", sorted(set(entries("metrics")) - OF_NUMBERS - OF_LABELS))
def test_the_order_of_tracks_does_not_matter(name: str, rng) -> None:
    some, order = tags(rng), rng.permutation(200)
    other = replace(some, truth=some.truth[order], scores=some.scores[order])
    one, two = (evaluate(x, [name], intervals=False)[name] for x in (some, other))
    assert one.micro.value == pytest.approx(two.micro.value, abs=1e-12)
    assert (one.macro is None) == (two.macro is None)


@pytest.mark.parametrize("name", ["auc", "ap"])
def test_only_the_order_of_scores_matters_per_label(name: str, rng) -> None:
    some = tags(rng)
    other = replace(some, scores=np.exp(5 * some.scores) - 7)
    one, two = (evaluate(x, [name])[name] for x in (some, other))
    assert one.per_label == two.per_label
    assert one.macro == two.macro


def test_constant_scores_have_an_auc_of_a_half(rng) -> None:
    some = tags(rng)
    report = evaluate(replace(some, scores=np.zeros_like(some.scores)), ["auc"])
    assert report["auc"].macro.value == 0.5
    assert report["auc"].macro.low == pytest.approx(0.5, abs=0.01)


def test_labels_without_both_classes_are_left_out_counted_and_named(rng) -> None:
    some = tags(rng)
    truth = some.truth.copy()
    truth[:, 1], truth[:, 4] = False, True
    report = evaluate(replace(some, truth=truth), ["auc", "ap", "f1"])
    assert report.left_out == {"label 1": "no track has it", "label 4": "every track has it"}
    kept = [0, 2, 3, 5]
    for name in ("auc", "ap"):
        assert list(report[name].per_label) == [f"label {j}" for j in kept]
        expected = RANKED[name](truth[:, kept], some.scores[:, kept], average="macro")
        assert report[name].macro.value == pytest.approx(expected, abs=1e-12)
        everything = RANKED[name](truth, some.scores, average="micro")
        assert report[name].micro.value == pytest.approx(everything, abs=1e-12)
    assert list(report["f1"].per_label) == [f"label {j}" for j in kept]


def test_when_nothing_can_be_measured_there_is_no_figure() -> None:
    some = table(np.array([[1, 0], [1, 0]]), np.array([[0.9, 0.1], [0.4, 0.6]]), multi_label=False)
    report = evaluate(some, ["auc", "accuracy"])
    assert report["auc"].macro is None
    assert report["auc"].per_label == {}
    assert report["accuracy"].micro.value == 0.5
    assert len(report.left_out) == 2
    json.dumps(report.as_dict(), allow_nan=False)


def test_a_label_with_one_track_has_no_interval_and_no_trace_of_nan(rng) -> None:
    some = tags(rng, n=30)
    truth = some.truth.copy()
    truth[:, 0] = np.arange(30) == 3
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        report = evaluate(replace(some, truth=truth), ["auc", "ap", "f1"])
    json.dumps(report.as_dict(), allow_nan=False)
    for name in ("auc", "ap", "f1"):
        assert report[name].per_label["label 0"].low is None
        macro = report[name].macro
        assert 0 <= macro.low < macro.value < macro.high <= 1


def test_a_weighting_is_the_metric_of_the_tracks_repeated(rng) -> None:
    some = tags(rng, n=60)
    weights = rng.integers(0, 3, (5, 60)).astype(np.int32)
    for name, theirs in RANKED.items():
        found = find("metrics", name).load()(some.truth, some.scores, weights)
        for row, micro, each in zip(weights, found.micro, found.per_label, strict=True):
            drawn = np.repeat(np.arange(60), row)
            truth, scores = some.truth[drawn], some.scores[drawn]
            assert micro == pytest.approx(theirs(truth, scores, average="micro"), abs=1e-12)
            for j in np.flatnonzero(truth.any(axis=0) & ~truth.all(axis=0)):
                assert each[j] == pytest.approx(theirs(truth[:, j], scores[:, j]), abs=1e-12)


def test_the_interval_of_accuracy_is_that_of_a_proportion(rng) -> None:
    some = classes(rng, n=1000)
    figure = evaluate(some, ["accuracy"])["accuracy"].micro
    hits = round(figure.value * 1000)
    wilson = binomtest(hits, 1000).proportion_ci(method="wilson")
    assert figure.low == pytest.approx(wilson.low, abs=1e-3)
    assert figure.high == pytest.approx(wilson.high, abs=1e-3)
    perfect = evaluate(replace(some, scores=some.truth * 1.0), ["accuracy"])["accuracy"].micro
    wilson = binomtest(1000, 1000).proportion_ci(method="wilson")
    assert (perfect.low, perfect.high) == pytest.approx((wilson.low, wilson.high))


def test_the_variance_of_an_auc_is_that_of_delong(rng) -> None:
    some = tags(rng, n=300, decimals=9)
    j = 2
    pairs = some.scores[some.truth[:, j], j][:, None] - some.scores[~some.truth[:, j], j]
    won = (pairs > 0) + (pairs == 0) / 2
    delong = won.mean(axis=1).var(ddof=1) / len(won) + won.mean(axis=0).var(ddof=1) / won.shape[1]
    measured = measure(find("metrics", "auc"), {}, some, units_of(some.track_ids))
    assert measured.spread(j).variance == pytest.approx(delong, rel=0.02)


def test_the_jackknife_is_that_of_leaving_out_each_track_by_hand(rng) -> None:
    some = tags(rng, n=40, n_labels=3)
    left = [
        peer.average_precision_score(np.delete(some.truth, i, 0), np.delete(some.scores, i, 0))
        for i in range(40)
    ]
    variance = 39 / 40 * np.square(left - np.mean(left)).sum()
    measured = measure(find("metrics", "ap"), {}, some, units_of(some.track_ids))
    assert measured.spread_macro().variance == pytest.approx(variance)


def test_every_interval_contains_its_value(rng) -> None:
    names = ["auc", "ap", "f1", "precision", "recall"]
    for _ in range(20):
        n_labels = 12
        truth = rng.random((100, n_labels)) < rng.choice([0.01, 0.02, 0.05, 0.3], n_labels)
        truth[:2] = [[True], [False]]
        some = table(truth, rng.normal(size=truth.shape) + truth, multi_label=True)
        report = evaluate(some, names, threshold=1.0)
        for name in names:
            one = report[name]
            for figure in (one.macro, one.micro, *one.per_label.values()):
                if figure.low is not None:
                    assert 0 <= figure.low <= figure.value <= figure.high <= 1


def test_lines_of_one_track_are_left_out_together(rng) -> None:
    some = classes(rng, n=100)
    doubled = Predictions(
        [*some.track_ids, *some.track_ids],
        ["test"] * 200,
        ["1"] * 100 + ["2"] * 100,
        some.names,
        np.tile(some.truth, (2, 1)),
        np.tile(some.scores, (2, 1)),
        multi_label=False,
    )
    one, two = (evaluate(x, ["accuracy"])["accuracy"].micro for x in (some, doubled))
    assert (two.low, two.high) == pytest.approx((one.low, one.high), abs=0.002)


def test_many_tracks_are_left_out_in_groups(rng) -> None:
    assert units_of([str(i) for i in range(2500)]).max() == MAX_UNITS - 1
    some = classes(rng, n=2500)
    figure = evaluate(some, ["accuracy"])["accuracy"].micro
    error = 1.96 * np.sqrt(figure.value * (1 - figure.value) / 2500)
    assert (figure.high - figure.low) / 2 == pytest.approx(error, rel=0.1)


def test_an_interval_of_one_track_is_none() -> None:
    assert interval(0.5, Spread(0.01, 1.0, 1)) is None


def test_intervals_can_be_left_out(rng) -> None:
    figure = evaluate(tags(rng), ["auc"], intervals=False)["auc"].macro
    assert (figure.low, figure.high) == (None, None)


def test_a_tagging_set_takes_less_than_two_seconds(rng) -> None:
    some = tags(rng, n=1500, n_labels=36)
    evaluate(some, ["auc"])
    started = time.process_time()
    evaluate(some, ["auc"])
    assert time.process_time() - started < 2


def test_defaults_follow_the_labels(rng) -> None:
    assert list(evaluate(classes(rng), intervals=False).metrics) == ["accuracy", "auc", "f1"]
    assert list(evaluate(tags(rng), intervals=False).metrics) == ["ap", "auc"]


def test_accuracy_of_tags_is_refused_and_says_what_to_use(rng) -> None:
    with pytest.raises(ConfigError, match=r"exactly one label per track.*use one of ap, auc"):
        evaluate(tags(rng), ["accuracy"])


def test_a_threshold_is_needed_where_scores_are_no_probabilities(rng) -> None:
    some = tags(rng)
    assert evaluate(some, ["f1"], intervals=False).threshold == 0.5
    margins = replace(some, scores=some.scores * 10 - 5)
    with pytest.raises(ConfigError, match=r"are not probabilities.*--threshold"):
        evaluate(margins, ["f1"])
    expected = evaluate(some, ["f1"], threshold=0.5, intervals=False)["f1"].macro
    assert evaluate(margins, ["f1"], threshold=0, intervals=False)["f1"].macro == expected
    assert (
        evaluate(margins, ["f1:threshold=0"], intervals=False)["f1:threshold=0"].macro == expected
    )


def test_one_label_per_track_is_decided_without_a_threshold(rng) -> None:
    some = classes(rng)
    plain = evaluate(some, ["f1"], intervals=False)
    assert evaluate(some, ["f1"], threshold=0.9, intervals=False)["f1"] == plain["f1"]
    with pytest.raises(ConfigError, match="leave out the threshold"):
        evaluate(some, ["f1:threshold=0.9"])


def test_precision_at_k(rng) -> None:
    truth = np.array([[1, 1, 0], [0, 0, 1], [0, 0, 0]])
    scores = np.array([[0.9, 0.1, 0.5], [0.9, 0.1, 0.5], [1, 2, 3]])
    some = table(truth, scores, multi_label=True)
    report = evaluate(some, ["precision-at-k:k=1", "precision-at-k:k=2"])
    assert report["precision-at-k:k=1"].main.value == 0.5
    assert report["precision-at-k:k=2"].main.value == 0.5
    assert report["precision-at-k:k=1"].macro is None
    with pytest.raises(ConfigError, match="k is 4; expected 1 to 3"):
        evaluate(some, ["precision-at-k:k=4"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"track_ids": []}, "there are no tracks"),
        ({"names": ["a"] * 5}, "two or more different labels"),
        ({"names": ["a", "b"]}, "true labels have shape"),
        ({"scores": np.zeros((200, 4))}, "scores have shape"),
        ({"scores": np.full((200, 5), np.nan)}, "200 tracks have NaN scores"),
        ({"truth": np.zeros((200, 5), dtype=int)}, "true labels are int64; expected bool"),
        ({"truth": np.zeros((200, 5), dtype=bool)}, "track 't0' has 0 labels"),
    ],
)
def test_validate(change: dict, message: str, rng) -> None:
    with pytest.raises(DataError, match=message):
        evaluate(replace(classes(rng), **change))


def test_options_are_checked(rng) -> None:
    with pytest.raises(ConfigError, match="did you mean 'auc'"):
        evaluate(classes(rng), ["acu"])
    with pytest.raises(ConfigError, match="confusion matrix needs exactly one label"):
        evaluate(tags(rng), confusion=True)


def test_a_report_is_json_with_n_beside_every_figure(rng) -> None:
    some = tags(rng, n=40)
    said = json.loads(json.dumps(evaluate(some).as_dict(), allow_nan=False))
    assert (said["part"], said["n_tracks"], said["n_labels"]) == ("test", 40, 6)
    assert said["interval"] == {"level": 0.95, "over": "tracks", "method": "jackknife"}
    macro = said["metrics"]["auc"]["macro"]
    assert set(macro) == {"value", "low", "high", "n_tracks", "n_labels"}
    assert macro["low"] <= macro["value"] <= macro["high"]
    label = said["metrics"]["ap"]["per_label"]["label 3"]
    assert label["support"] == int(some.truth[:, 3].sum())


def test_mean_and_deviation_over_folds(rng) -> None:
    reports = {str(i): evaluate(classes(rng), ["accuracy"], intervals=False) for i in range(4)}
    values = [report["accuracy"].micro.value for report in reports.values()]
    spread = across_folds(reports)["accuracy"]["micro"]
    assert spread["mean"] == pytest.approx(np.mean(values))
    assert spread["sd"] == pytest.approx(np.std(values, ddof=1))
    assert spread["n_folds"] == 4
    assert list(spread["values"]) == ["0", "1", "2", "3"]


def test_a_fold_in_which_nothing_can_be_measured_does_not_count(rng) -> None:
    one = table(np.array([[1, 0], [1, 0]]), np.zeros((2, 2)), multi_label=False)
    two = table(np.array([[1, 0], [0, 1]]), np.eye(2), multi_label=False)
    reports = {"1": evaluate(one, ["auc"]), "2": evaluate(two, ["auc"])}
    spread = across_folds(reports)["auc"]["macro"]
    assert (spread["mean"], spread["sd"], spread["n_folds"]) == (1, None, 1)
    assert across_folds({"1": reports["1"]})["auc"]["macro"] is None
