"""The whole line on small audio: the four commands, Python, leaks, and runs that travel."""

import json
import re
import shlex
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest
import soundfile
from click.testing import CliRunner

import mcls
from mcls.chain.build import build_chain
from mcls.chain.options import Representation
from mcls.cli.main import cli
from mcls.disk.dictionary import read_dictionary
from mcls.disk.recipe import read_recipe
from mcls.disk.run import open_run
from mcls.errors import ConfigError, DataError
from mcls.recipes.cross_validate import cross_validate
from mcls.tables.predictions import read_predictions

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
SR = 8000


def tone(rng, kind: int, seconds: float = 0.8) -> np.ndarray:
    t = np.arange(int(seconds * SR)) / SR
    f = [220, 700, 1800][kind] * rng.uniform(0.9, 1.1)
    return 0.3 * np.sign(np.sin(2 * np.pi * f * t)) + rng.normal(0, 0.1, len(t))


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Thirty tracks in three class folders, and a manifest with folds, groups and tags."""
    rng = np.random.default_rng(1)
    folder = tmp_path_factory.mktemp("line") / "FOLDER"
    lines = ["path,labels,tags,fold,group"]
    for i in range(30):
        kind = i % 3
        path = folder / ["rain", "rooster", "sea"][kind] / f"{'one' if i == 0 else i}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, tone(rng, kind), SR)
        tags = "|".join(["low", "mid", "high"][: kind + 1])
        lines.append(f"{path.relative_to(folder.parent)},{path.parent.name},{tags},{i % 5},g{i}")
    (folder.parent / "manifest.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def store(folder) -> Path:
    out = folder.parent / "store.h5"
    mcls.extract(folder.parent / "manifest.csv", out, features=["mfcc:n_mfcc=8"], sr=SR)
    return out


def run(line: str) -> str:
    result = CliRunner().invoke(cli, shlex.split(line)[1:], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_the_four_commands_of_the_readme(folder, monkeypatch):
    monkeypatch.chdir(folder.parent)
    section = README.partition("## Your own audio")[2].partition("\n## ")[0]
    lines = re.findall(r"^\$ (mcls .*)", section, re.MULTILINE)
    assert len(lines) == 4
    said = [run(line) for line in lines]
    assert "made one, 60/20/20, stratified by 'labels'" in said[0]
    assert "256 atoms of 20 dimensions" in said[1]
    assert re.search(r"auc +1\.000 ", said[3]), said[3]


def test_the_python_of_the_readme(folder, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(folder, tmp_path / "FOLDER")
    code = re.search(r"```python\n(.*?)```", README, re.DOTALL)
    assert code
    assert len([line for line in code[1].splitlines() if line.strip()]) <= 12
    exec(code[1], {})
    assert "macro AUC 1.000" in capsys.readouterr().out


def test_the_same_command_again_does_nothing_and_others_are_refused(store, tmp_path):
    for name in ("a", "b"):
        learnt = mcls.learn_dict(store, tmp_path / f"{name}.h5", size=8, split="fold", fold="0")
        assert learnt.computed
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()
    assert not mcls.learn_dict(store, tmp_path / "a.h5", size=8, split="fold", fold="0").computed
    with pytest.raises(ConfigError, match="is a dictionary with other settings"):
        mcls.learn_dict(store, tmp_path / "a.h5", size=9, split="fold", fold="0")
    options = {"pool": ["mean"], "split": "fold", "fold": "0"}
    assert mcls.train(store, tmp_path / "run", **options).computed
    assert not mcls.train(store, tmp_path / "run", **options).computed
    with pytest.raises(ConfigError, match=r"holds another run \(pool is"):
        mcls.train(store, tmp_path / "run", **{**options, "pool": ["max"]})


def test_a_dictionary_of_other_audio_is_another(store, tmp_path):
    mcls.learn_dict(store, tmp_path / "d.h5", size=8, split="fold", fold="0")
    other = shutil.copy(store, tmp_path / "other.h5")
    with h5py.File(other, "r+") as file:
        sums = file["tracks/sha1"].asstr()[:]
        heard = file["tracks/fold"].asstr()[:] != "0"
        sums[np.flatnonzero(heard)[0]] = "0" * 40
        file["tracks/sha1"][:] = sums
        del file.attrs["checksums"]  # it was changed on purpose
    with pytest.raises(ConfigError, match="is a dictionary with other settings"):
        mcls.learn_dict(other, tmp_path / "d.h5", size=8, split="fold", fold="0")


def test_a_dictionary_that_has_seen_held_out_tracks_is_refused(store, tmp_path):
    mcls.learn_dict(store, tmp_path / "d.h5", size=8, split="fold", fold="0")
    with pytest.raises(DataError, match="now in the valid or test part"):
        mcls.train(
            store,
            tmp_path / "run",
            dicts=[tmp_path / "d.h5"],
            pool=["mean"],
            split="fold",
            fold="1",
        )
    encoded = mcls.encode(store, tmp_path / "codes.h5", dicts=[tmp_path / "d.h5"], pool=["mean"])
    with pytest.raises(DataError, match="was learnt from"):
        mcls.train(encoded.path, tmp_path / "run", split="fold", fold="1")
    assert not (tmp_path / "run").exists()


def test_cross_validation_refuses_a_planted_leak(store, tmp_path):
    mcls.learn_dict(store, tmp_path / "d.h5", size=8, split="fold", fold="0", valid=0.0)
    recipe = {"train": {"dicts": [str(tmp_path / "d.h5")], "pool": ["mean"]}}
    with pytest.raises(DataError, match="was learnt from"):
        cross_validate(recipe, store, tmp_path / "cv")


def test_cross_validation_learns_within_the_folds_and_goes_on(store, tmp_path):
    recipe = {"learn-dict": {"size": 8}, "train": {"pool": ["histogram"]}}
    done = cross_validate(recipe, store, tmp_path / "cv")
    assert done.computed == 5
    for fold in range(5):
        learnt = open_run(tmp_path / "cv" / f"fold-{fold}").chain()[1].learnt_from
        held = [i for i, f in columns(store, "track_id", "fold") if f == str(fold)]
        assert len(learnt) == 24
        assert not set(learnt) & set(held)
    pooled = read_predictions(tmp_path / "cv" / "predictions.csv")
    assert sorted(pooled.track_ids) == sorted(i for i, _ in columns(store, "track_id", "fold"))
    shutil.rmtree(tmp_path / "cv" / "fold-3")
    assert cross_validate(recipe, store, tmp_path / "cv").computed == 1


def test_several_dictionaries_of_a_recipe_stand_side_by_side(store, tmp_path):
    """The same as learning each by hand and naming them all."""
    recipe = tmp_path / "two.toml"
    recipe.write_text(
        "[[learn-dict]]\nsize = 8\n[[learn-dict]]\nsize = 5\ncontext = 3\n"
        '[train]\nencoder = "triangle"\npool = ["mean"]\n'
    )
    cross_validate(recipe, store, tmp_path / "cv")
    options = {"split": "fold", "fold": "2", "valid": 0.0}
    mcls.learn_dict(store, tmp_path / "a.h5", size=8, **options)
    mcls.learn_dict(store, tmp_path / "b.h5", size=5, context=3, **options)
    dicts = [tmp_path / "a.h5", tmp_path / "b.h5"]
    mcls.train(
        store, tmp_path / "by-hand", dicts=dicts, encoder="triangle", pool=["mean"], **options
    )
    fold = tmp_path / "cv" / "fold-2"
    assert sorted(path.name for path in fold.glob("*.h5")) == ["chain.h5", "dict-1.h5", "dict-2.h5"]
    assert (fold / "dict-2.h5").read_bytes() == dicts[1].read_bytes()
    wanted = read_predictions(tmp_path / "by-hand" / "predictions.csv").only("test")
    found = read_predictions(fold / "predictions.csv").only("test")
    np.testing.assert_array_equal(found.scores, wanted.scores)
    again = open_run(fold).settings["train"]["dict"]
    assert again == [str(fold / "dict-1.h5"), str(fold / "dict-2.h5")]


def test_one_command_learns_one_dictionary(store, tmp_path):
    recipe = tmp_path / "two.toml"
    recipe.write_text("[[learn-dict]]\nsize = 8\n[[learn-dict]]\nsize = 5\n[train]\n")
    line = ["-c", str(recipe), "learn-dict", str(store), str(tmp_path / "d.h5")]
    result = CliRunner().invoke(cli, line)
    assert result.exit_code == 2
    assert "the recipe has 2 tables [[learn-dict]], but `mcls learn-dict`" in result.stderr
    assert CliRunner().invoke(cli, ["-c", str(recipe), "info", str(store)]).exit_code == 0
    recipe.write_text("[[learn-dict]]\nsize = 8\n[[learn-dict]]\nsise = 5\n")
    result = CliRunner().invoke(cli, ["-c", str(recipe), "info", str(store)])
    assert "[learn-dict] has no option 'sise'; did you mean 'size'?" in result.stderr


def test_all_rows_in_a_recipe_are_all_rows(store, tmp_path):
    for name, rows in (("all", '"all"'), ("many", "1000000")):
        recipe = tmp_path / f"{name}.toml"
        recipe.write_text(f'[learn-dict]\nsize = 8\nrows = {rows}\n[train]\npool = ["mean"]\n')
        cross_validate(recipe, store, tmp_path / name)
    one, two = (read_dictionary(tmp_path / name / "fold-0" / "dict.h5") for name in ("all", "many"))
    np.testing.assert_array_equal(one.step.arrays["atoms"], two.step.arrays["atoms"])


def test_lists_of_tables_are_for_jobs_only(tmp_path):
    recipe = tmp_path / "r.toml"
    recipe.write_text("[[learn-dict]]\nsize = 8\n")
    assert read_recipe(recipe) == {"learn-dict": {"size": 8}}
    recipe.write_text('[[extract]]\nfeature = "mel"\n')
    with pytest.raises(ConfigError, match="only learn-dict, encode, train may have"):
        read_recipe(recipe)
    for text in ("seed = 1\n", "train = []\n", "train = [1]\n"):
        recipe.write_text(text)
        with pytest.raises(ConfigError, match="is outside a table"):
            read_recipe(recipe)


def test_cross_validation_of_parts_is_one_run_from_train_to_test(folder, store, tmp_path):
    tracks = mcls.Store(store).tracks
    part = ["train", "train", "train", "valid", "test"]
    lines = ["path,labels,split"]
    lines += [
        f"{path},{label},{part[int(fold)]}"
        for path, label, fold in zip(tracks["path"], tracks["labels"], tracks["fold"], strict=True)
    ]
    manifest = folder.parent / "parts.csv"
    manifest.write_text("\n".join(lines) + "\n")
    made = tmp_path / "s.h5"
    mcls.extract(manifest, made, features=["mfcc:n_mfcc=8"], sr=SR)
    recipe = tmp_path / "r.toml"
    recipe.write_text('[learn-dict]\nsize = 8\n[train]\npool = ["histogram"]\n')
    said = run(f"mcls cv {recipe} {made} {tmp_path / 'cv'} --split split")
    assert re.search(r"cv: train to test, split id [0-9a-f]{16}\n", said)
    assert re.search(r"^test +6 ", said, re.MULTILINE), said
    mcls.learn_dict(made, tmp_path / "d.h5", size=8)
    trained = mcls.train(made, tmp_path / "run", dicts=[tmp_path / "d.h5"], pool=["histogram"])
    by_hand = read_predictions(tmp_path / "run" / "predictions.csv")
    in_one = read_predictions(tmp_path / "cv" / "fold-test" / "predictions.csv")
    np.testing.assert_array_equal(in_one.scores, by_hand.scores)
    assert set(in_one.parts) == {"train", "valid", "test"}
    pooled = read_predictions(tmp_path / "cv" / "predictions.csv")
    np.testing.assert_array_equal(pooled.scores, by_hand.only("test").scores)
    figures = json.loads((tmp_path / "cv" / "metrics.json").read_text())
    assert figures["split_id"] == trained.summary["split_id"]
    assert cross_validate(recipe, made, tmp_path / "cv", split="split").computed == 0
    evaluated = run(f"mcls eval {tmp_path / 'cv'} --metric auc")
    assert "6 tracks" in evaluated


def test_parts_without_a_test_part_have_nothing_to_score(folder, store, tmp_path):
    manifest = folder.parent / "no-test.csv"
    tracks = "FOLDER/rain/one.wav,rain,train\nFOLDER/rooster/1.wav,rooster,valid\n"
    manifest.write_text("path,labels,split\n" + tracks)
    mcls.extract(manifest, tmp_path / "s.h5", features=["mfcc:n_mfcc=8"], sr=SR)
    with pytest.raises(DataError, match="has no test part"):
        cross_validate({"train": {}}, tmp_path / "s.h5", tmp_path / "cv", split="split")


def columns(store: Path, *names: str) -> list[tuple[str, ...]]:
    opened = mcls.Store(store)
    return list(zip(*(opened.column(name) for name in names), strict=True))


def test_encode_then_train_is_train_with_the_dictionary(store, tmp_path):
    options = {"split": "fold", "fold": "0"}
    mcls.learn_dict(store, tmp_path / "d.h5", size=8, whiten=0.9, context=3, **options)
    pool = ["max@0.2s", "mean"]
    dicts = [tmp_path / "d.h5"]
    mcls.encode(store, tmp_path / "codes.h5", dicts=dicts, encoder="triangle", pool=pool)
    mcls.train(tmp_path / "codes.h5", tmp_path / "two", **options)
    mcls.train(store, tmp_path / "one", dicts=dicts, encoder="triangle", pool=pool, **options)
    one, two = (read_predictions(tmp_path / name / "predictions.csv") for name in ("one", "two"))
    np.testing.assert_array_equal(one.scores, two.scores)


def test_rows_are_encoded_as_they_were_learnt(store, tmp_path):
    options = {"split": "fold", "fold": "0"}
    settings = ["penalty=0.3", "n_epochs=1"]
    made = tmp_path / "d.h5"
    mcls.learn_dict(store, made, method="sparse-coding", size=8, settings=settings, **options)
    wanted = {None: (0.3, False), "lasso:positive=true": (0.3, True), "lasso:penalty=0.1": (0.1, 0)}
    for spec, (penalty, positive) in wanted.items():
        chain = build_chain(mcls.Store(store), Representation(None, (str(made),), spec))
        found = chain[-1].settings["encoder_settings"]
        assert (found["penalty"], found["positive"]) == (penalty, positive)


@pytest.mark.parametrize("labels", ["labels", "tags"])
def test_a_run_that_was_moved_scores_audio_as_it_did(store, folder, tmp_path, labels):
    options = {"split": "fold", "fold": "0", "labels": labels}
    mcls.learn_dict(store, tmp_path / "d.h5", size=8, split="fold", fold="0", labels=labels)
    mcls.train(store, tmp_path / "run", dicts=[tmp_path / "d.h5"], pool=["histogram"], **options)
    (tmp_path / "d.h5").unlink()
    (tmp_path / "run").rename(tmp_path / "moved")
    wanted = read_predictions(tmp_path / "moved" / "predictions.csv")
    paths = [folder.parent / f"{i}.wav" for i in wanted.track_ids]
    found = mcls.predict(tmp_path / "moved", paths)
    assert found.labels == wanted.names
    np.testing.assert_allclose([t.scores for t in found.tracks], wanted.scores, rtol=1e-6)


def test_predict_says_what_it_could_not_score(store, folder, tmp_path):
    mcls.train(store, tmp_path / "run", pool=["meanstd"], split="fold", fold="0")
    (tmp_path / "broken.wav").write_bytes(b"RIFF")
    good = folder / "rain" / "one.wav"
    args = ["predict", str(tmp_path / "run"), str(good), str(tmp_path / "broken.wav")]
    result = CliRunner().invoke(cli, [*args, "--json", "--windows", "--window", "0.3"])
    assert result.exit_code == 1
    said = json.loads(result.stdout)
    assert said["tracks"][0]["labels"] == ["rain"]
    assert [round(w["start"], 1) for w in said["tracks"][0]["windows"]][:2] == [0.0, 0.3]
    assert said["failed"][0]["track"].endswith("broken.wav")
    table = CliRunner().invoke(cli, [*args[:3], "--csv", "--top", "2"])
    assert table.stdout.splitlines()[0] == "track,rank,label,score"
    assert len(table.stdout.splitlines()) == 3


def test_copies_are_for_training_only(folder, tmp_path):
    out = tmp_path / "s.h5"
    mcls.extract(
        folder.parent / "manifest.csv",
        out,
        features=["mfcc:n_mfcc=5"],
        sr=SR,
        augmentations=["gain=-6..6"],
        copies=1,
    )
    assert mcls.Store(out).n_tracks == 60
    trained = mcls.train(out, tmp_path / "run", pool=["mean"], split="fold", fold="0", valid=0.0)
    assert trained.summary["tracks"] == {"train": 48, "valid": 0, "test": 6}
    scored = read_predictions(tmp_path / "run" / "predictions.csv")
    assert scored.parts.count("train") == 24, "copies are not scored"


def test_train_tracks_are_scored_too(store, folder, tmp_path):
    table = {"pool": ["meanstd"], "model": "knn", "param": ["n_neighbors=1"]}
    cross_validate({"train": table}, store, tmp_path / "cv", split="fold", valid=0.2)
    one = tmp_path / "cv" / "fold-0"
    train = read_predictions(one / "predictions.csv").only("train")
    found = mcls.predict(one, [folder.parent / f"{name}.wav" for name in train.track_ids])
    np.testing.assert_allclose([t.scores for t in found.tracks], train.scores, rtol=1e-6)
    assert mcls.evaluate(one, ["accuracy"], part="train")["accuracy"].micro.value == 1
    whole = mcls.evaluate(tmp_path / "cv", ["accuracy"], part="train")
    assert whole["accuracy"].micro.value == 1, "each track is its own nearest neighbour"
    assert list(whole.folds) == ["0", "1", "2", "3", "4"]
    about = open_run(one).about
    assert 0 < about["training_seconds"] < about["seconds"] + 0.001
    assert about["tracks_per_second"] > 0


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"pool": ["meen"]}, "mean"),
        ({"model": "logistik"}, "logistic"),
        ({"settings": ["c=1"]}, "C"),
        ({"encoder": "hard"}, "needs a dictionary"),
        ({"fold": "9"}, "has no fold '9'"),
        ({"labels": "genre"}, "genre"),
    ],
)
def test_wrong_words_are_errors_with_a_suggestion(store, tmp_path, options, said):
    with pytest.raises((ConfigError, DataError), match=said):
        mcls.train(store, tmp_path / "run", **{"split": "fold", "fold": "0", **options})
