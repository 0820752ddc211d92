"""The options that only stages read: of a model and of a cross-validation."""

from dataclasses import dataclass
from typing import Literal

from mcls.options import option


@dataclass(frozen=True)
class Model:
    """What is trained, and how scores of rows become scores of tracks."""

    model: str = option(
        "svm",
        "Classifier or net to train.",
        section="Model",
        registry=("classifiers", "nets"),
    )
    settings: tuple[str, ...] = option(
        (),
        "Setting of the model; repeatable.",
        section="Model",
        word="param",
        metavar="KEY=VALUE",
    )
    aggregate: Literal["mean", "vote", "max"] = option(
        "mean", "Combine the scores of rows or segments to the track's score.", section="Model"
    )
    memory: str | None = option(
        None,
        "Memory for a classifier to learn in, as 4GB (default: half of the machine's).",
        section="Model",
        metavar="SIZE",
        in_key=False,
    )


@dataclass(frozen=True)
class Folds:
    """How the folds of a cross-validation are made; see `mcls.data.options.Split`."""

    split: str = option("fold", "Column of folds, or of parts (train, valid, test).")
    labels: str | None = option(None, "Column of labels (default: as in the recipe, else labels).")
    group: str | None = option(
        None, "Column of groups that stay together (default: as in the recipe, else group)."
    )
    valid: float = option(
        0.0, "Fraction of the other folds drawn as the valid part.", min=0, max=1, max_open=True
    )
    settings: tuple[str, ...] = option(
        (),
        "Setting of the model, in place of the recipe's; repeatable.",
        word="param",
        metavar="KEY=VALUE",
    )
    seed: int = option(0, "Random seed.")
    memory: str | None = option(
        None, "Memory for learning, as 4GB (default: half of the machine's).", metavar="SIZE"
    )
    seeds: int = option(1, "Train each fold with this many seeds, from --seed on.", min=1)
