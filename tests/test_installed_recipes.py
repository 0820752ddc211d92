"""The recipes that come with mcls are found by their names, listed, shown and copied."""

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from mcls.cli.main import cli
from mcls.disk.installed_recipes import about_recipe, copy_recipe, recipe_names, recipe_path
from mcls.disk.recipe import read_recipe, table_of
from mcls.errors import ConfigError
from mcls.registry import entries

PIPELINES = Path(__file__).parents[1] / "pipelines"

#: Published figures that were read where they were published, or in the code of the authors.
FIGURES = {
    *(".894", ".852", ".890", ".8861", ".3413", ".9026", ".3819", ".9069", ".3844", ".8928"),
    *(".3538", ".9129", ".4614", ".8662", ".849", ".888", ".737", ".843", ".834", ".884"),
    *(".886", ".344", ".891", ".349"),
}


def run_mcls(*args):
    result = CliRunner().invoke(cli, [str(arg) for arg in args])
    return result.exit_code, result.stdout, result.stderr


def test_every_recipe_of_the_sources_comes_with_the_package():
    assert recipe_names() == sorted(path.stem for path in PIPELINES.glob("*.toml"))


@pytest.mark.parametrize("name", recipe_names())
def test_a_recipe_says_what_it_is_of(name):
    about = about_recipe(name)
    assert about.summary
    assert len(about.summary) <= 60
    assert "about" not in read_recipe(name)
    if about.needs == "GPU":
        assert name.endswith("-full")
    assert about.paper or name == "mfcc-stats-svm"
    assert {*re.findall(r"\.\d+", about.published)} <= FIGURES
    assert not about.minutes or float(about.minutes) > 0
    if name.endswith("-full"):
        assert about.dataset
        assert about.protocol
        assert about.differs
        assert about.labels


def splits_of(dataset):
    """Return the columns of parts or folds that a dataset says it has."""
    return re.findall(r"[\w-]+", entries("datasets")[dataset].facts["splits"])


@pytest.mark.parametrize("name", [name for name in recipe_names() if about_recipe(name).dataset])
def test_the_dataset_of_a_recipe_has_its_split(name):
    dataset, split = about_recipe(name).dataset, table_of(read_recipe(name), "cv").get("split")
    assert split or not name.endswith("-full")
    if split:
        assert split in splits_of(dataset)


def test_make_knows_a_split_of_every_dataset_it_names():
    text = (PIPELINES.parent / "Makefile").read_text(encoding="utf-8")
    listed = text.partition("DATASETS :=")[2].partition("\n\n")[0]
    pairs = re.findall(r"([\w-]+)=([\w-]+)", listed)
    assert len(pairs) >= 15
    for dataset, split in pairs:
        assert split in splits_of(dataset), dataset


def test_a_path_comes_before_a_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert recipe_path("fcn4").samefile(PIPELINES / "fcn4.toml")
    Path("fcn4").write_text("[train]\n")
    assert recipe_path("fcn4") == Path("fcn4")
    with pytest.raises(ConfigError, match="did you mean 'fcn4'"):
        recipe_path("fcn44")
    with pytest.raises(ConfigError, match="mcls list recipes"):
        recipe_path("zzz")


def test_list_shows_recipes():
    code, out, _ = run_mcls("list", "recipes", "--json")
    assert code == 0
    assert [one["name"] for one in json.loads(out)] == recipe_names()
    code, out, _ = run_mcls("list", "recipes", "fcn4-full")
    assert code == 0
    assert "MagnaTagATune, AUC .894" in out
    assert run_mcls("list", "recipes", "fcn44")[0] == 2


def test_a_recipe_is_shown_and_copied(tmp_path):
    text = (PIPELINES / "mlp.toml").read_text()
    code, out, _ = run_mcls("recipe", "show", "mlp", "--toml")
    assert (code, out) == (0, text)
    out = tmp_path / "mine.toml"
    assert run_mcls("recipe", "copy", "mlp", out)[0] == 0
    assert out.read_text() == text
    assert run_mcls("recipe", "copy", "mlp", out)[0] == 0  # the same again
    out.write_text("mine")
    code, _, err = run_mcls("recipe", "copy", "mlp", out)
    assert code == 2
    assert "is there already" in err
    assert out.read_text() == "mine"
    assert run_mcls("recipe", "copy", "mlp", out, "--overwrite")[0] == 0
    assert out.read_text() == text
    with pytest.raises(ConfigError, match=r"end in \.toml"):
        copy_recipe("mlp", tmp_path / "x.wav")


def test_a_recipe_is_described_with_the_sizes_of_its_tables():
    code, out, _ = run_mcls("recipe", "show", "fcn4-full", "--labels", 50)
    assert code == 0
    assert "Choi, Fazekas & Sandler 2016" in out
    assert "segments of 1366 x 96" in out
    assert "17,365,938" in out  # of the net of the paper
    code, out, _ = run_mcls("recipe", "show", "fcn4-full", "--json")
    assert json.loads(out)["about"]["published"] == "MagnaTagATune, AUC .894"


def test_a_wrong_table_about_is_refused(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text('[about]\npapr = "x"\n')
    with pytest.raises(ConfigError, match="did you mean 'paper'"):
        about_recipe(path)
    path.write_text("[about]\npaper = 3\n")
    with pytest.raises(ConfigError, match="expected text"):
        about_recipe(path)


def test_commands_take_the_name_of_a_recipe(tmp_path):
    code, _, err = run_mcls("-c", "no-such", "list")
    assert code == 2
    assert "there is no recipe 'no-such'" in err
    assert run_mcls("-c", "mfcc-stats-svm", "list")[0] == 0
    code, _, err = run_mcls("cv", "fcn44", tmp_path / "s.h5", tmp_path / "run")
    assert code == 2
    assert "did you mean 'fcn4'" in err
