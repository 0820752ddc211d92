"""The registry, and the contract that everything registered keeps."""

import ast
import inspect

import pytest

from mcls import registry
from mcls.errors import ConfigError, suggest
from mcls.registry import FAMILIES, Entry, Setting, defaults, entries, find, register
from mcls.settings import canonical, convert, describe, resolve

EVERYTHING = [entry for family in sorted(FAMILIES) for entry in entries(family).values()]
IDS = [f"{entry.family}-{entry.name}" for entry in EVERYTHING]


def test_every_family_has_entries() -> None:
    assert {entry.family for entry in EVERYTHING} == set(FAMILIES)


@pytest.mark.parametrize("entry", EVERYTHING, ids=IDS)
def test_an_entry_says_what_it_does(entry: Entry) -> None:
    assert entry.name == entry.name.lower()
    assert "_" not in entry.name
    assert entry.summary.endswith(".")
    assert len(entry.summary) <= 100


@pytest.mark.parametrize("entry", EVERYTHING, ids=IDS)
def test_every_setting_has_a_type_a_default_and_a_line(entry: Entry) -> None:
    for setting in entry.settings.values():
        assert setting.doc, f"{setting.name} has no line under Parameters"
        assert describe(setting.type)
        assert canonical(convert(setting.default, setting)) == canonical(setting.default)


@pytest.mark.parametrize("entry", EVERYTHING, ids=IDS)
def test_what_is_read_from_the_source_is_what_python_sees(entry: Entry) -> None:
    thing = entry.load()
    assert thing.registered_as == entry.name
    seen = {
        name: parameter.default
        for name, parameter in inspect.signature(thing).parameters.items()
        if parameter.kind is parameter.KEYWORD_ONLY
    }
    assert seen == defaults(entry)


@pytest.mark.parametrize("entry", EVERYTHING, ids=IDS)
def test_defaults_resolve_to_themselves_and_an_unknown_setting_is_refused(entry: Entry) -> None:
    full = resolve(entry, {})
    assert full == defaults(entry)
    assert list(full) == list(entry.settings)
    with pytest.raises(ConfigError, match="unknown setting 'no_such_thing'"):
        resolve(entry, {"no_such_thing": "1"})


def test_find_suggests() -> None:
    with pytest.raises(ConfigError) as error:
        find("metrics", "accurac")
    assert str(error.value) == "there is no 'accurac' among the metrics; did you mean 'accuracy'?"
    with pytest.raises(ConfigError, match="there is no family 'metric'; did you mean 'metrics'"):
        entries("metric")


def test_suggest_lists_what_there_is_when_nothing_is_near() -> None:
    assert suggest("zzz", ["b", "a"]) == "there are: a, b"
    assert suggest("zzz", []) == "there are none"


def test_entries_are_in_alphabetical_order() -> None:
    names = list(entries("metrics"))
    assert names == sorted(names)


def test_a_class_is_read_from_its_init(tmp_path, monkeypatch) -> None:
    module = tmp_path / "things.py"
    module.write_text(
        "Norm = Literal['l1', 'l2']\n"
        '@register("features", "one", speed=3)\n'
        "class One:\n"
        '    """Does one thing.\n\n'
        "    More.\n\n"
        "    Parameters\n"
        "    ----------\n"
        "    size, depth : int >= 1\n"
        "        How much; in rows. Not more.\n"
        '    """\n\n'
        "    def __init__(self, data, *, size: int = 3, depth: Norm | None = None):\n"
        "        ...\n"
    )
    monkeypatch.setattr(registry, "_ROOT", tmp_path)
    (entry,) = registry._read(module)
    line = "How much; in rows."
    assert entry.summary == "Does one thing."
    assert entry.facts == {"speed": 3}
    assert entry.settings == {
        "size": Setting("size", "int", 3, line),
        "depth": Setting("depth", "Literal['l1', 'l2'] | None", None, line),
    }


def test_register_leaves_the_thing_as_it_is() -> None:
    def thing() -> int:
        return 3

    marked = register("features", "thing")(thing)
    assert marked is thing
    assert marked() == 3


def test_no_name_is_listed_twice() -> None:
    """A second entry of the same name would hide the first."""
    seen = []
    for family, place in FAMILIES.items():
        folder = registry._ROOT / place
        for file in sorted(folder.glob("*.py")) if folder.is_dir() else [folder.with_suffix(".py")]:
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "register":
                    marked = tuple(ast.literal_eval(argument) for argument in node.args)
                    if marked[0] == family:
                        seen.append(marked)
    assert len(seen) == len(set(seen)) == len(EVERYTHING)
