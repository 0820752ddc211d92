"""Runs that build on the scores of others: the mean of them, from audio to folds."""

import json
import shutil
from dataclasses import replace

import h5py
import numpy as np
import pytest
import soundfile
from numpy.testing import assert_allclose

import mcls
from mcls.chain.scores import score_rows, scores_step
from mcls.classifiers.average import Average
from mcls.disk.run import open_run
from mcls.errors import ConfigError, DataError, FormatError
from mcls.inspection.info import info
from mcls.stores.store import Store
from mcls.tables.predictions import read_predictions

SR = 8000
PARTS = {"split": "fold", "fold": "1", "valid": 0.0}
NET = {"model": "mlp", "settings": ["layers=6"], "frames": 4, "epochs": 2, "device": "cpu"}

RECIPE = """
[[learn-dict]]
out = "atoms.h5"
feature = "mel"
size = 8

[[train]]
out = "means"
feature = "mfcc"
pool = ["meanstd"]
param = ["C=10"]

[[train]]
out = "codes"
feature = "mel"
dict = ["atoms.h5"]
encoder = "triangle"
pool = ["mean"]
model = "logistic"

[[train]]
out = "net"
feature = "mel"
model = "mlp"
param = ["layers=6"]
frames = 4
epochs = 2

[[train]]
model = "average"
dict = ["means", "codes", "net"]
"""


@pytest.fixture(scope="module")
def manifest(tmp_path_factory):
    """Tones of three pitches in noise; the noisy ones are easy to mistake."""
    folder = tmp_path_factory.mktemp("average")
    rng = np.random.default_rng(0)
    time = np.arange(SR) / SR
    lines = ["path,labels,tags,fold,group"]
    for i in range(36):
        which = i % 3
        y = 0.2 * np.sin(2 * np.pi * (300, 900, 1500)[which] * time) + rng.normal(0, 0.1, SR)
        soundfile.write(folder / f"{i}.wav", y, SR)
        tags = "|".join(["tone", *(["low"] if which < 2 else []), *(["odd"] if i % 2 else [])])
        lines.append(f"{i}.wav,{'abc'[which]},{tags},{i // 3 % 3},g{i}")
    (folder / "m.csv").write_text("\n".join(lines) + "\n")
    return folder / "m.csv"


@pytest.fixture(scope="module")
def store(manifest):
    out = manifest.with_name("s.h5")
    mcls.extract(manifest, out, features=["mfcc:n_mfcc=8", "mel:n_mels=16"], sr=SR, split="fold")
    return out


@pytest.fixture(scope="module")
def members(store):
    """A margin, a probability and a net, of the same train part."""
    runs = [store.with_name(name) for name in ("margins", "forest", "net")]
    mcls.train(store, runs[0], feature="mfcc", pool=["meanstd"], model="svm", **PARTS)
    forest = {"model": "random-forest", "settings": ["n_estimators=10"], "aggregate": "vote"}
    mcls.train(store, runs[1], feature="mel", **forest, **PARTS)
    mcls.train(store, runs[2], feature="mel", **NET, **PARTS)
    return runs


@pytest.fixture(scope="module")
def average(store, members):
    """The mean of all three."""
    run = store.with_name("average")
    mcls.train(store, run, model="average", dicts=members, **PARTS)
    return run


def expected(runs):
    """Return the mean of what runs say, from their files alone."""
    said = [read_predictions(run / "predictions.csv").scores for run in runs]
    said[0] = 1 / (1 + np.exp(-2 * said[0]))  # the SVM's, which are margins
    return np.mean(said, axis=0)


def test_is_the_mean_of_what_runs_say(average, members):
    found = read_predictions(average / "predictions.csv")
    assert found.track_ids == read_predictions(members[0] / "predictions.csv").track_ids
    assert_allclose(found.scores, expected(members), atol=1e-6)
    assert open_run(average).about["summary"]["tracks"]["test"] == 12


def test_scores_audio_like_tracks_of_the_store(average, members, store, manifest, tmp_path):
    kept = read_predictions(average / "predictions.csv")
    files = [manifest.with_name(f"{name}.wav") for name in kept.track_ids]
    travelled = shutil.copytree(average, tmp_path / "travelled")
    away = [(run, run.rename(run.with_suffix(".away"))) for run in members]
    try:  # nothing but the folder of the average is needed
        found = mcls.predict(travelled, files, windows=0.5)
    finally:
        for run, there in away:
            there.rename(run)
    assert_allclose([track.scores for track in found.tracks], kept.scores, atol=1e-5)
    assert all(len(track.windows) == 2 for track in found.tracks)
    again = mcls.predict(average, [store])
    assert_allclose(
        [again.tracks[files_at].scores for files_at in _places(store, kept)], kept.scores, atol=1e-6
    )


def _places(store, kept):
    ids = Store(store).track_ids
    return [ids.index(name) for name in kept.track_ids]


def test_scores_are_rows_of_a_store_too(average, members, store, tmp_path):
    mcls.encode(store, tmp_path / "scores.h5", dicts=members, layers=["scores"])
    rows = Store(tmp_path / "scores.h5").feature()
    assert (len(rows), rows.n_dims, rows.frame_rate) == (36, 9, None)
    mcls.train(tmp_path / "scores.h5", tmp_path / "stored", model="average", **PARTS)
    stored, direct = (
        read_predictions(run / "predictions.csv") for run in (tmp_path / "stored", average)
    )
    assert_allclose(stored.scores, direct.scores, atol=1e-6)
    mcls.train(tmp_path / "scores.h5", tmp_path / "stacked", model="logistic", **PARTS)


def test_several_labels_per_track(store, tmp_path):
    how = {"labels": "tags", **PARTS}
    mcls.train(store, tmp_path / "a", feature="mfcc", pool=["mean"], model="svm", **how)
    mcls.train(store, tmp_path / "b", feature="mel", pool=["mean"], model="logistic", **how)
    mcls.train(
        store, tmp_path / "c", model="average", dicts=[tmp_path / "a", tmp_path / "b"], **how
    )
    found = read_predictions(tmp_path / "c" / "predictions.csv")
    a, b = (read_predictions(tmp_path / name / "predictions.csv") for name in "ab")
    varying = [i for i, name in enumerate(found.names) if name != "tone"]
    assert_allclose(
        found.scores[:, varying],
        ((1 / (1 + np.exp(-2 * a.scores)) + b.scores) / 2)[:, varying],
        atol=1e-6,
    )
    assert (found.scores[:, found.names.index("tone")] == 1).all()  # every train track has it
    assert open_run(tmp_path / "c").about["threshold"] == 0.5


def test_a_label_of_no_train_track(store, tmp_path):
    """The class c is in fold 1 only: members give it the lowest score, the mean is 0."""
    columns = Store(store).tracks
    held = [
        label == "c" and fold != "1"
        for label, fold in zip(columns["labels"], columns["fold"], strict=True)
    ]
    manifest = store.with_name("less.csv")
    rows = store.with_name("m.csv").read_text().splitlines()
    manifest.write_text(
        "\n".join([rows[0], *(r for r, h in zip(rows[1:], held, strict=True) if not h)]) + "\n"
    )
    less = tmp_path / "less.h5"
    mcls.extract(manifest, less, features=["mfcc:n_mfcc=8"], sr=SR, split="fold")
    mcls.train(less, tmp_path / "a", pool=["mean"], settings=["C=1", "gamma=scale"], **PARTS)
    mcls.train(less, tmp_path / "b", model="average", dicts=[tmp_path / "a"], **PARTS)
    found = read_predictions(tmp_path / "b" / "predictions.csv")
    assert found.names == ["a", "b", "c"]
    assert (found.scores[:, 2] == 0).all()
    assert (found.scores[:, :2] > 0).all()


def test_a_recipe_over_folds(store, tmp_path):
    recipe = tmp_path / "r.toml"
    recipe.write_text(RECIPE)
    done = mcls.cross_validate(recipe, store, tmp_path / "cv")
    assert done.computed == 3
    fold = tmp_path / "cv" / "fold-2"
    said = [read_predictions(fold / name / "predictions.csv") for name in ("means", "codes", "net")]
    margins = 1 / (1 + np.exp(-2 * said[0].scores))
    found = read_predictions(fold / "predictions.csv")
    mean = np.mean([margins, said[1].scores, said[2].scores], axis=0)
    assert_allclose(found.scores, mean, atol=1e-6)
    files = [store.with_name(f"{name}.wav") for name in found.track_ids]
    scored = mcls.predict(fold, files).tracks
    assert_allclose([track.scores for track in scored], found.scores, atol=1e-5)


def test_a_run_that_knows_the_test_tracks_is_refused(store, members, tmp_path):
    """Classifiers, which are no steps of a chain elsewhere, say what they were learnt from, too."""
    for run in members[:2]:
        with pytest.raises(DataError, match=r"run of '\S+' was learnt from 15 tracks that are now"):
            mcls.train(store, tmp_path / "x", model="average", dicts=[run], split="fold", fold="2")
    assert not (tmp_path / "x").exists()


def test_an_older_run_is_refused(store, members, tmp_path):
    mcls.train(store, tmp_path / "old", feature="mfcc", pool=["mean"], model="svm", **PARTS)
    with h5py.File(tmp_path / "old" / "chain.h5", "a") as file:
        del file["learnt_from"], file.attrs["checksums"]
    (tmp_path / "old" / "run.sha256").unlink()  # older runs have none
    with pytest.raises(DataError, match="train it again"):
        mcls.train(store, tmp_path / "x", model="average", dicts=[tmp_path / "old"], **PARTS)


def test_damaged_names_of_train_tracks_are_an_error(store, tmp_path):
    mcls.train(store, tmp_path / "a", feature="mfcc", pool=["mean"], model="svm", **PARTS)
    (tmp_path / "a" / "run.sha256").unlink()
    for damaged in (3.5, [1, 2], b"one name"):
        with h5py.File(tmp_path / "a" / "chain.h5", "a") as file:
            del file["learnt_from"]
            file.attrs.pop("checksums", None)
            file["learnt_from"] = damaged
        with pytest.raises(FormatError, match="not a list of names"):
            scores_step(open_run(tmp_path / "a"))


def test_other_labels_are_refused(store, tmp_path):
    for run, labels in (("letters", "labels"), ("tags", "tags")):
        mcls.train(
            store,
            tmp_path / run,
            feature="mfcc",
            pool=["mean"],
            labels=labels,
            model="logistic",
            **PARTS,
        )
    runs = [tmp_path / "letters", tmp_path / "tags"]
    with pytest.raises(ConfigError, match=r"different labels.*low, odd, tone"):
        mcls.train(store, tmp_path / "x", model="average", dicts=runs, **PARTS)


def test_a_dictionary_says_nothing_of_a_track(store, members, tmp_path):
    mcls.learn_dict(store, tmp_path / "d.h5", feature="mel", settings=["n_atoms=4"], **PARTS)
    with pytest.raises(ConfigError, match="no run to take it from"):
        mcls.train(store, tmp_path / "x", model="average", dicts=[tmp_path / "d.h5"], **PARTS)
    both = [members[0], tmp_path / "d.h5"]
    with pytest.raises(ConfigError, match="these rows are 'kmeans'"):
        mcls.train(store, tmp_path / "x", model="average", dicts=both, **PARTS)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"feature": "mfcc"}, "reads scores of runs, but these rows are 'mfcc'"),
        ({"feature": "mfcc", "pool": ["mean"]}, "these rows are 'mean'"),
    ],
)
def test_other_rows_are_refused(store, tmp_path, given, said):
    with pytest.raises(ConfigError, match=said):
        mcls.train(store, tmp_path / "x", model="average", **given, **PARTS)


def test_scores_stand_alone(store, members, tmp_path):
    with pytest.raises(ConfigError, match="scores cannot be combined with hidden layers"):
        mcls.encode(store, tmp_path / "x.h5", dicts=members, layers=["scores", "all"])


def test_a_damaged_model_in_a_chain_is_an_error(members):
    step = scores_step(open_run(members[0]))
    rows = np.zeros((1, 16), np.float32)
    assert score_rows(rows, step).shape == (1, 3)
    cut = step.arrays["model"][:-40]
    with pytest.raises(FormatError, match="scores of 'svm' in the chain: corrupt"):
        score_rows(rows, replace(step, arrays={"model": cut}))
    with pytest.raises(FormatError, match="reads rows of 16 numbers"):
        score_rows(rows[:, :9], step)
    with pytest.raises(FormatError, match="knows label 2"):
        score_rows(rows, replace(step, settings={**step.settings, "labels": ["a", "b"]}))


def test_runs_are_told_apart_by_what_they_learnt(store, members, tmp_path):
    """The same names of other runs are another run, and refused as one."""
    mcls.train(store, tmp_path / "all", model="average", dicts=members[:2], **PARTS)
    assert not mcls.train(
        store, tmp_path / "all", model="average", dicts=members[:2], **PARTS
    ).computed
    with pytest.raises(ConfigError, match="holds another run"):
        mcls.train(store, tmp_path / "all", model="average", dicts=members[1:], **PARTS)


def test_info_names_the_runs(average):
    said = json.loads(json.dumps(info(average)))
    steps = {step["name"] for step in said["chain"] if step["kind"] == "scores"}
    assert steps == {"svm", "random-forest", "mlp"}


def test_by_hand():
    X = np.array([[0.2, 0.8, 0.6, 0.4], [1.0, 0.0, 0.0, 1.0]])
    model = Average().fit(X, np.array([0, 1]))
    assert_allclose(model.scores(X), [[0.4, 0.6], [0.5, 0.5]])
    with pytest.raises(ValueError, match="rows have 4 dimensions; expected a multiple of 3"):
        Average(n_labels=3).fit(X, np.array([0, 1]))
