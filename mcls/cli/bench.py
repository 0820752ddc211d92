"""``mcls bench``: how fast mcls is on this machine, beside others."""

import dataclasses
import json
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mcls.cli.options import FILE, json_option
from mcls.cli.progress import done_line, progress_bar
from mcls.cli.tables import show_table

if TYPE_CHECKING:
    from mcls.stages.bench_extract import Timing


@click.group()
def command() -> None:
    """Time mcls beside other tools on this machine.

    \b
    Example:
      mcls bench extract
    """


@command.command("extract")
@click.option("--clips", type=click.IntRange(1), default=60, help="Clips of each kind.")
@click.option("--rounds", type=click.IntRange(1), default=3, help="Turns of every side.")
@click.option("--data", type=FILE, help="Also this folder of class folders, as it is.")
@json_option
def extract(clips: int, rounds: int, data: Path | None, as_json: bool) -> None:
    """Time extraction against librosa and the floor.

    Makes clips of 30 s, checks that the rows are librosa's, and times both
    sides in turns: a clip in one thread, and the whole process. The floor is
    decoding, resampling and one FFT. The figure in brackets is the ratio to
    mcls: above 1, mcls is faster.

    \b
    Example:
      mcls bench extract
      mcls bench extract --clips 12 --rounds 1
    """
    from mcls.stages.bench_extract import bench_extract

    started = time.monotonic()
    with progress_bar("bench", unit="measurements") as progress:
        found = bench_extract(n_clips=clips, rounds=rounds, data=data, progress=progress)
    if as_json:
        click.echo(json.dumps([dataclasses.asdict(timing) for timing in found], indent=2))
    else:
        sides = list(dict.fromkeys(side for timing in found for side in timing.times))
        rows = []
        for timing in found:
            row = [timing.what, timing.input, timing.features]
            for side in sides:
                took = timing.times.get(side)
                row.append("" if took is None else f"{took:.4g}{_ratio(took, timing, side)}")
            rows.append(row)
        show_table(["what", "input", "features", *sides], rows, left=3)
    done_line(f"{len(found)} measurements", started)


def _ratio(took: float, timing: "Timing", side: str) -> str:
    """Return a side's time over ours, in brackets; nothing for ourselves."""
    return "" if side == "mcls" else f" ({took / timing.times['mcls']:.2f})"
