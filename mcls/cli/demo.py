"""``mcls demo``: run the main commands, or a chapter of the tutorial, and show them."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from mcls.cli.chapter import run_line, run_snippet
from mcls.cli.messages import echo, say
from mcls.cli.options import FILE
from mcls.cli.progress import spell_seconds
from mcls.errors import DataError

_STEPS = """\
# Synthesise music: six styles by sixty artists, no artist in two parts.
mcls data synth toy
mcls data check toy/manifest.csv

# Compute features: 20 MFCC per frame.
mcls extract toy/manifest.csv mfcc.h5 --feature mfcc --jobs 2

# Baseline: mean and standard deviation over the track, and an SVM.
mcls train mfcc.h5 runs/mfcc-stats --pool meanstd --model svm

# Vector quantisation: a codebook of the train part, a histogram of codes per track.
mcls learn-dict mfcc.h5 vq.h5 --feature mfcc --method kmeans --size 256
mcls train mfcc.h5 runs/mfcc-vq --dict vq.h5 --pool histogram --model svm

# Predict the label of one file; the run folder is all that is needed.
mcls predict runs/mfcc-vq toy/audio/waltz/waltz-10-1.wav --top 3

# Evaluate on artists that neither the codebook nor the SVM has heard.
mcls eval runs/mfcc-stats runs/mfcc-vq
"""


@click.command()
@click.option("--chapter", type=click.IntRange(1), help="Chapter of the tutorial to run.")
@click.option("--dir", "folder", type=FILE, help="Folder to work in (default: a temporary folder).")
@click.option("--keep", is_flag=True, help="Keep the temporary folder.")
def command(chapter: int | None, folder: Path | None, keep: bool) -> None:
    """Run the main commands on synthetic music and show them.

    This takes about a minute on two cores. Every line after $ can be typed
    as it is. With --chapter the commands and the Python code of a chapter of
    the tutorial are run; its pictures are in the folder images of --dir.

    \b
    Example:
      mcls demo
      mcls demo --dir demo/
      mcls demo --chapter 2 --dir chapter-2/
    """
    started = time.monotonic()
    with _place(folder, keep) as place:
        if chapter is None:
            _main_commands(place)
        else:
            _chapter(chapter, place)
        where = f"; everything is in {place}" if keep or folder is not None else ""
        spent = spell_seconds(time.monotonic() - started)
        say(f"demo done in {spent}{where}")


def _main_commands(place: Path) -> None:
    for line in _STEPS.splitlines():
        if not line.startswith("mcls "):
            echo(line)
            continue
        echo(f"$ {line}", bold=True)
        sys.stdout.flush()
        if code := run_line(line, place):
            raise DataError(f"the demo stopped: {line!r} ended with exit code {code}")


def _chapter(number: int, place: Path) -> None:
    from mcls.disk.chapters import chapter_path, read_page

    (place / "images").mkdir(exist_ok=True)
    namespace = {"__name__": "chapter"}
    for part in read_page(chapter_path(number)).parts():
        if isinstance(part, str):
            echo("", part)
            continue
        for snippet in part.snippets:
            marks = ("$ ", "  ") if part.language == "console" else (">>> ", "... ")
            for i, line in enumerate(snippet.code.splitlines()):
                echo(marks[i > 0] + line, bold=True)
            sys.stdout.flush()
            run_snippet(part, snippet, place, namespace)


@contextmanager
def _place(folder: Path | None, keep: bool) -> Iterator[Path]:
    """Give the folder to work in; remove a temporary one unless it is to be kept."""
    import shutil
    import tempfile

    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        yield folder
        return
    place = Path(tempfile.mkdtemp(prefix="mcls-demo-"))
    try:
        yield place
    finally:
        if not keep:
            shutil.rmtree(place, ignore_errors=True)
