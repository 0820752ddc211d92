"""``mcls extract``: compute features of audio files."""

import json
import time
from pathlib import Path
from typing import Any

import click

from mcls.cli.messages import echo, say
from mcls.cli.options import (
    FILE,
    OUT,
    SectionedCommand,
    SectionedOption,
    json_option,
    no_pack_option,
    options_from,
    overwrite_option,
)
from mcls.cli.pools import dask_option, dask_pool
from mcls.cli.progress import done_line, progress_bar, spell_seconds
from mcls.extraction.options import Extraction

_SHOWN = 20


@click.command(cls=SectionedCommand)
@click.argument("source", type=FILE)
@click.argument("out", type=OUT)
@options_from(Extraction)
@click.option(
    "--skip-errors",
    is_flag=True,
    cls=SectionedOption,
    section="Work",
    help="Exit with 0 even if tracks failed.",
)
@click.option(
    "--add",
    is_flag=True,
    cls=SectionedOption,
    section="Data",
    help="Keep the tracks of OUT that are not in SOURCE.",
)
@dask_option
@no_pack_option
@overwrite_option
@json_option
@click.pass_context
def command(
    ctx: click.Context,
    source: Path,
    out: Path,
    add: bool,
    skip_errors: bool,
    no_pack: bool,
    dask: str | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Compute features of every track of a dataset.

    SOURCE is a manifest (CSV) or a folder with one folder per class. OUT is
    the store to write. Both, and the audio in a manifest, may be URLs such
    as s3://BUCKET/tracks.csv. A track that cannot be read is listed as failed with
    the reason, and the others are computed. A truncated file is used as far
    as it decodes and marked so in the store; --strict refuses it. The same
    command again computes only tracks that are missing or whose audio was
    replaced. With --add it keeps the other tracks of OUT. With --no-pack,
    OUT is a folder of shards: its rows are not copied into one file.

    \b
    Example:
      mcls extract FOLDER mfcc.h5 --feature mfcc --jobs 2
      mcls extract tracks.csv all.h5 --feature mel:n_mels=96 --feature cqt
      mcls extract tracks.csv mel.h5 --feature mel --excerpt 29@center
      mcls extract tracks.csv mel.store --feature mel --no-pack
    """
    from mcls.parallel.pool import given_or_new

    started = time.monotonic()
    cluster = ctx.with_resource(dask_pool(dask, options["jobs"]))
    with given_or_new(cluster, options["jobs"], apart=True) as pool:
        if not out.exists():
            # the workers import while this process plans
            pool.start("mcls.extraction.extract_tracks")
        from mcls.extraction.extract import extract

        with progress_bar(f"extract {out.name}") as progress:
            done = extract(
                source,
                out,
                add=add,
                pack=not no_pack,
                workers=pool,
                progress=progress,
                **options,
            )
    for note in done.notes:
        say(f"note: {note}")
    for failure in done.failed[:_SHOWN]:
        echo(f"failed: {failure['path']}: {failure['reason']}", err=True)
    if len(done.failed) > _SHOWN:
        echo(f"failed: {len(done.failed) - _SHOWN} more; see mcls info {out}", err=True)
    if as_json:
        echo(
            json.dumps(
                {
                    "path": str(done.path),
                    "n_tracks": done.n_tracks,
                    "n_computed": done.n_computed,
                    "failed": done.failed,
                    "seconds_of_audio": done.seconds,
                    "seconds": done.spent,
                    "split_note": done.split_note,
                    "notes": done.notes,
                },
                ensure_ascii=False,
            )
        )
    if done.n_computed or done.failed:
        audio = spell_seconds(done.seconds)
        what = f"wrote {out}: {done.n_tracks} tracks, {audio} of audio"
        done_line(f"{what}, {done.n_computed} computed", started)
    else:
        say(f"{out} is up to date: {done.n_tracks} tracks; nothing to do")
    if done.failed and not skip_errors:
        echo(
            f"error: {len(done.failed)} tracks failed; the others are in {out}. "
            "Fix the files and run the command again, or pass --skip-errors",
            err=True,
        )
        ctx.exit(1)
