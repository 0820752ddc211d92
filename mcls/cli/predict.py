"""``mcls predict``: score audio files with a run folder alone."""

import os
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mcls.cli.messages import echo, echo_json, printable, say
from mcls.cli.options import AUDIO, FILE, OUT, json_option, overwrite_option
from mcls.cli.pools import dask_option, dask_pool
from mcls.cli.progress import done_line, progress_bar
from mcls.cli.tables import show_table
from mcls.cli.timelines import show_events
from mcls.tables.csv_cells import csv_line

if TYPE_CHECKING:
    import numpy as np

    from mcls.stages.predict import Predicted, Scored

_SHOWN = 20


@click.command()
@click.argument("run", type=FILE)
@click.argument("sources", type=AUDIO, nargs=-1, required=True, metavar="AUDIO|FOLDER|STORE...")
@click.option("--top", type=click.IntRange(1), help="Show this many labels per track.")
@click.option("--windows", is_flag=True, help="Score windows of each track as well.")
@click.option(
    "--window",
    type=click.FloatRange(0, min_open=True),
    help="Length of the windows in seconds (default: 3; of events: their median).",
)
@click.option("--timeline", is_flag=True, help="Find the events of each track: start, end, label.")
@click.option(
    "--duration",
    type=click.FloatRange(0, min_open=True),
    help="Mean length of an event in seconds (default: as learnt, or 1).",
)
@click.option("--feature", help="Feature to use, if a store has several.")
@click.option("--jobs", type=click.IntRange(1), default=1, help="Number of worker processes.")
@dask_option
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV with one line per track or window.")
@click.option(
    "-o",
    "--out",
    type=OUT,
    metavar="OUT",
    help="Write a table that grows while files are scored, for any number of them.",
)
@click.option("--jsonl", "as_jsonl", is_flag=True, help="Write JSON Lines to OUT.")
@overwrite_option
@json_option
@click.pass_context
def command(
    ctx: click.Context,
    run: Path,
    sources: tuple[Path, ...],
    top: int | None,
    windows: bool,
    window: float | None,
    timeline: bool,
    duration: float | None,
    feature: str | None,
    jobs: int,
    dask: str | None,
    as_csv: bool,
    out: Path | None,
    as_jsonl: bool,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Score audio files with a trained run.

    Only the run folder and the audio are needed. Files that cannot be read
    are listed on stderr, the others are scored, and the exit code is 1.
    Higher scores are likelier; whether they are probabilities or margins
    depends on the model. The probability is calibrated, on the valid part
    or on inner folds of the train part, for whole tracks; windows have
    none.

    With --timeline, each track is divided into events with start, end,
    label and probability: by the best path through the HMMs of all labels,
    or from windows. A run that was trained with --labels COLUMN of events
    knows how long they last and how they follow each other.

    With --out, results are written as soon as they are there, as
    path,label,score or as JSON Lines, and memory does not grow with the
    number of files. With --windows, lines of the windows with start and
    stop follow that of the file; with --timeline, there is a line per
    event. The same command again scores only files that are not in the
    table. A source - reads the names of files from stdin.

    \b
    Example:
      mcls predict runs/vq new.wav other.mp3 --top 3
      mcls predict runs/vq new.wav --windows --csv
      mcls predict runs/strokes loop.wav --timeline
      mcls predict runs/vq FOLDER --json
      mcls predict runs/vq FOLDER --out tags.csv --jobs 2
      mcls predict runs/vq FOLDER --windows --out windows.csv
      find FOLDER -name '*.wav' | mcls predict runs/vq - --out tags.jsonl
    """
    from mcls.stages.predict import predict
    from mcls.stages.timeline import WINDOW, Timeline

    if timeline and (windows or top is not None):
        word = "--windows" if windows else "--top"
        raise click.UsageError(f"{word} and --timeline: choose one")
    if duration is not None and not timeline:
        raise click.UsageError("--duration needs --timeline")
    if window is not None and not (windows or timeline):
        raise click.UsageError("--window needs --windows or --timeline")
    if as_json and as_csv:
        raise click.UsageError("--json and --csv: choose one")
    if out is not None and as_csv:
        raise click.UsageError("--csv and --out: choose one; a table named .csv is CSV")
    if out is None and (as_jsonl or overwrite):
        raise click.UsageError(f"{'--jsonl' if as_jsonl else '--overwrite'} needs --out")
    started = time.monotonic()
    listed = _listed(sources)
    pool = ctx.with_resource(dask_pool(dask, jobs))
    excerpts: dict[str, Any] = {
        "windows": (window or WINDOW) if windows else None,
        "timeline": Timeline(window, duration) if timeline else None,
    }
    if out is not None:
        _write(
            run,
            listed,
            out,
            as_json,
            jsonl=as_jsonl,
            top=top,
            feature=feature,
            jobs=jobs,
            workers=pool,
            overwrite=overwrite,
            **excerpts,
        )
        return
    with progress_bar("predict") as progress:
        found = predict(
            run,
            list(listed),
            feature=feature,
            jobs=jobs,
            workers=pool,
            progress=progress,
            **excerpts,
        )
    if found.regression and top is not None:
        raise click.UsageError(f"--top is for labels, but {run} predicts numbers; leave it out")
    if found.no_probability and not timeline:
        say(f"note: {run} gives no probabilities: {found.no_probability}")
    if as_json:
        echo_json(_as_dict(found, top))
    elif timeline:
        show_events(found, as_csv)
    elif as_csv:
        _show_csv(found, top)
    else:
        _show(found, top)
    for note in found.notes:
        say(f"note: {note}")
    for name, reason in found.failed:
        echo(f"error: {name}: {reason}", err=True)
    done_line(f"{len(found.tracks)} tracks scored, {len(found.failed)} failed", started)
    if found.failed:
        sys.exit(1)


def _listed(sources: Sequence[Path]) -> Iterator[Path]:
    """Yield the sources; ``-`` stands for the lines of stdin."""
    for source in sources:
        if str(source) != "-":
            yield source
            continue
        for line in sys.stdin.buffer:
            if name := line.rstrip(b"\r\n"):
                yield Path(os.fsdecode(name))


def _write(run: Path, sources: Iterator[Path], out: Path, as_json: bool, **options: Any) -> None:
    """Score files into a table, and list those that failed."""
    from mcls.stages.predict_files import predict_files

    started = time.monotonic()
    with progress_bar("predict", unit="files") as progress:
        made = predict_files(run, sources, out, progress=progress, **options)
    for note in made.notes:
        say(f"note: {note}")
    for name, reason in made.failed[:_SHOWN]:
        echo(f"error: {name}: {reason}", err=True)
    if len(made.failed) > _SHOWN:
        more = len(made.failed) - _SHOWN
        echo(f"error: {more} more files failed; see {made.record}", err=True)
    if as_json:
        failed = [{"path": name, "reason": reason} for name, reason in made.failed]
        said = {"scored": made.n_scored, "known": made.n_known, "failed": failed}
        echo_json({"path": str(out), **said, "notes": made.notes})
    before = f", {made.n_known} were there before" if made.n_known else ""
    counts = f"{made.n_scored} files scored{before}, {len(made.failed)} failed"
    done_line(f"{out}: {counts}", started)
    if made.failed:
        sys.exit(1)


def _show(found: "Predicted", top: int | None) -> None:
    """Print a table: a line per track and label, or per window."""
    rows = []
    for track in found.tracks:
        for span, scores in _whole_and_windows(track):
            name, when = ("", "{:.2f}–{:.2f}".format(*span)) if span else (track.name, "")
            for label, score in _best(found, scores, top):
                rows.append([name, when, label, f"{score:.3f}", _shown(found, track, span, label)])
                name, when = "", ""
    what = ["target", "number"] if found.regression else ["label", "score"]
    columns = ["track", "seconds", *what, "probability"]
    no_probability = found.regression or bool(found.no_probability)
    kept = [
        i
        for i, column in enumerate(columns)
        if not (column == "seconds" and not _has_windows(found))
        and not (column == "probability" and no_probability)
    ]
    n_left = 3 if _has_windows(found) else 2
    show_table([columns[i] for i in kept], ([row[i] for i in kept] for row in rows), left=n_left)


def _shown(found: "Predicted", track: "Scored", span: tuple[float, ...], label: str) -> str:
    """Return the probability of a label as text; windows and the lack of a label have none."""
    if span or track.probabilities is None or label not in found.labels:
        return ""
    return f"{track.probabilities[found.labels.index(label)]:.3f}"


def _whole_and_windows(track: "Scored") -> Iterator[tuple[tuple[float, ...], "np.ndarray"]]:
    """Yield the scores of a track, with an empty tuple, and of its windows, with their times."""
    yield (), track.scores
    for window in track.windows:
        yield (window.start, window.stop), window.scores


def _has_windows(found: "Predicted") -> bool:
    return any(track.windows for track in found.tracks)


def _best(found: "Predicted", scores: "np.ndarray", top: int | None) -> list[tuple[str, float]]:
    """Return the labels to show: the `top` likeliest, or those that are predicted; all numbers."""
    if found.regression:
        return [(name, float(number)) for name, number in zip(found.labels, scores, strict=True)]
    if top is not None:
        return found.top(scores, top)
    predicted = set(found.predicted(scores))
    ranked = [pair for pair in found.top(scores, len(found.labels)) if pair[0] in predicted]
    return ranked or [("(none)", float(scores.max()))]


def _show_csv(found: "Predicted", top: int | None) -> None:
    """Print a line per track or window with all scores; with `top`, a line per label."""
    shown = printable if sys.stdout.isatty() else str

    def show(*cells: str) -> None:
        sys.stdout.write(csv_line(map(shown, cells)))

    times = ["start", "stop"] if _has_windows(found) else []
    sure = not (found.regression or found.no_probability)
    if top is None:
        kind = "predicted" if found.regression else "score"
        more = [f"probability:{label}" for label in found.labels] if sure else []
        named = [] if found.regression else ["label"]
        show("track", *times, *named, *(f"{kind}:{label}" for label in found.labels), *more)
    else:
        show("track", *times, "rank", "label", "score", *(["probability"] if sure else []))
    for track in found.tracks:
        for span, scores in _whole_and_windows(track):
            when = [f"{time:.3f}" for time in span] or [""] * len(times)
            if top is None:
                sures = [_exact(found, track, span, label) for label in found.labels if sure]
                named = [] if found.regression else ["|".join(found.predicted(scores))]
                show(track.name, *when, *named, *(f"{score:.9g}" for score in scores), *sures)
                continue
            for rank, (label, score) in enumerate(found.top(scores, top), start=1):
                sures = [_exact(found, track, span, label)] if sure else []
                show(track.name, *when, str(rank), label, f"{score:.9g}", *sures)


def _exact(found: "Predicted", track: "Scored", span: tuple[float, ...], label: str) -> str:
    if span or track.probabilities is None:
        return ""
    return f"{track.probabilities[found.labels.index(label)]:.9g}"


def _as_dict(found: "Predicted", top: int | None) -> dict[str, Any]:
    """Return the results as JSON can hold them."""

    def result(scores: "np.ndarray") -> dict[str, Any]:
        if found.regression:
            return {"numbers": dict(_best(found, scores, None))}
        ranked = found.top(scores, top or len(found.labels))
        return {"labels": found.predicted(scores), "scores": dict(ranked)}

    tracks = []
    for track in found.tracks:
        entry = {"track": track.name, **result(track.scores)}
        if track.faults:
            entry["faults"] = track.faults
        if track.probabilities is not None:
            sure = dict(zip(found.labels, track.probabilities.tolist(), strict=True))
            entry["probabilities"] = {label: sure[label] for label in entry["scores"]}
        if track.events is not None:
            entry["events"] = [vars(event) for event in track.events]
        if track.windows:
            entry["windows"] = [
                {"start": w.start, "stop": w.stop, **result(w.scores)} for w in track.windows
            ]
        tracks.append(entry)
    scoring = {
        "multi_label": found.multi_label,
        "threshold": found.threshold,
        "thresholds": found.thresholds,
        "no_probability": found.no_probability,
    }
    return {
        **({"regression": True} if found.regression else scoring),
        "tracks": tracks,
        "notes": found.notes,
        "failed": [{"track": name, "reason": reason} for name, reason in found.failed],
    }
