"""Published splits: the lists that come with mcls, and how a column is recognised."""

import gzip
import json
import re
from pathlib import Path

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner

from mcls.cli.main import cli
from mcls.data.parts import published_as, split_id
from mcls.data.published_splits import FOLDER, published_split, published_splits
from mcls.errors import DataError, FormatError
from mcls.extraction.options import Extraction
from mcls.extraction.track_columns import no_split
from mcls.judging.same_tracks import refuse_other_splits

SPLITS = published_splits()
LISTED = [one for one in SPLITS if one.file]


def name_of(one) -> str:
    return f"{one.dataset}-{one.name}"


@pytest.mark.parametrize("one", LISTED, ids=name_of)
def test_lists_are_what_their_table_says(one):
    part_of = one.part_of()
    parts = list(part_of.values())
    assert {part: parts.count(part) for part in one.tracks} == one.tracks
    assert len(parts) == one.n_tracks
    assert split_id(list(part_of), parts) == one.id


def test_the_files_are_small_and_described():
    described = {FOLDER / one.dataset / one.file for one in LISTED}
    lists = {path for end in ("csv", "csv.gz") for path in FOLDER.glob(f"*/*.{end}")}
    assert lists == described
    assert all(path.stat().st_size < 300_000 for path in FOLDER.glob("*/*"))
    assert len({one.id for one in SPLITS}) == len(SPLITS)


def test_a_changed_list_is_refused(monkeypatch, tmp_path):
    one = published_split("gtzan", "fault-filtered")
    (tmp_path / "gtzan").mkdir()
    (tmp_path / "gtzan" / one.file).write_text("track_id,split\nrock/rock.00000,test\n")
    monkeypatch.setattr("mcls.data.published_splits.FOLDER", tmp_path)
    with pytest.raises(FormatError, match="has changed: its SHA-256 is"):
        one.part_of()


def test_lee_nam_is_the_list_of_its_authors(real_data):
    part_of = published_split("magnatagatune", "lee-nam").part_of()
    for part in ("train", "valid", "test"):
        text = gzip.decompress((real_data / "splits/mtat" / f"{part}.txt.gz").read_bytes())
        names = [line.removesuffix(".npy") for line in text.decode().splitlines()]
        assert [name for name, its in part_of.items() if its == part] == names
    whole = published_split("magnatagatune", "folders")
    listed = published_split("magnatagatune", "lee-nam")
    assert whole.n_tracks == 25863 - 3
    assert all(listed.tracks[part] < n for part, n in whole.tracks.items())
    folders = {
        part: {name[0] for name, its in part_of.items() if its == part}
        for part in ["train", "valid", "test"]
    }
    assert folders == {"train": set("0123456789ab"), "valid": {"c"}, "test": set("def")}
    songs = {}
    for name, part in part_of.items():
        songs.setdefault(re.sub(r"-\d+-\d+$", "", name), set()).add(part)
    assert all(len(parts) == 1 for parts in songs.values())


def test_a_column_is_recognised_by_its_content():
    one = published_split("gtzan", "fault-filtered")
    part_of = one.part_of()
    ids, parts = list(part_of), list(part_of.values())
    assert published_as("mine", ids, parts) == "fault-filtered of gtzan, as published"
    assert published_as("split", ids[::-1], parts[::-1]).endswith("as published")
    assert (
        published_as("split", ids[:-3], parts[:-3]) == "fault-filtered of gtzan, 927 of 930 tracks"
    )
    assert published_as("mine", ids[:-3], parts[:-3]) == ""
    assert published_as("split", ids, ["valid", *parts[1:]]) == ""
    assert published_as("split", ["x", "y"], ["", ""]) == ""
    assert published_as("split", [*ids, "x"], [*parts, ""]).endswith("as published")


def test_compare_names_the_splits():
    ids = [(Path("a"), {"0": "12"}), (Path("b"), {"0": "34"})]
    names = {Path("a"): "lee-nam of magnatagatune, as published", Path("b"): None}
    with pytest.raises(DataError, match=r"\(12, lee-nam of magnatagatune, as published and 34\)"):
        refuse_other_splits(ids, names, lambda path, seed: frozenset())


def test_from_the_folder_to_the_scores(tmp_path, monkeypatch):
    """The split keeps its name in prepare, check, train, eval and compare."""
    one = published_split("gtzan", "fault-filtered")
    part_of = one.part_of()
    names = {part: [name for name in part_of if part_of[name] == part] for part in one.tracks}
    rng = np.random.default_rng(0)
    for genre in ("rock", "jazz"):
        for part, n in (("train", 4), ("valid", 2), ("test", 3)):
            for name in [name for name in names[part] if genre in name][:n]:
                hertz = 300 if genre == "rock" else 2000
                y = np.sin(2 * np.pi * hertz * np.arange(8000) / 16000) + rng.normal(0, 0.1, 8000)
                path = tmp_path / "GTZAN" / f"{name}.wav"
                path.parent.mkdir(parents=True, exist_ok=True)
                soundfile.write(path, 0.3 * y, 16000)
    monkeypatch.chdir(tmp_path)

    def run(words: str) -> str:
        result = CliRunner().invoke(cli, words.split(), prog_name="mcls")
        assert result.exit_code == 0, result.output
        return result.output

    said = "fault-filtered of gtzan, 18 of 930 tracks"
    assert f"column 'split': {said} (split id " in run(
        "data prepare gtzan GTZAN gtzan.csv -p partial=true"
    )
    assert f"column 'split' is the published split {said}" in run("data check gtzan.csv")
    run("data split gtzan.csv --column mine --by none")
    run("extract gtzan.csv mfcc.h5 --feature mfcc --sr 16000 --jobs 1")
    assert f"; {said})" in run("train mfcc.h5 run --model knn --pool meanstd")
    about = json.loads((tmp_path / "run/about.json").read_text())
    assert about["split_name"] == said
    assert f"split {about['split_id']} ({said})" in run("eval run")
    assert json.loads(run("eval run --json"))["split_name"] == said
    assert said not in run("train mfcc.h5 other --model knn --pool meanstd --split mine")
    result = CliRunner().invoke(cli, ["compare", "run", "other"], prog_name="mcls")
    assert f"run and other have other splits ({about['split_id']}, {said} and " in result.output
    assert result.exit_code == 1


def test_columns_of_parts_are_named_where_there_is_no_split():
    columns = {
        "labels": ["rock", "test"],
        "lee-nam": ["train", ""],
        "folders": ["train", "Validation"],
        "fold": ["1", "2"],
        "empty": ["", ""],
    }
    asked = Extraction(split="split")
    assert no_split(columns, "made one", asked) == (
        "there is no column 'split': made one; to use one that is there, pass --split lee-nam or "
        "folders"
    )
    assert no_split({"labels": ["a"]}, "made one", asked).endswith("made one")


def test_list_shows_the_published_splits():
    result = CliRunner().invoke(cli, ["list", "datasets", "magnatagatune"])
    assert "lee-nam           lee-nam   15244/1529/4332   d9025b3913a76314" in result.output
