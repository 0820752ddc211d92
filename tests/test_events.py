"""Annotation files, and metrics of timelines against mir_eval, sed_eval and brute force."""

import functools

import mir_eval
import numpy as np
import pytest
import soundfile
from click.testing import CliRunner

from mcls.cli.main import cli
from mcls.errors import DataError
from mcls.evaluation.sequences import (
    agreement,
    annotated,
    edit_distance,
    measure_sequences,
    segment_counts,
)
from mcls.stores.store import Store
from mcls.tables.events import Event, events_text, parse_events, read_events

LOOP = [Event(0.0, 0.5, "ka"), Event(0.5, 1.25, "ta din"), Event(2.0, 2.5, "ka")]


@pytest.mark.parametrize(
    "text",
    [
        "0\t0.5\tka\n0.5\t1.25\tta din\n2\t2.5\tka\n",
        "0,0.5,ka\r\n0.5,1.25,ta din\r\n\r\n2,2.5,ka",
        "2 2.5 ka\n0 0.5 ka\n0.5 1.25 ta din\n",
        "label;start;end\nka;0;0.5\nta din;0.5;1.25\nka;2;2.5\n",
        "Onset\tOffset\tEvent label\tnote\n0\t0.5\tka\tx\n0.5\t1.25\tta din\t\n2\t2.5\tka\ty\n",
        "0,0.5004,ka\n0.5,1.25,ta din\n2,2.5,ka\n",
        "0;0,5;ka\n0,5;1,25;ta din\n2;2,5;ka\n",
        "0\t0,5\tka\n0,5\t1,25\tta din\n2\t2,5\tka\n",
        "0 0,5 ka\n0,5 1,25 ta din\n2 2,5 ka\n",
        "start;end;label\n0,0;0,5;ka\n0,5;1,25;ta din\n2,0;2,5;ka\n",
    ],
)
def test_every_usual_form_of_an_annotation_file_gives_the_same_events(tmp_path, text):
    (tmp_path / "loop.lab").write_bytes(b"\xef\xbb\xbf" + text.encode())
    assert read_events(tmp_path / "loop.lab") == LOOP
    assert parse_events(events_text(LOOP), "store") == LOOP


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "a.csv: no events"),
        ("start,end,label\n", "a.csv: a header, but no events"),
        ("begin,until,label\n0,1,a\n", "a.csv:1: no column 'end'"),
        ("0,1,a\n0.9,2,b\n", "a.csv: the events 'a' (0 to 1 s) and 'b' (from 0.9 s) overlap"),
        ("-1,1,a\n", "a.csv:1: the start -1 is negative"),
        ("0,1,a\n2,2,b\n", "a.csv:2: the event ends at 2 s, which is not after 2 s"),
        ("0;1.5;a\n2;2,5;b\n", "a.csv:2: '1.5' has a decimal point and '2,5' a decimal comma"),
        ("0;1,500;a\n", "a.csv:1: '1,500' may be 1.500 or 1500"),
        ("0,1,a\n2,x,b\n", "a.csv:2: the end 'x' is no number of seconds"),
        ("0,1,a\n2,inf,b\n", "a.csv:2: the end 'inf' is no number of seconds"),
        ("0,1,\n", "a.csv:1: the label is empty"),
        ("0,1,a|b\n", "a.csv:1: the label 'a|b' contains '|'; expected one label"),
        ("0,1\n", "a.csv:1: 2 cells; expected start, end and label"),
    ],
)
def test_what_is_wrong_in_an_annotation_file_is_named(text, said):
    with pytest.raises(DataError) as found:
        parse_events(text, "a.csv")
    assert str(found.value).startswith(said)


def random_events(rng, labels="abc", gaps=True):
    found, now = [], 0.0
    for _ in range(20):
        now += 0.3 * rng.random() if gaps else 0.0
        end = now + rng.random()
        found.append(Event(round(now, 3), round(end, 3), labels[rng.integers(len(labels))]))
        now = found[-1].end
    return found


def test_segment_counts_are_those_of_sed_eval():
    """The numbers are those that benchmarks/sequence_metrics.py printed with sed_eval 0.2.1."""
    rng = np.random.default_rng(0)
    known = {0.1: (0.8, 0.3070539419087137), 1.0: (0.7619047619047619, 0.5333333333333333)}
    for resolution, (error, f1) in known.items():
        s, d, i, hits, n = segment_counts(random_events(rng), random_events(rng), resolution)
        assert (s + d + i) / n == pytest.approx(error, abs=1e-9)
        assert 2 * hits / (2 * hits + 2 * s + d + i) == pytest.approx(f1, abs=1e-9)


def test_frame_accuracy_is_the_weighted_accuracy_of_mir_eval(rng):
    for _ in range(20):
        true, said = random_events(rng, gaps=False), random_events(rng, gaps=False)
        end = min(true[-1].end, said[-1].end)
        true, said = (annotated(one, [Event(0.0, end, "")]) for one in (true, said))
        sides = [
            (np.array([(e.start, e.end) for e in one]), [e.label for e in one])
            for one in (true, said)
        ]
        merged, a, b = mir_eval.util.merge_labeled_intervals(*sides[0], *sides[1])
        same = np.array([x == y for x, y in zip(a, b, strict=True)], dtype=float)
        theirs = mir_eval.chord.weighted_accuracy(
            same, mir_eval.util.intervals_to_durations(merged)
        )
        assert agreement(true, said) / end == pytest.approx(theirs, abs=1e-9)


def test_edit_distance_equals_the_recursion(rng):
    @functools.cache
    def slow(a, b):
        if not a or not b:
            return len(a) + len(b)
        return min(slow(a[1:], b) + 1, slow(a, b[1:]) + 1, slow(a[1:], b[1:]) + (a[0] != b[0]))

    for _ in range(50):
        a, b = ("".join(rng.choice(list("abc"), rng.integers(8))) for _ in range(2))
        assert edit_distance(a, b) == slow(a, b)


def test_perfect_timelines_and_reversed_ones():
    other = [Event(e.start, e.end, "x") for e in LOOP]
    perfect = measure_sequences([(LOOP, LOOP)] * 3)
    assert [one.value for one in perfect.values()] == [1, 0, 0, 1]
    wrong = measure_sequences([(LOOP, other)] * 3)
    assert [one.value for one in wrong.values()] == [0, 1, 1, 0]
    assert perfect["frame-accuracy"].low > 0.4 and perfect["frame-accuracy"].high == 1


def test_what_is_predicted_outside_of_true_events_does_not_count():
    said = [Event(0.0, 0.5, "ka"), Event(0.5, 1.9, "ta din"), Event(1.9, 9.0, "ka")]
    assert measure_sequences([(LOOP, said)])["segment-error"].value == 0


def test_a_track_counts_by_its_length_and_the_interval_contains_the_value():
    long, short = [Event(0, 9, "a")], [Event(0, 1, "a")]
    found = measure_sequences([(long, long), (short, [Event(0, 1, "b")]), (short, short)])
    one = found["frame-accuracy"]
    assert one.value == pytest.approx(10 / 11)
    assert 0 < one.low < one.value < one.high < 1


@pytest.fixture
def manifest(tmp_path, rng):
    (tmp_path / "notes").mkdir()
    lines = ["path,labels,split,events"]
    for i in range(4):
        soundfile.write(tmp_path / f"{i}.wav", rng.normal(0, 0.1, 20000), 8000)
        (tmp_path / f"notes/{i}.tsv").write_text(f"0\t1\tka\n1\t{2.5 + 0.01 * i}\tta\n")
        lines.append(
            f"{i}.wav,x,{'train' if i % 2 else 'test'},{'' if i == 3 else f'notes/{i}.tsv'}"
        )
    path = tmp_path / "tracks.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def extract(manifest, *more):
    out = manifest.with_name("s.h5")
    argv = ["extract", manifest, out, "--sr", 8000, "--annotations", "events", *more]
    return CliRunner().invoke(cli, [str(word) for word in argv]), out


def test_a_store_holds_the_events_and_the_last_one_ends_with_the_track(manifest):
    done, out = extract(manifest)
    assert done.exit_code == 0, done.output
    assert "1 tracks have no annotation file in column 'events': 3" in done.stderr
    cells = Store(out).column("events")
    assert cells == ["0.0\t1.0\tka\n1.0\t2.5\tta"] * 3 + [""]
    manifest.with_name("notes").joinpath("0.tsv").write_text("0 2 ka")
    done, out = extract(manifest)
    assert done.exit_code == 0, done.output
    assert Store(out).column("events")[0] == "0.0\t2.0\tka"


def test_copies_have_the_events_of_their_track_unless_time_moves(manifest):
    done, out = extract(manifest, "--augment", "gain=-6..6", "--copies", 1)
    assert done.exit_code == 0, done.output
    cells = Store(out).column("events")
    assert cells[0] == cells[1] != ""
    done, _ = extract(manifest, "--augment", "time-stretch=0.8..1.2", "--copies", 1)
    assert done.exit_code == 2
    assert "--augment time-stretch moves the events" in done.stderr


def test_unusable_annotations_are_refused_by_name(manifest):
    notes = manifest.with_name("notes")
    (notes / "1.tsv").unlink()
    (notes / "2.tsv").write_text("0 1 a\n0.5 2 b")
    done, out = extract(manifest)
    assert done.exit_code == 1 or done.exit_code == 2
    assert f"{manifest}:3: {notes}/1.tsv: the file does not exist" in done.stderr
    assert "overlap" in done.stderr and not out.exists()
    (notes / "1.tsv").write_text("0 1 a")
    (notes / "2.tsv").write_text("0 3.5 a")
    done, out = extract(manifest)
    assert (
        "track '2', column 'events': the event 'a' ends at 3.5 s, but the track at 2.5 s"
        in done.stderr
    )
    assert not out.exists()
    done, _ = extract(manifest, "--excerpt", "1")
    assert "--excerpt and --annotations do not go together" in done.stderr
    done, _ = extract(manifest, "--annotations", "labels")
    assert "--annotations labels: the column has another use" in done.stderr


def test_time_without_an_event_may_have_a_label(manifest):
    manifest.with_name("notes").joinpath("0.tsv").write_text("0.5 1 ka\n1.0005 2 ta")
    done, out = extract(manifest, "--background", "none")
    assert done.exit_code == 0, done.output
    cells = Store(out).column("events")
    assert cells[0] == "0.0\t0.5\tnone\n0.5\t1.0\tka\n1.0005\t2.0\tta\n2.0\t2.5\tnone"
    assert cells[3] == ""  # a track without an annotation file is not all background
    done, _ = extract(manifest, "--background", "a|b")
    assert "--background a|b: expected one label" in done.stderr
    argv = ["extract", str(manifest), str(out), "--background", "none"]
    done = CliRunner().invoke(cli, argv)
    assert "--background is for time without an event; add --annotations" in done.stderr
