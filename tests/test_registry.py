"""The registry, and the contract that everything registered keeps."""

import inspect
from collections.abc import Callable

import pytest

from mcls.errors import ConfigError, suggest
from mcls.registry import FAMILIES, Entry, Setting, defaults, entries, find, register
from mcls.settings import canonical, convert, describe, resolve
from mcls.source_text import entries_of

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


@pytest.fixture
def write(tmp_path, monkeypatch) -> Callable[[str, str], str]:
    """Write modules of a package that Python finds and that no entry point names."""
    monkeypatch.syspath_prepend(tmp_path)
    package = f"things_{tmp_path.name}".replace("-", "_")
    (tmp_path / package).mkdir()
    (tmp_path / package / "__init__.py").touch()

    def write(name: str, text: str) -> str:
        (tmp_path / package / f"{name}.py").write_text(text.replace("PACKAGE", package))
        return f"{package}.{name}"

    return write


ONE = """
Norm = Literal['l1', 'l2']
@register("features", "one", speed=3)
class One:
    \"\"\"Does one thing.

    More.

    Parameters
    ----------
    size, depth : int >= 1
        How much; in rows. Not more.
    \"\"\"

    weights = (1, 2)

    def __init__(self, data, *, size: int = 3, depth: Norm | None = None):
        ...
"""


def test_a_class_is_read_from_its_init(write) -> None:
    (entry,) = entries_of(write("things", ONE))
    line = "How much; in rows."
    assert entry.summary == "Does one thing."
    assert entry.facts == {"speed": 3}
    assert entry.settings == {
        "size": Setting("size", "int", 3, line),
        "depth": Setting("depth", "Literal['l1', 'l2'] | None", None, line),
    }


def test_help_lines_and_types_come_from_base_classes_in_other_modules(write) -> None:
    write("base", ONE)
    write("between", "from PACKAGE.base import Norm, One as Base")
    text = (
        "from .between import Base, Norm\n"
        '@register("features", "two")\n'
        "class Two(Base):\n"
        '    """Does two things."""\n'
        "    def __init__(self, data, *, size: int = 4, depth: Norm = 'l1'): ...\n"
        '@register("features", "three")\n'
        "class Three(Two):\n"
        '    """Does three things.\n\n'
        "    Parameters\n"
        "    ----------\n"
        "    size : int\n"
        "        A third size.\n"
        '    """\n'
    )
    two, three = entries_of(write("derived", text))
    assert two.settings["size"] == Setting("size", "int", 4, "How much; in rows.")
    assert two.settings["depth"].type == "Literal['l1', 'l2']"
    assert three.settings["size"] == Setting("size", "int", 4, "A third size.")
    assert three.settings["depth"] == two.settings["depth"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("@register('features', 'one')\ndef one(y, *, size: int = SIZE): ...", "SIZE is not a lit"),
        ("@register('features', 'one')\ndef one(y, *, size: int): ...", "size has no default"),
        ("@register('features', 'one'\n", r"wrong.py, line 1: "),
        ("register_preset('features', 'x', of='mel', summary='A.')", "has no name in its module"),
        ("X = register_preset('features', 'x', summary='A.')", "the preset 'x' lacks of"),
        ("@register('one')\ndef one(y): ...", "line 1: expected a family and a name"),
    ],
)
def test_what_cannot_be_read_is_named(write, text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        entries_of(write("wrong", text))


def test_register_leaves_the_thing_as_it_is() -> None:
    def thing() -> int:
        return 3

    marked = register("features", "thing")(thing)
    assert marked is thing
    assert marked() == 3
