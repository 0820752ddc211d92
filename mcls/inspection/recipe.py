"""Plot the learning rate schedule of a recipe."""

from pathlib import Path
from typing import Any

from mcls.disk.recipe import read_recipe, stage_arguments, table_of
from mcls.errors import ConfigError
from mcls.options import build, options_of
from mcls.plots.page import Figure
from mcls.plots.schedule import draw_rates
from mcls.registry import entries, find
from mcls.settings import resolve, split_spec
from mcls.stages.train import train
from mcls.training.options import Training
from mcls.training.schedules import rates, schedule_of

#: Steps that are drawn, at least two per epoch; the real number depends on the tracks.
_STEPS = 4000


def plot_recipe(path: Path) -> tuple[Figure, str]:
    """Plot the learning rate schedule with which the net of a recipe will be trained.

    Schedules that follow the validation metric are drawn as if it never improved after the first
    epoch.

    Parameters
    ----------
    path : Path
        A recipe whose ``[train]`` trains a net.

    Returns
    -------
    page : Figure
    shows : str

    Raises
    ------
    ConfigError
        If it trains no net, or an option is invalid.
    """
    table = table_of(read_recipe(path), "train")
    given = stage_arguments(table, train, where=f"{path.name}: train")
    model = given.get("model", "svm")
    if model not in entries("nets"):
        raise ConfigError(
            f"{path}: model = {model!r} in [train] has no learning rate; expected a recipe that "
            "trains a net (mcls list nets)"
        )
    names = {one.name for one in options_of(Training)}
    options = {key: value for key, value in given.items() if key in names}
    training = build(Training, options).for_labels(multi_label=False)
    n_epochs = training.epochs
    per_epoch = max(2, _STEPS // n_epochs)
    facts: dict[str, Any] = schedule_of(training.schedule)[1]
    factors = rates(
        training.schedule,
        n_epochs * per_epoch,
        steps_per_epoch=per_epoch,
        values=[0.0] * n_epochs,
    )
    name, settings = split_spec(training.optimizer)
    rate = resolve(find("optimizers", name), settings)["lr"]
    title = f"{path.name}: {training.schedule}, {training.optimizer}, {n_epochs} epochs"
    if facts.get("needs_valid"):
        title += "\nas if the validation metric never improved after the first epoch"
    unit = "learning rate"
    if training.find_lr:
        rate, unit = 1.0, "learning rate / the one that --find-lr finds"
    in_steps = facts["per"] == "epoch"
    page = draw_rates(factors * float(rate), n_epochs, title=title, unit=unit, in_steps=in_steps)
    return page, f"learning rate of {model} over {n_epochs} epochs, {training.schedule}"
