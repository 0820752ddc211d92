"""mcls eval --errors, --by, and cross-validations with several seeds."""

import csv
import io
import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from scipy import stats

import mcls
from mcls.cli.main import cli
from mcls.disk.chain import Step
from mcls.errors import ConfigError
from mcls.judging.compare import compare
from mcls.recipes import cross_validate as stage
from mcls.recipes import run as recipe_run
from mcls.stores.store import NewRows, StoreContents, write_store
from mcls.tables.predictions import read_predictions

SINGLE = """\
track_id,part,labels,score:jazz,score:rock
one,train,jazz,0.1,0.9
two,test,jazz,0.8,0.2
three,test,jazz,0.4,0.6
four,test,rock,0.3,0.7
five,test,rock,0.9,0.1
"""
TAGS = """\
track_id,labels,score:drums,score:fast
one,drums,0.9,0.8
two,drums,0.1,0.3
three,fast,0.6,0.9
four,,0.2,0.1
"""
NUMBERS = """\
track_id,true:mood,predicted:mood
one,1,1.5
two,2,2
three,3,1
"""


def run(*words: object, code: int = 0) -> Result:
    result = CliRunner().invoke(cli, [*map(str, words)])
    assert result.exit_code == code, result.output
    return result


@pytest.fixture
def tracks(tmp_path: Path) -> Path:
    lines = [f"{name}.ogg,{name}" for name in ("one", "two", "three", "four", "five")]
    path = tmp_path / "tracks.csv"
    path.write_text("\n".join(["path,track_id", *lines]) + "\n")
    return path


@pytest.fixture
def single(tmp_path: Path) -> Path:
    path = tmp_path / "single.csv"
    path.write_text(SINGLE)
    return path


def test_wrong_tracks_are_listed_the_most_confident_first(single, tracks) -> None:
    text = run("eval", single, "--errors", 5, "--tracks", tracks, "--csv").stdout
    assert list(csv.DictReader(io.StringIO(text))) == [
        {"track": "five", "predicted": "jazz", "true": "rock", "score": "0.900"}
        | {"score of true": "0.100", "path": "five.ogg"},
        {"track": "three", "predicted": "rock", "true": "jazz", "score": "0.600"}
        | {"score of true": "0.400", "path": "three.ogg"},
    ]
    shown = run("eval", single, "--errors", 1).stdout
    assert "wrong predictions, the 1 worst of 2" in shown
    assert "three" not in shown.splitlines()[-1]
    said = json.loads(run("eval", single, "--errors", 1, "--json").stdout)
    assert said["n_errors"] == 2
    assert said["errors"][0]["track"] == "five"
    assert said["errors"][0]["kind"] == "wrong"
    assert "one" in run("eval", single, "--errors", 5, "--part", "train", "--csv").stdout
    assert "--csv is for the --errors" in run("eval", single, "--csv", code=2).stderr
    assert "--tracks has" in run("eval", single, "--tracks", tracks, code=2).stderr


def test_false_positives_and_negatives_of_tags_are_listed(tmp_path: Path) -> None:
    path = tmp_path / "tags.csv"
    path.write_text(TAGS)
    text = run("eval", path, "--errors", 9, "--csv").stdout
    rows = [list(row.values()) for row in csv.DictReader(io.StringIO(text))]
    assert rows == [
        ["two", "false negative", "drums", "drums", "0.100", "0.500"],
        ["one", "false positive", "fast", "drums", "0.800", "0.500"],
        ["three", "false positive", "drums", "fast", "0.600", "0.500"],
    ]
    high = run("eval", path, "--errors", 9, "--threshold", 0.7, "--csv").stdout
    assert "three" not in high


def test_numbers_that_are_furthest_off_are_listed(tmp_path: Path) -> None:
    path = tmp_path / "numbers.csv"
    path.write_text(NUMBERS)
    text = run("eval", path, "--errors", 2, "--csv").stdout
    assert text.splitlines() == [
        "track,target,predicted,true,off by",
        "three,mood,1,3,-2.000",
        "one,mood,1.5,1,+0.500",
    ]


def test_intervals_over_groups_are_those_of_their_means(tmp_path: Path, rng) -> None:
    right, group = rng.random(60) < 0.7, np.arange(60) % 6
    lines = [f"t{i},a,{float(right[i])},{1.0 - right[i]}" for i in range(60)]
    path = tmp_path / "p.csv"
    path.write_text("\n".join(["track_id,labels,score:a,score:b", *lines]) + "\n")
    path.write_text(path.read_text().replace("t59,a", "t59,b"))
    tracks = tmp_path / "m.csv"
    cells = [f"t{i}.wav,t{i},g{group[i]}" for i in range(60)]
    tracks.write_text("\n".join(["path,track_id,artist", *cells]) + "\n")
    found = mcls.evaluate(path, ["accuracy"], by="artist", tracks=tracks)
    right[59] = ~right[59]
    means = np.array([right[group == g].mean() for g in range(6)])
    value, error = means.mean(), stats.sem(means)
    # symmetric on the logit scale, with a tenth of a track's variance per square of the groups
    of_one = value * (1 - value)
    step = stats.t.ppf(0.975, 5) * np.sqrt(error**2 + 0.1 * of_one / 36) / of_one
    expected = 1 / (1 + np.exp(-(np.log(value / (1 - value)) + np.array([-step, step]))))
    estimate = found["accuracy"].micro
    assert (estimate.low, estimate.high) == pytest.approx(tuple(expected))
    assert found.as_dict()["interval"] == {
        "level": 0.95,
        "over": "6 groups",
        "method": "jackknife",
        "by": "artist",
    }
    shown = run("eval", path, "--by", "artist", "--tracks", tracks).stdout
    assert "intervals over 6 groups (artist)" in shown


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> Path:
    """Sixty tracks of one row, two classes that overlap, three folds."""
    rng = np.random.default_rng(3)
    rows = [(rng.normal(size=(1, 4)) + i % 2).astype(np.float32) for i in range(60)]
    columns = {
        "track_id": [f"t{i}" for i in range(60)],
        "path": [f"{i}.wav" for i in range(60)],
        "labels": ["ab"[i % 2] for i in range(60)],
        "fold": [str(i // 2 % 3) for i in range(60)],
        "artist": [f"g{i // 5}" for i in range(60)],
    }
    settings = {"sr": 22050, "excerpt": None, "dtype": "float32"}
    new = NewRows("x", (Step("feature", "mel", settings),), None, 4, [1] * 60, iter(rows))
    path = tmp_path_factory.mktemp("seeds") / "store.h5"
    write_store(path, StoreContents(columns), [new])
    return path


@pytest.fixture(scope="module")
def recipe(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("recipe") / "forest.toml"
    path.write_text('[train]\nmodel = "random-forest"\nparam = ["n_estimators=5"]\n')
    return path


@pytest.fixture(scope="module")
def seeds(store, recipe) -> Path:
    out = store.parent / "forest"
    run("cv", recipe, store, out, "--split", "fold", "--seeds", 2, "--seed", 4)
    return out


def test_each_fold_is_trained_with_several_seeds(seeds, store, recipe, tmp_path) -> None:
    assert sorted(item.name for item in seeds.iterdir()) == ["seed-4", "seed-5"]
    run("cv", recipe, store, tmp_path / "one", "--split", "fold", "--seed", 5)
    ours, alone = (
        read_predictions(folder / "predictions.csv")
        for folder in (seeds / "seed-5", tmp_path / "one")
    )
    np.testing.assert_array_equal(ours.scores, alone.scores)
    each = [mcls.evaluate(seeds / f"seed-{seed}", ["accuracy", "auc"]) for seed in (4, 5)]
    found = mcls.evaluate(seeds, ["accuracy", "auc"])
    for metric, kind in (("accuracy", "micro"), ("auc", "macro")):
        values = [getattr(one[metric], kind).value for one in each]
        assert getattr(found[metric], kind).value == pytest.approx(np.mean(values))
        assert found.across_seeds[metric][kind]["sd"] == pytest.approx(np.std(values, ddof=1))
        by_fold = [[one.folds[f][metric].main.value for one in each] for f in "012"]
        ours = [found.folds[f][metric].main.value for f in "012"]
        assert ours == pytest.approx(np.mean(by_fold, axis=1))
    shown = run("eval", seeds).stdout
    assert "(mean of 2 seeds, all folds pooled)" in shown
    assert [line.split()[0] for line in shown.splitlines() if line[:2] in ("4 ", "5 ")] == [
        "4",
        "5",
    ]
    said = json.loads(run("eval", seeds, "--json").stdout)
    assert {*said["seeds"]} == {"4", "5"}


def test_seeds_are_compared_with_what_is_known_of_each_run(seeds, store, recipe) -> None:
    knn = recipe.with_name("neighbours.toml")
    knn.write_text('[train]\nmodel = "knn"\n')
    other = store.parent / "knn"
    run("cv", knn, store, other, "--split", "fold", "--seed", 4)
    found = compare([seeds, other])
    facts = {one.path: one.facts for one in found.runs}
    assert facts[seeds]["training_seconds"] > 0
    assert facts[seeds]["tracks_per_second"] > 0
    assert facts[other]["feature"] == "mel"
    assert facts[other]["model"] == "knn"
    text = run("compare", seeds, other, "--by", "artist").stdout
    assert "intervals over 12 groups (artist)" in text, "from the store of the run"
    assert {"training s", "tracks/s", "sd of seeds"} <= {*text.splitlines()[1].split("  ")} | {
        name for name in ("training s", "tracks/s", "sd of seeds") if name in text
    }


def test_seeds_that_were_killed_go_on(store, recipe, tmp_path, monkeypatch) -> None:
    out, real = tmp_path / "cv", recipe_run.fill_run

    def broken(folder, *rest, **options):
        if "seed-1" in str(folder) and "fold-2" in str(folder):
            raise KeyboardInterrupt
        return real(folder, *rest, **options)

    monkeypatch.setattr(recipe_run, "fill_run", broken)
    with pytest.raises(KeyboardInterrupt):
        stage.cross_validate(recipe, store, out, seeds=2)
    monkeypatch.setattr(recipe_run, "fill_run", real)
    assert stage.cross_validate(recipe, store, out, seeds=2).computed == 1
    assert stage.cross_validate(recipe, store, out, seeds=3).computed == 3, "one more seed"
    assert stage.cross_validate(recipe, store, out, seeds=3).computed == 0
    with pytest.raises(ConfigError, match="holds the seeds 0, 1, 2, and this asks for 0, 1;"):
        stage.cross_validate(recipe, store, out, seeds=2)


def test_a_folder_holds_one_seed_or_several(seeds, store, recipe, tmp_path) -> None:
    said = run("cv", recipe, store, seeds, "--split", "fold", "--seed", 4, code=2)
    assert "holds the seeds 4, 5, and this asks for 4" in said.stderr
    run("cv", recipe, store, tmp_path / "one", "--split", "fold")
    with pytest.raises(ConfigError, match="holds other files"):
        stage.cross_validate(recipe, store, tmp_path / "one", seeds=2)
    for words in (["predict", seeds, store], ["info", seeds], ["plot", seeds, "-o", "x.png"]):
        assert (
            f"holds 2 seeds, and one is needed; name {seeds / 'seed-4'}"
            in run(*words, code=1).stderr
        )
    assert "list the errors of one" in run("eval", seeds, "--errors", 3, code=2).stderr
    assert "that of one seed" in run("eval", seeds, "--confusion", code=2).stderr


def test_the_train_part_of_a_cross_validation_shows_overfitting(seeds) -> None:
    one = seeds / "seed-4"
    train = mcls.evaluate(one, ["accuracy"], part="train")
    assert train["accuracy"].micro.value > mcls.evaluate(one, ["accuracy"])["accuracy"].micro.value
    assert "the 120 are scores of 60 tracks" in train.notes[-1] or any(
        "the 120 are scores of 60 tracks" in note for note in train.notes
    )
