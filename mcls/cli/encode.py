"""``mcls encode``: encode and pool the rows of a store."""

import time
from pathlib import Path
from typing import Any

import click

from mcls.chain.options import Encoding
from mcls.cli.messages import echo_json, say
from mcls.cli.options import (
    FILE,
    OUT,
    SectionedCommand,
    json_option,
    no_pack_option,
    options_from,
    overwrite_option,
)
from mcls.cli.pools import dask_option, dask_pool
from mcls.cli.progress import done_line, progress_bar
from mcls.cli.recipe_defaults import check_features


@click.command(cls=SectionedCommand)
@click.argument("store", type=FILE)
@click.argument("out", type=OUT)
@options_from(Encoding)
@dask_option
@no_pack_option
@overwrite_option
@json_option
@click.pass_context
def command(
    ctx: click.Context,
    store: Path,
    out: Path,
    dask: str | None,
    no_pack: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Encode rows with dictionaries or nets, and pool them.

    The codes of several dictionaries are concatenated. A net gives one row
    per segment: the activations of its hidden layers, concatenated.
    Feature maps are reduced to their maximum over the segment, or to their
    mean with --layer all:mean. --layer scores gives the scores of runs, of
    nets or classifiers: one row per track. A run of gmm-hmm or dnn-hmm gives
    the posteriors of its states, a row per frame.

    Poolers are applied in the order given, over the whole track or over
    windows, whose length in seconds follows an @.

    \b
    Examples:
      mcls encode mfcc.h5 vectors.h5 --with vq.h5 --pool histogram
      mcls encode mel.h5 v.h5 --with d.h5 --encoder triangle --pool max@1s --pool mean
      mcls encode mfcc.h5 stats.h5 --pool meanstd
      mcls encode mel.h5 deep.h5 --with runs/mlp --layer all --pool meanstd@5s --jobs 4
      mcls encode all.h5 scores.h5 --with runs/svm --with runs/mlp --layer scores
    """
    from mcls.stages.encode import encode

    started = time.monotonic()
    check_features(store)
    pool = ctx.with_resource(dask_pool(dask, options["jobs"]))
    with progress_bar(f"encode {out.name}") as progress:
        done = encode(store, out, pack=not no_pack, workers=pool, progress=progress, **options)
    size = f"{done.n_rows} rows of {done.n_dims} numbers, {done.n_tracks} tracks"
    if as_json:
        found = {key: value for key, value in vars(done).items() if key != "path"}
        echo_json({"path": str(out), **found}, indent=None)
    if done.computed:
        done_line(f"wrote {out}: {size}", started)
    else:
        say(f"{out} is there already: {size}; nothing to do")
