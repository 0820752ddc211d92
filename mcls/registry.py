"""Everything that has a name: one registry, filled by a decorator.

A family (features, dictionaries, nets, ...) lives in one module or one folder. An *entry* is a
function or a class under ``@register(family, name)``. A *preset* is an entry made from another one
by other defaults::

    SparseRBM = register_preset(
        "dictionaries", "sparse-rbm", of="rbm",
        summary="RBM whose hidden units are rarely active.",
        n_atoms=1024, sparsity="bias",
    )

The settings of an entry are its keyword-only parameters. They are read from the source text, see
`mcls.source_text`: a module may import torch at its top, and ``mcls list`` still answers at once.

Other packages add entries through the entry point group ``mcls.`` and the family, whose values are
modules or packages that use the same decorator::

    [project.entry-points."mcls.nets"]
    my_package = "my_package.nets"
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache
from importlib.metadata import entry_points
from types import FunctionType
from typing import Any, TypeVar

from mcls.errors import ConfigError, suggest
from mcls.source_text import Entry, Setting, entries_of, modules_in

__all__ = [
    "FAMILIES",
    "Entry",
    "Setting",
    "broken_packages",
    "defaults",
    "entries",
    "find",
    "find_in",
    "imported",
    "register",
    "register_preset",
]

T = TypeVar("T")

#: The module or package of each family.
FAMILIES = {
    "features": "mcls.features",
    "augmentations": "mcls.features.augmentations",
    "dictionaries": "mcls.dictionaries",
    "encoders": "mcls.dictionaries.encoders",
    "poolers": "mcls.features.pooling",
    "classifiers": "mcls.classifiers",
    "nets": "mcls.nets",
    "losses": "mcls.training.losses",
    "optimizers": "mcls.training.optimizers",
    "schedules": "mcls.training.schedules",
    "segment-augmentations": "mcls.training.segment_augmentations",
    "metrics": "mcls.evaluation",
    "datasets": "mcls.data.datasets",
    "label-rules": "mcls.data.label_rules",
    "steps": "mcls.chain",
}


def register(family: str, name: str, **facts: Any) -> Callable[[T], T]:
    """Mark a function or class as the entry `name` of `family`; the object stays as it is.

    Parameters
    ----------
    family : str
        One of ``FAMILIES``.
    name : str
        The name that users type, in kebab-case.
    **facts : literals
        Values that the family can read without an import, such as the source of a net.
    """

    def mark(thing: T) -> T:
        thing.registered_as = name  # type: ignore[attr-defined]  # functions take attributes
        return thing

    return mark


def register_preset(
    family: str,
    name: str,
    /,
    *,
    of: str,
    summary: str,
    facts: Mapping[str, Any] | None = None,
    **changed: Any,
) -> Any:
    """Return the entry `of` with other defaults, registered as `name`. All arguments are literals.

    A preset of a class is a subclass of it, and a preset of a function is a copy of it. Assign it
    to a name at the top level of its module, so that it can be imported and pickled.

    Parameters
    ----------
    family : str
        One of ``FAMILIES``.
    name : str
        The name that users type, in kebab-case.
    of : str
        The name of another entry of the family; it may be a preset and may be in another module.
    summary : str
        One sentence.
    facts : dict
        Facts that differ from those of the other entry, or are new.
    **changed : literals
        New defaults of settings, and new values of class attributes.

    Raises
    ------
    ConfigError
        If the other entry has neither a setting nor a class attribute of a given name.
    """
    entry, parent = find(family, name), find(family, of).load()
    attributes = {key: value for key, value in changed.items() if key not in entry.settings}
    unknown = [key for key in attributes if not hasattr(parent, key)]
    if unknown:
        raise ConfigError(
            f"{name}: {of} has no setting {unknown[0]!r}; {suggest(unknown[0], entry.settings)}"
        )
    new_defaults = {key: value for key, value in changed.items() if key in entry.settings}
    named = {"__module__": entry.module, "__qualname__": entry.attribute, "__doc__": summary}
    if isinstance(parent, type):
        body = {**attributes, **named, "registered_as": name}
        if new_defaults:
            init: Any = parent.__init__  # type: ignore[misc]  # of whatever class this is
            body["__init__"] = _with_defaults(init, new_defaults)
        return type(parent)(entry.attribute, (parent,), body)
    function = _with_defaults(parent, new_defaults)
    for key, value in (*named.items(), ("__name__", entry.attribute), ("registered_as", name)):
        setattr(function, key, value)
    return function


def _with_defaults(function: Any, changed: Mapping[str, Any]) -> FunctionType:
    """Return a copy of a function with other defaults of its keyword-only parameters."""
    copy = FunctionType(
        function.__code__,
        function.__globals__,
        function.__name__,
        function.__defaults__,
        function.__closure__,
    )
    copy.__kwdefaults__ = {**(function.__kwdefaults__ or {}), **changed}
    copy.__annotations__ = dict(function.__annotations__)
    return copy


def entries(family: str) -> dict[str, Entry]:
    """Return the entries of a family by name, in alphabetical order.

    Raises
    ------
    ConfigError
        If there is no such family.
    """
    return _read(family)[0]


def broken_packages(family: str) -> tuple[str, ...]:
    """Return a message for each installed package whose entries of a family cannot be read."""
    return _read(family)[1]


def find(family: str, name: str) -> Entry:
    """Return one entry.

    Raises
    ------
    ConfigError
        If the family has no such entry; the message suggests one.
    """
    return find_in((family,), name)


def imported(family: str, attribute: str, package: str) -> Any:
    """Return the entry of a family whose class or function has that name in Python.

    The packages of families are importable through it: ``from mcls.dictionaries import KMeans``.

    Parameters
    ----------
    family : str
        One of ``FAMILIES``.
    attribute : str
        The name of the class or function.
    package : str
        The name of the package that is asked for it.

    Raises
    ------
    AttributeError
        If there is none.
    """
    for entry in entries(family).values():
        if entry.attribute == attribute:
            return entry.load()
    raise AttributeError(f"module {package!r} has no attribute {attribute!r}")


def find_in(families: Sequence[str], name: str) -> Entry:
    """Return the entry of that name in any of some families.

    Raises
    ------
    ConfigError
        If none has it; the message suggests one.
    """
    for family in families:
        if (found := entries(family).get(name)) is not None:
            return found
    known = [key for family in families for key in entries(family)]
    broken = "".join(f"; {text}" for family in families for text in broken_packages(family))
    where = " or ".join(families)
    raise ConfigError(f"there is no {name!r} among the {where}; {suggest(name, known)}{broken}")


def defaults(entry: Entry) -> dict[str, Any]:
    """Return an entry's settings at their defaults."""
    return {name: setting.default for name, setting in entry.settings.items()}


@cache
def _read(family: str) -> tuple[dict[str, Entry], tuple[str, ...]]:
    """Return the entries of a family, and messages about packages that cannot be read."""
    if family not in FAMILIES:
        raise ConfigError(f"there is no family {family!r}; {suggest(family, FAMILIES)}")
    known = _with_entries({}, family, FAMILIES[family], package="")
    broken = []
    for package, place in _packages(family):
        try:
            known = _with_entries(known, family, place, package)
        except ConfigError as error:
            broken.append(f"the package {package} is broken: {error}; fix or uninstall it")
    return dict(sorted(known.items())), tuple(broken)


def _packages(family: str) -> Iterator[tuple[str, str]]:
    """Yield name and module of each installed package that adds entries to a family."""
    for point in sorted(_entry_points().select(group=f"mcls.{family}"), key=lambda one: one.name):
        yield point.dist.name if point.dist else point.name, point.module


@cache
def _entry_points() -> Any:  # of a type that differs between versions of Python
    return entry_points()


def _with_entries(
    known: dict[str, Entry], family: str, place: str, package: str
) -> dict[str, Entry]:
    """Return the known entries and those of a module or package."""
    known = dict(known)
    read = (one for module in modules_in(place) for one in entries_of(module))
    waiting = [one for one in read if one.family == family]
    while waiting:  # a preset waits for the entry that it is made from
        ready = [one for one in waiting if one.of is None or one.of in known]
        if not ready:
            one = waiting[0]
            raise ConfigError(
                f"{one.module}: {one.name!r} is a preset of {one.of!r}, but there is no such "
                f"entry; {suggest(str(one.of), known)}"
            )
        for one in ready:
            if one.name in known:
                raise ConfigError(f"{one.module}: there is another entry named {one.name!r}")
            known[one.name] = replace(_inherited(one, known), package=package)
        waiting = [one for one in waiting if one not in ready]
    return known


def _inherited(entry: Entry, known: Mapping[str, Entry]) -> Entry:
    """Return an entry, if it is a preset with the settings and facts of its parent."""
    if entry.of is None:
        return entry
    parent = known[entry.of]
    settings = {
        name: replace(setting, default=entry.changed.get(name, setting.default))
        for name, setting in parent.settings.items()
    }
    return replace(entry, settings=settings, facts=parent.facts | entry.facts)
