"""Recipes of nets and of several views, made small: they run, and learn from train tracks alone."""

import re
from pathlib import Path

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner

import mcls
from mcls.cli.main import cli
from mcls.disk.dictionary import read_dictionary
from mcls.disk.installed_recipes import recipe_names, recipe_path
from mcls.disk.recipe import read_recipe, table_of, tables_of
from mcls.disk.run import open_run
from mcls.errors import DataError
from mcls.recipes.features import extraction_of
from mcls.registry import find_in
from mcls.stores.store import Store
from mcls.tables.predictions import read_predictions

PIPELINES = Path(__file__).parents[1] / "pipelines"
RECIPES = (
    "mlp",
    "mlp-svm",
    "mlp-dbn",
    "hamel-eck-dbn",
    "hamel-eck-svm",
    "deep-bof",
    "cnn1d",
    "cnn1d-shift",
    "fcn4",
    "mfcc-kmeans",
    "three-views",
    "rbm-fcn4",
    "mfcc-fcn4-pitch",
)
#: Those that take longest.
LONG = {"three-views", "rbm-fcn4", "mfcc-fcn4-pitch", "deep-bof", "mfcc-kmeans", "hamel-eck-svm"}

N_TRACKS, N_FOLDS, SR = 24, 3, 8000


@pytest.fixture(scope="module")
def manifest(tmp_path_factory):
    """Tones of two pitches in noise, 2 s each."""
    folder = tmp_path_factory.mktemp("deep")
    rng = np.random.default_rng(0)
    time = np.arange(2 * SR) / SR
    lines = ["path,labels,fold,group"]
    for i in range(N_TRACKS):
        pitch = 300 if i % 2 else 1200
        y = 0.2 * np.sin(2 * np.pi * pitch * time) + rng.normal(0, 0.05, len(time))
        soundfile.write(folder / f"{i}.wav", y, SR)
        lines.append(f"{i}.wav,{'low' if i % 2 else 'high'},{i // 2 % N_FOLDS},g{i}")
    (folder / "m.csv").write_text("\n".join(lines) + "\n")
    return folder / "m.csv"


@pytest.fixture(scope="module")
def store_of(manifest):
    """Extract what a recipe reads, once for all recipes with the same features."""

    def made(recipe):
        features = table_of(recipe, "extract")["feature"]
        name = re.sub(r"\W+", "-", "+".join(features))
        out = manifest.with_name(f"{name}.h5")
        mcls.extract(manifest, out, features=features, split="fold", sr=SR)
        return out

    return made


def small(recipe):
    """Return a recipe with fewer units, rows and epochs; nothing else is changed."""
    shrunk = dict(recipe)
    for command in ("learn-dict", "train"):
        shrunk[command] = [_small(table) for table in tables_of(recipe, command)]
    return shrunk


def _small(table):
    table = {**table}
    params = [_small_param(param) for param in table.get("param", [])]
    for key, value in (("size", 12), ("rows", 500), ("epochs", 3), ("frames", 16)):
        if key in table:
            table[key] = value
    if table.get("model") in ("mlp", "cnn1d", "fcn4"):
        table["device"] = "cpu"
    if table.get("method") == "sparse-rbm":
        params.append("n_epochs=2")
    return {**table, "param": params} if params else table


def _small_param(param):
    key, _, value = param.partition("=")
    if key == "layers":
        return f"layers={'x'.join('6' for _ in value.split('x'))}"
    return {"n_epochs": "n_epochs=2", "width": "width=0.03"}.get(key, param)


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] * (name in LONG)) for name in RECIPES]
)
def test_a_recipe_runs_and_learns_from_train_tracks_alone(name, store_of, tmp_path):
    recipe = read_recipe(PIPELINES / f"{name}.toml")
    store = store_of(recipe)
    valid = table_of(recipe, "cv").get("valid", 0.0)
    done = mcls.cross_validate(small(recipe), store, tmp_path / "cv", valid=valid)
    assert done.computed == N_FOLDS
    pooled = read_predictions(done.path / "predictions.csv")
    assert sorted(pooled.track_ids) == sorted(Store(store).track_ids)
    assert np.isfinite(pooled.scores).all()
    folds = dict(zip(Store(store).track_ids, Store(store).column("fold"), strict=True))
    for fold in {*folds.values()}:
        folder = done.path / f"fold-{fold}"
        held_out = {track for track, of in folds.items() if of == fold}
        runs = [about.parent for about in folder.rglob("about.json")]
        chains = [open_run(run).chain() for run in runs]
        chains += [
            read_dictionary(path).chain for path in folder.rglob("*.h5") if path.name != "chain.h5"
        ]
        seen = [set(step.learnt_from) for chain in chains for step in chain if step.learnt_from]
        assert not any(held_out & tracks for tracks in seen)
        n_dictionaries = len(tables_of(recipe, "learn-dict"))
        assert len(runs) == len(tables_of(recipe, "train"))
        assert len([p for p in folder.glob("*.h5") if p.name != "chain.h5"]) == n_dictionaries


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in recipe_names() if name not in RECIPES])
def test_every_other_recipe_runs_on_tones(name, manifest, tmp_path):
    """With the segments, rates and excerpts of the recipe; fewer units, rows and epochs."""
    recipe = dict(read_recipe(name))
    asked = extraction_of(recipe)
    mcls.extract(manifest, tmp_path / "s.h5", split="fold", **asked)
    for command in ("learn-dict", "train"):
        recipe[command] = [_tiny(table) for table in tables_of(recipe, command)]
    done = mcls.cross_validate(
        recipe, tmp_path / "s.h5", tmp_path / "cv", split="fold", labels="labels", valid=0.25
    )
    assert np.isfinite(read_predictions(done.path / "predictions.csv").scores).all()


def _tiny(table):
    table = {**table}
    if "epochs" in table:
        table |= {"epochs": 1, "device": "cpu"}
        given = [param for param in table.get("param", []) if not param.startswith("width=")]
        narrow = "width" in find_in(("nets",), table["model"]).settings
        table["param"] = [*map(_small_param, given), *(["width=0.05"] if narrow else [])]
        return table
    small = {"size": 12, "rows": 500, "segment": 0.1}
    table |= {key: value for key, value in small.items() if key in table}
    table["param"] = [*map(_small_param, table.get("param", []))]
    return table


def test_a_recipe_brings_the_split_of_its_paper(manifest, tmp_path, monkeypatch):
    """`mcls cv dieleman-full` reads the column `folders`, as its table [cv] says."""
    monkeypatch.chdir(tmp_path)
    lines = manifest.read_text().replace("fold,group", "folders,group").splitlines()
    parts = ["train", "valid", "test"]
    lines[1:] = [re.sub(r",(\d),", lambda fold: f",{parts[int(fold[1])]},", x) for x in lines[1:]]
    lines = [line.replace(",low,", ",low|deep,") for line in lines]
    (manifest.parent / "parts.csv").write_text("\n".join(lines))
    text = recipe_path("dieleman-full").read_text().replace("epochs = 600", "epochs = 1")
    Path("mine.toml").write_text(text)
    for words in (
        [
            "-c",
            "mine.toml",
            "extract",
            manifest.parent / "parts.csv",
            "mel.h5",
            "--split",
            "folders",
        ],
        ["cv", "mine.toml", "mel.h5", "run"],
    ):
        result = CliRunner().invoke(cli, [*map(str, words)])
        assert result.exit_code == 0, result.output
    about = open_run(Path("run/fold-test")).about
    assert about["multi_label"]
    assert about["summary"]["split"].startswith("folders: 8 train, 8 valid, 8 test")


def test_first_layers_that_have_seen_the_fold_are_refused(store_of, tmp_path):
    recipe = small(read_recipe(PIPELINES / "mlp-dbn.toml"))
    store = store_of(recipe)
    (learnt,) = recipe["learn-dict"]
    mcls.learn_dict(
        store,
        tmp_path / "seen.h5",
        method="dbn",
        context=learnt["context"],
        rows=500,
        settings=learnt["param"],
        split="fold",
        fold="0",
    )
    (train,) = recipe["train"]
    leaking = {"train": {**train, "init": [str(tmp_path / "seen.h5")]}}
    with pytest.raises(DataError, match="learnt from"):
        mcls.cross_validate(leaking, store, tmp_path / "cv", valid=0.15)


def test_a_bag_that_has_seen_the_fold_is_refused(store_of, tmp_path):
    recipe = small(read_recipe(PIPELINES / "deep-bof.toml"))
    store = store_of(recipe)
    mcls.learn_dict(
        store, tmp_path / "seen.h5", method="kmeans", size=8, rows=500, split="fold", fold="0"
    )
    (train,) = recipe["train"]
    (_, stack) = recipe["learn-dict"]
    leaking = {
        "encode": {**recipe["encode"], "with": [str(tmp_path / "seen.h5")]},
        "learn-dict": {**stack},
        "train": {**train},
    }
    with pytest.raises(DataError, match="learnt from"):
        mcls.cross_validate(leaking, store, tmp_path / "cv", valid=0.15)
