"""``mcls store``: merge stores, and select or remove tracks."""

import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mcls.cli.messages import say
from mcls.cli.options import FILE, overwrite_option
from mcls.cli.progress import done_line

if TYPE_CHECKING:
    from mcls.extraction.store_tracks import Copied

where_option = click.option(
    "--where",
    multiple=True,
    metavar="COLUMN=VALUE",
    help="Tracks with this value in a column; repeatable.",
)
tracks_option = click.option(
    "--tracks", type=FILE, metavar="FILE", help="Tracks whose track_id is a line of this file."
)


@click.group()
def command() -> None:
    """Merge stores, and select or remove tracks.

    The rows are copied and not computed again.

    \b
    Example:
      mcls store merge part1.h5 part2.h5 all.h5
      mcls store select mfcc.h5 jazz.h5 --where labels=jazz
      mcls store remove mfcc.h5 clean.h5 --tracks bad.txt
    """


@command.command()
@click.argument("stores", type=FILE, nargs=-1, required=True)
@click.argument("out", type=FILE)
@overwrite_option
def merge(stores: tuple[Path, ...], out: Path, overwrite: bool) -> None:
    """Write a store with the tracks of several stores.

    STORES have the same features and no track in common. A column that one
    of them lacks is empty for its tracks.

    \b
    Example:
      mcls store merge part1.h5 part2.h5 all.h5
    """
    from mcls.extraction.store_tracks import merge as merge_stores

    started = time.monotonic()
    _say(merge_stores(stores, out, overwrite=overwrite), started)


@command.command()
@click.argument("store", type=FILE)
@click.argument("out", type=FILE)
@where_option
@tracks_option
@click.option("--feature", "features", multiple=True, help="Feature to keep; repeatable.")
@overwrite_option
def select(
    store: Path,
    out: Path,
    where: tuple[str, ...],
    tracks: Path | None,
    features: tuple[str, ...],
    overwrite: bool,
) -> None:
    """Write a store with some tracks, or some features, of STORE.

    Several values of one column are alternatives. Conditions on several
    columns, and --tracks, must all hold.

    \b
    Example:
      mcls store select mfcc.h5 jazz.h5 --where labels=jazz
      mcls store select all.h5 mel.h5 --feature mel
    """
    from mcls.extraction.store_tracks import select as select_tracks

    started = time.monotonic()
    done = select_tracks(
        store, out, where=where, tracks=tracks, features=features, overwrite=overwrite
    )
    _say(done, started)


@command.command()
@click.argument("store", type=FILE)
@click.argument("out", type=FILE)
@where_option
@tracks_option
@overwrite_option
def remove(
    store: Path, out: Path, where: tuple[str, ...], tracks: Path | None, overwrite: bool
) -> None:
    """Write a store without some tracks of STORE.

    \b
    Example:
      mcls store remove mfcc.h5 clean.h5 --tracks bad.txt
    """
    from mcls.extraction.store_tracks import remove as remove_tracks

    started = time.monotonic()
    _say(remove_tracks(store, out, where=where, tracks=tracks, overwrite=overwrite), started)


def _say(done: "Copied", started: float) -> None:
    for note in done.notes:
        say(f"note: {note}")
    if done.computed:
        done_line(f"wrote {done.path}: {done.n_tracks} tracks", started)
    else:
        say(f"{done.path} is up to date: {done.n_tracks} tracks; nothing to do")
