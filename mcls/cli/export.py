"""``mcls export``: write a run as one file for other programs."""

import time
from dataclasses import asdict
from pathlib import Path

import click

from mcls.cli.messages import echo, echo_json, say
from mcls.cli.options import FILE, OUT, json_option, overwrite_option
from mcls.cli.progress import done_line


@click.command()
@click.argument("run", type=FILE)
@click.argument("out", type=OUT)
@click.option(
    "--with-mel", is_flag=True, help="Include the mel spectrogram, so that the input is audio."
)
@click.option(
    "--torch", "as_torch", is_flag=True, help="Write a torch.export file (.pt2) instead of ONNX."
)
@click.option("--hf", is_flag=True, help="Write a folder for a model hub, with a model card.")
@click.option("--licence", help="Licence of the model for its card, such as cc-by-4.0.")
@overwrite_option
@json_option
def command(
    run: Path,
    out: Path,
    with_mel: bool,
    as_torch: bool,
    hf: bool,
    licence: str | None,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Export a run to ONNX, torch.export or a folder for a hub.

    RUN is a run folder, OUT ends in .onnx or .pt2. The file of a net
    standardises its input and returns the scores of all labels. The file of
    a classifier has all of a classic system, from the audio of a track to
    scores and probabilities: mel or MFCC, dictionaries, poolers over the
    track, and an SVM, a logistic regression or a random forest. Its metadata
    "mcls" names the labels, the features with their settings, and how tracks
    are cut into segments and scored. An ONNX file is compared with torch in
    onnxruntime before it is written.

    With --hf, OUT is a folder: the run, which `mcls predict` reads, and a
    model card with its recipe, data, split and scores. Nothing is uploaded.

    \b
    Example:
      mcls export runs/fcn4 fcn4.onnx
      mcls export runs/fcn4 fcn4.onnx --with-mel
      mcls export runs/vq vq.onnx
      mcls export runs/vq my-model --hf --licence cc-by-4.0
      mcls export runs/fcn4 fcn4.pt2 --torch
    """
    from mcls.stages.export import export

    if (licence is not None and not hf) or (hf and (with_mel or as_torch)):
        raise click.UsageError(
            "--licence is for --hf, which goes neither with --with-mel nor with --torch"
        )
    if as_torch and out.suffix.lower() != ".pt2":
        raise click.UsageError(f"--torch writes a .pt2 file; {out} has another suffix")
    started = time.monotonic()
    if hf:
        from mcls.report.model_card import write_hub_folder

        notes = write_hub_folder(run, out, licence=licence, overwrite=overwrite)
        if as_json:
            echo_json({"path": str(out), "notes": notes})
            return
        for note in notes:
            echo(f"note: {note}")
        done_line(f"wrote {out}", started)
        return
    done = export(run, out, with_mel=with_mel, overwrite=overwrite)
    if as_json:
        echo_json({**asdict(done), "path": str(done.path)})
        return
    for what, sizes in (("input", done.inputs), ("output", done.outputs)):
        for name, size in sizes.items():
            echo(f"{what} {name}: {' x '.join(map(str, size))}")
    for note in done.notes:
        echo(f"note: {note}")
    if not done.computed:
        say(f"{out} is up to date; nothing to do")
        return
    megabytes = done.path.stat().st_size / 1e6
    done_line(
        f"wrote {out}: {megabytes:.3g} MB, at most {done.difference:.1g} from torch,", started
    )
