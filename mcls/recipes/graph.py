"""The tables of a recipe as nodes of a graph, each after the nodes whose output it reads.

A table with an ``out`` makes a file of that name, or a run if it is a ``[train]``. Other tables
read it by this name: as their ``store``, among their dictionaries (``dict``, ``with``), or to
initialise a net (``init``). Tables without an ``out`` are the short form of the common case:

* the one ``[train]`` without an ``out`` is the last node, which makes the run of the recipe;
* a ``[learn-dict]`` without one learns a dictionary with which the last node encodes;
* an ``[encode]`` without one gives the options with which the last node encodes.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Any

from mcls.disk.recipe import NAMES, Recipe, Table, stage_arguments, tables_of
from mcls.errors import ConfigError
from mcls.stages.encode import encode
from mcls.stages.learn import learn_dict
from mcls.stages.plan import plan_run

#: Options that `cross_validate` sets for every fold, so that a recipe may not.
FIXED = ("split", "fold", "valid", "group", "seed", "labels", "regression")

_STAGES: dict[str, Callable[..., Any]] = {
    "learn-dict": learn_dict,
    "encode": encode,
    "train": plan_run,
}

#: Arguments that may name the outputs of other nodes.
_INPUTS = ("dicts", "init")


@dataclass(frozen=True)
class RecipeNode:
    """One table of a recipe.

    Parameters
    ----------
    command : {'learn-dict', 'encode', 'train'}
        The command whose table it is.
    arguments : dict
        Keyword arguments of the stage; outputs of other nodes are given by name.
    out : str
        Name of the output; empty for the last node.
    store : str or None
        Name of the node whose store is read; None reads the store of the cross-validation.
    """

    command: str
    arguments: dict[str, Any]
    out: str = ""
    store: str | None = None

    def inputs(self) -> list[str]:
        """Return the names of all files that the node reads."""
        named = [self.store] if self.store else []
        for key in _INPUTS:
            named += map(str, self.arguments.get(key, ()))
        return named

    def without(self, keys: Collection[str]) -> "RecipeNode":
        """Return the node without some of its arguments."""
        kept = {key: value for key, value in self.arguments.items() if key not in keys}
        return replace(self, arguments=kept)

    def within(self, memory: str | None) -> "RecipeNode":
        """Return the node with the memory to learn in, unless its table says another."""
        if memory is None or self.command == "encode":
            return self
        return replace(self, arguments={"memory": memory, **self.arguments})

    def logging_apart(self, name: str) -> "RecipeNode":
        """Return the node with its TensorBoard logs in the folder ``name/out`` of their folder."""
        changed = dict(self.arguments)
        folder = changed.get("tensorboard")
        if folder is not None:
            changed["tensorboard"] = str(Path(folder, name, self.out))
        tracker, _, folder = str(changed.get("log")).partition(":")
        if tracker == "tensorboard" and folder:
            changed["log"] = f"tensorboard:{Path(folder, name, self.out)}"
        return replace(self, arguments=changed)

    def arguments_in(self, folder: Path, names: Collection[str]) -> dict[str, Any]:
        """Return the arguments with the outputs of other nodes, `names`, as paths in a folder."""
        found = dict(self.arguments)
        for key in _INPUTS:
            if key in found:
                paths = map(str, found[key])
                found[key] = [str(folder / path) if path in names else path for path in paths]
        return found


def nodes_of(recipe: Recipe, settings: Sequence[str] = ()) -> list[RecipeNode]:
    """Return the nodes of a recipe in the order in which they can run; the last one trains.

    Parameters
    ----------
    recipe : mapping
        A recipe from `read_recipe`.
    settings : sequence of str
        Settings of the last model that replace those of the recipe, ``key=value``.

    Raises
    ------
    ConfigError
        If an option is unknown, names clash or form a cycle, a store is made by no table, or
        there are several last nodes.
    """
    made = [_node(command, table) for command in _STAGES for table in tables_of(recipe, command)]
    nodes, last = _expand_short_form(made, settings)
    names = [node.out for node in nodes]
    _check_names(names)
    every = {node.out: node for node in (*nodes, last)}
    for node in every.values():
        if node.store is not None and getattr(every.get(node.store), "command", "") != "encode":
            raise ConfigError(
                f"recipe [{node.command}]: no table [encode] has out = {node.store!r}, which is "
                "read as the store"
            )
    inputs = {name: [n for n in node.inputs() if n in names] for name, node in every.items()}
    try:
        order = list(TopologicalSorter(inputs).static_order())
    except CycleError as error:
        cycle = " needs ".join(repr(name) for name in error.args[1])
        raise ConfigError(f"recipe: the tables form a cycle: {cycle}") from error
    unread = [name for name in names if not any(name in some for some in inputs.values())]
    if unread:
        raise ConfigError(
            f"recipe: no table reads {unread[0]!r}; name it as a store, in with, dict or init, or "
            "remove its out"
        )
    return [*(every[name] for name in order if name), last]


def _node(command: str, table: Table) -> RecipeNode:
    """Return the node of a table."""
    given = {key: value for key, value in table.items() if key not in NAMES}
    for name in NAMES:
        if name in table and not (isinstance(table[name], str) and table[name]):
            raise ConfigError(f"recipe [{command}]: {name} is {table[name]!r}; expected a name")
    if command == "encode" and "out" not in table:
        if "layer" in given or "store" in table:
            raise ConfigError(
                "recipe [encode]: a table with layers of a net, or with a store, makes a store of "
                "its own; give it an out, and the [train] that reads it the same name as store"
            )
        options = {key: value for key, value in given.items() if key not in ("name", "with")}
        arguments = stage_arguments(options, plan_run, where=command)
    else:
        arguments = stage_arguments(given, _STAGES[command], where=command)
    return RecipeNode(command, arguments, table.get("out", ""), table.get("store"))


def _expand_short_form(
    made: Sequence[RecipeNode], settings: Sequence[str]
) -> tuple[list[RecipeNode], RecipeNode]:
    """Give every node before the last a name and return them and the last."""
    named = [node.without(FIXED) for node in made if node.out]
    short = {
        command: [node for node in made if node.command == command and not node.out]
        for command in _STAGES
    }
    _check_short_form(short, named)
    last = short["train"][0] if short["train"] else RecipeNode("train", {})
    arguments = dict(last.arguments)
    for node in short["encode"]:
        arguments = {**node.arguments, **arguments}
    arguments["settings"] = _replaced(arguments.get("settings", ()), settings)
    learnt = []
    for i, node in enumerate(short["learn-dict"]):
        name = "dict.h5" if len(short["learn-dict"]) == 1 else f"dict-{i + 1}.h5"
        own = dict(node.arguments)
        if "feature" in arguments:
            own.setdefault("feature", arguments["feature"])
        learnt.append(replace(node, arguments=own, out=name).without(FIXED))
    features = {node.arguments.get("feature") for node in learnt} - {None}
    if len(features) == 1:
        arguments.setdefault("feature", features.pop())
    if learnt:
        arguments["dicts"] = [*arguments.get("dicts", ()), *(node.out for node in learnt)]
    return [*learnt, *named], replace(last, arguments=arguments)


def _check_short_form(
    short: Mapping[str, Sequence[RecipeNode]], named: Sequence[RecipeNode]
) -> None:
    for command, what in (("train", "the last"), ("encode", "the options of the last [train]")):
        if len(short[command]) > 1:
            raise ConfigError(
                f"recipe: {len(short[command])} tables [[{command}]] have no out; only one may be "
                f"{what}"
            )
    if not short["train"] and any(node.command == "train" for node in named):
        raise ConfigError("recipe: every [[train]] has an out; remove it from the last one")


def _replaced(settings: Sequence[str], new: Sequence[str]) -> list[str]:
    """Return settings with `new` ones in place of those of the same key."""
    keys = {setting.partition("=")[0] for setting in new}
    return [*(one for one in settings if one.partition("=")[0] not in keys), *new]


def _check_names(names: Sequence[str]) -> None:
    for name in names:
        if Path(name).name != name or name.startswith("."):
            raise ConfigError(
                f"recipe: out = {name!r}; expected a name without folders or a leading dot"
            )
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ConfigError(f"recipe: two tables have out = {twice[0]!r}; each needs its own name")
