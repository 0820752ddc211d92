"""A split whose parts and folds are spelt as other programs spell them."""

import csv
import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from mcls.cli.main import cli


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    """Return a synthetic dataset: its folder, and the header and rows of its manifest."""
    folder = tmp_path_factory.mktemp("toy")
    made = CliRunner().invoke(
        cli, ["data", "synth", str(folder), "--tracks", "24", "--seconds", "1"]
    )
    assert made.exit_code == 0, made.output
    with (folder / "manifest.csv").open(newline="") as file:
        header, *rows = csv.reader(file)
    return folder, header, rows


@pytest.fixture
def mcls(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)

    def run(*args):
        result = CliRunner().invoke(cli, [str(arg) for arg in args])
        return result.exit_code, result.stdout, result.stderr

    return run


def extracted(mcls, toy, name, spell):
    """Extract the dataset with other split cells; `spell` gets the part and the row."""
    folder, header, rows = toy
    at = header.index("split")
    new = [[*row[:at], spell(row[at], i), *row[at + 1 :]] for i, row in enumerate(rows)]
    with (folder / f"{name}.csv").open("w", newline="") as file:
        csv.writer(file).writerows([header, *new])
    made = mcls("extract", folder / f"{name}.csv", f"{name}.h5", "--feature", "mfcc")
    assert made[0] == 0, made


OTHER = {"train": "Training", "valid": "DEV", "test": "Testing", "": ""}


def test_the_same_split_in_other_words_gives_the_same_run(mcls, toy):
    extracted(mcls, toy, "usual", lambda part, i: part)
    extracted(mcls, toy, "other", lambda part, i: OTHER[part])
    for name in ("usual", "other"):
        done = mcls("train", f"{name}.h5", name, "--pool", "mean", "--model", "knn")
        assert done[0] == 0, done
    about = {
        name: json.loads(Path(f"{name}/about.json").read_text()) for name in ("usual", "other")
    }
    assert about["usual"]["split_id"] == about["other"]["split_id"]
    said = [note for note in about["other"]["notes"] if "took 'Training' as train" in note]
    assert len(said) == 1
    assert f"note: {said[0]}" in done[2]
    assert Path("usual/predictions.csv").read_text() == Path("other/predictions.csv").read_text()
    learnt = mcls("learn-dict", "other.h5", "d.h5", "--size", "4")
    assert f"note: {said[0]}" in learnt[2]
    again = mcls("learn-dict", "other.h5", "d.h5", "--size", "4")
    assert "up to date" in again[2]
    assert f"note: {said[0]}" in again[2]


def test_cv_runs_a_part_column_once_and_folds_by_number(mcls, toy, tmp_path):
    recipe = tmp_path / "r.toml"
    recipe.write_text('[train]\nmodel = "knn"\npool = ["mean"]\n')
    extracted(mcls, toy, "parts", lambda part, i: OTHER[part])
    code, _, err = mcls("cv", recipe, "parts.h5", "parts", "--split", "split")
    assert code == 0, err
    assert (tmp_path / "parts" / "fold-test").is_dir()
    assert "took 'Training' as train" in err
    spelt = ["1", "1.0", "02", "2"]
    extracted(mcls, toy, "folds", lambda part, i: spelt[i % 4])
    options = ("--split", "split", "--group", "none")
    code, _, err = mcls("cv", recipe, "folds.h5", "folds", *options)
    assert code == 0, err
    assert sorted(path.name for path in (tmp_path / "folds").glob("fold-*")) == ["fold-1", "fold-2"]
    assert "took '1.0' as 1 (6 tracks), '02' as 2 (6 tracks)" in err
    counts = dict.fromkeys("12", 0)
    with (tmp_path / "folds" / "predictions.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            counts[row["fold"]] += 1
    assert counts == {"1": 12, "2": 12}
    code, out, err = mcls("train", "folds.h5", "run", "--model", "knn", "--fold", "02", *options)
    assert code == 0, err
    assert "split 2: " in out


def test_missing_folds_are_refused_everywhere(mcls, toy, tmp_path):
    folder = toy[0]
    recipe = tmp_path / "r.toml"
    recipe.write_text('[train]\nmodel = "knn"\npool = ["mean"]\n')
    extracted(mcls, toy, "gaps", lambda part, i: "nan" if i < 3 else str(i % 2))
    said = "3 of 24 tracks have 'nan' in column 'split'"
    for args in (
        ("cv", recipe, "gaps.h5", "gaps", "--split", "split"),
        ("train", "gaps.h5", "run", "--fold", "1"),
        ("learn-dict", "gaps.h5", "d.h5", "--fold", "1"),
        ("data", "check", folder / "gaps.csv"),
    ):
        code, _, err = mcls(*args)
        assert (code, said in err) == (1, True), (args, err)


def test_eval_reads_the_parts_of_another_program(mcls, tmp_path):
    lines = ["track_id,part,labels,score:a,score:b"]
    for i in range(12):
        part = ("Training", "Testing")[i % 2]
        lines.append(f"t{i},{part},{'ab'[i % 3 == 0]},{0.1 * i},{1 - 0.1 * i}")
    for name, text in (("other", "\n".join(lines)), ("usual", "\n".join(lines).lower())):
        text = text.replace("training", "train").replace("testing", "test")
        (tmp_path / f"{name}.csv").write_text(text + "\n")
    found = [json.loads(mcls("eval", f"{name}.csv", "--json")[1]) for name in ("other", "usual")]
    assert found[0]["part"] == "test"
    assert found[0]["n_tracks"] == 6
    assert found[0]["metrics"] == found[1]["metrics"]
