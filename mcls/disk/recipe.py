"""Recipes: defaults of options in TOML, with a table per command and a key per option.

A complete recipe::

    [extract]
    feature = ["mfcc"]

    [learn-dict]
    size = 512

    [train]
    encoder = "triangle"
    pool = ["mean:norm=sqrt"]
    model = "svm"
    param = ["C=10"]

``mcls -c RECIPE train ...`` takes its defaults from the table ``[train]``; ``mcls cv`` and
`cross_validate` run the tables ``[learn-dict]`` and ``[train]`` once per fold. Several tables
``[[learn-dict]]`` learn several dictionaries, whose codes are concatenated::

    [[learn-dict]]
    feature = "low"

    [[learn-dict]]
    feature = "high"

A table ``[about]`` says what a recipe is of and changes nothing; see `mcls.disk.installed_recipes`.

Longer recipes name the output of a table, ``out``, so that others can read it; see
`mcls.recipes.graph`::

    [learn-dict]
    out = "dbn.h5"
    method = "dbn"

    [[train]]
    out = "net"
    model = "mlp"
    init = "dbn.h5"

    [encode]
    out = "layers.h5"
    with = ["net"]
    layer = ["all"]

    [[train]]
    store = "layers.h5"
    model = "svm"

The table ``[tune]`` says which values `mcls tune` may choose, by table and option; what has no dot
is an option of the command::

    [tune]
    trials = 30
    train.optimizer.lr = "1e-5..1e-2 log"
    learn-dict.size = [256, 512, 1024]
"""

import inspect
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from mcls.disk.installed_recipes import recipe_path
from mcls.disk.text_files import read_toml, toml_value
from mcls.errors import ConfigError, DataError, FormatError, suggest

#: Keys whose name differs from the parameter of the stage.
_ARGUMENTS = {
    "dict": "dicts",
    "with": "dicts",
    "layer": "layers",
    "p": "settings",
    "param": "settings",
    "label-rule": "label_rules",
}

_LISTS = {"dicts", "init", "layers", "pool", "settings", "features", "metrics", "label_rules"}

#: Commands of which a recipe may have several tables.
SEVERAL = ("learn-dict", "encode", "train")

#: The commands whose options a recipe may hold.
COMMANDS = (
    *("data", "extract", "import", "store", "learn-dict", "encode", "train", "cv", "tune"),
    *("predict", "serve", "eval", "compare", "report", "export", "info", "plot", "explain"),
    *("list", "recipe", "demo", "bench"),
)

#: Keys that name the input and the output of such a table, for `mcls cv`.
NAMES = ("store", "out")

#: Values of options by their key.
Table = Mapping[str, Any]
#: Tables by their command; a command may have several.
Recipe = Mapping[str, Table | Sequence[Table]]


def read_recipe(path: Path | str) -> Recipe:
    """Read a recipe.

    Parameters
    ----------
    path : path
        A TOML file, or the name of a recipe that comes with mcls.

    Returns
    -------
    mapping of str to mapping, or to a list of them
        Command (``learn-dict``) to option (dashes for underscores) to value.

    Raises
    ------
    ConfigError
        If there is no such file, a key is outside a table, a table is of no command, or a command
        has too many tables.
    FormatError
        If the file is not TOML.
    """
    path = recipe_path(path)
    try:
        tables = read_toml(path)
    except DataError as error:
        raise ConfigError(f"the recipe cannot be read: {error}") from error
    except FormatError as error:
        raise FormatError(f"this is not a recipe: {error}") from error
    found: dict[str, Table | list[Table]] = {}
    loose, many = [], []
    for key, value in tables.items():
        if key == "about":
            continue
        command = key.replace("_", "-")
        several = value if isinstance(value, list) else [value]
        if not several or not all(isinstance(table, dict) for table in several):
            loose.append(key)
        elif isinstance(value, list) and command not in SEVERAL:
            many.append(command)
        else:
            if command == "tune":
                several = [_flat_table(several[0])]
            plain = [_plain_table(table, f"{path}: [{command}]") for table in several]
            found[command] = plain if len(plain) > 1 else plain[0]
    if loose:
        raise ConfigError(
            f"{path}: {', '.join(loose)} is outside a table; write it below [train], for instance"
        )
    if many:
        raise ConfigError(
            f"{path}: [[{many[0]}]] is a list of tables, which only {', '.join(SEVERAL)} may have; "
            f"write [{many[0]}]"
        )
    refuse_unknown_tables(found, str(path))
    return found


def refuse_unknown_tables(recipe: Recipe, where: str = "recipe") -> None:
    """Refuse a recipe with a table of no command.

    Raises
    ------
    ConfigError
        Names the table, with a suggestion.
    """
    for name in recipe:
        if name not in COMMANDS:
            raise ConfigError(f"{where}: there is no command {name!r}; {suggest(name, COMMANDS)}")


def tables_of(recipe: Recipe, command: str) -> list[Table]:
    """Return the tables of a command.

    Examples
    --------
    >>> tables_of({"train": {"model": "svm"}}, "train"), tables_of({}, "train")
    ([{'model': 'svm'}], [])
    """
    value = recipe.get(command, [])
    return [value] if isinstance(value, Mapping) else list(value)


def table_of(recipe: Recipe, command: str) -> Table:
    """Return the only table of a command, or an empty one.

    Raises
    ------
    ConfigError
        If the command has several.
    """
    tables = tables_of(recipe, command)
    if len(tables) > 1:
        raise ConfigError(f"the recipe has {len(tables)} tables [[{command}]]; expected one")
    return tables[0] if tables else {}


def stage_arguments(
    table: Mapping[str, Any],
    stage: Callable[..., Any],
    *,
    where: str,
    fixed: Collection[str] = (),
) -> dict[str, Any]:
    """Return a recipe's table as keyword arguments of a stage function.

    Parameters
    ----------
    table : mapping of str to value
        Options; keys may have dashes or underscores.
    stage : function
        The function whose keyword-only parameters are the options.
    where : str
        The name of the table, for messages.
    fixed : collection of str
        Parameters that only the caller may set.

    Raises
    ------
    ConfigError
        Names every unknown option, with a suggestion.

    Examples
    --------
    >>> def train(store, run, *, model="svm", settings=()):
    ...     ...
    >>> stage_arguments({"model": "knn", "param": "C=1"}, train, where="train")
    {'model': 'knn', 'settings': ['C=1']}
    """
    known = {
        name
        for name, parameter in inspect.signature(stage).parameters.items()
        if parameter.kind is parameter.KEYWORD_ONLY
    } - {"progress", "on_epoch", "on_note", "origins", "overwrite", *fixed}
    words = known | {word for word, name in _ARGUMENTS.items() if name in known and len(word) > 1}
    found: dict[str, Any] = {}
    bad = []
    for key, value in table.items():
        name = _ARGUMENTS.get(key, key.replace("-", "_"))
        if name in fixed:
            bad.append(f"{key!r} is set by the command and must not be in the recipe")
        elif name not in known:
            bad.append(f"no option {key!r}: {suggest(key, words)}")
        else:
            found[name] = [value] if name in _LISTS and isinstance(value, str) else value
    if bad:
        raise ConfigError(f"recipe [{where}]: " + "; ".join(bad))
    return found


def space_of(recipe: Recipe) -> dict[str, Any]:
    """Return what the table ``[tune]`` lets `mcls tune` choose, by ``TABLE.OPTION``.

    Examples
    --------
    >>> space_of({"tune": {"trials": 9, "train.model": ["svm", "knn"]}})
    {'train.model': ['svm', 'knn']}
    """
    return {key: value for key, value in table_of(recipe, "tune").items() if "." in key}


def write_recipe(path: Path, recipe: Recipe, comment: str) -> None:
    """Write a recipe as TOML, with a comment above it."""
    lines = [f"# {line}" for line in comment.splitlines()]
    for command in recipe:
        tables = tables_of(recipe, command)
        for table in tables:
            lines += ["", f"[[{command}]]" if len(tables) > 1 else f"[{command}]"]
            lines += [f"{_toml_key(key)} = {toml_value(value)}" for key, value in table.items()]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _toml_key(key: str) -> str:
    return key if re.fullmatch(r"[\w-]+", key, re.ASCII) else toml_value(key)


def _flat_table(table: Table, prefix: str = "") -> dict[str, Any]:
    """Return a table of tables as one, with dotted keys."""
    flat: dict[str, Any] = {}
    for key, value in table.items():
        name = prefix + key
        flat |= _flat_table(value, f"{name}.") if isinstance(value, dict) else {name: value}
    return flat


def _plain_table(table: Table, where: str) -> Table:
    return {_dashed(key): _plain(value, f"{where} {key}") for key, value in table.items()}


def _dashed(key: str) -> str:
    """Return an option with dashes; what is behind its dot is no option."""
    return key if "." in key else key.replace("_", "-")


def _plain(value: Any, where: str) -> Any:
    """Return a value that an option can have."""
    if isinstance(value, list):
        return [_plain(item, where) for item in value]
    if isinstance(value, str | bool | int | float):
        return value
    raise ConfigError(f"{where} is a {type(value).__name__}; expected text, a number or a list")
