"""Settings as text: specs, pairs, types, digests."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mcls.errors import ConfigError
from mcls.registry import Entry, Setting
from mcls.settings import canonical, convert, describe, digest, parse_pairs, resolve, split_spec

ENTRY = Entry(
    "features",
    "thing",
    "nowhere",
    "thing",
    "A thing.",
    {
        "size": Setting("size", "int", 20, "How many."),
        "fmax": Setting("fmax", "float | None", None, "Hz."),
        "norm": Setting("norm", "Literal['slaney', 'none'] | float", "slaney", "How."),
        "htk": Setting("htk", "bool", False, "Whether."),
        "folder": Setting("folder", "str | None", None, "Where."),
        "layers": Setting("layers", "tuple[int, ...]", (50, 50), "Units."),
    },
)


@pytest.mark.parametrize(
    ("spec", "name", "settings"),
    [
        ("mfcc", "mfcc", {}),
        ("mfcc:n_mfcc=13,delta=2", "mfcc", {"n_mfcc": "13", "delta": "2"}),
        ("fine=mel:n_fft=512", "fine=mel", {"n_fft": "512"}),
        ("max@5s/2.5s:norm=l2", "max@5s/2.5s", {"norm": "l2"}),
        ("mlp:layers=(50,50),lr=0.1", "mlp", {"layers": "(50,50)", "lr": "0.1"}),
        ("mlp:layers=[50,50],lr=0.1", "mlp", {"layers": "[50,50]", "lr": "0.1"}),
        ("mfcc:", "mfcc", {}),
    ],
)
def test_split_spec(spec: str, name: str, settings: dict[str, str]) -> None:
    assert split_spec(spec) == (name, settings)


@pytest.mark.parametrize("word", ["size", "=3", ""])
def test_a_word_without_key_and_value_is_refused(word: str) -> None:
    with pytest.raises(ConfigError, match="is not a setting; type key=value"):
        parse_pairs([word])


def test_a_setting_given_twice_is_refused() -> None:
    with pytest.raises(ConfigError, match="setting 'size' is given twice"):
        parse_pairs(["size=1", "size=2"])


def test_a_value_may_hold_an_equals_sign() -> None:
    assert parse_pairs(["name=a=b"]) == {"name": "a=b"}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"size": "13"}, 13),
        ({"size": 13.0}, 13),
        ({"fmax": "none"}, None),
        ({"fmax": "8000"}, 8000.0),
        ({"norm": "none"}, "none"),
        ({"norm": "2"}, 2.0),
        ({"htk": "Yes"}, True),
        ({"htk": "off"}, False),
        ({"folder": None}, None),
        ({"folder": "none"}, None),
        ({"folder": "lists/"}, "lists/"),
        ({"layers": "10x20x30"}, [10, 20, 30]),
        ({"layers": [1, 2]}, [1, 2]),
    ],
)
def test_resolve_converts(given: dict, expected: object) -> None:
    (key,) = given
    full = resolve(ENTRY, given)
    assert full[key] == expected
    assert list(full) == list(ENTRY.settings)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"sizze": "3"}, "thing: unknown setting 'sizze': did you mean 'size'?"),
        ({"size": "many"}, "thing: size=many is not a whole number"),
        ({"size": True}, "thing: size=True is not a whole number"),
        ({"size": 1.5}, "thing: size=1.5 is not a whole number"),
        ({"fmax": "high"}, "thing: fmax=high is not a number or none"),
        ({"norm": "slany"}, "thing: norm=slany is not one of slaney, none or a number"),
        ({"htk": "perhaps"}, "thing: htk=perhaps is not true or false"),
    ],
)
def test_resolve_refuses(given: dict, message: str) -> None:
    with pytest.raises(ConfigError) as error:
        resolve(ENTRY, given)
    assert str(error.value) == message


def test_resolve_names_everything_that_is_wrong_at_once() -> None:
    with pytest.raises(ConfigError) as error:
        resolve(ENTRY, {"sizze": 3, "size": "x", "htk": "?"})
    assert str(error.value).count(";") == 2


def test_describe_knows_lists() -> None:
    assert describe("tuple[int, ...] | None") == "a list like 1x2x3 or none"


def test_digest_does_not_depend_on_order_but_on_every_value() -> None:
    assert digest({"a": 1, "b": [2, None]}) == digest({"b": [2, None], "a": 1})
    assert digest({"a": 1}) != digest({"a": 2})
    assert len(digest({})) == 16


json_like = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@settings(deadline=None)
@given(json_like)
def test_canonical_is_json_on_one_line(value: object) -> None:
    text = canonical(value)
    assert json.loads(text) == value
    assert "\n" not in text


@settings(deadline=None)
@given(st.integers())
def test_whole_numbers_survive_the_way_through_text(number: int) -> None:
    assert convert(str(number), ENTRY.settings["size"]) == number


@settings(deadline=None)
@given(st.floats(allow_nan=False))
def test_numbers_survive_the_way_through_text(number: float) -> None:
    assert convert(repr(number), ENTRY.settings["fmax"]) == number
