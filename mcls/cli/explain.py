"""``mcls explain``: see how a net learns, step by step."""

import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mcls.cli.messages import echo, echo_json
from mcls.cli.options import FILE, OUT, Name, json_option, settings_option
from mcls.cli.progress import done_line, progress_bar
from mcls.cli.tables import show_table

if TYPE_CHECKING:
    from mcls.explain.backprop import Backprop, BackpropStep


@click.group()
def command() -> None:
    """See how a net learns, step by step.

    \b
    Example:
      mcls explain backprop
      mcls explain optimizers saddle -o saddle.png
    """


@command.command()
@click.argument("store", type=FILE, required=False)
@click.option("--track", metavar="ID", help="Track of the store (default: the first).")
@click.option("--row", type=click.IntRange(0), help="Row of the track (default: the middle one).")
@click.option("--feature", help="Feature of the store.")
@click.option("--labels", default="labels", help="Column of labels.")
@click.option(
    "--hidden", "n_hidden", type=click.IntRange(1), default=3, help="Number of hidden units."
)
@click.option(
    "--activation",
    type=click.Choice(["sigmoid", "tanh", "relu"]),
    default="sigmoid",
    help="Nonlinearity of the hidden layer.",
)
@click.option(
    "--lr",
    type=click.FloatRange(0, min_open=True),
    default=0.1,
    help="Learning rate of the step of gradient descent at the end.",
)
@click.option("--seed", type=int, default=0, help="Random seed of the weights.")
@click.option("--html", type=OUT, help="Also write a page to go through the steps.")
@json_option
def backprop(
    store: Path | None,
    track: str | None,
    row: int | None,
    feature: str | None,
    labels: str,
    n_hidden: int,
    activation: str,
    lr: float,
    seed: int,
    html: Path | None,
    as_json: bool,
) -> None:
    """Show every gradient of a two-layer net on one row.

    Without STORE an example of three dimensions and two labels is used; with
    it, a row of a track, standardised over the store. The gradients are
    compared with torch's and with finite differences.

    \b
    Example:
      mcls explain backprop --activation relu
      mcls explain backprop mfcc.h5 --track swing-01-1 --html backprop.html
    """
    from mcls.inspection import explain_backprop

    started = time.monotonic()
    found, name = explain_backprop.backprop(
        store,
        track=track,
        feature=feature,
        row=row,
        labels=labels,
        n_hidden=n_hidden,
        activation=activation,
        lr=lr,
        seed=seed,
        html=html,
    )
    if as_json:
        steps = {
            direction: [{**asdict(step), "value": step.value.tolist()} for step in of]
            for direction, of in (("forward", found.forward), ("backward", found.backward))
        }
        echo_json({**asdict(found), "row": name, **steps})
    else:
        _show(found, name)
    if html is not None:
        done_line(f"wrote {html}", started)


def _show(found: "Backprop", name: str) -> None:
    echo(f"{name[0].upper()}{name[1:]}; true label {found.label} of {', '.join(found.labels)}")
    for title, steps in (("forward", found.forward), ("backward", found.backward)):
        echo()
        rows = [[step.name, step.formula, *_values(step)] for step in steps]
        show_table([title, "formula", "size", "values"], rows, left=4)
    echo(
        "",
        f"Largest difference from torch's gradients {found.torch_error:.1e}, from finite "
        f"differences {found.difference_error:.1e}",
        f"A step of {found.lr:g} against the gradients changes the loss from {found.loss:.4f} to "
        f"{found.next_loss:.4f}",
    )


def _values(step: "BackpropStep", most: int = 6) -> list[str]:
    """Write the size of a quantity, and its first values."""
    flat = step.value.ravel()
    shown = "  ".join(f"{value:.4f}" for value in flat[:most])
    size = " x ".join(map(str, step.value.shape)) or "1"
    return [size, shown + ("  …" if len(flat) > most else "")]


@command.command()
@click.argument("surface", metavar="saddle|ravine|RUN")
@click.option(
    "-o",
    "--out",
    type=OUT,
    required=True,
    help="Image (.png, .svg, .pdf) or animation (.gif, .mp4) to write.",
)
@click.option(
    "--optimizer",
    "chosen",
    type=Name("optimizers", spec=True),
    multiple=True,
    help="Optimizer, such as adam:lr=0.1; repeatable (default: all).",
)
@click.option("--steps", "n_steps", type=click.IntRange(1), default=100, help="Number of steps.")
@click.option(
    "--schedule",
    type=Name("schedules", spec=True),
    default="constant",
    help="Learning rate schedule; a step counts as an epoch.",
)
@click.option(
    "--starts", "n_starts", type=click.IntRange(1), default=1, help="Number of starting points."
)
@click.option(
    "--points",
    "n_points",
    type=click.IntRange(4),
    default=21,
    help="Points along a slice of a run.",
)
@click.option(
    "--extent",
    type=click.FloatRange(0, min_open=True),
    default=1.0,
    help="Half the width of a slice, in norms of the filters.",
)
@click.option("--store", type=FILE, help="Store of the run, if it has moved.")
@click.option("--seed", type=int, default=0, help="Random seed of starts and slice.")
@json_option
def optimizers(
    surface: str,
    out: Path,
    chosen: tuple[str, ...],
    n_steps: int,
    schedule: str,
    n_starts: int,
    n_points: int,
    extent: float,
    store: Path | None,
    seed: int,
    as_json: bool,
) -> None:
    """Plot the paths of optimizers on a loss of two numbers.

    The loss is a saddle, a ravine, or a slice of the loss of a trained net:
    RUN is its folder, and the slice goes along two random, filter-normalised
    directions of its weights. Without lr, an optimizer uses the learning
    rate with the lowest mean loss over its path.

    \b
    Example:
      mcls explain optimizers saddle -o saddle.png
      mcls explain optimizers ravine -o ravine.gif --optimizer sgd --optimizer momentum
      mcls explain optimizers runs/fcn4 -o slice.png --starts 3
      mcls explain optimizers ravine -o sgdr.png --schedule cosine-restarts:period=25
    """
    from mcls.inspection import explain_optimizers

    started = time.monotonic()
    with progress_bar("slicing", "points") as progress:
        paths = explain_optimizers.optimizers(
            surface,
            out,
            chosen,
            n_steps=n_steps,
            schedule=schedule,
            n_starts=n_starts,
            seed=seed,
            n_points=n_points,
            extent=extent,
            store=store,
            progress=progress,
        )
    if as_json:
        echo_json(
            [
                {**asdict(one), "points": one.points.tolist(), "losses": one.losses.tolist()}
                for one in paths
            ]
        )
    else:
        rows = [
            [one.optimizer, *(f"{x:.4g}" for x in (one.lr, *one.points[0], one.losses[-1]))]
            for one in paths
        ]
        show_table(["optimizer", "lr", "start x", "start y", "last loss"], rows)
    done_line(f"wrote {out}: {len(paths)} paths of {n_steps} steps", started)


@command.command()
@click.argument("net", metavar="NET|RUN")
@click.argument("store", type=FILE)
@click.option("-o", "--out", type=OUT, required=True, help="Image to write: .png, .svg or .pdf.")
@click.option("--track", metavar="ID", help="Track of the store (default: the first).")
@click.option("--feature", help="Feature of the store.")
@click.option(
    "--frames",
    type=click.IntRange(1),
    help="Frames of a segment (default: as published, or as trained).",
)
@settings_option("net")
@json_option
def convolution(
    net: str,
    store: Path,
    out: Path,
    track: str | None,
    feature: str | None,
    frames: int | None,
    settings: tuple[str, ...],
    as_json: bool,
) -> None:
    """Show the stride, padding and receptive field of each layer.

    NET is a net from `mcls list nets`, RUN the folder of a trained one. The
    picture shows the segment of a track in the middle of STORE's rows, with
    the receptive field of the middle unit of each hidden layer.

    \b
    Example:
      mcls explain convolution fcn4 mel.h5 -o fields.png
      mcls explain convolution runs/fcn4 mel.h5 -o fields.png --track waltz-01-1
    """
    from mcls.inspection import explain_convolution

    started = time.monotonic()
    found = explain_convolution.convolution(
        net, store, out, track=track, feature=feature, frames=frames, settings=settings
    )
    if as_json:
        echo_json(asdict(found))
    else:
        rows = [
            [
                layer.name,
                layer.kind,
                "x".join(map(str, layer.stride)),
                "x".join(map(str, layer.padding)),
                str(layer.groups) if layer.stride else "",
                " x ".join(map(str, layer.output)),
            ]
            for layer in found.layers
        ]
        title = f"{found.net}: a segment of {found.n_frames} frames x {found.n_dims} dimensions"
        columns = ["layer", "operation", "stride", "padding", "groups", "output"]
        show_table(columns, rows, title=title, left=6)
        echo()
        rows = [
            [
                field.layer,
                f"{field.frames} x {field.dims}",
                "" if found.hop is None else f"{field.frames * found.hop:.3g} s",
            ]
            for field in found.fields
        ]
        show_table(["hidden layer", "receptive field", "time"], rows)
    done_line(f"wrote {out}", started)
