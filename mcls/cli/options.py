"""Options that several commands share, and where a value came from."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from mcls.errors import MclsError
from mcls.registry import entries, find_in
from mcls.training.options import DEFAULTS

F = TypeVar("F", bound=Callable[..., Any])

FILE = click.Path(path_type=Path)

#: What we call the places click takes values from; any other is a default.
ORIGINS: dict[click.core.ParameterSource | None, str] = {
    click.core.ParameterSource.COMMANDLINE: "command line",
    click.core.ParameterSource.ENVIRONMENT: "environment",
    click.core.ParameterSource.DEFAULT_MAP: "recipe",
}


class Name(click.ParamType):
    """The name of a registered thing, with its settings where `spec` is true.

    The registry is read when a value is checked, not when the command is defined.
    """

    def __init__(self, *families: str, spec: bool = False) -> None:
        self.families = families
        self.spec = spec
        self.name = families[0]

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Check the name; what follows it is checked by the stage."""
        name = str(value)
        if self.spec:
            name = name.partition(":")[0].partition("=")[2] or name.partition(":")[0]
            name = name.partition("@")[0]
        try:
            find_in(self.families, name)
        except MclsError as error:
            self.fail(str(error), param, ctx)
        return str(value)

    def get_metavar(self, param: click.Parameter, ctx: click.Context | None = None) -> str:
        """Show the family in the singular."""
        shown = {
            "dictionaries": "METHOD",
            "losses": "LOSS",
            "segment-augmentations": "AUGMENTATION",
        }
        return "|".join(
            shown.get(family, family.upper().removesuffix("S")) for family in self.families
        )

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[Any]:
        """Complete from the registry."""
        from click.shell_completion import CompletionItem

        known = [name for family in self.families for name in entries(family)]
        names = [name for name in known if name.startswith(incomplete)]
        return [CompletionItem(name) for name in names]


def split_options(function: F) -> F:
    """Add ``--labels --split --fold --valid --group --seed``."""
    for option in (
        click.option("--seed", type=int, default=0, help="Of everything drawn."),
        click.option("--group", default="group", help="Column of what must not straddle parts."),
        click.option("--valid", type=float, default=0.1, help="With --fold: share drawn as valid."),
        click.option("--fold", help="Hold this fold out as test."),
        click.option("--split", default="split", help="Column of parts, or of folds."),
        click.option("--labels", default="labels", help="Column of labels."),
    ):
        function = option(function)
    return function


def training_options(function: F) -> F:
    """Add the options of the training of nets; their defaults are those of `Training`."""
    default = DEFAULTS
    positive = click.FloatRange(0, min_open=True)
    at_least_1 = click.IntRange(1)
    for option in reversed(
        (
            click.option(
                "--segment", type=positive, metavar="SECONDS", help="Length of a segment."
            ),
            click.option(
                "--frames", type=at_least_1, help="Rows of a segment, instead of seconds."
            ),
            click.option(
                "--short",
                type=click.Choice(["loop", "pad"]),
                default=default["short"],
                help="Makes tracks shorter than a segment longer.",
            ),
            click.option(
                "--overlap",
                type=click.FloatRange(0, 1, max_open=True),
                default=default["overlap"],
                help="Share of a segment with the next, scoring.",
            ),
            click.option(
                "--test-shift",
                type=click.IntRange(0),
                metavar="DIMS",
                default=default["test_shift"],
                help="Score is the mean over shifts by -DIMS..DIMS.",
            ),
            click.option("--crops", type=at_least_1, help="Segments of a track an epoch; all."),
            click.option("--balance", is_flag=True, help="Meet each label equally often."),
            click.option(
                "--augment",
                type=Name("segment-augmentations", spec=True),
                multiple=True,
                help="Of segments; repeatable, in order.",
            ),
            click.option(
                "--standardize",
                type=click.Choice(["dims", "global", "none"]),
                default=default["standardize"],
                help="Mean 0, deviation 1 of the input.",
            ),
            click.option(
                "--init",
                type=FILE,
                multiple=True,
                metavar="DICT|RUN",
                help="Layers to begin with: a DBN's, or of nets.",
            ),
            click.option(
                "--epochs", type=at_least_1, default=default["epochs"], help="At most so many."
            ),
            click.option(
                "--batch-size",
                type=at_least_1,
                default=default["batch_size"],
                help="Segments of a step.",
            ),
            click.option("--find-batch-size", is_flag=True, help="Choose it by trial."),
            click.option("--loss", type=Name("losses", spec=True), help="Default: by the labels."),
            click.option(
                "--optimizer",
                type=Name("optimizers", spec=True),
                default=default["optimizer"],
                help="As in adam:lr=1e-4.",
            ),
            click.option(
                "--schedule",
                type=Name("schedules", spec=True),
                default=default["schedule"],
                help="Of the rate, as in step:every=30.",
            ),
            click.option("--find-lr", is_flag=True, help="Choose the rate by a range test."),
            click.option(
                "--l1", type=float, default=default["l1"], help="Weight of the L1 penalty."
            ),
            click.option("--clip", type=positive, help="Longest gradient."),
            click.option("--ema", type=float, metavar="DECAY", help="Keep mean weights, as 0.999."),
            click.option(
                "--monitor",
                default=default["monitor"],
                metavar="loss|METRIC",
                help="What of valid decides.",
            ),
            click.option("--patience", type=at_least_1, help="Stop after epochs without a gain."),
            click.option(
                "--precision",
                type=click.Choice(["32", "bf16", "16"]),
                default=default["precision"],
                help="Bits of the computing.",
            ),
            click.option(
                "--workers",
                type=click.IntRange(0),
                default=default["workers"],
                help="Processes that gather batches.",
            ),
            click.option(
                "--device",
                type=click.Choice(["auto", "cpu", "cuda"]),
                default=default["device"],
                help="Where to train.",
            ),
            click.option(
                "--devices", type=at_least_1, default=default["devices"], help="How many of them."
            ),
            click.option("--compile", is_flag=True, help="Compile the net first."),
            click.option("--tensorboard", type=FILE, metavar="DIR", help="Log there, too."),
            click.option(
                "--log", metavar="TRACKER:WHERE", help="Log to tensorboard, wandb, mlflow."
            ),
        )
    ):
        function = option(function)
    return function


def settings_option(of: str) -> Callable[[F], F]:
    """Add ``-p key=value``, the settings of the command's main thing."""
    return click.option(
        "-p",
        "--param",
        "settings",
        multiple=True,
        metavar="KEY=VALUE",
        help=f"A setting of the {of}; repeatable.",
    )


json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
overwrite_option = click.option(
    "--overwrite", is_flag=True, help="Replace what was made otherwise."
)


def origins(ctx: click.Context) -> dict[str, str]:
    """Return for every parameter where its value came from.

    Returns
    -------
    dict
        Name to ``command line``, ``environment``, ``recipe`` or ``default``.
    """
    return {
        name: ORIGINS.get(source, "default")
        for name in ctx.params
        if (source := ctx.get_parameter_source(name)) is not None
    }
