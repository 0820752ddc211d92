"""The benchmark of extraction: what it measures, and that it refuses to time what differs."""

import json

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner

from mcls.cli.main import cli
from mcls.errors import DataError
from mcls.stages import bench_extract as bench


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    """One clip of each kind."""
    return bench.make_clips(tmp_path_factory.mktemp("clips"), 1)


def test_clips_are_what_they_are_called(clips):
    found = {}
    for kind, paths in clips.items():
        info = soundfile.info(paths[0])
        found[kind] = (info.format, info.samplerate, info.channels, round(info.duration))
    assert found == {
        "wav 44.1 stereo": ("WAV", 44100, 2, 30),
        "mp3 44.1 stereo": ("MP3", 44100, 2, 30),
        "wav 22.05 mono": ("WAV", 22050, 1, 30),
    }


def test_every_side_is_timed(clips):
    times = bench.per_clip(clips["wav 22.05 mono"], ["mel"], 1)
    assert {"mcls", "librosa", "floor"} <= set(times)
    assert all(0 < took < 60_000 for took in times.values())


def test_rows_that_are_not_librosas_are_not_timed(clips, monkeypatch):
    other = bench.with_librosa(clips["wav 22.05 mono"][0], ["mel"])["mel"] + np.float32(1)
    monkeypatch.setattr(bench, "with_librosa", lambda path, names: {"mel": other})
    with pytest.raises(DataError, match="mel differs from librosa's by"):
        bench.per_clip(clips["wav 22.05 mono"], ["mel"], 1)


@pytest.mark.slow
def test_the_command_measures_clips_and_whole_processes():
    done = CliRunner().invoke(cli, ["bench", "extract", "--clips", "1", "--rounds", "1", "--json"])
    assert done.exit_code == 0, done.stderr
    found = json.loads(done.stdout)
    assert [one["what"] for one in found].count("ms a clip") == 9
    assert {one["what"] for one in found} == {"ms a clip", "s, 1 jobs", "s, 2 jobs"}
    assert all(one["times"]["mcls"] > 0 for one in found)
