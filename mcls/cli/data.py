"""``mcls data``: prepare, check and split manifests; synthesise a dataset."""

import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mcls.cli.data_audit import audit
from mcls.cli.messages import echo, echo_json, printable, say
from mcls.cli.options import (
    FILE,
    OUT,
    Name,
    json_option,
    options_from,
    overwrite_option,
    settings_option,
)
from mcls.cli.progress import done_line, progress_bar
from mcls.tables.options import Reading

if TYPE_CHECKING:
    from mcls.data.checks import ManifestCheck


@click.group()
def command() -> None:
    """Prepare, check, audit and split data; make music.

    A manifest is a CSV file with one line per track. Its column path names
    the audio file; the columns labels, split and group are optional, and
    may have other names.

    \b
    Example:
      mcls data prepare esc10 ESC-10/ esc10.csv
      mcls data check esc10.csv --split fold
      mcls data audit esc10.csv --split fold
    """


@command.command()
@click.argument("dataset", type=Name("datasets", spec=True), metavar="DATASET")
@click.argument("root", type=FILE)
@click.argument("out", type=OUT, metavar="OUT.csv")
@settings_option("dataset")
@overwrite_option
def prepare(
    dataset: str, root: Path, out: Path, settings: tuple[str, ...], overwrite: bool
) -> None:
    """Write the manifest of a known dataset.

    DATASET is a name from `mcls list datasets`, ROOT the folder with its
    audio, OUT.csv the manifest to write. Nothing is downloaded. Missing
    files are an error that names them; -p partial=true leaves them out
    instead. The manifest has a column for each published split.
    mirdata:NAME takes what mirdata reads, with -p label=ATTRIBUTE.

    \b
    Example:
      mcls data prepare esc10 ESC-10/ esc10.csv
      mcls data prepare fma FMA/ fma.csv -p subset=medium
      mcls data prepare openmic openmic-2018/ openmic.csv -p partial=true
      mcls data prepare mirdata:mridangam_stroke MRIDANGAM/ strokes.csv -p label=stroke_name
    """
    from mcls.data.prepare import prepare as prepare_dataset
    from mcls.settings import parse_pairs

    started = time.monotonic()
    made = prepare_dataset(dataset, root, out, settings=parse_pairs(settings), overwrite=overwrite)
    _notes(made.manifest.notes)
    columns = ", ".join(column for column in made.manifest.columns if column != "track_id")
    said = "written" if made.written else "already there"
    done_line(f"{out}: {len(made.manifest)} tracks ({columns}) {said}", started)


@command.command()
@click.argument("manifest", type=FILE)
@options_from(Reading)
@click.option("--split", default="split", help="Column of parts or of folds; or none.")
@click.option(
    "--group", default="group", help="Column whose groups must stay within one part; or none."
)
@click.option(
    "--decode", is_flag=True, help="Decode every file, to find corrupt and re-encoded audio."
)
@json_option
def check(
    manifest: Path, split: str, group: str, decode: bool, as_json: bool, **reading: Any
) -> None:
    """Count labels and parts, and report problems.

    MANIFEST is a CSV file or a folder of class folders. Missing files,
    groups or identical audio in two parts, and labels that cannot be learnt
    are problems; the exit code is then 1.

    \b
    Example:
      mcls data check toy/manifest.csv
      mcls data check toy/manifest.csv --labels tags --json
      mcls data check tracks.csv --path-column file --labels tags --sep ',;'
    """
    from mcls.data.checks import check_manifest

    with progress_bar("checking", "files") as progress:
        found = check_manifest(
            manifest, split=split, group=group, decode=decode, progress=progress, **reading
        )
    if as_json:
        echo_json(asdict(found))
    else:
        _show(found)
        _notes(found.notes)
        for problem in found.problems:
            echo(f"problem: {problem}", err=True)
    if found.problems:
        click.get_current_context().exit(1)


@command.command()
@click.argument("manifest", type=FILE)
@click.option(
    "-o",
    "--out",
    type=OUT,
    metavar="OUT.csv",
    help="Manifest to write, instead of changing MANIFEST.",
)
@click.option("--by", default="group", help="Column whose groups stay within one part; or none.")
@click.option(
    "--parts", metavar="A,B,C", help="Shares of train, valid and test, or of train and test."
)
@click.option("--folds", type=int, metavar="N", help="Make this many folds instead of parts.")
@click.option(
    "--column",
    help="Name of the new column (default: split, or fold with --folds).",
    show_default=False,
)
@options_from(Reading)
@click.option("--seed", type=int, default=0, help="Random seed.")
@overwrite_option
@json_option
def split(
    manifest: Path,
    out: Path | None,
    by: str,
    parts: str | None,
    folds: int | None,
    column: str | None,
    seed: int,
    overwrite: bool,
    as_json: bool,
    **reading: Any,
) -> None:
    """Add a column of parts or folds to a manifest.

    The tracks of a group stay within one part, and the labels are
    distributed evenly. The parts are train, valid and test with 60, 20 and
    20 % of the tracks, unless --parts or --folds is given. MANIFEST.splits.json
    records how the column was made.

    \b
    Example:
      mcls data split toy/manifest.csv --column again --by group --parts 0.6,0.2,0.2
      mcls data split toy/manifest.csv --folds 5
    """
    from mcls.data.split_column import add_split

    started = time.monotonic()
    shares = None if parts is None else _shares(parts)
    made = add_split(
        manifest,
        out,
        by=by,
        parts=shares,
        folds=folds,
        column=column,
        seed=seed,
        overwrite=overwrite,
        **reading,
    )
    if as_json:
        echo_json({"column": made.column, "counts": made.counts, **made.record}, indent=None)
    said = "written" if made.written else "already there"
    counts = ", ".join(f"{n} {name}" for name, n in made.counts.items())
    if folds is not None:
        counts = f"{folds} folds of {min(made.counts.values())} to {max(made.counts.values())}"
    how = f"whole {by}s" if made.record["by"] else "single tracks"
    done_line(f"{made.path}: column {made.column!r} ({counts}; {how}) {said}", started)


@command.command()
@click.argument("folder", type=OUT, metavar="DIR")
@click.option("--seed", type=int, default=0, help="Random seed; every seed makes other music.")
@click.option("--tracks", type=int, default=180, help="Number of tracks, 18 or more.")
@click.option("--seconds", type=float, default=4.0, help="Length of each track in seconds.")
@overwrite_option
def synth(folder: Path, seed: int, tracks: int, seconds: float, overwrite: bool) -> None:
    """Synthesise a small dataset of music.

    DIR/audio gets one folder per class: six styles, played by artists who
    each have a sound of their own. DIR/manifest.csv has the columns labels,
    tags, group and split.

    \b
    Example:
      mcls data synth toy
      mcls data check toy/manifest.csv
    """
    from mcls.data.synthetic import is_made, make_synth

    started = time.monotonic()
    if is_made(folder, seed=seed, n_tracks=tracks, seconds=seconds) and not overwrite:
        done_line(f"{folder}/manifest.csv: {tracks} tracks already there", started)
        return
    with progress_bar("composing") as progress:
        made = make_synth(
            folder,
            seed=seed,
            n_tracks=tracks,
            seconds=seconds,
            overwrite=overwrite,
            progress=progress,
        )
    n_artists = len(set(made.columns["group"]))
    what = f"{len(made)} tracks of {seconds:g} s by {n_artists} artists"
    done_line(f"{folder}/manifest.csv: {what} written", started)


command.add_command(audit)


def _shares(text: str) -> list[float]:
    try:
        return [float(share) for share in text.split(",")]
    except ValueError:
        raise click.BadParameter(
            f"{text!r} is not a list of numbers such as 0.6,0.2,0.2", param_hint="--parts"
        ) from None


def _notes(notes: list[str]) -> None:
    for note in notes:
        say(f"note: {note}")


def _show(found: "ManifestCheck") -> None:
    """Print the counts: a row per label, a column per part."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    names = [name or "no part" for name in found.parts]
    columns = names or ["tracks"]
    kinds = f", {len(found.labels)} labels" if found.labels is not None else ""
    several = " (several per track)" if found.multi_label else ""
    echo(f"{found.source}: {found.n_tracks} tracks{kinds}{several}")
    table = Table()
    table.add_column("label")
    for name in columns:
        table.add_column(escape(printable(name)), justify="right")
    for label, row in (found.labels or {}).items():
        counts = [row.get(name, 0) for name in (found.parts or ["all"])]
        table.add_row(escape(printable(label)), *(str(n) if n else "[red]0[/red]" for n in counts))
    table.add_section()
    table.add_row("tracks", *(str(n) for n in found.parts.values() or [found.n_tracks]))
    if found.groups:
        table.add_row("groups", *(str(found.groups.get(name, "")) for name in found.parts))
    Console(width=None if sys.stdout.isatty() else 1000).print(table)
