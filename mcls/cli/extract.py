"""``mcls extract``: audio to rows."""

import json
import time
from pathlib import Path
from typing import Any

import click

from mcls.cli.messages import say
from mcls.cli.options import FILE, Name, json_option, overwrite_option, settings_option
from mcls.cli.progress import done_line, progress_bar, spell_seconds

_SHOWN = 20


class Rate(click.ParamType):
    """A sampling rate in Hz, or ``native``."""

    name = "HZ"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> int | None:
        """Check that it is one."""
        if value in (None, "native"):
            return None
        try:
            return int(value)
        except ValueError:
            self.fail(f"{value!r} is not a rate in Hz or 'native'", param, ctx)


@click.command()
@click.argument("source", type=FILE)
@click.argument("out", type=FILE)
@click.option(
    "--feature",
    "features",
    type=Name("features", spec=True),
    multiple=True,
    default=["mfcc"],
    help="What to compute; repeatable.",
)
@settings_option("features")
@click.option("--sr", type=Rate(), default=22050, help="Resample to this; or native.")
@click.option("--excerpt", metavar="S[@S|@center]", help="Take this stretch of every track.")
@click.option("--dtype", type=click.Choice(["float32", "float16"]), default="float32", help="Type.")
@click.option("--jobs", type=click.IntRange(1), default=1, help="Processes.")
@click.option("--labels", default="labels", help="Column to stratify a made split by.")
@click.option("--split", default="split", help="Column of parts; made if absent.")
@click.option("--group", default="group", help="Column of what must not straddle parts.")
@click.option("--audio-root", type=FILE, help="What the paths are relative to.")
@click.option(
    "--augment",
    "augmentations",
    multiple=True,
    metavar="NAME[=LOW..HIGH]",
    help="Change the copies so; repeatable.",
)
@click.option("--copies", type=click.IntRange(0), default=0, help="Augmented copies per track.")
@click.option("--keep-label-safe", is_flag=True, help="Only what threatens no label.")
@click.option("--time-limit", type=float, default=600.0, help="Seconds a track may take.")
@click.option("--skip-errors", is_flag=True, help="Exit 0 though tracks failed.")
@click.option("--seed", type=int, default=0, help="Of everything drawn.")
@overwrite_option
@json_option
@click.pass_context
def command(
    ctx: click.Context, source: Path, out: Path, skip_errors: bool, as_json: bool, **options: Any
) -> None:
    """Compute features of every track; audio becomes rows.

    SOURCE is a manifest (CSV) or a folder of class folders. A track that
    cannot be read is kept with its reason; the others go on. The same
    command again computes only what is missing.

    \b
    Examples:
      mcls extract FOLDER mfcc.h5 --feature mfcc --jobs 2
      mcls extract tracks.csv all.h5 --feature mel:n_mels=96 --feature cqt
      mcls extract tracks.csv mel.h5 --feature mel --excerpt 29@center
    """
    from mcls.parallel.pool import Pool

    started = time.monotonic()
    with Pool(options["jobs"]) as pool:
        if not out.exists():
            pool.start("mcls.stages.extract_tracks")  # the workers import while this process plans
        from mcls.stages.extract import extract

        with progress_bar(f"extract {out.name}") as progress:
            done = extract(source, out, pool=pool, progress=progress, **options)
    for note in done.notes:
        say(f"note: {note}")
    for failure in done.failed[:_SHOWN]:
        click.echo(f"failed: {failure['path']}: {failure['reason']}", err=True)
    if len(done.failed) > _SHOWN:
        click.echo(f"failed: {len(done.failed) - _SHOWN} more; see mcls info {out}", err=True)
    if as_json:
        click.echo(
            json.dumps(
                {
                    "path": str(done.path),
                    "n_tracks": done.n_tracks,
                    "n_computed": done.n_computed,
                    "failed": done.failed,
                    "seconds_of_audio": done.seconds,
                    "seconds": done.spent,
                    "split_note": done.split_note,
                },
                ensure_ascii=False,
            )
        )
    if done.n_computed or done.failed:
        audio = spell_seconds(done.seconds)
        what = f"wrote {out}: {done.n_tracks} tracks, {audio} of audio"
        done_line(f"{what}, {done.n_computed} computed", started)
    else:
        say(f"{out} is complete: {done.n_tracks} tracks; nothing to do")
    if done.failed and not skip_errors:
        click.echo(
            f"error: {len(done.failed)} tracks failed; the others are in {out}. "
            "Mend the files and run this again, or say --skip-errors",
            err=True,
        )
        ctx.exit(1)
