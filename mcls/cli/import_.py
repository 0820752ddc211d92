"""``mcls import``: make a store of rows that another program made."""

import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from mcls.cli.messages import echo, echo_json, say
from mcls.cli.options import FILE, OUT, json_option, options_from, overwrite_option
from mcls.cli.progress import done_line, progress_bar
from mcls.extraction.options import SplitReading

_SHOWN = 20


@click.command()
@click.argument("files", type=FILE)
@click.argument("source", type=FILE)
@click.argument("out", type=OUT)
@click.option("--name", required=True, help="Name of the feature, such as clap.")
@click.option(
    "--rate", type=click.FloatRange(0, min_open=True), metavar="HZ", help="Rows per second."
)
@click.option("--per-track", is_flag=True, help="One row per track.")
@click.option("--transpose", is_flag=True, help="Read arrays as dimensions by rows.")
@click.option(
    "-p",
    "--param",
    "settings",
    multiple=True,
    metavar="KEY=VALUE",
    help="Fact about how the rows were made, which runs then require; repeatable.",
)
@options_from(SplitReading)
@click.option("--skip-errors", is_flag=True, help="Exit with 0 even if tracks failed.")
@overwrite_option
@json_option
@click.pass_context
def command(
    ctx: click.Context,
    files: Path,
    source: Path,
    out: Path,
    name: str,
    rate: float | None,
    per_track: bool,
    transpose: bool,
    settings: tuple[str, ...],
    skip_errors: bool,
    overwrite: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Make a store of rows from another program.

    FILES is a folder of .npy or .npz files, or one .npz, CSV, Parquet or
    HDF5 file; SOURCE the manifest or folder of class folders with the labels.
    Any embedding (CLAP, OpenL3, VGGish, MERT, BirdNET) then meets the same
    dictionaries, nets and evaluation as the features of mcls. Its runs
    predict such files, and refuse audio.

    \b
    Example:
      mcls import embeddings/ tracks.csv clap.h5 --name clap --per-track
      mcls import openl3.npz tracks.csv openl3.h5 --name openl3 --rate 10
      mcls import vggish/ FOLDER vggish.h5 --name vggish --rate 1.04 -p pca=no
    """
    from mcls.extraction.import_rows import import_rows

    if (rate is None) != per_track:
        raise click.UsageError("give either --rate HZ or --per-track")
    started = time.monotonic()
    with progress_bar("import") as progress:
        done = import_rows(
            files,
            source,
            out,
            name=name,
            rate=rate,
            settings=settings,
            transpose=transpose,
            overwrite=overwrite,
            progress=progress,
            **options,
        )
    for note in done.notes:
        say(f"note: {note}")
    for failure in done.failed[:_SHOWN]:
        echo(f"failed: {failure['track_id']}: {failure['reason']}", err=True)
    if len(done.failed) > _SHOWN:
        echo(f"failed: {len(done.failed) - _SHOWN} more; see mcls info {out}", err=True)
    if as_json:
        echo_json({**asdict(done), "path": str(done.path)})
    size = f"{done.n_tracks} tracks, {done.n_rows} rows of {done.n_dims} dimensions"
    done_line(f"wrote {out}: {size}", started)
    if done.failed and not skip_errors:
        echo(f"error: {len(done.failed)} tracks failed; the others are in {out}", err=True)
        ctx.exit(1)
