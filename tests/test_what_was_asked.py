"""A command does what was asked, or says what it did instead: in the notes and on stderr."""

import click
import numpy as np
import pytest
from click.testing import CliRunner

import mcls
from mcls.cli.main import cli
from mcls.disk.recipe import COMMANDS
from mcls.disk.run import open_run
from mcls.errors import ConfigError
from mcls.features.extractor import Extractor
from mcls.features.specs import parse_features
from mcls.stores.store import NewRows, StoreContents, write_store

PARTS = {"split": "fold", "fold": "b", "valid": 0.0}


@pytest.fixture
def make_store(tmp_path):
    """Write a store of twenty tracks of ten MFCC frames each, close to each other in a track."""

    def make(feature="mfcc:n_mfcc=4", sr=8000, **columns):
        rng = np.random.default_rng(0)
        ids = [f"t{i:02d}" for i in range(20)]
        own = {
            "track_id": ids,
            "path": [f"{i}.wav" for i in ids],
            "labels": ["low", "high"] * 10,
            "fold": ["a"] * 12 + ["b"] * 8,
        }
        step = Extractor(parse_features([feature]), sr=sr).steps()["mfcc"]
        rows = [rng.normal(size=4) + 0.01 * rng.normal(size=(10, 4)) for _ in ids]
        rows = [track.astype(np.float32) for track in rows]
        new = NewRows("mfcc", (step,), 10.0, 4, [10] * 20, rows)
        write_store(tmp_path / "s.h5", StoreContents({**own, **columns}), [new])
        return tmp_path / "s.h5"

    return make


def run(*line):
    return CliRunner().invoke(cli, [str(word) for word in line])


def test_inner_folds_of_one_group_keep_tracks_whole(make_store, tmp_path):
    """Frames of a track are alike: folds that tear tracks find the labels of noise by heart."""
    store = make_store(group=["only"] * 12 + ["other"] * 8)
    mcls.train(store, tmp_path / "grouped", **PARTS)
    mcls.train(store, tmp_path / "alone", group="none", **PARTS)
    grouped, alone = (open_run(tmp_path / name).about for name in ("grouped", "alone"))
    assert grouped["chosen"] == alone["chosen"]
    assert max(score for _, _, score in grouped["chosen"]["choice_"]) < 0.9
    (said,) = (note for note in grouped["notes"] if "inner folds" in note)
    assert said == (
        "the train part is one group of column 'group', so settings were chosen by inner folds "
        "that keep tracks whole, not groups"
    )
    assert not any("inner folds" in note for note in alone["notes"])


def test_the_rows_said_are_the_rows_learnt_from(make_store, tmp_path):
    """An SVM with more rows than its kernel matrix says how it learns from all, on stderr, too."""
    store = make_store()
    line = ["train", store, tmp_path / "run", "--split", "fold", "--fold", "b", "--valid", "0"]
    result = run(*line, "-p", "max_rows=50", "-p", "C=1")
    assert result.exit_code == 0, result.output
    assert "svm on 120 rows" in result.stdout
    note = (
        "the svm was trained on all 120 train rows by passes over them (squared hinge loss, rbf "
        "kernel with 50 landmarks)"
    )
    assert f"note: {note}\n" in result.stderr
    about = open_run(tmp_path / "run").about
    assert note in about["notes"]
    assert about["summary"]["rows"] == 120
    assert run(*line, "-p", "max_rows=50", "-p", "C=1").stderr.count(note) == 1


def test_caps_of_the_choice_of_settings_are_noted(make_store, tmp_path):
    store = make_store(split=["train"] * 10 + ["valid"] * 8 + ["test"] * 2)
    made = mcls.train(store, tmp_path / "linear", settings=["max_rows=50", "kernel=linear"])
    assert made.summary["rows"] == 100
    drawn = "settings were chosen on 50 of 100 train rows, drawn (max_rows=50)"
    assert drawn in made.summary["notes"]
    chosen_on = "settings were chosen on 50 of 80 valid rows (max_rows=50)"
    assert chosen_on in made.summary["notes"]
    all_rows = mcls.train(store, tmp_path / "all")
    assert all_rows.summary["rows"] == 100
    assert not any("max_rows" in note for note in all_rows.summary["notes"])


def test_every_table_of_a_recipe_is_checked(make_store, tmp_path):
    """A misspelt table is not an empty one, whichever command reads the recipe."""
    store, recipe = make_store(), tmp_path / "r.toml"
    recipe.write_text('[trains]\nmodel = "knn"\n')
    misspelt = "there is no command 'trains'; did you mean 'train'?"
    for line in (
        ["cv", recipe, store, tmp_path / "cv", "--split", "fold"],
        ["-c", recipe, "cv", recipe, store, tmp_path / "cv", "--split", "fold"],
        ["-c", recipe, "train", store, tmp_path / "run", "--split", "fold", "--fold", "b"],
        ["plot", recipe, "-o", tmp_path / "p.png"],
    ):
        result = run(*line)
        assert (result.exit_code, misspelt in result.stderr) == (2, True), result.output
    with pytest.raises(ConfigError, match="no command 'trains'"):
        mcls.cross_validate({"trains": {"model": "knn"}}, store, tmp_path / "cv", split="fold")
    recipe.write_text('[predict]\ntopp = 3\n[train]\nmodel = "knn"\n')
    result = run("cv", recipe, store, tmp_path / "cv", "--split", "fold")
    assert result.exit_code == 2
    assert "[predict] has no option 'topp'" in result.stderr
    assert not (tmp_path / "cv").exists()


def test_a_recipe_may_have_a_table_of_every_command():
    assert sorted(COMMANDS) == sorted(cli.list_commands(click.Context(cli)))


@pytest.mark.parametrize(
    ("extraction", "said"),
    [
        ('feature = ["mfcc:n_mfcc=13"]', "n_mfcc is 13 in the recipe, 4 in the store"),
        ('feature = "mfcc"\nparam = ["n_mfcc=5"]', "n_mfcc is 5 in the recipe, 4 in the store"),
        ('feature = ["mel"]', "asks for the feature mel in [extract], but"),
        ("sr = 44100", "sr is 44100 in the recipe, 8000 in the store"),
        ('excerpt = "3@center"', "excerpt is 3@center in the recipe, None in the store"),
    ],
)
def test_a_recipe_for_other_features_is_refused(make_store, tmp_path, extraction, said):
    store, recipe = make_store(), tmp_path / "r.toml"
    recipe.write_text(f'[extract]\n{extraction}\n[train]\npool = ["meanstd"]\n')
    fold = ["--split", "fold", "--fold", "b"]
    for line in (
        ["cv", recipe, store, tmp_path / "out", "--split", "fold"],
        ["-c", recipe, "train", store, tmp_path / "out", *fold],
        ["-c", recipe, "learn-dict", store, tmp_path / "out", *fold, "--size", "4"],
        ["-c", recipe, "encode", store, tmp_path / "out", "--pool", "mean"],
    ):
        result = run(*line)
        assert (result.exit_code, said in result.stderr) == (2, True), result.output
        assert not (tmp_path / "out").exists()


def test_a_recipe_for_the_features_of_the_store_runs(make_store, tmp_path):
    store, recipe = make_store(), tmp_path / "r.toml"
    recipe.write_text('[extract]\nfeature = ["mfcc:n_mfcc=4"]\n[train]\npool = ["meanstd"]\n')
    mcls.cross_validate(recipe, store, tmp_path / "cv", split="fold", valid=0.0)
    mcls.encode(store, tmp_path / "means.h5", pool=["meanstd"])
    line = ["train", tmp_path / "means.h5", tmp_path / "run", "--split", "fold", "--fold", "b"]
    recipe.write_text('[extract]\nfeature = ["mfcc:n_mfcc=4"]\nsr = 8000\n')
    assert run("-c", recipe, *line).exit_code == 0
