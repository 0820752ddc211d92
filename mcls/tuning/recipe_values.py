"""Values inside a recipe, addressed by table, option and setting.

=========================== =====================================================================
``train.epochs``            the option ``epochs`` of the table ``[train]``
``learn-dict.2.size``       of the second of several tables ``[[learn-dict]]``
``train.param.C``           the setting ``C`` among the ``param`` of the model
``train.optimizer.lr``      the setting ``lr`` of the optimizer that the table names
``train.augment.mixup.alpha`` the setting ``alpha`` of one of several augmentations
``extract.feature.n_mels``  a setting of the feature
=========================== =====================================================================
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mcls.chain.options import Encoding, Representation
from mcls.dictionaries.options import Learning
from mcls.disk.recipe import Recipe, Table, tables_of
from mcls.errors import ConfigError, suggest
from mcls.extraction.options import Extraction
from mcls.features.specs import parse_features
from mcls.options import Option, options_of
from mcls.registry import Entry, find_in
from mcls.settings import parse_pairs, resolve, spell_setting, split_spec
from mcls.stages.options import Model
from mcls.training.options import Training

#: The options of each table whose values can be chosen.
_OPTIONS: Mapping[str, tuple[type, ...]] = {
    "extract": (Extraction,),
    "learn-dict": (Learning,),
    "encode": (Encoding,),
    "train": (Model, Representation, Training),
}

#: Options of [extract] that decide which tracks there are, and in which part.
_OF_TRACKS = ("audio-root", "path-column", "labels", "sep", "skip-unlabelled", "split", "group")


@dataclass(frozen=True)
class Place:
    """Where a value is in a recipe.

    Parameters
    ----------
    key : str
        As the user wrote it, with dashes in the names of tables and options.
    command : str
        The table's command.
    index : int
        Which of the command's tables.
    option : Option
    setting : tuple of str
        The setting of what the option names: ``()`` for the option itself, ``(KEY,)``, or
        ``(NAME, KEY)`` for one of several.
    """

    key: str
    command: str
    index: int
    option: Option
    setting: tuple[str, ...]

    def table(self, recipe: Recipe) -> Table:
        """Return the table of a recipe that holds the value."""
        tables = tables_of(recipe, self.command)
        return tables[self.index] if tables else {}


def find_place(recipe: Recipe, key: str) -> Place:
    """Return the place that a key names.

    Raises
    ------
    ConfigError
        If there is no such table or option, or the key does not say which of several.
    """
    head, *rest = key.split(".")
    command = head.replace("_", "-")
    if command not in _OPTIONS or not rest:
        raise ConfigError(
            f"{key!r} names no option; expected TABLE.OPTION with one of the tables "
            f"{', '.join(_OPTIONS)}"
        )
    n_tables, index = len(tables_of(recipe, command)), 0
    number = ""
    if rest[0].isdigit() and len(rest) > 1:
        number = f"{rest[0]}."
        index = int(rest.pop(0)) - 1
        if not 0 <= index < max(n_tables, 1):
            raise ConfigError(f"{key!r}: the recipe has {n_tables} tables [[{command}]]")
    elif n_tables > 1:
        raise ConfigError(
            f"{key!r}: the recipe has {n_tables} tables [[{command}]]; say which one, as "
            f"{command}.1.{'.'.join(rest)}"
        )
    known = {one.word: one for cls in _OPTIONS[command] for one in options_of(cls)}
    word = rest.pop(0).replace("_", "-")
    if word not in known or (command == "extract" and word in _OF_TRACKS):
        names = [name for name in known if not (command == "extract" and name in _OF_TRACKS)]
        raise ConfigError(f"{key!r}: [{command}] has no option {word!r} to tune; "
                          f"{suggest(word, names)}")  # fmt: skip
    option = known[word]
    setting = (".".join(rest),) if option.name == "settings" and rest else tuple(rest)
    if option.name == "settings" and not setting:
        raise ConfigError(f"{key!r}: name the setting, as {key}.C")
    if setting and option.name != "settings" and not option.registry:
        raise ConfigError(f"{key!r}: {word} is a value and has no settings")
    spelled = ".".join([command, number + word, *setting])
    return Place(spelled, command, index, option, setting)


def with_values(recipe: Recipe, values: Sequence[tuple[Place, Any]]) -> Recipe:
    """Return a recipe with some of its values replaced.

    Examples
    --------
    >>> recipe = {"train": {"model": "svm", "param": ["C=1"]}}
    >>> with_values(recipe, [(find_place(recipe, "train.param.C"), 10)])
    {'train': {'model': 'svm', 'param': ['C=10']}}
    """
    found = {command: [dict(table) for table in tables_of(recipe, command)] for command in recipe}
    for place, value in values:
        tables = found.setdefault(place.command, [{}])
        table = tables[place.index]
        word = _spelling(table, place.option)
        table[word] = _replaced(table.get(word), place, value)
    return {name: tables if len(tables) > 1 else tables[0] for name, tables in found.items()}


def value_in(recipe: Recipe, place: Place) -> Any:
    """Return the value that a recipe has at a place, or the default there."""
    table, option = place.table(recipe), place.option
    there = table.get(_spelling(table, option), option.default)
    if not place.setting:
        return there
    key = place.setting[-1]
    if option.name == "settings":
        given: Mapping[str, Any] = parse_pairs(_listed(there))
        entry = _entry_of_settings(place, table)
    else:
        spec = _items(there, place)[_item_of(there, place)]
        given, entry = split_spec(spec)[1], _entry_of(spec, option)
    if key in given:
        return given[key]
    return entry.settings[key].default if entry is not None and key in entry.settings else None


def check_value(recipe: Recipe, place: Place, value: Any) -> None:
    """Refuse a value that an option or a setting cannot have.

    Raises
    ------
    ConfigError
        Says what is expected.
    """
    table = place.table(with_values(recipe, [(place, value)]))
    option = place.option
    there = table[_spelling(table, option)]
    try:
        option.convert(there)
    except ValueError as error:
        raise ConfigError(str(error)) from error
    if place.command == "extract" and option.name in ("features", "settings"):
        names = table.get("feature", table.get("features", Extraction().features))
        parse_features(_listed(names), _listed(table.get("param", ())))
    elif option.name == "settings":
        entry = _entry_of_settings(place, table)
        if entry is not None:
            resolve(entry, {place.setting[-1]: value})
    elif option.registry:
        for spec in _listed(there):
            entry = _entry_of(spec, option)
            resolve(entry, split_spec(spec)[1])


def _spelling(table: Table, option: Option) -> str:
    """Return the key under which a table has an option, or would have it."""
    return next((key for key in table if key.replace("_", "-") == option.word), option.word)


def _listed(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else [*map(str, value or ())]


def _replaced(there: Any, place: Place, value: Any) -> Any:
    """Return the new value of an option."""
    option = place.option
    if not place.setting:
        return [value] if option.several and not isinstance(value, list) else value
    key = place.setting[-1]
    if option.name == "settings":
        pairs = {**parse_pairs(_listed(there)), key: spell_setting(value)}
        return [f"{name}={said}" for name, said in pairs.items()]
    items = _items(there, place)
    i = _item_of(there, place)
    head = items[i].partition(":")[0]
    pairs = {**split_spec(items[i])[1], key: spell_setting(value)}
    items[i] = f"{head}:" + ",".join(f"{name}={said}" for name, said in pairs.items())
    return items if option.several else items[0]


def _items(there: Any, place: Place) -> list[str]:
    """Return the specs of an option; its default where a recipe has none."""
    items = _listed(place.option.default if there is None else there)
    if not items:
        raise ConfigError(f"{place.key!r}: the recipe gives no {place.option.word} to set this of")
    return items


def _item_of(there: Any, place: Place) -> int:
    """Return which of the specs has the setting."""
    items = _items(there, place)
    names = [_names(item) for item in items]
    if len(place.setting) == 1 and len(items) == 1:
        return 0
    said = place.setting[0]
    which = [i for i, some in enumerate(names) if said in some] if len(place.setting) == 2 else []
    if len(which) != 1:
        several = ", ".join(some[0] for some in names)
        raise ConfigError(
            f"{place.key!r}: {place.option.word} is {several}; write "
            f"{place.command}.{place.option.word}.NAME.{place.setting[-1]} with the name of one"
        )
    return which[0]


def _names(spec: str) -> list[str]:
    """Return what a spec is called: its alias and the name of the entry."""
    alias, _, name = spec.partition(":")[0].rpartition("=")
    return [*([alias] if alias else []), name.partition("@")[0]]


def _entry_of(spec: str, option: Option) -> Entry:
    return find_in(option.registry, _names(spec)[-1])


def _entry_of_settings(place: Place, table: Table) -> Entry | None:
    """Return the entry whose settings are the ``param`` of a table; None if there are several."""
    if place.command == "extract":
        return None
    named = {"train": "model", "learn-dict": "method"}[place.command]
    main = next(o for c in _OPTIONS[place.command] for o in options_of(c) if o.word == named)
    return find_in(main.registry, str(table.get(named, main.default)))
