"""The tables of a recipe as jobs, in the order in which they need one another.

A table with an ``out`` makes a file of that name, or a run if it is a ``[train]``. Other tables
read it by the same name: as their ``store``, among their dictionaries (``dict``, ``with``), or to
begin a net (``init``). Tables without names are the short form of the common case:

* the one ``[train]`` without an ``out`` is the last job, and what the recipe is for;
* a ``[learn-dict]`` without one learns a dictionary that encodes for the last job;
* an ``[encode]`` without one says how.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Any

from mcls.disk.recipe import NAMES, Recipe, Table, stage_arguments, tables_of
from mcls.errors import ConfigError
from mcls.stages.encode import encode
from mcls.stages.learn import learn_dict
from mcls.stages.plan import plan_run

#: What `cross_validate` decides for every fold, so that a recipe may not.
FIXED = ("split", "fold", "valid", "group", "seed", "labels")

_STAGES: dict[str, Callable[..., Any]] = {
    "learn-dict": learn_dict,
    "encode": encode,
    "train": plan_run,
}

#: Arguments that name what other jobs make.
_READ = ("dicts", "init")


@dataclass(frozen=True)
class Job:
    """A command of a recipe.

    Parameters
    ----------
    command : {'learn-dict', 'encode', 'train'}
        Whose table it is.
    arguments : dict
        Of the stage; paths of what other jobs make are their names.
    out : str
        The name of what it makes; empty for the last job.
    store : str or None
        The job whose store it reads; None: the store that was given.
    """

    command: str
    arguments: dict[str, Any]
    out: str = ""
    store: str | None = None

    def reads(self) -> list[str]:
        """Return the names of files that it reads."""
        named = [self.store] if self.store else []
        for key in _READ:
            named += map(str, self.arguments.get(key, ()))
        return named

    def without(self, keys: Collection[str]) -> "Job":
        """Return the same job, but for some arguments."""
        kept = {key: value for key, value in self.arguments.items() if key not in keys}
        return replace(self, arguments=kept)

    def apart(self, name: str) -> "Job":
        """Return the same job; if it logs for TensorBoard, to ``name/out`` in the folder given."""
        log = self.arguments.get("tensorboard")
        if log is None:
            return self
        return replace(
            self, arguments={**self.arguments, "tensorboard": str(Path(log, name, self.out))}
        )

    def within(self, folder: Path, names: Sequence[str]) -> dict[str, Any]:
        """Return the arguments, with the paths in `folder` of those of `names` that it reads."""
        found = dict(self.arguments)
        for key in _READ:
            if key in found:
                paths = map(str, found[key])
                found[key] = [str(folder / path) if path in names else path for path in paths]
        return found


def jobs_of(recipe: Recipe, settings: Sequence[str] = ()) -> list[Job]:
    """Return the jobs of a recipe, each after those that it needs; the last trains.

    Parameters
    ----------
    recipe : mapping
        From `read_recipe`.
    settings : sequence of str
        Settings of the last model that replace the recipe's, ``key=value``.

    Raises
    ------
    ConfigError
        If an option is unknown, names clash or lead in a circle, a store is made by no table, or
        there are several last jobs.
    """
    made = [_job(command, table) for command in _STAGES for table in tables_of(recipe, command)]
    jobs, last = _short_form(made, settings)
    names = [job.out for job in jobs]
    _check_names(names)
    every = {job.out: job for job in (*jobs, last)}
    for job in every.values():
        if job.store is not None and getattr(every.get(job.store), "command", "") != "encode":
            raise ConfigError(
                f"recipe [{job.command}]: store = {job.store!r} is the out of no table [encode]"
            )
    needs = {name: [n for n in job.reads() if n in names] for name, job in every.items()}
    try:
        order = list(TopologicalSorter(needs).static_order())
    except CycleError as error:
        circle = " needs ".join(repr(name) for name in error.args[1])
        raise ConfigError(f"recipe: {circle}: there is nothing to begin with") from error
    unread = [name for name in names if not any(name in reads for reads in needs.values())]
    if unread:
        raise ConfigError(
            f"recipe: nothing reads {unread[0]!r}; name it as a store, in with, dict or init, or "
            "leave its out away"
        )
    return [*(every[name] for name in order if name), last]


def _job(command: str, table: Table) -> Job:
    """Return a table's job; the last of them and short forms have no name yet."""
    given = {key: value for key, value in table.items() if key not in NAMES}
    for name in NAMES:
        if name in table and not (isinstance(table[name], str) and table[name]):
            raise ConfigError(f"recipe [{command}]: {name} is a name; got {table[name]!r}")
    if command == "encode" and "out" not in table:
        if "layer" in given or "store" in table:
            raise ConfigError(
                "recipe [encode]: with layers of a net, or a store of its own, it makes a store; "
                "give it an out, and the [train] that reads it the same name as its store"
            )
        how = {key: value for key, value in given.items() if key not in ("name", "with")}
        arguments = stage_arguments(how, plan_run, where=command)
    else:
        arguments = stage_arguments(given, _STAGES[command], where=command)
    return Job(command, arguments, table.get("out", ""), table.get("store"))


def _short_form(made: Sequence[Job], settings: Sequence[str]) -> tuple[list[Job], Job]:
    """Return the jobs before the last, all with names, and the last."""
    named = [job.without(FIXED) for job in made if job.out]
    short = {
        command: [job for job in made if job.command == command and not job.out]
        for command in _STAGES
    }
    several = {"train": "the last", "encode": "how the last [train] encodes"}
    for command, what in several.items():
        if len(short[command]) > 1:
            raise ConfigError(
                f"recipe: {len(short[command])} tables [[{command}]] have no out; only one may be "
                f"{what}"
            )
    last = short["train"][0] if short["train"] else Job("train", {})
    if not short["train"] and any(job.command == "train" for job in named):
        raise ConfigError("recipe: every [[train]] has an out; leave it away for the last")
    arguments = dict(last.arguments)
    for job in short["encode"]:
        arguments = {**job.arguments, **arguments}
    replaced = {setting.partition("=")[0] for setting in settings}
    kept = [s for s in arguments.get("settings", ()) if s.partition("=")[0] not in replaced]
    arguments["settings"] = [*kept, *settings]
    learn = []
    for i, job in enumerate(short["learn-dict"]):
        name = "dict.h5" if len(short["learn-dict"]) == 1 else f"dict-{i + 1}.h5"
        own = dict(job.arguments)
        if "feature" in arguments:
            own.setdefault("feature", arguments["feature"])
        learn.append(replace(job, arguments=own, out=name).without(FIXED))
    features = {job.arguments.get("feature") for job in learn} - {None}
    if len(features) == 1:
        arguments.setdefault("feature", features.pop())
    if learn:
        arguments["dicts"] = [*arguments.get("dicts", ()), *(job.out for job in learn)]
    return [*learn, *named], replace(last, arguments=arguments)


def _check_names(names: Sequence[str]) -> None:
    for name in names:
        if Path(name).name != name or name.startswith("."):
            raise ConfigError(
                f"recipe: out = {name!r}; expected a name without folders or a first dot"
            )
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ConfigError(f"recipe: two tables have out = {twice[0]!r}; each needs its own name")
