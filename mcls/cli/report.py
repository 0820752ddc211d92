"""``mcls report``: one page on runs, to read, to listen to and to print."""

import shlex
import sys
import time
from pathlib import Path

import click

from mcls.cli.messages import say
from mcls.cli.options import AUDIO, FILE, OUT, Name
from mcls.cli.progress import done_line, progress_bar


@click.command()
@click.argument("paths", type=FILE, nargs=-1, required=True, metavar="RUN|CSV...")
@click.option("-o", "--out", type=OUT, required=True, help="Page to write: .html.")
@click.option(
    "-m",
    "--metric",
    type=Name("metrics", spec=True),
    help="Metric of the leaderboard (default: accuracy or auc).",
)
@click.option("--part", help="Part to report on: train, valid or test (default: test).")
@click.option("--baseline", type=FILE, help="Run to compare the others with (default: the best).")
@click.option(
    "--top",
    type=click.IntRange(0),
    default=10,
    help="Number of worst errors, and of least sure tracks, per run.",
)
@click.option(
    "--store", "stores", type=FILE, multiple=True, help="Store of the runs, if it has moved."
)
@click.option(
    "--audio-root", type=AUDIO, metavar="DIR", help="Folder that the paths in the store start from."
)
@click.option(
    "--audio-budget",
    type=click.FloatRange(0),
    default=4.0,
    metavar="MB",
    help="Largest size of the embedded audio in megabytes.",
)
@click.option("--link-audio", is_flag=True, help="Link the audio files instead of embedding them.")
@click.option("--no-audio", is_flag=True, help="Leave out audio and spectrograms.")
def command(
    paths: tuple[Path, ...],
    out: Path,
    metric: str | None,
    part: str | None,
    baseline: Path | None,
    top: int,
    stores: tuple[Path, ...],
    audio_root: Path | None,
    audio_budget: float,
    link_audio: bool,
    no_audio: bool,
) -> None:
    """Write a page on runs: which is better, where they fail.

    RUN is a run folder or a cross-validation, CSV a file of predictions. The
    page needs no network: charts and audio are in it. It shows the
    leaderboard with paired differences (see mcls compare), and of each run
    the results per label, ROC and precision-recall curves, calibration, the
    confusion matrix with the tracks of each cell, the worst errors and the
    least sure tracks with players, spectrograms and scores over time, the
    learning curves, atoms or filters, the split, and how it was made.

    Audio is looked up by the paths in the run's store, and refused if the
    file has changed since it was extracted.

    \b
    Example:
      mcls report runs/vq runs/net -o report.html
      mcls report runs/vq -o report.html --audio-root ~/music --audio-budget 10
      mcls report runs/vq -o report.html --link-audio
    """
    from mcls.report.write import report

    if link_audio and no_audio:
        raise click.UsageError("--link-audio and --no-audio: choose one")
    started = time.monotonic()
    with progress_bar("listening") as progress:
        done = report(
            paths,
            out,
            metric=metric,
            part=part,
            baseline=baseline,
            stores=stores,
            audio_root=audio_root,
            audio="link" if link_audio else "none" if no_audio else "embed",
            audio_budget=audio_budget,
            most=top,
            command=f"mcls {shlex.join(sys.argv[1:])}",
            progress=progress,
        )
    for note in done.notes:
        say(f"note: {note}")
    runs = f"{done.n_runs} run{'s' * (done.n_runs > 1)}"
    tracks = f"{done.n_tracks} listed tracks, {done.n_players} with players"
    done_line(f"wrote {out}: {runs}, {tracks}, {done.n_bytes / 1e6:.1f} MB", started)
