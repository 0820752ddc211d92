"""Learning from events, and timelines, on sequences of tones that are easily told apart."""

import json

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner

from mcls.cli.main import cli
from mcls.disk.run import open_run
from mcls.errors import FormatError
from mcls.evaluation.sequences import measure_sequences
from mcls.stages.train import train
from mcls.stores.event_store import EventStore
from mcls.stores.store import Store
from mcls.tables.event_table import read_event_table, write_event_table
from mcls.tables.events import parse_events, read_events
from mcls.tables.predictions import join_predictions, read_predictions

SR, HOP = 8000, 80
PITCH = {"low": 300.0, "mid": 900.0, "high": 2500.0}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Twelve tracks of eight events each: tones of three pitches, with a pause after the fourth."""
    folder = tmp_path_factory.mktemp("tones")
    rng = np.random.default_rng(0)
    lines = ["path,events,labels,split"]
    for i in range(12):
        pieces, events, now = [], [], 0.0
        for k in range(8):
            label = list(PITCH)[rng.integers(3)]
            n = int(rng.uniform(0.2, 0.4) * SR)
            y = 0.3 * np.sin(2 * np.pi * PITCH[label] * np.arange(n) / SR)
            pieces.append(y + rng.normal(0, 0.01, n))
            events.append(f"{now:.6f}\t{now + n / SR:.6f}\t{label}")
            now += n / SR
            if k == 3:
                pieces.append(rng.normal(0, 0.01, SR // 4))
                now += 0.25
        soundfile.write(folder / f"{i}.wav", np.concatenate(pieces), SR)
        (folder / f"{i}.lab").write_text("\n".join(events))
        part = "train" if i < 7 else "valid" if i < 9 else "test"
        lines.append(f"{i}.wav,{'' if i == 0 else f'{i}.lab'},{'odd' if i % 2 else 'even'},{part}")
    (folder / "tracks.csv").write_text("\n".join(lines) + "\n")
    invoke(
        "extract", folder / "tracks.csv", folder / "mfcc.h5", "--annotations", "events", "--sr", SR,
        "--feature", f"mfcc:n_mfcc=8,n_fft=256,hop_length={HOP},n_mels=20",
    )  # fmt: skip
    return folder


def invoke(*argv, code=0):
    done = CliRunner().invoke(cli, [str(word) for word in argv])
    assert done.exit_code == code, done.output
    return done


@pytest.fixture(scope="module")
def run(folder):
    """A run of frames that learns from the events."""
    train(folder / "mfcc.h5", folder / "frames", labels="events", model="logistic")
    return folder / "frames"


def test_the_rows_of_an_event_are_those_whose_middle_is_in_it(folder):
    store = Store(folder / "mfcc.h5")
    cells = store.column("events")
    events = [(i, e) for i, cell in enumerate(cells) if cell for e in parse_events(cell, "")]
    cut = EventStore(store, "events", events, {"mfcc": 0.0})
    rows, whole = cut.feature("mfcc"), store.feature("mfcc")
    for j in range(0, len(events), 7):
        i, event = events[j]
        times = np.arange(len(whole.track(i))) * HOP / SR
        inside = (times >= event.start) & (times < event.end)
        np.testing.assert_array_equal(rows.track(j), whole.track(i)[inside])
    assert cut.column("events")[:2] == [e.label for _, e in events[:2]]
    assert cut.source_ids[0] == "1" and cut.track_ids[0].startswith("1@0.000-")
    wide = cut.widened(0.05).feature("mfcc")
    assert np.diff(wide.spans)[0] == np.diff(rows.spans)[0] + 5  # the first begins with its track
    assert np.diff(wide.spans)[1] == np.diff(rows.spans)[1] + 10


def test_a_classifier_learns_from_the_rows_of_events(run, folder):
    opened = open_run(run)
    assert opened.labels == ["high", "low", "mid"]
    assert opened.learnt_from() == tuple("123456")
    notes = " ".join(opened.about["notes"])
    assert "(88 events of 11 tracks)" in notes
    assert "1 tracks without events are left out: 0" in notes
    told = read_predictions(run / "predictions.csv")
    assert told.parts.count("train") == 48
    read = join_predictions([told.only("valid"), told.only("test")])
    assert len(read) == 40 and set(read.track_ids) == {"7", "8", "9", "10", "11"}
    assert read.times[0].startswith("0.000-0.")
    assert (read.scores.argmax(axis=1) == read.truth.argmax(axis=1)).all()
    done = invoke("eval", run)
    assert "these are the labels of 24 events of 3 tracks, whose times were given" in done.output
    other = train(folder / "mfcc.h5", folder / "tracks", labels="labels", model="logistic")
    assert other.summary["split_id"] == opened.about["split_id"]  # parts are those of tracks


def test_intervals_are_over_tracks_not_events(run):
    """Events of one track do not make an interval narrower: eight of each count like one."""
    found = json.loads(invoke("eval", run, "--json").stdout)["metrics"]["accuracy"]["micro"]
    n = 3
    assert found["low"] == pytest.approx(n / (n + 1.959964**2), abs=1e-6)  # Wilson's, of 3 tracks


def test_a_net_learns_from_segments_whose_middle_is_in_an_event(folder, monkeypatch):
    from mcls.stages import train_net

    seen = []
    batches = train_net._batches
    monkeypatch.setattr(
        train_net, "_batches", lambda *given: seen.append(batches(*given)) or seen[0]
    )
    done = train(
        folder / "mfcc.h5", folder / "net", labels="events", model="mlp", frames=21, epochs=4,
        batch_size=16, settings=["layers=32"],
    )  # fmt: skip
    assert done.summary["training"]["segment_rows"] == 21
    assert done.summary["metrics"]["test"]["metrics"]["accuracy"]["micro"]["value"] == 1
    store = Store(folder / "mfcc.h5")
    offsets, cells = store.feature("mfcc").offsets, store.column("events")
    tracks, names = seen[0].tracks, np.array(["high", "low", "mid"])
    for epoch in range(3):
        track, offset = seen[0].order(epoch)
        middle = tracks.starts[track] + offset + 10
        for at, label in zip(middle, names[tracks.targets[track].argmax(axis=1)], strict=True):
            i = int(np.searchsorted(offsets, at, "right")) - 1
            time = (at - offsets[i]) * HOP / SR
            events = parse_events(cells[i], "")
            assert label in [e.label for e in events if e.start - 1e-6 <= time < e.end + 1e-6]


def test_info_counts_the_tracks_that_have_an_event_with_each_label(folder):
    done = invoke("info", folder / "mfcc.h5", "--labels", "events", "--json")
    labels = json.loads(done.stdout)["labels"]
    assert set(labels) == set(PITCH)


def test_what_cannot_learn_from_events_says_so(folder):
    store = folder / "mfcc.h5"
    done = invoke("train", store, folder / "no", "--labels", "events", "--regression", code=2)
    assert "column 'events' holds events with labels; leave --regression out" in done.stderr
    invoke("encode", store, folder / "whole.h5", "--pool", "meanstd")
    done = invoke("train", folder / "whole.h5", folder / "no", "--labels", "events", code=2)
    assert "are whole tracks; extract frames without pooling" in done.stderr
    done = invoke(
        "eval", folder / "frames", "--audio", folder / "tracks.csv", "--gain", "6", code=2
    )
    assert "scores events, but changed audio is scored as whole tracks" in done.stderr


MODELS = {
    "frames": {"model": "logistic"},
    "stretches": {"model": "svm", "pool": ["meanstd"]},
    "windows": {"model": "svm", "pool": ["meanstd@0.1s/0.02s"]},
    "net": {"model": "mlp", "frames": 15, "epochs": 5, "settings": ["layers=32"], "batch_size": 16},
    "gmm-hmm": {"model": "gmm-hmm", "settings": ["states=2", "mixtures=1"]},
    "dnn-hmm": {
        "model": "dnn-hmm", "epochs": 3, "batch_size": 64,
        "settings": ["states=2", "mixtures=1", "realignments=0", "layers=32"],
    },
}  # fmt: skip


@pytest.mark.parametrize("name", MODELS)
def test_every_kind_of_model_finds_the_events(folder, name):
    path = folder / f"every-{name}"
    done = train(folder / "mfcc.h5", path, labels="events", **MODELS[name])
    found = done.summary["metrics"]["test"]["timelines"]
    # A stretch over two tones has a deviation that no event of the train part has.
    assert found["frame-accuracy"]["value"] > (0.45 if name == "stretches" else 0.9)
    if "hmm" in name:  # two events with the same label, one after the other, are two
        assert found["label-error"]["value"] <= 0.25
    predicted = invoke("predict", path, folder / "10.wav", "--timeline", "--csv").stdout
    (folder / "again.csv").write_text(predicted)
    again = read_events(folder / "again.csv")  # it is an annotation file
    table = {one.track_id: one for one in read_event_table(path / "events.csv")}
    assert [e.label for e in again] == [e.label for e in table["10"].predicted]
    assert again[0].start == 0
    true = table["10"].true
    assert again[-1].end == pytest.approx(true[-1].end, abs=0.03)
    np.testing.assert_allclose(
        [e.start for e in again], [e.start for e in table["10"].predicted], atol=6e-4
    )


def test_timelines_of_audio_and_of_a_store_are_the_same(run, folder):
    both = [
        json.loads(invoke("predict", run, *sources, "--timeline", "--json").stdout)["tracks"]
        for sources in (
            [folder / "10.wav", folder / "11.wav"],
            [folder / "mfcc.h5"],
        )
    ]
    of_store = {one["track"]: one["events"] for one in both[1]}
    assert both[0][0]["events"] == of_store["10"]
    assert both[0][0]["labels"]  # the whole track is scored, too
    one = both[0][0]["events"][0]
    assert sorted(one) == ["end", "label", "probability", "start"] and 0.5 < one["probability"] <= 1


@pytest.mark.slow
def test_timelines_are_the_same_for_any_number_of_jobs(run, folder):
    sources = [folder / "10.wav", folder / "11.wav"]
    one, two = (
        json.loads(invoke("predict", run, *sources, "--timeline", "--json", *more).stdout)
        for more in ((), ("--jobs", 2))
    )
    assert one == two


def test_a_timeline_is_printed_with_times_and_probabilities(run, folder):
    done = invoke("predict", run, folder / "10.wav", "--timeline")
    assert done.output.splitlines()[0].split() == ["track", "label", "start", "end", "probability"]
    assert str(folder / "10.wav") in done.output
    longer = invoke("predict", run, folder / "10.wav", "--timeline", "--duration", 1000, "--csv")
    shorter = invoke("predict", run, folder / "10.wav", "--timeline", "--csv")
    assert len(longer.output.splitlines()) <= len(shorter.output.splitlines())


def test_eval_prints_the_metrics_of_timelines(run):
    done = invoke("eval", run)
    assert "timelines" in done.output and "segment-error" in done.output
    found = json.loads(invoke("eval", run, "--json").stdout)["timelines"]
    trained = json.loads((run / "metrics.json").read_text())["test"]["timelines"]
    assert found == trained
    assert found["frame-accuracy"]["low"] < found["frame-accuracy"]["value"]
    assert "timelines" not in invoke("eval", run, "--metric", "accuracy").output
    alone = json.loads(invoke("eval", run, "--no-intervals", "--json").stdout)["timelines"]
    assert alone["segment-f1"]["low"] is None


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A store of whole tracks of one pitch, or of two at a time, in the column `both`."""
    folder = tmp_path_factory.mktemp("whole")
    rng = np.random.default_rng(1)
    lines = ["path,labels,both,split"]
    t = np.arange(SR) / SR
    for i in range(24):
        one, other = list(PITCH)[i % 3], list(PITCH)[(i + i // 3) % 3]
        y = 0.3 * np.sin(2 * np.pi * PITCH[one] * t) + rng.normal(0, 0.01, SR)
        soundfile.write(folder / f"a{i}.wav", y, SR)
        lines.append(f"a{i}.wav,{one},{one},{'train' if i < 18 else 'test'}")
        if other != one:
            y += 0.3 * np.sin(2 * np.pi * PITCH[other] * t)
            soundfile.write(folder / f"b{i}.wav", y, SR)
            lines.append(f"b{i}.wav,{one},{one}|{other},{'train' if i < 18 else 'test'}")
    (folder / "tracks.csv").write_text("\n".join(lines) + "\n")
    invoke(
        "extract", folder / "tracks.csv", folder / "mfcc.h5", "--sr", SR,
        "--feature", f"mfcc:n_mfcc=8,n_fft=256,hop_length={HOP},n_mels=20",
    )  # fmt: skip
    invoke(
        "store", "select", folder / "mfcc.h5", folder / "alone.h5",
        *(word for one in PITCH for word in ("--where", f"both={one}")),
    )  # fmt: skip
    return folder


@pytest.mark.parametrize("name", ["gmm-hmm", "stretches", "net"])
def test_a_run_that_learnt_from_whole_tracks_has_timelines_too(whole, folder, name):
    path = whole / name
    train(whole / "alone.h5", path, labels="labels", **MODELS[name])
    done = invoke(
        "predict",
        path,
        folder / "10.wav",
        "--timeline",
        "--window",
        0.3,
        "--duration",
        0.3,
        "--csv",
    )
    assert "did not learn from events" in done.stderr
    (whole / "found.csv").write_text(done.stdout)
    true, said = read_events(folder / "10.lab"), read_events(whole / "found.csv")
    found = measure_sequences([(true, said)])["frame-accuracy"].value
    assert found > (0.7 if name == "stretches" else 0.9)


@pytest.mark.parametrize("name", ["gmm-hmm", "net"])
def test_labels_at_the_same_time_are_found_each_on_its_own(whole, name):
    path = whole / f"both-{name}"
    train(whole / "mfcc.h5", path, labels="both", **MODELS[name])
    t = np.arange(SR) / SR
    tones = {one: 0.3 * np.sin(2 * np.pi * hz * t) for one, hz in PITCH.items()}
    noise = np.random.default_rng(2).normal(0, 0.01, 3 * SR)
    y = np.concatenate([tones["low"], tones["low"] + tones["high"], tones["high"]]) + noise
    soundfile.write(whole / "mix.wav", y, SR)
    done = invoke("predict", path, whole / "mix.wav", "--timeline", "--json")
    events = json.loads(done.stdout)["tracks"][0]["events"]
    for label, start, end in (("low", 0, 2), ("high", 1, 3)):
        own = [e for e in events if e["label"] == label]
        inside = sum(max(0, min(end, e["end"]) - max(start, e["start"])) for e in own)
        assert inside > 1.75
        assert sum(e["end"] - e["start"] for e in own) - inside < 0.25


def test_a_cross_validation_pools_the_timelines(folder):
    (folder / "r.toml").write_text('[train]\nmodel = "logistic"\n')
    invoke(
        "cv",
        folder / "r.toml",
        folder / "mfcc.h5",
        folder / "cv",
        "--labels",
        "events",
        "--split",
        "split",
    )
    found = json.loads(invoke("eval", folder / "cv", "--json").stdout)
    assert found["timelines"]["frame-accuracy"]["value"] > 0.9
    assert {one.part for one in read_event_table(folder / "cv" / "events.csv")} == {"test"}


def test_what_has_no_timeline_says_so(run, folder, whole):
    for words in (["--windows"], ["--top", 2]):
        done = invoke("predict", run, folder / "10.wav", "--timeline", *words, code=2)
        assert f"{words[0]} and --timeline" in done.stderr
    assert (
        "--duration needs --timeline"
        in invoke("predict", run, folder / "10.wav", "--duration", 2, code=2).stderr
    )
    invoke("encode", whole / "alone.h5", whole / "vectors.h5", "--pool", "meanstd")
    train(whole / "vectors.h5", whole / "vectors", model="logistic")
    done = invoke("predict", whole / "vectors", whole / "vectors.h5", "--timeline", code=2)
    assert "rows that are whole tracks have no timeline" in done.stderr


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("predicted", "guessed", "source is 'guessed'; expected true or predicted"),
        ("track_id", "track", "expected the columns track_id"),
        ("0.0,", "zero,", "'zero' is no number"),
    ],
)
def test_a_damaged_table_of_events_is_refused(run, tmp_path, old, new, said):
    text = (run / "events.csv").read_text()
    (tmp_path / "events.csv").write_text(text.replace(old, new, 1))
    with pytest.raises(FormatError, match=said):
        read_event_table(tmp_path / "events.csv")
    (tmp_path / "again.csv").write_text("")
    tracks = read_event_table(run / "events.csv")
    write_event_table(tmp_path / "again.csv", tracks)
    assert (tmp_path / "again.csv").read_text() == text


def test_other_commands_know_that_lines_are_events(run, folder):
    """McNemar's test would take the events of a track as independent."""
    train(
        folder / "mfcc.h5", folder / "other", labels="events", model="logistic", settings=["C=0.1"]
    )
    found = json.loads(invoke("compare", run, folder / "other", "--json").stdout)
    assert found["n_tracks"] == 3
    assert "mcnemar" in str(found) and all(one["mcnemar"] is None for one in found["runs"])
    net, hmm = folder / "small", folder / "small-hmm"
    train(folder / "mfcc.h5", net, labels="events", model="mlp", frames=5, epochs=1)
    done = invoke("explain", "optimizers", net, "-o", folder / "no.png", code=2)
    assert "learnt from the events of column 'events'" in done.stderr
    train(
        folder / "mfcc.h5",
        hmm,
        labels="events",
        model="gmm-hmm",
        settings=["states=1", "mixtures=1"],
    )
    done = invoke("plot", hmm, "--alignment", "10", "-o", folder / "no.png", code=2)
    assert "name the one to draw with --label" in done.stderr
    done = invoke("explain", "backprop", folder / "mfcc.h5", "--labels", "events", code=1)
    assert "no label; expected a label for every track" in done.stderr  # that of the first track


@pytest.mark.slow
def test_a_search_judges_by_the_accuracy_of_events(folder):
    (folder / "tune.toml").write_text(
        '[train]\nmodel = "logistic"\n[tune]\n"train.param.C" = "0.1..10 log"\n'
    )
    words = ["--labels", "events", "--trials", 2]
    done = invoke("tune", folder / "tune.toml", folder / "mfcc.h5", folder / "tuned", *words)
    assert "accuracy" in done.output
