"""mcls compare: paired differences, their tests, and runs that cannot be compared."""

import csv
import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner
from scipy import stats

import mcls
from mcls.cli.main import cli
from mcls.errors import DataError
from mcls.evaluation.compute import measured
from mcls.evaluation.paired import difference, holm, mcnemar, resampled_t
from mcls.judging.compare import compare
from mcls.tables.predictions import Predictions, write_predictions


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
        for rows, some in ((truth[:, j], gap.mean(axis=1)), (~truth[:, j], gap.mean(axis=0))):
            placements[rows, j] = (some - gap.mean()) / np.sqrt(len(some) * (len(some) - 1))
    error = np.sqrt(np.square(placements.mean(axis=1)).sum())
    measures = measured(one, "auc").minus(measured(other, "auc"))
    assert measures.given_labels().spread_main().variance == pytest.approx(error**2)
    assert (found.high - found.low) / 2 == pytest.approx(1.97 * error, rel=0.01)


@pytest.mark.parametrize("metric", ["auc", "ap"])
def test_the_variance_is_right_where_labels_are_rare(metric: str) -> None:
    """Three tracks per label: over many test sets, it is that of the differences."""
    rng = np.random.default_rng(0)
    gaps, variances, inside = [], [], []
    truth = np.zeros((100, 15), dtype=bool)
    truth[np.arange(45), np.arange(45) % 15] = True
    names = [str(i) for i in range(100)]
    for _ in range(150):
        both = [
            Predictions(names, names, names, names[:15], truth, scores + truth, True)
            for scores in rng.normal(size=(2, 100, 15))
        ]
        found = difference(*(measured(one, metric) for one in both), 100)
        one, other = (measured(some, metric) for some in both)
        variances.append(one.minus(other).given_labels().spread_main().variance)
        gaps.append(found.value)
        inside.append(found.low <= 0 <= found.high)
    # the variance of 150 draws has a standard error of 12 %
    assert np.mean(variances) == pytest.approx(np.var(gaps), rel=0.3)
    assert 0.9 <= np.mean(inside) <= 0.99


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


def test_two_metrics_are_refused(rng, tmp_path) -> None:
    paths = [write(tmp_path / f"{name}.csv", scored(rng)) for name in "ab"]
    assert "by one metric" in run(*paths, "-m", "auc", "-m", "ap", code=2).stderr


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


def seeds_of(folder: Path, several: list[Predictions]) -> Path:
    for seed, one in enumerate(several):
        (folder / f"seed-{seed}").mkdir(parents=True)
        write_predictions(folder / f"seed-{seed}" / "predictions.csv", one)
    return folder


def manifest_of(path: Path, names: list[str], groups: list[str]) -> Path:
    lines = [f"{name}.wav,{name},{group}" for name, group in zip(names, groups, strict=True)]
    path.write_text("\n".join(["path,track_id,singer", *lines]) + "\n")
    return path


def test_over_groups_it_is_the_paired_t_test_of_their_means(rng, tmp_path) -> None:
    one, other = scored(rng, ease=2), scored(rng, ease=1)
    singer = np.arange(200) % 8  # 25 tracks each
    a, b = write(tmp_path / "a.csv", one), write(tmp_path / "b.csv", other)
    tracks = manifest_of(tmp_path / "m.csv", one.track_ids, [f"s{i}" for i in singer])
    found = compare([a, b], by="singer", tracks=tracks)
    right = [x.truth[np.arange(200), x.scores.argmax(axis=1)] * 1.0 for x in (one, other)]
    gaps = np.array([(right[1] - right[0])[singer == i].mean() for i in range(8)])
    error = stats.sem(gaps)
    low, high = stats.t.interval(0.95, 7, gaps.mean(), error)
    gap = found.runs[1].difference
    assert (gap.low, gap.high) == pytest.approx((low, high))
    assert gap.p == pytest.approx(2 * stats.t.sf(abs(gaps.mean()) / error, 7))
    assert found.runs[1].mcnemar is None, "tracks of a group are no independent pairs"
    text = run(a, b, "--by", "singer", "--tracks", tracks).stdout
    assert "intervals over 8 groups (singer)" in text
    assert "told apart on 8 groups (singer)" in text or "is worse than" in text
    wide = compare([a, b], "auc", by="singer", tracks=tracks).runs[1].difference
    assert wide.low < wide.value < wide.high


def test_groups_that_are_not_known_are_refused(rng, tmp_path) -> None:
    a, b = (write(tmp_path / f"{name}.csv", scored(rng)) for name in "ab")
    assert "give it with --tracks" in run(a, b, "--by", "singer", code=1).stderr
    tracks = manifest_of(tmp_path / "m.csv", [f"t{i}" for i in range(199)], ["x", *["y"] * 198])
    said = run(a, b, "--by", "singer", "--tracks", tracks, code=1).stderr
    assert "1 of the tracks have nothing in column 'singer', such as 't199'" in said
    assert "'singer'" in run(a, b, "--by", "singr", "--tracks", tracks, code=1).stderr


def test_numbers_are_compared_too(rng, tmp_path) -> None:
    truth = rng.normal(size=(100, 1))
    names = [f"t{i}" for i in range(100)]
    one, other = (
        Predictions(names, ["test"] * 100, [""] * 100, ["mood"], truth, truth + noise, False)
        for noise in (rng.normal(0, 0.3, (100, 1)), rng.normal(0, 0.8, (100, 1)))
    )
    a, b = write(tmp_path / "a.csv", one), write(tmp_path / "b.csv", other)
    assert run(b, a).stdout.splitlines()[0] == "macro r2, part test, 100 tracks"
    found = compare([b, a], "mse")
    assert found.runs[0].path == a, "the lowest error is the best"
    squares = [np.square(x.scores - truth)[:, 0] for x in (one, other)]
    peer = stats.ttest_rel(squares[1], squares[0])
    ends = peer.confidence_interval()
    gap = found.runs[1].difference
    assert gap.p == pytest.approx(peer.pvalue)
    assert (gap.low, gap.high) == pytest.approx((ends.low, ends.high))
    assert "is worse than" in found.verdicts[0]
    assert compare([a, b], "spearman").runs[1].difference.p < 0.05
    labels = write(tmp_path / "c.csv", scored(rng))
    assert "predicts numbers" in run(a, labels, code=1).stderr


def test_the_spread_between_seeds_is_told_from_that_between_tracks(rng, tmp_path) -> None:
    truth = np.eye(4, dtype=bool)[np.arange(200) % 4]
    ones = [scored(rng, ease=ease, truth=truth) for ease in (1.2, 1.6, 2.0)]
    others = [scored(rng, ease=ease, truth=truth) for ease in (0.9, 1.0, 1.1)]
    a, b = seeds_of(tmp_path / "a", ones), seeds_of(tmp_path / "b", others)
    found = compare([a, b])
    right = np.array(
        [
            [x.truth[np.arange(200), x.scores.argmax(axis=1)] for x in some]
            for some in (ones, others)
        ]
    )
    values = right.mean(axis=2)
    best, worst = found.runs
    assert best.value.value == pytest.approx(values[0].mean())
    assert best.seeds == pytest.approx(dict(zip("012", values[0], strict=True)))
    assert best.sd_of_seeds == pytest.approx(values[0].std(ddof=1))
    gaps = right[1].mean(axis=0) - right[0].mean(axis=0)
    tracks = stats.sem(gaps) ** 2 + 2 / 200**2
    seeds = sum(values.var(axis=1, ddof=1) / 3)
    assert worst.difference.errors == pytest.approx((np.sqrt(tracks), np.sqrt(seeds)))
    df = (tracks + seeds) ** 2 / (
        tracks**2 / 199 + sum((v.var(ddof=1) / 3) ** 2 / 2 for v in values)
    )
    low, high = stats.t.interval(0.95, df, gaps.mean(), np.sqrt(tracks + seeds))
    assert (worst.difference.low, worst.difference.high) == pytest.approx((low, high))
    assert worst.mcnemar is None
    text = run(a, b).stdout
    assert "sd of seeds" in text
    assert "over tracks, " in text.splitlines()[-1]
    assert "over seeds" in text.splitlines()[-1]
    alone = run(a, b / "seed-0").stdout.splitlines()[-1]
    assert f"of {b / 'seed-0'} one seed is known" in alone


def test_a_difference_within_seeds_is_not_sure_however_many_tracks(rng, tmp_path) -> None:
    truth = np.eye(2, dtype=bool)[np.arange(2000) % 2]

    def drawn(share: float) -> Predictions:
        right = rng.random(2000) < share
        scores = np.where(right[:, None] == truth, 1.0, 0.0)
        names = [f"t{i}" for i in range(2000)]
        return Predictions(names, ["test"] * 2000, [""] * 2000, ["a", "b"], truth, scores, False)

    a = seeds_of(tmp_path / "a", [drawn(p) for p in (0.6, 0.9)])
    b = seeds_of(tmp_path / "b", [drawn(p) for p in (0.5, 0.8)])
    single = compare([a / "seed-0", b / "seed-0"])
    assert single.runs[1].p < 0.001
    found = compare([a, b])
    assert found.runs[1].p > 0.3
    assert "train with more seeds" in found.verdicts[0]


def test_the_forest_plot_is_drawn(rng, tmp_path) -> None:
    truth = np.eye(4, dtype=bool)[np.arange(200) % 4]
    a = write(tmp_path / "a.csv", scored(rng, ease=2, truth=truth))
    b = seeds_of(tmp_path / "b", [scored(rng, ease=1, truth=truth) for _ in range(3)])
    for suffix in ("svg", "png", "pdf"):
        out = tmp_path / f"compare.{suffix}"
        assert f"wrote {out}" in run(a, b, "-o", out).stderr
        assert out.stat().st_size > 1000
    text = (tmp_path / "compare.svg").read_text()
    assert "micro accuracy with 95 % interval" in text or "<svg" in text
    assert "unknown image format" in run(a, b, "-o", tmp_path / "c.jpg", code=2).stderr


@pytest.mark.parametrize("odd", ["twice", "numbers", "one more"])
def test_more_odd_runs_are_refused_by_name(odd: str, rng, tmp_path) -> None:
    one = scored(rng, folds=2)
    other = replace(scored(rng), folds=[""] * 200)
    if odd == "twice":  # in both folds, and the other run has no folds to tell them apart
        other = replace(other, parts=["", *other.parts[1:]])
        one = replace(
            one,
            track_ids=["t1", *one.track_ids[1:]],
            folds=["1", *one.folds[1:]],
        )
    elif odd == "one more":
        other = replace(other, track_ids=[*other.track_ids[:-1], "t999"])
    else:
        other = replace(other, truth=one.scores, multi_label=False)
    a, b = write(tmp_path / "a.csv", one), write(tmp_path / "b.csv", other)
    said = {"twice": "scores of 't1'", "numbers": "numbers", "one more": "other tracks.*'t199'"}
    with pytest.raises(DataError, match=said[odd]):
        compare([a, b], part="" if odd == "none" else None)


def test_the_number_of_tracks_in_the_sentence_is_the_one_that_is_needed(rng, tmp_path) -> None:
    n, truth = 272, np.eye(4, dtype=bool)[np.arange(272) % 4]
    one = scored(rng, n=n, ease=1.5, truth=truth)
    flipped = one.scores.copy()
    right = np.flatnonzero(one.scores.argmax(axis=1) == truth.argmax(axis=1))
    wrong = np.flatnonzero(one.scores.argmax(axis=1) != truth.argmax(axis=1))
    for i, good in [*((i, False) for i in right[:38]), *((i, True) for i in wrong[:30])]:
        flipped[i] = truth[i] * 1.0 if good else np.roll(truth[i], 1) * 1.0
    other = replace(one, scores=flipped)
    a, b = write(tmp_path / "a.csv", one), write(tmp_path / "b.csv", other)
    gap = 8 / n
    # Connor (1987): of n pairs a share psi differs; here with the t quantile and two pairs more
    error = np.sqrt((68 / n - gap**2) / (n - 1) + 2 / n**2)
    needed = n * ((stats.t.ppf(0.975, n - 1) + stats.norm.ppf(0.8)) * error / gap) ** 2
    [sentence] = compare([a, b]).verdicts
    assert sentence == (
        f"{b} and {a} cannot be told apart on 272 tracks: a difference of {gap:.3f} in accuracy "
        f"would need about {int(np.ceil(needed / 100)) * 100} (80 % power)"
    )


def test_a_run_with_a_valid_part_meets_one_that_learnt_from_it(tmp_path) -> None:
    rows = ["path,labels,fold,few"]
    rng = np.random.default_rng(0)
    for i in range(24):
        tone = np.sin(np.arange(4000) * (0.05 + 0.3 * (i % 2))) + rng.normal(0, 0.1, 4000)
        soundfile.write(tmp_path / f"{i}.wav", 0.3 * tone, 8000)
        rows.append(f"{i}.wav,{'ab'[i % 2]},{i // 8},{['train', 'test', ''][i // 8]}")
    (tmp_path / "tracks.csv").write_text("\n".join(rows))
    store = tmp_path / "s.h5"
    mcls.extract(tmp_path / "tracks.csv", store, features="mel:n_mels=8")
    recipe = {"train": {"model": "knn", "param": ["n_neighbors=1"], "pool": ["mean"]}}
    for name, valid in (("all", 0.0), ("some", 0.3)):
        mcls.cross_validate(recipe, store, tmp_path / name, split="fold", valid=valid)
    mcls.train(store, tmp_path / "others", model="knn", pool="mean", split="fold", fold="1")
    said = run(tmp_path / "all", tmp_path / "some").stderr
    assert "all divides the tracks into other train and valid parts than" in said
    with pytest.raises(DataError, match="trained on other tracks"):
        compare([tmp_path / "all", tmp_path / "others"])
    mcls.train(store, tmp_path / "few", model="knn", pool="mean", split="few")
    with pytest.raises(DataError, match="trained on other tracks"):
        compare([tmp_path / "others", tmp_path / "few"])
