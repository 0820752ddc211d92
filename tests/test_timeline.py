"""Learning from events, and timelines, on sequences of tones that are easily told apart."""

import json

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner

from mcls.cli.main import cli
from mcls.disk.event_store import EventStore
from mcls.disk.events import parse_events
from mcls.disk.predictions import read_predictions
from mcls.disk.run import open_run
from mcls.disk.store import Store
from mcls.stages.train import train

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
    read = read_predictions(run / "predictions.csv")
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
