"""``mcls export``: the net of a run as one file for other programs."""

import json
import time
from dataclasses import asdict
from pathlib import Path

import click

from mcls.cli.options import FILE, json_option, overwrite_option
from mcls.cli.progress import done_line


@click.command()
@click.argument("run", type=FILE)
@click.argument("out", type=FILE)
@click.option("--with-mel", is_flag=True, help="Begin at the audio: mel spectrogram inside.")
@click.option("--torch", "as_torch", is_flag=True, help="Write torch.export (.pt2), not ONNX.")
@overwrite_option
@json_option
def command(
    run: Path, out: Path, with_mel: bool, as_torch: bool, overwrite: bool, as_json: bool
) -> None:
    """Write the net of a run as one file, ONNX or torch's.

    OUT ends in .onnx or .pt2. In it are the standardising, the net and
    the scores of all labels; its metadata "mcls" names the labels, the
    features with their settings, and how tracks are cut and scored. An
    ONNX file is tried in onnxruntime against torch before it appears.

    \b
    Examples:
      mcls export runs/fcn4 fcn4.onnx
      mcls export runs/fcn4 fcn4.onnx --with-mel
      mcls export runs/fcn4 fcn4.pt2 --torch
    """
    from mcls.stages.export import export

    if as_torch and out.suffix.lower() != ".pt2":
        raise click.UsageError(f"--torch writes a .pt2 file, and {out} is none")
    started = time.monotonic()
    done = export(run, out, with_mel=with_mel, overwrite=overwrite)
    if as_json:
        click.echo(json.dumps({**asdict(done), "path": str(done.path)}, indent=2))
        return
    for what, sizes in (("reads", done.reads), ("gives", done.gives)):
        for name, size in sizes.items():
            click.echo(f"{what} {name}: {' x '.join(map(str, size))}")
    for note in done.notes:
        click.echo(f"note: {note}")
    megabytes = done.path.stat().st_size / 1e6
    done_line(
        f"wrote {out}: {megabytes:.3g} MB, at most {done.difference:.1g} from torch,", started
    )
