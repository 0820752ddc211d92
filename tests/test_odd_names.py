"""Names that are odd but allowed: nothing that mcls writes is refused by mcls."""

import csv
from pathlib import Path

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner

from mcls.cli.main import cli
from mcls.data.look_alikes import look_alikes, name_problems, spell
from mcls.errors import DataError
from mcls.stores.store import Store, StoreContents, write_store
from mcls.tables.manifest import open_source, track_ids_of
from mcls.tables.predictions import read_predictions

#: File names, each allowed on Linux.
ODD = [
    *("take.wav", "take .wav", " take.wav", "Take.wav", "take.WAV", "take#1.wav", "take##1.wav"),
    *("a,b.wav", 'say "hi".wav', "new\nline.wav", "ret\rurn.wav", "tab\t.wav", "=1+1.wav"),
    *("-x.wav", "@y.wav", "'=z.wav", "'tis.wav", "semi;colon.wav", "back\\slash.wav"),
    *("caf\xe9.wav", "cafe\u0301.wav", "zero\u200bwidth.wav", "zerowidth.wav", "nan.wav"),
    *("\xa0nbsp.wav", "\u3000wide\u3000.wav", "\ufeffbom.wav", "next\x85line.wav", "1.0.wav"),
    *("\uff21.wav", "A.wav", "bell\x07.wav", "\x1b[31mred.wav", "..two.wav", "dot..wav"),
]


@pytest.fixture
def mcls(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)

    def run(*args):
        result = CliRunner().invoke(cli, [str(arg) for arg in args])
        return result.exit_code, result.stdout, result.stderr

    return run


def write_audio(path, seed):
    path.parent.mkdir(parents=True, exist_ok=True)
    y = np.random.default_rng(seed).uniform(-0.5, 0.5, 4000)
    with path.open("wb") as file:
        soundfile.write(file, y, 8000, format="WAV")


def test_what_mcls_writes_mcls_reads(mcls, tmp_path):
    for i, name in enumerate(ODD):
        for j, folder in enumerate(("low", "high ")):
            write_audio(tmp_path / "music" / folder / name, 2 * i + j)
    ids = open_source("music").track_ids
    n, knn = len(ids), ("--model", "knn", "--split", "fold", "--fold", 1)
    assert n == 2 * len([name for name in ODD if not name.startswith(".")])
    for args in (
        ("data", "split", "music", "-o", "split.csv", "--folds", 4),
        ("data", "split", "split.csv", "--column", "again"),
        ("info", "split.csv"),
        ("extract", "split.csv", "rows.h5", "--copies", 2, "--augment", "gain=-6..6", "--sr", 8000),
        ("info", "rows.h5"),
        ("learn-dict", "rows.h5", "vq.h5", "--size", 4, "--split", "fold", "--fold", 1),
        ("train", "rows.h5", "run", "--dict", "vq.h5", "--pool", "histogram", *knn),
        ("info", "run"),
        ("eval", "run"),
        ("encode", "rows.h5", "codes.h5", "--with", "vq.h5", "--pool", "mean"),
        ("info", "codes.h5"),
        ("predict", "run", "rows.h5"),
    ):
        code, out, err = mcls(*args)
        assert code == 0, (args, out, err)
    code, _, err = mcls("data", "check", "split.csv", "--split", "again")
    assert "edited" not in err
    assert "groups of track ids look alike" in err
    assert open_source("split.csv").track_ids == ids
    store = Store("rows.h5")
    assert store.n_tracks == 3 * n
    copies = [i for i, source in enumerate(store.tracks["augmented_from"]) if source]
    assert {store.tracks["augmented_from"][i] for i in copies} == set(ids)
    assert all(Path(store.tracks["path"][i]).is_file() for i in copies)
    assert set(read_predictions("run/predictions.csv").track_ids) <= set(ids)


def test_copies_are_named_so_that_no_name_clashes(mcls, tmp_path):
    for i, name in enumerate(("a.wav", "b.wav", "b#1.wav", "b##2.wav")):
        write_audio(tmp_path / "music" / "x" / name, i)
    args = ("extract", "music", "rows.h5", "--augment", "gain=-6..6", "--copies", "2")
    assert mcls(*args)[0] == 0
    store = Store("rows.h5")
    assert store.track_ids[:3] == ["x/a", "x/a###1", "x/a###2"]
    assert dict(zip(store.track_ids, store.tracks["augmented_from"], strict=True))["x/b###1"] == (
        "x/b"
    )
    assert "nothing to do" in mcls(*args)[2]


def test_a_store_with_a_track_id_twice_is_not_written(tmp_path):
    tracks = {"track_id": ["a", "a"], "path": ["a.wav", "b.wav"]}
    with pytest.raises(DataError, match="two tracks have the track_id 'a'"):
        write_store(tmp_path / "s.h5", StoreContents(tracks), [])
    assert not (tmp_path / "s.h5").exists()


def test_track_ids_have_no_space_around_them():
    paths = ["x/take .wav", " lead.wav", "x/end.wav ", "x/take.wav"]
    assert track_ids_of(paths) == ["x/take .wav", "lead", "x/end", "x/take.wav"]


def test_class_folders_that_differ_in_white_space_are_one_label(tmp_path):
    for i, folder in enumerate(("low", "low ", "high")):
        write_audio(tmp_path / folder / f"{i}.wav", i)
    manifest = open_source(tmp_path)
    assert sorted(set(manifest.column("labels"))) == ["high", "low"]
    assert manifest.notes == ["class folders that differ only in white space are one label: 'low'"]


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["low", "Low"], "'low' and 'Low' (case)"),
        (["low", " low"], "'low' and ' low' (white space)"),
        (["low", "low\u200b"], r"'low' and 'low\u200b' (invisible characters)"),
        (["caf\xe9", "cafe\u0301"], r"'caf\xe9' and 'cafe\u0301' (the form of accents)"),
        (["AB", "\uff21\uff22"], r"'AB' and '\uff21\uff22' (the width of characters)"),
        (["Stra\xdfe", "STRASSE"], "'Stra\xdfe' and 'STRASSE' (case)"),
    ],
)
def test_look_alikes(names, said):
    assert look_alikes([*names, "other", names[0]]) == [names]
    assert spell(names) == said


def test_different_names_do_not_look_alike():
    assert look_alikes(["a", "b", "a b", "ab", "e", "\xe9", "1", "01", "a-b", "a_b", ""]) == []


def manifest_of(tmp_path, **columns):
    n = len(next(iter(columns.values())))
    for i in range(n):
        write_audio(tmp_path / f"{i}.wav", i)
    with (tmp_path / "tracks.csv").open("w", newline="", encoding="utf-8") as file:
        rows = zip(*columns.values(), strict=True)
        csv.writer(file).writerows(
            [["path", *columns], *([f"{i}.wav", *row] for i, row in enumerate(rows))]
        )


def test_check_names_look_alikes(mcls, tmp_path):
    manifest_of(
        tmp_path,
        labels=["low", "Low", "high", "hi\u200bgh", "low", "high"],
        group=["Miles", "Bill", "MILES", "Chet", "bill", "nan"],
        split=["train", "train", "test", "test", "train", "test"],
    )
    code, _, err = mcls("data", "check", "tracks.csv")
    assert code == 1
    assert (
        "problem: 2 groups of labels look alike but are different: 'low' and 'Low' (case), "
        r"'high' and 'hi\u200bgh' (invisible characters)"
    ) in err
    alike = "problem: 1 sets of groups look alike and are in several parts: 'Miles' and 'MILES'"
    assert alike in err
    assert "note: 1 tracks have 'nan' in column 'group'" in err


def test_check_names_a_likely_separator(mcls, tmp_path):
    manifest_of(tmp_path, labels=["rock, live", "jazz", "live", "Pop; Soul & Funk", "jazz", "rock"])
    code, _, err = mcls("data", "check", "tracks.csv")
    assert code == 1
    assert "1 tracks have a label such as 'rock, live', which seems to be several" in err
    assert "Pop" not in err


@pytest.mark.parametrize(
    ("cells", "n_problems"),
    [(["C", "c", "F#", "f#"], 0), (["C", "c", "Rock", "rock"], 1), (["X", "x"], 1)],
)
def test_keys_in_major_and_minor_are_no_look_alikes(cells, n_problems):
    assert len(name_problems(cells, None, [])) == n_problems
