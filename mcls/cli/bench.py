"""``mcls bench``: how fast this machine is, against bare loops of torch in the same run."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from mcls.cli.messages import echo, echo_json, say
from mcls.cli.options import Name, json_option
from mcls.cli.progress import progress_bar
from mcls.cli.tables import show_table
from mcls.registry import find

if TYPE_CHECKING:
    from mcls.training.speed import NetSpeed

#: Nets of all kinds of work: large and small convolutions, recurrent layers, many small layers.
_NETS = ("fcn4", "fcn5", "crnn", "musicnn", "short-chunk-res")
#: The width and the number of steps on each device, unless given.
_WIDTH = {"cuda": 1.0, "cpu": 0.05}
_STEPS = {"cuda": 100, "cpu": 10}


@click.group()
def command() -> None:
    """Measure the speed of this machine.

    Speeds are compared with bare loops of torch in the same run, so they
    say what mcls costs, and what the machine gives.

    \b
    Example:
      mcls bench gpu
      mcls bench gpu --net fcn4 --precision bf16 --batch-size 64
    """


@command.command()
@click.option(
    "--net", "nets", type=Name("nets"), multiple=True, default=_NETS, show_default=True,
    help="Net to train; repeatable.",
)  # fmt: skip
@click.option(
    "--width",
    type=click.FloatRange(min=0, min_open=True),
    help="Width of the nets (default: 1 on CUDA, 0.05 on a CPU).",
)
@click.option(
    "--batch-size", type=click.IntRange(min=2), default=16, show_default=True,
    metavar="N", help="Segments per step.",
)  # fmt: skip
@click.option(
    "--precision", type=click.Choice(["32", "tf32", "bf16", "16"]), default="32",
    show_default=True, help="Numeric precision, as in `mcls train`.",
)  # fmt: skip
@click.option(
    "--steps", type=click.IntRange(min=1), metavar="N",
    help="Steps to time (default: 100 on CUDA, 10 on a CPU).",
)  # fmt: skip
@click.option(
    "--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto", show_default=True,
    help="Device to measure; auto takes CUDA where there is one.",
)  # fmt: skip
@click.option(
    "--compile/--no-compile", "compile", default=None,
    help="Compile the nets with torch.compile (default: on CUDA).",
)  # fmt: skip
@json_option
def gpu(
    nets: tuple[str, ...],
    width: float | None,
    batch_size: int,
    precision: str,
    steps: int | None,
    device: str,
    compile: bool | None,
    as_json: bool,
) -> None:
    """Measure the training of nets against bare loops of torch.

    Each net is trained on white noise, in segments of its published size:
    by mcls, and by a loop of torch whose batches are on the device. The
    column `of bare` is the speed of mcls as a fraction of the faster loop's,
    `of matrix rate` what a step makes of the rate of one large product of
    matrices.

    \b
    Example:
      mcls bench gpu
      mcls bench gpu --net fcn4 --net crnn --precision bf16 --json
      mcls bench gpu --device cpu --net fcn4 --batch-size 4
    """
    from mcls.training.fit import check_device
    from mcls.training.options import Training
    from mcls.training.speed import measure_speed

    asked: dict[str, Any] = {"device": device, "precision": precision}
    there = check_device(Training(**asked))
    found, told = [], set[str]()
    with progress_bar("bench", unit="nets") as progress:
        for i, name in enumerate(nets):
            progress(i, len(nets), 0.0)
            wide = {"width": width or _WIDTH[there]}
            settings = wide if width or "width" in find("nets", name).settings else {}
            speed = measure_speed(
                name,
                settings,
                batch_size=batch_size,
                n_steps=steps or _STEPS[there],
                device=there,
                precision=precision,
                compile=there == "cuda" if compile is None else compile,
            )
            found.append(speed)
            for note in speed.notes:
                if note not in told:
                    say(f"note: {note}")
                    told.add(note)
    if as_json:
        echo_json([_as_dict(speed) for speed in found])
    else:
        echo(f"{_name_of(there)}, precision {precision}: {found[0].matrix_rate / 1e12:.3g} TFLOP/s")
        _show(found)


def _as_dict(speed: "NetSpeed") -> dict[str, Any]:
    made = {key: getattr(speed, key) for key in ("segments", "ratio", "matrix_share")}
    return {**asdict(speed), **made}


def _show(found: "list[NetSpeed]") -> None:
    columns = ["net", "segments", "steps/s", "segments/s", "plain loop", "compiled loop"]
    rows = [
        [
            speed.net,
            f"{speed.batch_size} x {speed.n_frames} x {speed.n_dims}",
            f"{speed.trainer:.2f}",
            f"{speed.segments:,.1f}",
            f"{speed.plain:.2f}",
            "" if speed.compiled is None else f"{speed.compiled:.2f}",
            f"{speed.ratio:.2f}",
            f"{100 * speed.matrix_share:.1f} %",
        ]
        for speed in found
    ]
    show_table([*columns, "of bare", "of matrix rate"], rows, left=2)


def _name_of(device: str) -> str:
    import torch

    return torch.cuda.get_device_name() if device == "cuda" else "CPU"
