"""Read what modules register from their source text, and import none of them.

The settings of a registered function or class are its keyword-only parameters: type and default
come from the signature, and the help line is the first sentence under the parameter's name in the
numpydoc section. A class without ``__init__`` has that of its base class, and a parameter without
a help line has that of the base class, whose module is read too if it belongs to mcls or to the
same package. Defaults and the arguments of the decorator have to be literals.
"""

import ast
import importlib
import importlib.util
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from mcls.errors import ConfigError

_Definition = ast.FunctionDef | ast.ClassDef


@dataclass(frozen=True)
class Setting:
    """One keyword-only parameter of an entry: its name, type, default and help line."""

    name: str
    type: str
    default: Any
    doc: str


@dataclass(frozen=True)
class Entry:
    """Something with a name: where it is, what it does, what can be set.

    Parameters
    ----------
    family, name : str
        The family and the name that users type.
    module, attribute : str
        The module, and the name of the function, class or preset in it.
    summary : str
        One sentence.
    settings : dict of str to Setting
        Its keyword-only parameters.
    facts : dict
        Values that the family can read without an import.
    of : str or None
        The entry that a preset is made from; None if this is no preset.
    changed : dict
        The settings and class attributes that a preset changes.
    package : str
        The package that adds the entry through an entry point; empty for those of mcls.
    """

    family: str
    name: str
    module: str
    attribute: str
    summary: str
    settings: dict[str, Setting]
    facts: dict[str, Any] = field(default_factory=dict)
    of: str | None = None
    changed: dict[str, Any] = field(default_factory=dict)
    package: str = ""

    def load(self) -> Any:
        """Import the module and return the function or class.

        Raises
        ------
        ConfigError
            If the module belongs to another package and cannot be imported.
        """
        try:
            return getattr(importlib.import_module(self.module), self.attribute)
        except Exception as error:
            if not self.package:
                raise
            raise ConfigError(
                f"{self.name}: the package {self.package} cannot be imported "
                f"({type(error).__name__}: {error}); fix or uninstall it"
            ) from error


def modules_in(place: str) -> list[str]:
    """Return a module by its dotted name, or a package and the modules that lie in its folder.

    Raises
    ------
    ConfigError
        If there is no such module.
    """
    file = _file_of(place)
    if file.name != "__init__.py":
        return [place]
    inside = (path for path in sorted(file.parent.glob("*.py")) if path.name != "__init__.py")
    return [place, *(f"{place}.{path.stem}" for path in inside)]


@cache
def entries_of(module: str) -> tuple[Entry, ...]:
    """Return the entries of a module, in the order of its lines; presets without settings as yet.

    Raises
    ------
    ConfigError
        If the module does not exist, does not parse, or uses something other than literals.
    """
    if b"register" not in _file_of(module).read_bytes():
        return ()  # most modules do not, and parsing them all would take longer than the rest
    read = _Module(module)  # not the cached one: a tree is large, and most serve only once
    found = []
    for node in read.tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            for call in node.decorator_list:
                if _calls(call, "register"):
                    found.append(_registered(node, call, read))
        elif isinstance(node, ast.Assign | ast.Expr) and _calls(node.value, "register_preset"):
            found.append(_preset(node, read))
    return tuple(found)


def _calls(node: ast.expr, function: str) -> bool:
    return isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] == function


def _registered(node: _Definition, call: ast.expr, module: "_Module") -> Entry:
    assert isinstance(call, ast.Call)
    family, name = _family_and_name(call, module)
    facts = {word.arg: module.literal(word.value) for word in call.keywords if word.arg}
    summary = (ast.get_docstring(node) or "").split("\n\n")[0].replace("\n", " ")
    settings = module.settings_of(node)
    return Entry(family, name, module.name, node.name, summary, settings, facts)


def _preset(node: ast.Assign | ast.Expr, module: "_Module") -> Entry:
    call = node.value
    assert isinstance(call, ast.Call)
    family, name = _family_and_name(call, module)
    if not (isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)):
        raise ConfigError(
            f"{module.name}: the preset {name!r} has no name in its module; write NAME = "
            "register_preset(...)"
        )
    given = {word.arg: module.literal(word.value) for word in call.keywords if word.arg}
    if missing := {"of", "summary"} - set(given):
        raise ConfigError(f"{module.name}: the preset {name!r} lacks {', '.join(sorted(missing))}")
    of, summary, facts = given.pop("of"), given.pop("summary"), given.pop("facts", {})
    return Entry(family, name, module.name, node.targets[0].id, summary, {}, facts, of, given)


def _family_and_name(call: ast.Call, module: "_Module") -> tuple[str, str]:
    if len(call.args) != 2:
        raise ConfigError(
            f"{module.name}, line {call.lineno}: expected a family and a name as the arguments of "
            f"{ast.unparse(call.func)}"
        )
    return module.literal(call.args[0]), module.literal(call.args[1])


class _Module:
    """The syntax tree of one module, and where the names that it uses are defined."""

    def __init__(self, module: str) -> None:
        self.name = module
        file = _file_of(module)
        try:
            self.tree = ast.parse(file.read_bytes())
        except SyntaxError as error:
            raise ConfigError(f"{file}, line {error.lineno}: {error.msg}") from error
        except ValueError as error:  # null bytes
            raise ConfigError(f"{file} is not Python: {error}") from error
        package = module if file.name == "__init__.py" else module.rpartition(".")[0]
        self._own: dict[str, ast.ClassDef | ast.Subscript] = {}
        self._imports: dict[str, tuple[str, str]] = {}
        for node in self.tree.body:
            if isinstance(node, ast.ClassDef):
                self._own[node.name] = node
            elif isinstance(node, ast.Assign) and isinstance(node.value, ast.Subscript):
                self._own |= {t.id: node.value for t in node.targets if isinstance(t, ast.Name)}
            elif isinstance(node, ast.ImportFrom):
                origin = "." * node.level + (node.module or "")
                origin = importlib.util.resolve_name(origin, package) if node.level else origin
                self._imports |= {a.asname or a.name: (origin, a.name) for a in node.names}

    def definition(self, name: str) -> tuple["_Module", ast.ClassDef | ast.Subscript] | None:
        """Return the class or type alias of that name, and the module that defines it."""
        if name in self._own:
            return self, self._own[name]
        module, original = self._imports.get(name, ("", ""))
        if module.partition(".")[0] not in ("mcls", self.name.partition(".")[0]):
            return None
        return _module(module).definition(original)

    def literal(self, node: ast.expr) -> Any:
        """Return the value of an expression.

        Raises
        ------
        ConfigError
            If it is not a literal.
        """
        try:
            return ast.literal_eval(node)
        except ValueError as error:
            raise ConfigError(
                f"{self.name}, line {node.lineno}: {ast.unparse(node)} is not a literal; the "
                "registry reads the source text, so write the value itself"
            ) from error

    def lineage(self, node: _Definition) -> Iterator[tuple["_Module", _Definition]]:
        """Yield a function, or a class and then its base classes, nearest first."""
        yield self, node
        for base in node.bases if isinstance(node, ast.ClassDef) else []:
            found = self.definition(base.id) if isinstance(base, ast.Name) else None
            if found is not None and isinstance(found[1], ast.ClassDef):
                yield from found[0].lineage(found[1])

    def settings_of(self, node: _Definition) -> dict[str, Setting]:
        """Return the keyword-only parameters of a function or of a class's ``__init__``."""
        lineage = list(self.lineage(node))
        lines: dict[str, str] = {}
        for _, one in reversed(lineage):
            lines |= _parameter_docs(ast.get_docstring(one) or "")
        for module, one in lineage:
            if (function := _function(one)) is not None:
                return module._parameters(function, lines)
        return {}

    def _parameters(self, function: ast.FunctionDef, lines: dict[str, str]) -> dict[str, Setting]:
        settings = {}
        keywords = zip(function.args.kwonlyargs, function.args.kw_defaults, strict=True)
        for argument, default in keywords:
            if default is None:
                raise ConfigError(
                    f"{self.name}, line {argument.lineno}: {argument.arg} has no default"
                )
            kind = "str"
            if argument.annotation is not None:
                kind = ast.unparse(_SpellOut(self).visit(argument.annotation))
            line = lines.get(argument.arg, "")
            settings[argument.arg] = Setting(argument.arg, kind, self.literal(default), line)
        return settings


class _SpellOut(ast.NodeTransformer):
    """Put ``Literal[...]`` in place of a name that stands for it."""

    def __init__(self, module: _Module) -> None:
        self.module = module

    def visit_Name(self, node: ast.Name) -> ast.expr:  # ast's own spelling
        found = self.module.definition(node.id)
        return found[1] if found and isinstance(found[1], ast.Subscript) else node


@cache
def _module(module: str) -> _Module:
    return _Module(module)


@cache
def _file_of(module: str) -> Path:
    """Return the file of a module, of which not even the package is imported."""
    top, *rest = module.split(".")
    try:
        spec = importlib.util.find_spec(top)
    except (ImportError, ValueError):
        spec = None
    if spec is not None:
        places = [Path(place, *rest) for place in spec.submodule_search_locations or []]
        files = [file for p in places for file in (p.with_name(p.name + ".py"), p / "__init__.py")]
        if not rest and spec.origin:
            files.append(Path(spec.origin))
        for file in files:
            if file.is_file() and file.suffix == ".py":
                return file
    raise ConfigError(f"there is no module {module} on Python's path")


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
