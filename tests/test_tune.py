"""Tuning: the space, what trials may see, going on after a kill, and nested cross-validation."""

import csv
import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from mcls.cli.main import cli
from mcls.disk.chain import Step
from mcls.disk.recipe import read_recipe, write_recipe
from mcls.disk.workspace import Workspace
from mcls.errors import ConfigError, DataError
from mcls.recipes.cross_validate import cross_validate
from mcls.stores.store import NewRows, Store, StoreContents, write_store
from mcls.tuning.inner_store import divide
from mcls.tuning.nested import tune_fold
from mcls.tuning.recipe_values import find_place, with_values
from mcls.tuning.space import read_space
from mcls.tuning.study import Study
from mcls.tuning.tune import tune

pytest.importorskip("optuna")

SVM = """
[learn-dict]
size = 4
param = ["max_iter=5"]

[train]
encoder = "triangle"
pool = ["mean"]
model = "svm"
param = ["C=1"]

[tune]
trials = 4
learn-dict.size = [2, 4]
train.param.C = "0.1..10 log"
"""

KNN = """
[train]
pool = ["mean"]
model = "knn"
param = ["n_neighbors=5"]

[tune]
train.param.n_neighbors = "1..9"
"""

NET = """
[train]
model = "mlp"
frames = 4
epochs = 4
device = "cpu"
param = ["layers=4", "dropout=0"]
optimizer = "adam:lr=0.01"

[tune]
train.optimizer.lr = "1e-4..0.1 log"
"""


@pytest.fixture
def recipe(tmp_path):
    path = tmp_path / "svm.toml"
    path.write_text(SVM)
    return path


def make_store(path: Path, rng, *, test: str = "same", valid: bool = True) -> Path:
    """48 tracks of three noisy classes; the test rows may be garbage, or not there."""
    n = 48
    of_four = ("test", "valid" if valid else "train", "train", "train")
    parts = [of_four[i % 4] for i in range(n)]
    kinds = [("folk", "jazz", "rock")[i % 3] for i in range(n)]
    rows = rng.normal(size=(n, 6, 3)) + 1.2 * (np.arange(n) % 3)[:, None, None]
    kept = [i for i in range(n) if parts[i] != "test" or test != "gone"]
    if test == "garbage":
        for i in range(0, n, 4):
            rows[i], kinds[i] = 1e6 * (1 + i), "spoilt"
    columns = {
        "track_id": [f"t{i:02d}" for i in kept],
        "path": [f"t{i:02d}.wav" for i in kept],
        "labels": [kinds[i] for i in kept],
        "split": [parts[i] for i in kept],
        "fold": [str(i % 3) for i in kept],
        "group": [f"g{i}" for i in kept],
    }
    step = Step("feature", "mfcc", {"n_mfcc": 3, "sr": 8000, "excerpt": None, "dtype": "float32"})
    new = NewRows(
        "mfcc", (step,), 10.0, 3, [6] * len(kept), [rows[kept].reshape(-1, 3).astype(np.float32)]
    )
    write_store(path, StoreContents(columns), [new])
    return path


@pytest.fixture
def store(tmp_path, rng):
    return make_store(tmp_path / "s.h5", rng)


def test_values_are_set_where_the_key_says():
    recipe = {
        "extract": {"feature": ["mfcc:n_mfcc=13", "fine=mel"]},
        "learn-dict": [{"size": 8}, {"size": 9}],
        "train": {"augment": ["mixup", "noise:amount=1"], "param": ["C=1", "kernel=linear"]},
    }
    values = {
        "extract.feature.fine.n_mels": 40,
        "learn_dict.2.size": 16,
        "train.optimizer.lr": 0.01,
        "train.augment.noise.amount": 2.5,
        "train.param.C": 10,
        "train.pool": "mean",
    }
    changed = with_values(recipe, [(find_place(recipe, key), v) for key, v in values.items()])
    assert changed == {
        "extract": {"feature": ["mfcc:n_mfcc=13", "fine=mel:n_mels=40"]},
        "learn-dict": [{"size": 8}, {"size": 16}],
        "train": {
            "augment": ["mixup", "noise:amount=2.5"],
            "param": ["C=10", "kernel=linear"],
            "optimizer": "adam:lr=0.01",
            "pool": ["mean"],
        },
    }


@pytest.mark.parametrize(
    ("key", "values", "said"),
    [
        ("train.epocs", [1, 2], "no option 'epocs' to tune; did you mean 'epochs'"),
        ("train.seed", [1, 2], "no option 'seed'"),
        ("fit.epochs", [1, 2], "names no option; expected TABLE.OPTION"),
        ("train.param.D", [1, 2], "unknown setting 'D'"),
        ("train.param.C", [1, "much"], "C=much is not a number"),
        ("train.epochs", "0..9", "epochs=0; expected 1 or more"),
        ("train.epochs", "1.5..9", "epochs=1.5 is not a whole number"),
        ("train.param.C", "9..1", "the range is empty, as 9 is not below 1"),
        ("train.param.C", "0..1 log", "must begin above 0"),
        ("train.param.C", "0..1.0 step 0.3", "do not end at 1"),
        ("train.param.C", "few", "expected a list of values, or a range"),
        ("train.param.C", [1], "expected two or more values"),
        ("train.param", [1, 2], "name the setting"),
        ("train.epochs.x", [1, 2], "is a value and has no settings"),
        ("train.pool", [["mean"], ["men"]], "did you mean 'mean'"),
        ("learn-dict.size", [1, 2], "say which one, as learn-dict.1.size"),
    ],
)
def test_a_wrong_line_of_the_space_is_refused(key, values, said):
    recipe = {"train": {}, "learn-dict": [{}, {}], "tune": {key: values}}
    with pytest.raises(ConfigError) as error:
        read_space(recipe)
    assert said in str(error.value)
    assert f"{key} = " in str(error.value)


def test_every_wrong_line_is_named_and_an_empty_space_too():
    with pytest.raises(ConfigError, match=r"train\.a = .*train\.b = "):
        read_space({"tune": {"train.a": [1, 2], "train.b": [1, 2]}})
    with pytest.raises(ConfigError, match="nothing to tune"):
        read_space({"train": {}, "tune": {"trials": 3}})


def test_a_space_on_the_command_line_replaces_the_recipes():
    recipe = {"tune": {"train.epochs": [1, 2]}}
    (one,) = read_space(recipe, ["train.epochs=5..9"])
    assert (one.low, one.high, one.whole) == (5, 9, True)
    (one,) = read_space({}, ["train.param.C=1, 10,100"])
    assert one.choices == (1, 10, 100)
    (one,) = read_space({}, ['train.pool=[["mean"], ["mean", "max"]]'])
    assert one.value(one.drawn(["mean", "max"])) == ["mean", "max"]
    assert one.drawn(("mean",)) == '["mean"]'
    (one,) = read_space({}, ["train.optimizer.weight_decay=0,1e-4"])
    assert (one.drawn(0.0), one.drawn("1e-4"), one.drawn(1)) == ("0", "0.0001", None)
    (one,) = read_space({}, ["train.pool=mean,max"])
    assert one.drawn(("max",)) == "max"


def test_numbers_that_were_tried_can_be_typed_again():
    (one,) = read_space({}, ["train.optimizer.lr=1e-5..1e-2 log"])
    assert one.value(0.00123456789) == 0.001235
    assert one.drawn("1e-3") == 1e-3
    assert one.drawn("1") is None


def test_dotted_keys_of_toml_are_read_and_a_recipe_is_written_again(tmp_path):
    path = tmp_path / "r.toml"
    path.write_text(
        '[tune]\ntrials = 3\ntrain.param.batch_norm = [true, false]\n"encode.pool" = ["a"]\n'
    )
    read = read_recipe(path)
    assert read == {
        "tune": {"trials": 3, "train.param.batch_norm": [True, False], "encode.pool": ["a"]}
    }
    several = {"learn-dict": [{"size": 2}, {"size": 3}], "train": {"param": ["C=1"], "l1": 0.5}}
    write_recipe(path, several, "one\ntwo")
    assert path.read_text().startswith("# one\n# two\n")
    assert read_recipe(path) == several


def test_smaller_parts_are_stratified_nested_and_in_whole_groups(tmp_path, rng):
    path = make_store(tmp_path / "s.h5", rng, valid=False)
    store = Store(path)
    store.tracks["group"] = [f"g{i // 2}" for i in range(48)]
    store.tracks["split"] = ["test" if i < 8 else "train" for i in range(48)]
    from mcls.data.options import Split

    inner = divide(store, Split(), 2, shares=(0.25, 0.5, 1.0))
    assert inner.kept == list(range(8, 48))
    assert len(inner.folds) == 2
    for fold in inner.folds:
        before: set[int] = set()
        for share, column in fold.items():
            cells = inner.columns[column]
            train = {i for i, cell in zip(inner.kept, cells, strict=True) if cell == "train"}
            valid = {i for i, cell in zip(inner.kept, cells, strict=True) if cell == "valid"}
            assert before <= train and len(train) == pytest.approx(20 * share, abs=2)
            assert not {i // 2 for i in train} & {i // 2 for i in valid}
            assert not {i // 2 for i in train} & {i // 2 for i in range(8, 48) if i not in train}
            assert len({store.tracks["labels"][i] for i in train}) == 3
            before = train


def test_the_test_part_has_no_influence(tmp_path, recipe):
    found = []
    for how in ("same", "garbage", "gone"):
        path = make_store(tmp_path / f"{how}.h5", np.random.default_rng(5), test=how)
        done = tune(recipe, path, tmp_path / how, trials=2)
        found.append([(one.state, one.score, one.values) for one in done.trials])
        inner = Store(tmp_path / how / "features" / "store" / "inner.h5")
        assert not {f"t{i:02d}" for i in range(0, 48, 4)} & set(inner.track_ids)
    assert found[0] == found[1] == found[2]


def test_without_a_valid_part_trials_are_judged_on_inner_folds(tmp_path, rng, recipe):
    path = make_store(tmp_path / "s.h5", rng, valid=False)
    done = tune(recipe, path, tmp_path / "out", trials=2, pruning=False)
    assert done.summary["tracks"] == "36 train tracks, judged on 3 inner folds of the train part"
    by_hand = {"split": "tune_1_all", "pool": ["mean"], "encoder": "triangle", "model": "svm"}
    from mcls import evaluate, learn_dict, train

    inner = tmp_path / "out" / "features" / "store" / "inner.h5"
    scores = []
    for fold in (1, 2, 3):
        split = {"split": f"tune_{fold}_all"}
        learn_dict(inner, tmp_path / f"{fold}.h5", size=4, settings=["max_iter=5"], **split)
        run = tmp_path / f"run{fold}"
        train(
            inner,
            run,
            **{**by_hand, **split},
            dicts=[str(tmp_path / f"{fold}.h5")],
            settings=["C=1"],
        )
        scores.append(evaluate(run, ["accuracy"], part="valid")["accuracy"].main.value)
    assert done.trials[0].values == {"learn-dict.size": 4, "train.param.C": 1.0}
    assert done.trials[0].score == pytest.approx(np.mean(scores), abs=1e-12)
    assert done.summary["score_as_it_stands"] == done.trials[0].score


def test_the_command_writes_the_best_recipe_and_goes_on(store, recipe, tmp_path):
    out = tmp_path / "out"
    words = ["tune", str(recipe), str(store), str(out)]
    done = CliRunner().invoke(cli, words)
    assert done.exit_code == 0, done.output
    assert "24 train tracks, judged on the valid part (12 tracks)" in done.stdout
    with (out / "trials.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 4
    best = read_recipe(out / "best.toml")
    assert "tune" not in best
    about = json.loads((out / "about.json").read_text())
    assert best["learn-dict"]["size"] == about["best"]["learn-dict.size"]
    assert f"C={about['best']['train.param.C']}" in best["train"]["param"]
    complete = [float(row["score"]) for row in rows if row["state"] == "complete"]
    assert max(complete) == pytest.approx(about["score"], abs=1e-5)
    assert (out / "history.png").stat().st_size > 5000
    again = CliRunner().invoke(cli, [*words, "--json"])
    assert json.loads(again.stdout)["trials"] == about["trials"]
    more = CliRunner().invoke(cli, [*words, "--json", "--trials", "5"])
    assert sum(json.loads(more.stdout)["trials"].values()) == 5
    other = CliRunner().invoke(cli, [*words, "--seed", "1"])
    assert other.exit_code == 2
    assert "holds another search" in other.output
    words = ["cv", str(out / "best.toml"), str(store), str(tmp_path / "cv"), "--split", "split"]
    run = CliRunner().invoke(cli, words)
    assert run.exit_code == 0, run.output


def test_interrupted_trials_are_tried_again(store, recipe, tmp_path, monkeypatch):
    recipe.write_text(KNN)
    whole = tune(recipe, store, tmp_path / "whole", trials=4, pruning=False)
    from mcls.tuning import score

    real, n_calls = score.run_recipe, []

    def broken(*args, **kwargs):
        n_calls.append(0)
        if len(n_calls) == 2:
            raise KeyboardInterrupt
        real(*args, **kwargs)

    monkeypatch.setattr(score, "run_recipe", broken)
    with pytest.raises(KeyboardInterrupt):
        tune(recipe, store, tmp_path / "out", trials=4, pruning=False)
    monkeypatch.setattr(score, "run_recipe", real)
    done = tune(recipe, store, tmp_path / "out", trials=4, pruning=False)
    killed = [one for one in done.trials if one.state == "killed"]
    rest = [one for one in done.trials if one.state != "killed"]
    assert len(killed) == 1
    assert [(one.values, one.score) for one in rest] == [
        (one.values, one.score) for one in whole.trials
    ]
    assert killed[0].values == rest[killed[0].number].values


@pytest.mark.slow
def test_a_process_that_was_killed_does_not_hold_up_the_search(store, recipe, tmp_path):
    recipe.write_text(KNN)
    out = tmp_path / "out"
    code = (
        "import os, sys\n"
        "from mcls.tuning import score, tune\n"
        "def die(*a, **k): os.kill(os.getpid(), 9)\n"
        "score.run_recipe = die\n"
        "tune.tune(sys.argv[1], sys.argv[2], sys.argv[3], trials=2)\n"
    )
    subprocess.run([sys.executable, "-c", code, recipe, store, out], check=False)
    done = tune(recipe, store, out, trials=2)
    assert done.trials[0].state == "killed"
    assert len(done.trials) == 3
    assert done.summary["score_as_it_stands"] == done.trials[1].score


@pytest.mark.slow
def test_two_processes_share_the_trials_and_the_dictionaries(store, recipe, tmp_path):
    done = tune(recipe, store, tmp_path / "out", trials=5, jobs=2)
    states = [one.state for one in done.trials]
    assert len(states) == 5 and set(states) <= {"complete", "pruned"}
    made = list((tmp_path / "out" / "features" / "store" / "made").glob("*/dict.h5"))
    assert len(made) <= 2 * 3  # sizes, and shares of the train tracks


def test_trials_of_a_net_report_their_epochs(store, tmp_path):
    path = tmp_path / "net.toml"
    path.write_text(NET)
    done = tune(path, store, tmp_path / "out", trials=3)
    assert done.trials[0].values == {"train.optimizer.lr": 0.01}
    study = _study(tmp_path / "out", done.summary["key"])
    assert list(study._study.trials[0].intermediate_values) == [1, 2, 3, 4]
    for ours, theirs in zip(done.trials, study._study.trials, strict=True):
        if ours.state == "complete":  # what is kept at the end is what the last epoch reported
            assert theirs.intermediate_values[4] == pytest.approx(ours.score, abs=1e-9)


def _study(out: Path, key: str) -> Study:
    url = f"sqlite:///{out / 'study.db'}"
    return Study(url, f"mcls-{key}", [], out / "trials", minimize=False, pruner="none")


def test_a_bad_trial_is_pruned_and_failures_are_said(tmp_path):
    (one,) = read_space({}, ["train.param.C=0.01..100 log"])
    study = Study(
        f"sqlite:///{tmp_path / 'study.db'}", "s", [one], tmp_path, minimize=False, pruner="shares"
    )
    full = []

    def measure(values, folder, report):
        C = values["train.param.C"]
        if C > 50:
            raise DataError("too dear")
        for step in (25, 50):
            report(step, -abs(np.log(C)))
        full.append(C)
        return -abs(np.log(C))

    study.run(measure, 24, first={one.key: 60.0})
    results = study.results()
    assert results[0].state == "failed" and results[0].why == "too dear"
    pruned = [trial for trial in results if trial.state == "pruned"]
    assert pruned and len(full) < 20
    assert pruned[0].why == "at 25 % of the train tracks"
    best = study.best()
    assert best is not None
    assert abs(np.log(best.values[one.key])) < 1  # 1 is the best of 0.01 to 100


def test_features_are_tuned_from_audio_and_extracted_once(tmp_path, rng):
    import soundfile

    lines = ["path,labels,split"]
    for i in range(18):
        soundfile.write(tmp_path / f"{i}.wav", rng.normal(0, 0.4 / (1 + i % 2), 3000), 8000)
        lines.append(f"{i}.wav,{i % 2},{('train', 'train', 'test')[i // 6]}")
    manifest = tmp_path / "m.csv"
    manifest.write_text("\n".join(lines) + "\n")
    recipe = {
        "extract": {"feature": ["mfcc:n_mfcc=4"], "sr": 8000},
        "train": {"model": "knn", "pool": ["mean"]},
        "tune": {"extract.feature.n_mfcc": [4, 8]},
    }
    out = tmp_path / "out"
    done = tune(recipe, manifest, out, trials=4)
    stores = sorted(Store(path).feature().n_dims for path in out.glob("features/*/inner.h5"))
    assert stores == [4, 8]
    assert done.recipe["extract"]["feature"] in (["mfcc:n_mfcc=4"], ["mfcc:n_mfcc=8"])
    store = next(out.glob("features/*/store.h5"))
    with pytest.raises(ConfigError, match="a store has its features"):
        tune(recipe, store, tmp_path / "other")


def test_cv_tunes_inside_every_fold(store, recipe, tmp_path):
    recipe.write_text(KNN + "trials = 2\ninner = 2\npruning = false\n")
    done = CliRunner().invoke(cli, ["cv", str(recipe), str(store), str(tmp_path / "cv")])
    assert done.exit_code == 0, done.output
    for fold in "012":
        folder = tmp_path / "cv" / f"fold-{fold}"
        said = json.loads((folder / "tune" / "about.json").read_text())
        assert said["tracks"] == "32 train tracks, judged on 2 inner folds of the train part"
        used = read_recipe(folder / "tune" / "best.toml")["train"]
        settings = read_recipe(folder / "run.toml")["train"]["param"]
        assert {*used["param"]} & {*settings}
        assert f"{fold} tuned: train.param.n_neighbors = " in done.stdout
        assert not (folder / "tune" / "features").exists()
    own = tune_fold(read_recipe(recipe), store, _split("0"), tmp_path / "own")
    assert own == read_recipe(tmp_path / "cv" / "fold-0" / "tune" / "best.toml")


def _split(fold):
    from mcls.data.options import Split

    return Split(split="fold", fold=fold, valid=0.0)


def test_a_recipe_with_something_to_tune_is_not_run_as_it_stands(store, recipe, tmp_path):
    with pytest.raises(ConfigError, match=r"leaves learn-dict\.size, train\.param\.C to be tuned"):
        cross_validate(recipe, store, tmp_path / "cv")
    with pytest.raises(ConfigError, match="could replace what is tuned"):
        cross_validate(recipe, store, tmp_path / "cv", settings=["C=3"], tuner=tune_fold)
    done = CliRunner().invoke(cli, ["-c", str(recipe), "train", str(store), str(tmp_path / "run")])
    assert done.exit_code == 2
    assert "the recipe leaves train.param.C to be tuned" in done.output
    listed = CliRunner().invoke(cli, ["-c", str(recipe), "info", str(store)])
    assert listed.exit_code == 0


def test_columns_of_the_cross_validation_are_those_of_the_search(store, tmp_path):
    path = tmp_path / "knn.toml"
    path.write_text(KNN + "trials = 1\n[cv]\nvalid = 0.25\nsplit = 'fold'\n")
    words = ["tune", str(path), str(store), str(tmp_path / "out"), "--fold", "1", "--json"]
    done = CliRunner().invoke(cli, words)
    assert json.loads(done.stdout)["tracks"].startswith("24 train tracks, judged on the valid part")


def test_what_is_missing_is_said_before_the_work(store, recipe, tmp_path, monkeypatch):
    where = "unheard://of"
    with pytest.raises(ConfigError, match="the trials cannot be kept in unheard://of"):
        tune(recipe, store, tmp_path / "out", storage=where)
    with pytest.raises(ConfigError, match="there is no such store, manifest or folder"):
        tune(recipe, tmp_path / "none.h5", tmp_path / "out")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "song.wav").touch()
    with pytest.raises(ConfigError, match=r"holds other files \(song.wav\)"):
        tune(recipe, store, tmp_path / "full")
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(ConfigError, match=r"pip install 'mcls\[tune\]'"):
        tune(recipe, store, tmp_path / "other")
    assert not (tmp_path / "other").exists()


def test_a_lock_that_waits(tmp_path):
    code = (
        "import sys, time\nfrom mcls.disk.workspace import Workspace\n"
        "with Workspace(sys.argv[1]):\n    print('held', flush=True)\n    time.sleep(0.7)\n"
    )
    words = [sys.executable, "-c", code, str(tmp_path / "out")]
    with subprocess.Popen(words, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        with pytest.raises(DataError, match="is writing"), Workspace(tmp_path / "out"):
            pass
        before = time.monotonic()
        with Workspace(tmp_path / "out", wait=True):
            assert time.monotonic() - before > 0.2
