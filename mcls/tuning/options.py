"""The options of a search for the best values of a recipe."""

from dataclasses import dataclass

from mcls.options import option


@dataclass(frozen=True)
class Search:
    """What is searched, for how long, and on which tracks; see `mcls.tuning.tune`."""

    space: tuple[str, ...] = option(
        (),
        "Values of an option, as TABLE.OPTION=LOW..HIGH or =A,B,C; repeatable.",
        section="Search",
        metavar="KEY=VALUES",
    )
    trials: int = option(30, "Number of trials, those that are there included.", section="Search",
        min=1,
    )  # fmt: skip
    timeout: float | None = option(
        None,
        "Begin no trial after this time.",
        section="Search",
        metavar="MINUTES",
        min=0,
        min_open=True,
    )
    metric: str | None = option(
        None,
        "Metric to optimise (default: the first that mcls eval shows).",
        section="Search",
        registry=("metrics",),
    )
    pruning: bool = option(
        True, "End trials early that are worse than others were.", section="Search"
    )
    jobs: int = option(1, "Number of processes that run trials.", section="Search", min=1)
    storage: str | None = option(
        None,
        "Database of the trials, shared by machines (default: in OUT).",
        section="Search",
        metavar="URL",
    )
    split: str = option(
        "split", "Column of parts (train, valid, test) or of folds.", section="Data"
    )
    fold: str | None = option(
        None, "Fold to leave out as the test part, which is not read.", section="Data"
    )
    valid: float = option(
        0.0,
        "Fraction of the other folds drawn as the valid part, with --fold.",
        section="Data",
        min=0,
        max=1,
        max_open=True,
    )
    inner: int = option(
        3, "Number of folds of the train part, where there is no valid part.", section="Data", min=2
    )
    labels: str | None = option(
        None, "Column of labels (default: as in the recipe, else labels).", section="Data"
    )
    group: str | None = option(
        None,
        "Column of groups that stay together (default: as in the recipe, else group).",
        section="Data",
    )
    seed: int = option(0, "Random seed.", section="Data")
