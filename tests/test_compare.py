"""mcls compare: paired differences, their tests, and runs that cannot be compared."""

import csv
import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from scipy import stats

from mcls.cli.main import cli
from mcls.disk.predictions import Predictions, write_predictions
from mcls.errors import DataError
from mcls.evaluation.compute import measured
from mcls.evaluation.paired import difference, holm, mcnemar, resampled_t
from mcls.stages.compare import compare


def scored(rng, *, n: int = 200, ease: float = 1.0, folds: int = 0, truth=None) -> Predictions:
    if truth is None:
        truth = np.eye(4, dtype=bool)[np.arange(n) % 4]
    scores = rng.normal(size=truth.shape) + ease * truth
    names = [f"t{i}" for i in range(n)]
    fold = [str(i * folds // n) if folds else "" for i in range(n)]
    multi_label = bool((truth.sum(axis=1) != 1).any())
    return Predictions(names, ["test"] * n, fold, list("abcd"), truth, scores, multi_label)


def write(path: Path, predictions: Predictions) -> Path:
    write_predictions(path, predictions)
    return path


def run(*words: object, code: int = 0):
    result = CliRunner().invoke(cli, ["compare", *map(str, words)])
    assert result.exit_code == code, result.output
    return result


def test_the_difference_of_accuracies_is_a_paired_t_test(rng) -> None:
    one, other = scored(rng, ease=2), scored(rng, ease=1)
    found = difference(measured(one, "accuracy"), measured(other, "accuracy"), 200)
    right = [x.truth[np.arange(200), x.scores.argmax(axis=1)] * 1.0 for x in (one, other)]
    gaps = right[0] - right[1]
    assert found.value == pytest.approx(gaps.mean())
    # scipy's error, and two tracks more on which they differ (Agresti & Min 2005)
    error = np.sqrt(stats.sem(gaps) ** 2 + 2 / 200**2)
    low, high = stats.t.interval(0.95, 199, gaps.mean(), error)
    assert (found.low, found.high) == pytest.approx((low, high))
    assert found.p == pytest.approx(2 * stats.t.sf(abs(gaps.mean()) / error, 199))
    assert found.p == pytest.approx(stats.ttest_rel(*right).pvalue, abs=0.01)


def test_the_difference_of_aucs_is_that_of_delong(rng) -> None:
    truth = rng.random((300, 4)) < 0.3
    one, other = (scored(rng, n=300, ease=ease, truth=truth) for ease in (2, 1))
    found = difference(measured(one, "auc"), measured(other, "auc"), 300)
    placements = np.zeros((300, 4))
    for j in range(4):
        won = [
            (x.scores[truth[:, j], j][:, None] > x.scores[~truth[:, j], j]) * 1.0
            for x in (one, other)
        ]
        gap = won[0] - won[1]
        n_with, n_without = gap.shape
        placements[truth[:, j], j] = (gap.mean(axis=1) - gap.mean()) / n_with
        placements[~truth[:, j], j] = (gap.mean(axis=0) - gap.mean()) / n_without
    error = np.sqrt(np.square(placements.mean(axis=1)).sum())
    assert (found.high - found.low) / 2 == pytest.approx(1.97 * error, rel=0.03)


def test_mcnemar_is_the_exact_binomial_test(rng) -> None:
    one, other = scored(rng, ease=2), scored(rng, ease=1)
    right = [x.truth[np.arange(200), x.scores.argmax(axis=1)] for x in (one, other)]
    b, c = (right[0] & ~right[1]).sum(), (right[1] & ~right[0]).sum()
    expected = min(1.0, 2 * stats.binom.cdf(min(b, c), b + c, 0.5))  # as statsmodels, exact=True
    assert mcnemar(one.truth, one.scores, other.scores) == pytest.approx(expected)
    assert mcnemar(one.truth, one.scores, one.scores) == 1


def test_holm_and_the_corrected_resampled_t_test_by_hand() -> None:
    assert holm([0.01, None, 0.04, 0.03, 0.005], 4) == [0.03, None, 0.06, 0.06, 0.02]
    assert holm([0.01], 3) == [0.03]
    gaps = [0.02, 0.05, -0.01, 0.04, 0.03]
    found = resampled_t(gaps, 0.25)
    t = np.mean(gaps) / np.sqrt((1 / 5 + 1 / 4) * np.var(gaps, ddof=1))
    assert found.p == pytest.approx(2 * stats.t.sf(t, 4))
    assert found.low < 0 < found.high
    assert resampled_t([0.1], 0.25) is None


def test_the_tracks_needed_find_the_difference_four_times_in_five() -> None:
    rng = np.random.default_rng(3)
    n, hits = 400, []
    needed = []
    for _ in range(60):
        truth = np.eye(4, dtype=bool)[rng.integers(0, 4, n)]
        one, other = (scored(rng, n=n, ease=ease, truth=truth) for ease in (1.6, 1.3))
        found = difference(measured(one, "accuracy"), measured(other, "accuracy"), n)
        hits.append(found.p < 0.05)
        needed.append(found.needed)
    assert np.median(needed) == pytest.approx(n, rel=0.1)
    assert np.mean(hits) == pytest.approx(0.8, abs=0.1), "two standard errors of 60 draws"


def test_the_table_is_sorted_and_ends_with_a_sentence(rng, tmp_path) -> None:
    truth = np.eye(4, dtype=bool)[np.arange(200) % 4]
    good = scored(rng, ease=3, truth=truth)
    twin = replace(good, scores=good.scores + rng.normal(0, 0.05, good.scores.shape))
    bad = scored(rng, ease=0.5, truth=truth)
    paths = [
        write(tmp_path / f"{name}.csv", one)
        for name, one in (("bad", bad), ("good", good), ("twin", twin))
    ]
    text = run(*paths).stdout
    assert text.splitlines()[0] == "micro accuracy, part test, 200 tracks"
    assert text.index("good.csv") < text.index("bad.csv")
    verdicts = text.splitlines()[-2:]
    assert "cannot be told apart on 200 tracks" in verdicts[0]
    assert f"{paths[0]} is worse than" in verdicts[1]
    said = json.loads(run(*paths, "--json", "--baseline", paths[0]).stdout)
    assert said["baseline"] == str(paths[0])
    assert said["runs"][0]["difference"]["low"] > 0
    assert said["runs"][-1]["difference"] is None
    rows = list(csv.DictReader(io.StringIO(run(*paths, "--csv").stdout)))
    assert [row["run"] for row in rows][-1] == str(paths[0])
    assert rows[-1]["McNemar"] == "<0.001"
    assert run(*paths, "--markdown").stdout.startswith("| run | accuracy | 95 % |")
    assert run(*paths, "--latex").stdout.startswith(r"\begin{tabular}{lrr")


def test_order_of_tracks_and_labels_does_not_matter(rng, tmp_path) -> None:
    one, other = scored(rng, ease=2), scored(rng)
    order, columns = rng.permutation(200), [2, 0, 3, 1]
    shuffled = Predictions(
        [other.track_ids[i] for i in order],
        other.parts,
        other.folds,
        [other.names[j] for j in columns],
        other.truth[order][:, columns],
        other.scores[order][:, columns],
        False,
    )
    a, b = write(tmp_path / "a.csv", one), write(tmp_path / "b.csv", other)
    c = write(tmp_path / "c.csv", shuffled)
    plain, moved = (compare([a, x]).runs[1].difference for x in (b, c))
    assert plain == moved


def test_folds_are_paired_too(rng, tmp_path) -> None:
    one, other = scored(rng, ease=2, folds=5), scored(rng, folds=5)
    a, b = write(tmp_path / "a.csv", one), write(tmp_path / "b.csv", other)
    found = compare([a, b]).runs[1]
    assert found.folds.value == pytest.approx(found.difference.value)
    assert "p (folds)" in run(a, b).stdout


@pytest.mark.parametrize("odd", ["tracks", "truth", "labels"])
def test_runs_on_other_tracks_are_refused_by_name(odd: str, rng, tmp_path) -> None:
    one = scored(rng)
    other = scored(rng)
    if odd == "tracks":
        other = replace(other, track_ids=["elsewhere", *other.track_ids[1:]])
    elif odd == "truth":
        other = replace(other, truth=np.roll(other.truth, 1, axis=1))
    else:
        other = replace(other, names=["a", "b", "c", "e"])
    a, b = write(tmp_path / "a.csv", one), write(tmp_path / "b.csv", other)
    said = {"tracks": "other tracks.*'t0'", "truth": "true labels.*'t0'", "labels": "labels.*'d'"}
    with pytest.raises(DataError, match=said[odd]):
        compare([a, b])


def test_one_run_is_not_a_comparison(rng, tmp_path) -> None:
    a = write(tmp_path / "a.csv", scored(rng))
    assert "two or more different runs" in run(a, a, code=2).stderr


@pytest.mark.parametrize("metric", ["accuracy", "auc", "f1"])
def test_equal_systems_are_seldom_told_apart(metric: str) -> None:
    rng = np.random.default_rng(1)
    ps, inside = [], []
    for _ in range(150):
        truth = np.eye(4, dtype=bool)[rng.integers(0, 4, 60)]
        one, other = (scored(rng, n=60, truth=truth) for _ in range(2))
        found = difference(measured(one, metric), measured(other, metric), 60)
        ps.append(found.p)
        inside.append(found.low <= 0 <= found.high)
    assert np.mean(np.array(ps) < 0.05) <= 0.1, "5 % and 2.8 standard errors of 150 draws"
    assert np.mean(inside) >= 0.9
