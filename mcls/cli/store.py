"""``mcls store``: merge stores, select or remove tracks, and pack, split or verify stores."""

import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mcls.cli.messages import say
from mcls.cli.options import FILE, OUT, no_pack_option, overwrite_option
from mcls.cli.progress import done_line

if TYPE_CHECKING:
    from mcls.extraction.store_copy import Copied

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
    """Merge, pack and split stores; select and remove tracks.

    The rows are copied and not computed again. A store is a file, or a
    folder of shards (--no-pack).

    \b
    Example:
      mcls store merge part1.h5 part2.h5 all.h5
      mcls store select mfcc.h5 jazz.h5 --where labels=jazz
      mcls store remove mfcc.h5 clean.h5 --tracks bad.txt
      mcls store split mel.h5 mel.store --size 500MB
    """


@command.command()
@click.argument("stores", type=FILE, nargs=-1, required=True)
@click.argument("out", type=OUT)
@no_pack_option
@overwrite_option
def merge(stores: tuple[Path, ...], out: Path, no_pack: bool, overwrite: bool) -> None:
    """Write a store with the tracks of several stores.

    STORES have the same features and no track in common. A column that one
    of them lacks is empty for its tracks.

    \b
    Example:
      mcls store merge part1.h5 part2.h5 all.h5
    """
    from mcls.extraction.store_tracks import merge as merge_stores

    started = time.monotonic()
    _say(merge_stores(stores, out, pack=not no_pack, overwrite=overwrite), started)


@command.command()
@click.argument("store", type=FILE)
@click.argument("out", type=OUT)
@where_option
@tracks_option
@click.option("--feature", "features", multiple=True, help="Feature to keep; repeatable.")
@no_pack_option
@overwrite_option
def select(
    store: Path,
    out: Path,
    where: tuple[str, ...],
    tracks: Path | None,
    features: tuple[str, ...],
    no_pack: bool,
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
        store,
        out,
        where=where,
        tracks=tracks,
        features=features,
        pack=not no_pack,
        overwrite=overwrite,
    )
    _say(done, started)


@command.command()
@click.argument("store", type=FILE)
@click.argument("out", type=OUT)
@where_option
@tracks_option
@no_pack_option
@overwrite_option
def remove(
    store: Path,
    out: Path,
    where: tuple[str, ...],
    tracks: Path | None,
    no_pack: bool,
    overwrite: bool,
) -> None:
    """Write a store without some tracks of STORE.

    \b
    Example:
      mcls store remove mfcc.h5 clean.h5 --tracks bad.txt
    """
    from mcls.extraction.store_tracks import remove as remove_tracks

    started = time.monotonic()
    done = remove_tracks(
        store, out, where=where, tracks=tracks, pack=not no_pack, overwrite=overwrite
    )
    _say(done, started)


@command.command()
@click.argument("store", type=FILE)
@click.argument("out", type=OUT)
@overwrite_option
def pack(store: Path, out: Path, overwrite: bool) -> None:
    """Write a store that is a folder of shards as one file.

    The file has the same bytes as if --no-pack had not been given.

    \b
    Example:
      mcls store pack mel.store mel.h5
    """
    from mcls.extraction.store_forms import pack_store

    started = time.monotonic()
    _say(pack_store(store, out, overwrite=overwrite), started)


@command.command()
@click.argument("store", type=FILE)
@click.argument("out", type=OUT)
@click.option("--shards", type=click.IntRange(min=1), metavar="N", help="Number of shards.")
@click.option("--size", metavar="SIZE", help="Largest size of a shard (default: 1GB).")
@overwrite_option
def split(store: Path, out: Path, shards: int | None, size: str | None, overwrite: bool) -> None:
    """Write a store as a folder of shards.

    The tracks keep their order. All commands read the folder like the file.

    \b
    Example:
      mcls store split mel.h5 mel.store --shards 8
      mcls store split mel.h5 mel.store --size 500MB
    """
    from mcls.extraction.store_forms import split_store
    from mcls.settings import parse_bytes

    started = time.monotonic()
    n_bytes = None if size is None else parse_bytes(size)
    _say(split_store(store, out, n_shards=shards, n_bytes=n_bytes, overwrite=overwrite), started)


@command.command()
@click.argument("store", type=FILE)
def verify(store: Path) -> None:
    """Compare all of a store with its checksums.

    Of a folder these are the checksums of all its shards. `mcls info
    --verify` does the same for dictionaries and runs.

    \b
    Example:
      mcls store verify mel.store
    """
    from mcls.cli.info import show_verified
    from mcls.inspection.verify import verify as compared

    show_verified(compared(store))


def _say(done: "Copied", started: float) -> None:
    for note in done.notes:
        say(f"note: {note}")
    if done.computed:
        done_line(f"wrote {done.path}: {done.n_tracks} tracks", started)
    else:
        say(f"{done.path} is up to date: {done.n_tracks} tracks; nothing to do")
