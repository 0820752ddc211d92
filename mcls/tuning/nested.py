"""Nested cross-validation: tune a recipe inside the train and the valid part of a fold."""

import shutil
from pathlib import Path

from mcls.data.options import Split
from mcls.disk.recipe import Recipe, table_of
from mcls.options import build, options_of
from mcls.tuning.options import Search
from mcls.tuning.tune import tune

#: Options that the cross-validation sets.
_SET = ("split", "fold", "valid", "labels", "group", "seed", "storage")


def search_options(recipe: Recipe) -> dict[str, object]:
    """Return the options of `mcls tune` that a recipe sets, by keyword.

    They are those of the table ``[tune]``; which tracks are read may also stand in ``[cv]``.
    """
    words = {one.word: one.name for one in options_of(Search)}
    shared = {key: value for key, value in table_of(recipe, "cv").items() if key in _SET}
    own = {key: value for key, value in table_of(recipe, "tune").items() if "." not in key}
    return {words.get(key, key): value for key, value in {**shared, **own}.items()}


def tune_fold(recipe: Recipe, store: Path, split: Split, out: Path) -> Recipe:
    """Return the recipe that a search inside a fold gives; for `cross_validate`.

    Parameters
    ----------
    recipe : mapping
        A recipe with a table ``[tune]``.
    store : Path
        The store of the cross-validation.
    split : Split
        The split of the fold.
    out : Path
        The folder of the search; its stores are removed at the end.
    """
    given = {key: value for key, value in search_options(recipe).items() if key not in _SET}
    own = {key: value for key, value in vars(split).items() if key in _SET}
    search = build(Search, {**given, **own})
    tuned = tune(recipe, store, out, search=search)
    for name in ("features", "trials"):
        shutil.rmtree(out / name, ignore_errors=True)
    return tuned.recipe
