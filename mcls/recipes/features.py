"""Compare the features that a recipe asks for with those of a store."""

from collections.abc import Mapping
from typing import Any

from mcls.audio.files import parse_excerpt
from mcls.disk.chain import Step
from mcls.disk.recipe import Recipe, stage_arguments, table_of
from mcls.errors import ConfigError
from mcls.extraction.extract import extract
from mcls.extraction.options import Extraction
from mcls.features.specs import parse_features
from mcls.options import options_of
from mcls.settings import canonical
from mcls.stores.store import Store


def extraction_of(recipe: Recipe) -> dict[str, Any]:
    """Return the table ``[extract]`` of a recipe as keyword arguments of `extract`.

    Raises
    ------
    ConfigError
        Names every option that is unknown.
    """
    words = {one.word: one.name for one in options_of(Extraction)}
    named = {words.get(key, key): value for key, value in table_of(recipe, "extract").items()}
    return stage_arguments(named, extract, where="extract")


def refuse_other_features(asked: Mapping[str, Any], store: Store) -> None:
    """Refuse a store whose features are not those of the table ``[extract]`` of a recipe.

    The sampling rate and the excerpt are compared if the recipe gives them. Stores may hold more
    features than the recipe asks for.

    Parameters
    ----------
    asked : mapping of str to value
        The table as keyword arguments of `extract`.
    store : Store
        A store, of features or of rows made from features.

    Raises
    ------
    ConfigError
        Names the feature that is missing, or every setting that differs.
    """
    shared: dict[str, Any] = {}
    if "sr" in asked:
        shared["sr"] = None if asked["sr"] == "native" else asked["sr"]
    if "excerpt" in asked:
        excerpt = parse_excerpt(asked["excerpt"])
        shared["excerpt"] = None if excerpt is None else str(excerpt)
    chains = [stored.chain for stored in store.features.values()]
    there = [step for chain in chains for step in chain if step.kind == "feature"]
    wanted = [(step.name, shared) for step in there]
    if "features" in asked or "settings" in asked:
        specs = asked.get("features", Extraction().features)
        parsed = parse_features(specs, asked.get("settings", ()))
        wanted = [(spec.feature, {**spec.settings, **shared}) for spec in parsed]
    for name, settings in wanted:
        same = [step for step in there if step.name == name]
        if not same:
            held = ", ".join(dict.fromkeys(step.name for step in there))
            raise ConfigError(
                f"the recipe asks for the feature {name} in [extract], but {store.path} holds "
                f"{held}"
            )
        differ = min((_different(settings, step) for step in same), key=len)
        if differ:
            raise ConfigError(
                f"the recipe asks for another {name} in [extract] than {store.path} holds: "
                f"{'; '.join(differ)}"
            )


def _different(settings: Mapping[str, Any], step: Step) -> list[str]:
    """Return for each setting that a stored feature does not have what is asked and what it has."""
    there = step.settings
    return [
        f"{key} is {value} in the recipe, {there.get(key)} in the store"
        for key, value in settings.items()
        if canonical(there.get(key)) != canonical(value)
    ]
