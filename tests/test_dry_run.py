"""A dry run sizes the tables of a recipe as the commands do, and finds what does not fit."""

import numpy as np
import pytest
import soundfile

import mcls
from mcls.disk.installed_recipes import about_recipe, recipe_names
from mcls.disk.recipe import read_recipe, table_of, tables_of
from mcls.disk.run import open_run
from mcls.disk.tensors import read_tensors
from mcls.errors import ConfigError
from mcls.recipes.dry_run import dry_run, gpu_hours
from mcls.recipes.sizes import RowSize
from mcls.stores.store import Store
from mcls.training.read_net import read_net


@pytest.mark.parametrize("name", recipe_names())
def test_every_recipe_is_sized(name):
    recipe, about = read_recipe(name), about_recipe(name)
    found = dry_run(recipe, n_labels=about.labels or 10, seconds=about.seconds)
    assert found[-1].command == "train"
    assert not found[-1].out
    n_tables = sum(len(tables_of(recipe, one)) for one in ("learn-dict", "encode", "train"))
    inside = [one for one in tables_of(recipe, "encode") if "out" not in one]
    assert len([one for one in found if one.command != "extract"]) == n_tables - len(inside)
    if about.gpu:
        assert "estimate" in about.gpu
        number, unit = about.gpu.split()[:2]
        said = float(number) / {"h": 1, "min": 60}[unit]
        assert said == pytest.approx(gpu_hours(found, about.tracks), rel=0.1, abs=0.17)


def test_sizes_are_those_of_the_commands(tmp_path):
    """By what the commands make of 3 s of noise: extract, encode and a net."""
    rng = np.random.default_rng(0)
    lines = ["path,labels,split"]
    for i in range(6):
        soundfile.write(tmp_path / f"{i}.wav", rng.normal(0, 0.1, 3 * 8000), 8000)
        lines.append(f"{i}.wav,{'ab'[i % 2]},{'train' if i < 4 else 'test'}")
    (tmp_path / "m.csv").write_text("\n".join(lines))
    recipe = {
        "extract": {"feature": ["mel:n_mels=12,n_fft=512,hop_length=100", "waveform"], "sr": 8000},
        "train": [
            {
                "out": "net",
                "feature": "mel",
                "model": "local-cnn",
                "frames": 18,
                "epochs": 1,
                "param": ["width=0.05"],
            },
            {"store": "layers.h5", "model": "knn"},
        ],
        "encode": {"out": "layers.h5", "with": ["net"], "layer": ["all"], "pool": ["meanstd@1s"]},
    }
    mcls.extract(tmp_path / "m.csv", tmp_path / "s.h5", sr=8000,
                 features=recipe["extract"]["feature"])  # fmt: skip
    store = Store(tmp_path / "s.h5")
    found = {one.out: one for one in dry_run(recipe, n_labels=2, seconds=3.0)}
    for name, stored in store.features.items():
        made = found[name].makes
        n_rows = int(stored.offsets[1] - stored.offsets[0])
        assert (made.n_rows, made.n_dims) == (n_rows, stored.n_dims)
        assert made.rate == pytest.approx(stored.frame_rate)
    mcls.cross_validate(recipe, tmp_path / "s.h5", tmp_path / "cv", split="split")
    folder = tmp_path / "cv" / "fold-test"
    net = read_net(*read_tensors(open_run(folder / "net").net_file))
    assert found["net"].n_parameters == sum(one.numel() for one in net.net.parameters())
    assert found["net"].makes.n_rows == len(net.first_rows(found["mel"].makes.n_rows))
    classifier = open_run(folder)
    assert found[""].reads.n_dims == classifier.model().n_features_in_


def test_codes_of_dictionaries_are_counted():
    recipe = {
        "extract": {"feature": ["mel:n_mels=40"]},
        "learn-dict": {"method": "dbn", "param": ["layers=30x20"], "context": 4},
        "train": {"encoder": "dbn:layer=all", "pool": ["meanstd@1s", "mean"], "model": "svm"},
    }
    found = dry_run(recipe)
    assert found[1].makes == RowSize(20, pytest.approx(22050 / 512), 1292 - 3)
    assert found[2].reads == RowSize(100, None, 1)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"frames": 2000}, "segment has 2000 rows, but a track has 1366"),
        ({"param": ["width=-1"]}, "width"),
        ({"optimizer": "adm"}, "adam"),
        ({"feature": "mfcc"}, "no feature 'mfcc'"),
        ({"init": ["other.h5"]}, "made by no table"),
        ({"crop": 3}, "no option 'crop'"),
    ],
)
def test_what_does_not_fit_is_refused(change, message):
    recipe = dict(read_recipe("fcn4-full"))
    recipe["train"] = {**table_of(recipe, "train"), "short": "loop", **change}
    with pytest.raises(ConfigError, match=message):
        dry_run(recipe)
