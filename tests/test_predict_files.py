"""Scoring any number of files into a table that grows while they are scored."""

import csv
import io
import json
import shutil
from itertools import count, islice
from operator import attrgetter
from pathlib import Path

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner

from mcls.cli.main import cli
from mcls.errors import ConfigError, FormatError
from mcls.parallel.pool import Pool, Task
from mcls.stages.predict import predict
from mcls.stages.predict_files import predict_files
from mcls.stages.timeline import Timeline
from mcls.tables.events import Event
from mcls.tables.scored_files import ScoredLabel, ScoredWindow, TableFormat, read_finished

NAMES = ["a.wav", "b, c.wav", "=1.wav", "new\nline.wav", 'quo"ted.wav', "deep/caf\xe9.wav", "z.wav"]


def run_mcls(*args, **options):
    result = CliRunner().invoke(cli, [str(arg) for arg in args], **options)
    return result.exit_code, result.stdout, result.stderr


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Make a folder with audio of odd names, and the runs ``one`` and ``several`` (labels)."""
    root = tmp_path_factory.mktemp("bulk")
    rng = np.random.default_rng(0)
    rows = [["path", "labels", "tags", "split", "tempo"]]
    for i in range(12):
        y = rng.uniform(-0.5, 0.5, 4000) * np.sin(np.arange(4000) * (0.05 + 0.3 * (i % 2)))
        soundfile.write(root / f"{i}.wav", y, 8000)
        tags = ["x", "y", "x|y", "x"][i % 4]
        rows.append([f"{i}.wav", "ab"[i % 2], tags, ["train", "train", "test"][i % 3], 100 + i])
    with (root / "tracks.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    store = root / "s.h5"
    assert run_mcls("extract", root / "tracks.csv", store, "--sr", 8000)[0] == 0
    for name, labels in (("one", "labels"), ("several", "tags")):
        done = run_mcls("train", store, root / name, "--labels", labels, "--pool", "mean")
        assert done[0] == 0, done
    for i, name in enumerate(NAMES):
        (root / "audio" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(root / f"{i}.wav", root / "audio" / name)
    return root


@pytest.fixture
def work(made, monkeypatch):
    monkeypatch.chdir(made)
    for path in made.glob("tags*"):
        path.unlink()
    return made


def table(path):
    with Path(path).open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_the_scores_are_those_of_predict(work):
    made = predict_files("one", ["audio"], "tags.csv")
    assert (made.n_scored, made.n_known, made.failed) == (7, 0, [])
    assert len(made.notes) == 1
    assert made.notes[0].startswith("one gives no probabilities: ")
    found = predict("one", ["audio"])
    rows = table("tags.csv")
    assert [row["path"].removeprefix("'") for row in rows] == [one.name for one in found.tracks]
    for row, one in zip(rows, found.tracks, strict=True):
        assert [row["label"]] == found.predicted(one.scores)
        assert float(row["score"]) == pytest.approx(one.scores.max(), rel=1e-8)
    predict_files("one", ["audio"], "tags.jsonl")
    entries = [json.loads(line) for line in Path("tags.jsonl").read_text().splitlines()]
    for entry, one in zip(entries, found.tracks, strict=True):
        assert entry["path"] == one.name
        assert entry["scores"] == dict(found.top(one.scores, 2))


def test_windows_follow_their_file(work):
    made = run_mcls(
        "predict", "several", "audio", "--windows", "--window", "0.1", "--out", "tags.csv"
    )
    assert made[0] == 0, made
    predict_files("several", ["audio"], "tags.jsonl", windows=0.1)
    found = predict("several", ["audio"], windows=0.1)
    expected, entries = [], []
    for one in found.tracks:
        for span, scores in [
            ((), one.scores),
            *(((w.start, w.stop), w.scores) for w in one.windows),
        ]:
            when = [f"{time:.3f}" for time in span] or ["", ""]
            predicted = [
                pair for pair in found.top(scores, 2) if pair[0] in found.predicted(scores)
            ]
            expected += [[one.name, *when, *pair] for pair in predicted or [("", "")]]
        windows = [
            {"start": w.start, "stop": w.stop, "labels": found.predicted(w.scores)}
            | {"scores": dict(found.top(w.scores, 2))}
            for w in one.windows
        ]
        entries.append((one.name, windows))
    rows = table("tags.csv")
    assert list(rows[0]) == ["path", "start", "stop", "label", "score"]
    cells = [list(row.values()) for row in rows]
    assert [row[1:4] for row in cells] == [row[1:4] for row in expected]
    for row, one in zip(cells, expected, strict=True):
        assert row[4] == "" if one[4] == "" else float(row[4]) == pytest.approx(one[4], rel=1e-8)
    assert len(rows) > 3 * len(found.tracks)
    lines = [json.loads(line) for line in Path("tags.jsonl").read_text().splitlines()]
    assert [(one["path"], one["windows"]) for one in lines] == entries


def test_a_timeline_has_a_line_per_event(work):
    args = ("--timeline", "--window", "0.1", "--duration", "0.2")
    code, _, err = run_mcls("predict", "one", "audio", *args, "--out", "tags.csv")
    assert code == 0
    assert "one did not learn from events: they last 0.2 s on average" in err
    assert "gives no probabilities" not in err
    asked = Timeline(0.1, 0.2)
    predict_files("one", ["audio"], "tags.jsonl", timeline=asked)
    found = predict("one", ["audio"], timeline=asked)
    events = [(one.name, event) for one in found.tracks for event in one.events]
    rows = table("tags.csv")
    assert [row["path"].removeprefix("'") for row in rows] == [name for name, _ in events]
    for row, (_, event) in zip(rows, events, strict=True):
        assert row["label"] == event.label
        times = [float(row[name]) for name in ("start", "end")]
        assert times == pytest.approx([event.start, event.end], abs=0.0005)
        assert float(row["probability"]) == pytest.approx(event.probability, rel=1e-8)
    lines = [json.loads(line) for line in Path("tags.jsonl").read_text().splitlines()]
    assert [one["events"] for one in lines] == [
        [vars(event) for event in one.events] for one in found.tracks
    ]


EXCERPTS = [{"windows": 0.1}, {"timeline": Timeline(0.1, 0.05)}]


@pytest.mark.parametrize("suffix", ["csv", "jsonl"])
@pytest.mark.parametrize(
    ("run", "asked"),
    [("one", {}), ("one", {"top": 2}), ("several", {}), *(("several", one) for one in EXCERPTS)],
)
def test_a_killed_command_goes_on(work, run, asked, suffix):
    class KilledError(Exception):
        pass

    def kill(done, total, seconds):
        if done == 3:
            raise KilledError

    options = {**asked, "overwrite": True}
    whole, out = Path(f"tags-whole.{suffix}"), Path(f"tags.{suffix}")
    predict_files(run, ["audio"], whole, **options)
    with pytest.raises(KilledError):
        predict_files(run, ["audio"], out, progress=kill, **options)
    assert 0 < out.stat().st_size < whole.stat().st_size  # what was scored is there
    assert whole.read_bytes().startswith(out.read_bytes())
    again = predict_files(run, ["audio"], out, **asked)
    assert out.read_bytes() == whole.read_bytes()
    assert (again.n_scored, again.n_known) == (5, 2)  # the last file may have been cut
    assert predict_files(run, ["audio"], out, **asked).n_scored == 0
    assert sorted(path.name for path in work.glob(".*")) == []


@pytest.mark.parametrize("jsonl", [False, True])
@pytest.mark.parametrize("excerpts", ["", "windows", "events"])
def test_a_table_cut_anywhere_is_continued(tmp_path, excerpts, jsonl):
    form = TableFormat(jsonl, calibrated=True, excerpts=excerpts)
    labels = [ScoredLabel("r\xe4p", 0.5, 0.25), ScoredLabel("new\nlabel", -1.0, 0.125)]
    names = [*NAMES, "last.wav"]
    lines = []
    for i, name in enumerate(names):
        windows = [ScoredWindow(n, n + 1, labels[:n], []) for n in range(i % 3)] if excerpts else []
        events = [Event(n, n + 1, "new\nlabel", 0.5) for n in range(i % 3)]
        line = form.lines(name, labels[: i % 3], [], windows=windows, events=events)
        lines.append(line.encode())
    head = form.header().encode()
    text = head + b"".join(lines)
    path = tmp_path / "t"
    for size in range(len(text) + 1):
        path.write_bytes(text[:size])
        finished, end = read_finished(path, form, complete=False)
        whole = len(finished)
        assert finished == set(names[:whole])
        assert end == len(head + b"".join(lines[:whole]))
        n_there = sum(len(head + b"".join(lines[: i + 1])) <= size for i in range(len(names)))
        assert max(0, n_there - 1) <= whole <= n_there
    assert read_finished(path, form, complete=True) == (set(names), len(text))


def test_any_number_of_jobs_writes_the_same(work):
    predict_files("several", ["audio"], "tags1.csv")
    predict_files("several", ["audio"], "tags2.csv", jobs=2)
    assert Path("tags1.csv").read_bytes() == Path("tags2.csv").read_bytes()


def test_bad_files_are_listed_and_tried_again(work):
    bad = work / "tags-bad.wav"
    bad.write_text("no audio")
    args = ("predict", "one", "-", "--out", "tags.csv")
    listed = f"{bad}\naudio/a.wav\n\nnothere.wav\naudio/z.wav"
    code, _, err = run_mcls(*args, input=listed)
    assert code == 1
    errors = [line.split(": ")[1] for line in err.splitlines() if line.startswith("error")]
    assert errors == [str(bad), "nothere.wav"]
    assert "tags.csv: 2 files scored, 2 failed" in err
    about = json.loads(Path("tags.about.json").read_text())
    assert [one["path"] for one in about["failed"]] == [str(bad), "nothere.wav"]
    shutil.copy("0.wav", bad)
    code, _, err = run_mcls(*args, input=f"{bad}\naudio/a.wav\naudio/z.wav")
    assert code == 0
    assert "1 files scored, 2 were there before, 0 failed" in err
    assert [row["path"] for row in table("tags.csv")] == ["audio/a.wav", "audio/z.wav", str(bad)]


def test_an_empty_list_is_an_error(work):
    code, _, err = run_mcls("predict", "one", "-", "--out", "tags.csv", input="\n")
    assert (code, "no audio files were named" in err) == (1, True)
    assert not list(work.glob("tags*"))


def test_a_file_without_a_label_has_a_line(work):
    about = json.loads((work / "several" / "about.json").read_text())
    shutil.copytree("several", "tags-never")
    about["threshold"] = 1e9
    (work / "tags-never" / "about.json").write_text(json.dumps(about))
    (work / "tags-never" / "run.sha256").unlink()
    predict_files("tags-never", ["audio/a.wav"], "tags.csv")
    assert table("tags.csv") == [{"path": "audio/a.wav", "label": "", "score": ""}]
    shutil.rmtree("tags-never")


def test_nothing_else_is_replaced(work):
    predict_files("one", ["audio/a.wav"], "tags.csv")
    before = Path("tags.csv").read_bytes()
    with pytest.raises(ConfigError, match="holds the scores of one, or of other settings"):
        predict_files("several", ["audio"], "tags.csv")
    for other in ({"top": 2}, *EXCERPTS):
        with pytest.raises(ConfigError, match="or of other settings"):
            predict_files("one", ["audio"], "tags.csv", **other)
    assert Path("tags.csv").read_bytes() == before
    predict_files("one", ["audio"], "tags.csv", top=1, overwrite=True)
    assert len(table("tags.csv")) == 7
    tracks = Path("tracks.csv").read_bytes()
    with pytest.raises(ConfigError, match="not a table that `mcls predict` wrote"):
        predict_files("one", ["audio"], "tracks.csv", overwrite=True)
    assert Path("tracks.csv").read_bytes() == tracks
    with pytest.raises(ConfigError, match=r"must not be called \.wav"):
        predict_files("one", ["audio"], "0.wav", overwrite=True)
    with pytest.raises(ConfigError, match=r"must not be called \.csv; .*ends in \.jsonl"):
        predict_files("one", ["audio"], "tags.csv", jsonl=True)
    Path("tags.csv").write_text("path,other\na,b\n")
    with pytest.raises(FormatError, match="has other columns: path, other"):
        predict_files("one", ["audio"], "tags.csv", top=1)


def test_numbers_of_a_regression(work):
    args = ("--regression", "--labels", "tempo", "--pool", "mean", "--model", "ridge")
    done = run_mcls("train", "s.h5", "numbers", *args)
    assert done[0] == 0, done
    assert run_mcls("predict", "numbers", "audio", "--out", "tags.csv")[0] == 0
    found = predict("numbers", ["audio"])
    rows = table("tags.csv")
    assert {row["target"] for row in rows} == {"tempo"}
    numbers = [float(row["number"]) for row in rows]
    assert numbers == pytest.approx([one.scores[0] for one in found.tracks], rel=1e-8)
    predict_files("numbers", ["audio"], "tags.jsonl")
    first = json.loads(Path("tags.jsonl").read_text().splitlines()[0])
    assert first == {"path": "audio/=1.wav", "numbers": {"tempo": pytest.approx(numbers[0])}}
    with pytest.raises(ConfigError, match="--top is for labels"):
        predict_files("numbers", ["audio"], "tags2.csv", top=2)
    with pytest.raises(ConfigError, match="predicts numbers; a timeline is for labels"):
        predict_files("numbers", ["audio"], "tags2.csv", timeline=Timeline())
    predict_files("numbers", ["audio/a.wav"], "tags3.csv", windows=0.2)
    windows = predict("numbers", ["audio/a.wav"], windows=0.2).tracks[0].windows
    numbers = [float(row["number"]) for row in table("tags3.csv")[1:]]
    assert numbers == pytest.approx([one.scores[0] for one in windows], rel=1e-8)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--csv"], "--csv and --out: choose one"),
        (["--windows", "--timeline"], "--windows and --timeline: choose one"),
        (["--timeline", "--top", "2"], "--top and --timeline: choose one"),
    ],
)
def test_options_that_exclude_each_other(work, options, said):
    code, _, err = run_mcls("predict", "one", "audio", "--out", "tags.csv", *options)
    assert (code, said in err) == (2, True)


def test_stdin_without_a_table(work):
    code, out, _ = run_mcls("predict", "one", "-", "--csv", input="audio/a.wav\n")
    assert code == 0
    assert len(list(csv.reader(io.StringIO(out)))) == 2


@pytest.mark.parametrize("jobs", [0, 2])
def test_tasks_are_read_as_they_are_needed(jobs):
    taken = 0

    def endless():
        nonlocal taken
        for taken in count(1):
            yield Task([taken])

    with Pool(jobs) as pool:
        found = list(islice(pool.map(attrgetter("items"), endless()), 20))
    assert len({items[0] for _, items in found}) == 20
    assert taken <= 20 + 2 * jobs
