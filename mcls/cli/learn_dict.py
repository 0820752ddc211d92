"""``mcls learn-dict``: rows of the train part to a dictionary."""

import json
import time
from pathlib import Path
from typing import Any

import click

from mcls.cli.messages import say
from mcls.cli.options import (
    FILE,
    Name,
    json_option,
    overwrite_option,
    settings_option,
    split_options,
)
from mcls.cli.progress import done_line, progress_bar


class Rows(click.ParamType):
    """A number of rows, or ``all``."""

    name = "N"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> int | None:
        """Check that it is one."""
        if value in (None, "all"):
            return None
        try:
            return int(value)
        except ValueError:
            self.fail(f"{value!r} is not a number of rows or 'all'", param, ctx)


@click.command()
@click.argument("store", type=FILE)
@click.argument("out", type=FILE)
@click.option("--feature", help="Which feature, if the store has several.")
@click.option("--method", type=Name("dictionaries"), default="kmeans", help="How to learn.")
@click.option("--size", type=click.IntRange(1), default=256, help="Atoms.")
@click.option("--rows", type=Rows(), default=500_000, help="Rows drawn, equally per track; or all.")
@click.option(
    "--sampling",
    type=click.Choice(["random", "onset"]),
    default="random",
    help="Rows anywhere, or the strongest onset a segment.",
)
@click.option("--segment", type=float, default=1.0, help="With onset sampling: seconds.")
@click.option("--context", type=click.IntRange(1), default=1, help="Frames joined to a row.")
@click.option("--standardize/--no-standardize", default=True, help="Zero mean, unit deviation.")
@click.option("--whiten", type=float, metavar="SHARE", help="PCA whitening: variance kept.")
@click.option("--whiten-eps", type=float, default=0.01, help="Added to the eigenvalues.")
@settings_option("method")
@click.option(
    "--device", default="cpu", metavar="DEVICE", help="Where torch computes: cpu, cuda, cuda:1."
)
@split_options
@overwrite_option
@json_option
def command(store: Path, out: Path, as_json: bool, **options: Any) -> None:
    """Learn a dictionary from rows of the train part.

    OUT holds the atoms, the preprocessing and the way from the audio to
    them. Rows of other parts are never read.

    \b
    Examples:
      mcls learn-dict mfcc.h5 vq.h5 --feature mfcc --method kmeans --size 256
      mcls learn-dict mel.h5 d.h5 --size 1024 --context 8 --whiten 0.9
      mcls learn-dict mel.h5 d.h5 --feature mel --context 8 --sampling onset
      mcls learn-dict mfcc.h5 vq1.h5 --split fold --fold 1
    """
    from mcls.stages.learn import learn_dict

    started = time.monotonic()
    with progress_bar(f"learn {out.name}", unit="batches") as progress:
        learnt = learn_dict(store, out, progress=progress, **options)
    report = learnt.report
    if as_json:
        click.echo(json.dumps({"path": str(out), "computed": learnt.computed, **report}))
    else:
        click.echo(f"{report['n_atoms']} atoms of {report['n_dims']} dimensions ", nl=False)
        click.echo(f"from {report['rows']} rows of {report['tracks']} train tracks")
        click.echo(report["split"])
        if "inertia" in report:
            click.echo(f"mean squared distance {report['inertia']:.4g}")
        if "perplexity" in report:
            share = 100 * report["utilisation"]
            click.echo(f"{share:.1f} % of the atoms in use, perplexity {report['perplexity']:.1f}")
    if learnt.computed:
        done_line(f"wrote {out}", started)
    else:
        say(f"{out} is there already; nothing to do")
