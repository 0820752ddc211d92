"""Everything that has a name: one registry, filled by one decorator.

A family (features, dictionaries, poolers, ...) lives in one module or one folder. An entry is a
function or a class under ``@register(family, name)``; its *settings* are its keyword-only
parameters, with the type, default and doc line of the signature and the numpydoc section. A class
without ``__init__`` has those of its base class in the same module, and a setting that a class says
nothing of has the doc line of that base class.

The registry reads the source text and imports nothing. So a module of an algorithm may import
scikit-learn or torch at its top, and ``mcls list`` still answers at once. The price is that
defaults are literals and the decorator's arguments are literals.
"""

import ast
import importlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from mcls.errors import ConfigError, suggest

T = TypeVar("T")

#: Where each family lives: a module or a folder of modules below ``mcls``.
FAMILIES = {
    "features": "features",
    "augmentations": "features/augmentations",
    "dictionaries": "dictionaries",
    "encoders": "dictionaries/encoders",
    "poolers": "features/pooling",
    "classifiers": "classifiers",
    "nets": "nets",
    "losses": "training/losses",
    "optimizers": "training/optimizers",
    "schedules": "training/schedules",
    "segment-augmentations": "training/segment_augmentations",
    "metrics": "evaluation",
    "datasets": "data/datasets",
}

_ROOT = Path(__file__).parent

_Definition = ast.FunctionDef | ast.ClassDef


@dataclass(frozen=True)
class Setting:
    """One keyword-only parameter of an entry: its name, type, default and doc line."""

    name: str
    type: str
    default: Any
    doc: str


@dataclass(frozen=True)
class Entry:
    """Something with a name: where it is, what it does, what can be set."""

    family: str
    name: str
    module: str
    attribute: str
    summary: str
    settings: dict[str, Setting]
    facts: dict[str, Any] = field(default_factory=dict)

    def load(self) -> Any:
        """Import the module and return the function or class."""
        return getattr(importlib.import_module(self.module), self.attribute)


def register(family: str, name: str, **facts: Any) -> Callable[[T], T]:
    """Mark a function or class as the entry `name` of `family`; the object stays as it is.

    Parameters
    ----------
    family : str
        One of ``FAMILIES``.
    name : str
        How users call it, in kebab-case.
    **facts : literals
        What else the family wants to know without importing it.
    """

    def mark(thing: T) -> T:
        thing.registered_as = name  # type: ignore[attr-defined]  # functions take attributes
        return thing

    return mark


@cache
def entries(family: str) -> dict[str, Entry]:
    """Return the entries of a family by name, in alphabetical order.

    Raises
    ------
    ConfigError
        If there is no such family.
    """
    if family not in FAMILIES:
        raise ConfigError(f"there is no family {family!r}; {suggest(family, FAMILIES)}")
    place = _ROOT / FAMILIES[family]
    files = sorted(place.glob("*.py")) if place.is_dir() else [place.with_suffix(".py")]
    found = [entry for file in files for entry in _read(file) if entry.family == family]
    return {entry.name: entry for entry in sorted(found, key=lambda entry: entry.name)}


def find(family: str, name: str) -> Entry:
    """Return one entry.

    Raises
    ------
    ConfigError
        If the family has no such entry; the message suggests one.
    """
    known = entries(family)
    if name not in known:
        raise ConfigError(f"there is no {name!r} among the {family}; {suggest(name, known)}")
    return known[name]


def find_in(families: Sequence[str], name: str) -> Entry:
    """Return the entry of that name in any of some families.

    Raises
    ------
    ConfigError
        If none has it; the message suggests one.
    """
    known = {key: entry for family in families for key, entry in entries(family).items()}
    if name not in known:
        where = " or ".join(families)
        raise ConfigError(f"there is no {name!r} among the {where}; {suggest(name, known)}")
    return known[name]


def defaults(entry: Entry) -> dict[str, Any]:
    """Return an entry's settings at their defaults."""
    return {name: setting.default for name, setting in entry.settings.items()}


@cache
def _read(file: Path) -> tuple[Entry, ...]:
    tree = ast.parse(file.read_text(encoding="utf-8"))
    parts = file.relative_to(_ROOT).with_suffix("").parts
    module = ".".join(("mcls", *parts))
    spell_out = _Aliases(tree)
    classes = {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}
    read = []
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            for mark in node.decorator_list:
                if isinstance(mark, ast.Call) and getattr(mark.func, "id", "") == "register":
                    read.append(_entry(node, mark, module, spell_out, _lineage(node, classes)))
    return tuple(read)


def _lineage(node: _Definition, classes: dict[str, ast.ClassDef]) -> list[_Definition]:
    """Return a function, or a class and the base classes that the module has of it."""
    lineage = [node]
    while isinstance(node, ast.ClassDef):
        bases = [base.id for base in node.bases if isinstance(base, ast.Name)]
        if not bases or bases[0] not in classes:
            break
        node = classes[bases[0]]
        lineage.append(node)
    return lineage


class _Aliases(ast.NodeTransformer):
    """Puts ``Literal[...]`` in place of a name that the module, or one it imports, gave it."""

    def __init__(self, tree: ast.Module) -> None:
        self.known = _own_aliases(tree)
        self.imported = {
            alias.name: node.module
            for node in tree.body
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("mcls.")
            for alias in node.names
        }

    def visit_Name(self, node: ast.Name) -> ast.expr:  # ast's own spelling
        module = self.imported.get(node.id)
        known = self.known if module is None else _aliases_of(module)
        return known.get(node.id, node)


def _own_aliases(tree: ast.Module) -> dict[str, ast.expr]:
    return {
        node.targets[0].id: node.value
        for node in tree.body
        if isinstance(node, ast.Assign)
        and isinstance(node.targets[0], ast.Name)
        and isinstance(node.value, ast.Subscript)
    }


@cache
def _aliases_of(module: str) -> dict[str, ast.expr]:
    place = _ROOT.parent.joinpath(*module.split("."))
    file = place / "__init__.py" if place.is_dir() else place.with_suffix(".py")
    return _own_aliases(ast.parse(file.read_text(encoding="utf-8")))


def _entry(
    node: _Definition,
    mark: ast.Call,
    module: str,
    spell_out: _Aliases,
    lineage: list[_Definition],
) -> Entry:
    family, name = (ast.literal_eval(argument) for argument in mark.args)
    doc = ast.get_docstring(node) or ""
    lines: dict[str, str] = {}
    for one in reversed(lineage):
        lines |= _parameter_docs(ast.get_docstring(one) or "")
    function = next((found for one in lineage if (found := _function(one))), None)
    settings = {}
    if function is not None:
        keywords = zip(function.args.kwonlyargs, function.args.kw_defaults, strict=True)
        for argument, default in keywords:
            assert default is not None, f"{module}.{node.name}: {argument.arg} has no default"
            annotation = "str"
            if argument.annotation is not None:
                annotation = ast.unparse(spell_out.visit(argument.annotation))
            value = ast.literal_eval(default)
            line = lines.get(argument.arg, "")
            settings[argument.arg] = Setting(argument.arg, annotation, value, line)
    facts = {word.arg: ast.literal_eval(word.value) for word in mark.keywords if word.arg}
    summary = doc.split("\n\n")[0].replace("\n", " ")
    return Entry(family, name, module, node.name, summary, settings, facts)


def _function(node: _Definition) -> ast.FunctionDef | None:
    """Return what has the settings: the function itself, or the class's own ``__init__``."""
    if isinstance(node, ast.FunctionDef):
        return node
    for item in node.body:
        if isinstance(item, ast.FunctionDef) and item.name == "__init__":
            return item
    return None


def _parameter_docs(doc: str) -> dict[str, str]:
    """Return the first sentence under each name of a numpydoc ``Parameters`` section."""
    section = re.search(r"^Parameters\n-+\n(.*?)(?=^\w[^\n]*\n-+\n|\Z)", doc, re.M | re.S)
    if section is None:
        return {}
    docs = {}
    for item in re.finditer(r"^(\w[\w, ]*) :[^\n]*\n((?:[ \t]+[^\n]*\n?|\n)*)", section[1], re.M):
        text = " ".join(item[2].split())
        sentence = re.split(r"(?<=\.)\s", text, maxsplit=1)[0].replace("``", "")
        for name in item[1].split(","):
            docs[name.strip()] = sentence
    return docs
