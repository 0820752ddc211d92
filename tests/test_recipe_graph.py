"""Recipes whose tables name what they make: order, errors, and the same scores as by hand."""

from pathlib import Path

import numpy as np
import pytest

import mcls
from mcls.disk.recipe import read_recipe
from mcls.disk.run import open_run
from mcls.errors import ConfigError, DataError
from mcls.recipes import run as recipe_run
from mcls.recipes.graph import nodes_of
from mcls.stores.store import Store
from mcls.tables.predictions import read_predictions

SECOND_READ_OUT = """
[[train]]
store = "layers.h5"
model = "svm"

[[train]]
out = "net"
model = "mlp"
init = "dbn.h5"
epochs = 3
device = "cpu"
param = ["dropout=0"]

[learn-dict]
out = "dbn.h5"
method = "dbn"
param = ["layers=6x4", "n_epochs=2"]

[encode]
out = "layers.h5"
with = ["net"]
layer = ["all"]
pool = ["meanstd"]
"""

PARTS = {"split": "fold", "fold": "1", "valid": 0.2}


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """Tracks of two classes that differ in the level of their rows."""
    folder = tmp_path_factory.mktemp("jobs")
    rng = np.random.default_rng(0)
    lines = ["path,labels,fold,group"]
    import soundfile

    for i in range(24):
        level = 0.05 if i % 2 else 0.4
        soundfile.write(folder / f"{i}.wav", rng.normal(0, level, 4000), 8000)
        lines.append(f"{i}.wav,{'soft' if i % 2 else 'loud'},{i % 3},g{i}")
    (folder / "m.csv").write_text("\n".join(lines) + "\n")
    mcls.extract(folder / "m.csv", folder / "s.h5", features=["mfcc:n_mfcc=8"], sr=8000)
    return folder / "s.h5"


@pytest.fixture
def recipe(tmp_path):
    path = tmp_path / "second.toml"
    path.write_text(SECOND_READ_OUT)
    return path


def test_nodes_come_after_those_they_read(recipe):
    made = [(node.command, node.out) for node in nodes_of(read_recipe(recipe))]
    assert made == [
        ("learn-dict", "dbn.h5"),
        ("train", "net"),
        ("encode", "layers.h5"),
        ("train", ""),
    ]


def test_a_long_way_is_the_same_as_by_hand(store, recipe, tmp_path):
    done = mcls.cross_validate(recipe, store, tmp_path / "cv", valid=0.2)
    assert done.computed == 3
    fold = tmp_path / "cv" / "fold-1"
    mcls.learn_dict(
        store, tmp_path / "dbn.h5", method="dbn", settings=["layers=6x4", "n_epochs=2"], **PARTS
    )
    mcls.train(
        store,
        tmp_path / "net",
        model="mlp",
        init=tmp_path / "dbn.h5",
        epochs=3,
        device="cpu",
        settings=["dropout=0"],
        **PARTS,
    )
    layers = mcls.encode(
        store, tmp_path / "l.h5", dicts=[tmp_path / "net"], layers=["all"], pool=["meanstd"]
    )
    mcls.train(layers.path, tmp_path / "svm", **PARTS)
    assert (fold / "dbn.h5").read_bytes() == (tmp_path / "dbn.h5").read_bytes()
    assert Store(layers.path).feature().n_dims == 20
    found, wanted = (read_predictions(run / "predictions.csv") for run in (fold, tmp_path / "svm"))
    assert found.track_ids == wanted.track_ids
    np.testing.assert_array_equal(found.scores, wanted.scores)
    assert open_run(fold / "net").settings["train"]["model"] == "mlp"
    left = sorted(path.name for path in (tmp_path / "cv").iterdir())
    assert left == [
        "cv.json",
        "fold-0",
        "fold-1",
        "fold-2",
        "metrics.json",
        "predictions.csv",
        "run.sha256",
    ]
    assert not (fold / "layers.h5").exists()
    audio = store.parent / "3.wav"
    scored = mcls.predict(fold, [audio]).tracks[0].scores  # from the run folder alone
    row = found.track_ids.index("3") if "3" in found.track_ids else None
    if row is not None:
        np.testing.assert_allclose(scored, found.scores[row], atol=1e-5)


def test_no_layer_has_seen_the_held_out_fold(store, recipe, tmp_path):
    mcls.cross_validate(recipe, store, tmp_path / "cv", valid=0.2)
    folds = dict(zip(Store(store).track_ids, Store(store).column("fold"), strict=True))
    for fold in "012":
        held_out = {track for track, name in folds.items() if name == fold}
        for step in open_run(tmp_path / "cv" / f"fold-{fold}").chain():
            assert not held_out & set(step.learnt_from)


def test_what_was_made_before_an_interruption_is_not_made_again(
    store, recipe, tmp_path, monkeypatch
):
    whole = mcls.cross_validate(recipe, store, tmp_path / "whole", valid=0.2)
    real, learnt = recipe_run.fill_run, []

    def broken(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(recipe_run, "fill_run", broken)
    with pytest.raises(KeyboardInterrupt):
        mcls.cross_validate(recipe, store, tmp_path / "cv", valid=0.2)
    (parts,) = (tmp_path / "cv" / ".fold-0.work").glob("[!l]*")
    assert sorted(p.name for p in parts.iterdir()) == ["dbn.h5", "layers.h5", "net"]
    stamp = (parts / "net" / "about.json").stat().st_mtime_ns
    monkeypatch.setattr(recipe_run, "fill_run", real)
    monkeypatch.setattr(
        recipe_run,
        "learn_dict",
        lambda source, out, **options: learnt.append(mcls.learn_dict(source, out, **options)),
    )
    mcls.cross_validate(recipe, store, tmp_path / "cv", valid=0.2)
    assert [one.computed for one in learnt] == [False, True, True]
    assert (tmp_path / "cv" / "fold-0" / "net" / "about.json").stat().st_mtime_ns == stamp
    pooled = read_predictions(tmp_path / "cv" / "predictions.csv")
    np.testing.assert_array_equal(
        pooled.scores, read_predictions(whole.path / "predictions.csv").scores
    )


def test_a_net_that_has_seen_the_fold_is_refused(store, recipe, tmp_path):
    mcls.train(store, tmp_path / "seen", model="mlp", epochs=1, split="fold", fold="0", valid=0.2)
    leaking = {
        "encode": {"out": "l.h5", "with": [str(tmp_path / "seen")], "pool": ["mean"]},
        "train": {"store": "l.h5"},
    }
    with pytest.raises(DataError, match="learnt from"):
        mcls.cross_validate(leaking, store, tmp_path / "cv", valid=0.2)


def test_an_encode_table_without_out_gives_options_to_the_last_node():
    recipe = {
        "learn-dict": {"size": 8},
        "encode": {"with": ["of-the-command.h5"], "name": "codes", "encoder": "triangle"},
        "train": {"model": "knn"},
    }
    assert nodes_of(recipe)[-1].arguments == {
        "encoder": "triangle",
        "model": "knn",
        "settings": [],
        "dicts": ["dict.h5"],
    }


@pytest.mark.parametrize(
    ("recipe", "message"),
    [
        ({"train": {"store": "x.h5"}}, r"no table \[encode\] has out = 'x.h5'"),
        ({"train": [{}, {"model": "knn"}]}, r"2 tables \[\[train\]\] have no out"),
        ({"train": {"out": "net"}}, r"every \[\[train\]\] has an out"),
        ({"learn-dict": {"out": "d.h5"}, "train": {}}, "no table reads 'd.h5'"),
        (
            {"learn-dict": [{"out": "d.h5"}, {"out": "d.h5"}], "train": {"dict": ["d.h5"]}},
            "two tables have out = 'd.h5'",
        ),
        ({"learn-dict": {"out": "../d.h5"}, "train": {}}, "expected a name without folders"),
        ({"learn-dict": {"out": 3}, "train": {}}, "out is 3; expected a name"),
        ({"encode": {"layer": "all"}, "train": {}}, "with layers of a net, or with a store"),
        ({"encode": {"store": "a.h5"}, "train": {}}, "makes a store of its own; give it an out"),
        (
            {
                "encode": [
                    {"out": "a.h5", "store": "b.h5", "pool": "mean"},
                    {"out": "b.h5", "store": "a.h5", "pool": "mean"},
                ],
                "train": {"store": "a.h5"},
            },
            "the tables form a cycle",
        ),
        (
            {"encode": {"out": "a.h5", "pols": "mean"}, "train": {"store": "a.h5"}},
            "no option 'pols'",
        ),
    ],
)
def test_inconsistent_recipes_are_refused(recipe, message):
    with pytest.raises(ConfigError, match=message):
        nodes_of(recipe)


def test_each_fold_logs_into_a_folder_of_its_own():
    recipe = {
        "train": [
            {"out": "net", "model": "mlp", "tensorboard": "log", "log": "tensorboard:b"},
            {"dict": ["net"]},
        ],
    }
    first, last = (node.logging_apart("fold-1") for node in nodes_of(recipe))
    assert first.arguments["tensorboard"] == str(Path("log", "fold-1", "net"))
    assert first.arguments["log"] == f"tensorboard:{Path('b', 'fold-1', 'net')}"
    assert not {"tensorboard", "log"} & set(last.arguments)
