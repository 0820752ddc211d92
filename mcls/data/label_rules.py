"""Rules by which labels follow an augmentation: keys and notes are transposed, tempi multiplied.

A rule is a function ``(label, amount, *, known)`` → the label of the copy. It is registered in the
family ``label-rules``; the fact ``follows`` of an augmentation names the rule, and the amount is
that of the augmentation.
"""

import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import NamedTuple

from mcls.data.label_kinds import MODE, NAMED, NOTE, OCTAVE
from mcls.errors import ConfigError, DataError
from mcls.registry import find, register
from mcls.tables.labels import SEPARATOR, UNKNOWN, split_items, unknown_labels

#: A rule: from a label and an amount to the label of the copy; ``known`` are the column's labels.
Rule = Callable[..., str]

_STEPS = {"c": 0, "d": 2, "e": 4, "f": 5, "g": 7, "a": 9, "b": 11}
_SHARPS = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")
_FLATS = ("C", "Db", "D", "Eb", "E", "F", "Gb", "G", "Ab", "A", "Bb", "B")
_PITCH = re.compile(rf"{NAMED}{NOTE}(?:{OCTAVE}|{MODE})")
_TEMPO = re.compile(
    r"(?P<before>(?i:tempo|bpm)[\W_]+)?(?P<bpm>\d+(?:\.\d+)?)(?P<after> ?(?i:bpm))?"
)
_MODE_NAMES = {"M": "maj", "ma": "maj", "major": "maj", "m": "min", "mi": "min", "minor": "min"}


def parse_rules(words: Sequence[str]) -> dict[str, str]:
    """Parse rules written ``COLUMN:RULE``.

    Raises
    ------
    ConfigError
        If one cannot be parsed, the rule is unknown, or a column has two.

    Examples
    --------
    >>> parse_rules(["key:transpose", "tempo:multiply"])
    {'key': 'transpose', 'tempo': 'multiply'}
    """
    rules: dict[str, str] = {}
    for word in words:
        column, colon, name = word.rpartition(":")
        if not (colon and column):
            raise ConfigError(
                f"cannot parse the label rule {word!r}; write COLUMN:RULE, such as key:transpose"
            )
        if column in rules:
            raise ConfigError(f"column {column!r} has two label rules; give one")
        rules[column] = find("label-rules", name).name
    return rules


def follow(cell: str, rule: str, amount: float, known: Sequence[str]) -> str:
    """Return the cell of a copy: every label to which the rule applies follows.

    Parameters
    ----------
    cell : str
        One label, or several joined by ``|``; of several, labels of another kind stay.
    rule : str
        The name of the rule.
    amount : float
        The amount of the augmentation.
    known : sequence of str
        The labels of the column, whose spelling the new labels take.

    Raises
    ------
    DataError
        If the rule applies to no label of the cell.

    Examples
    --------
    >>> follow("rock|Bb minor", "transpose", 3, ["Bb minor"])
    'rock|Db minor'
    """
    made, wrong = [], []
    function = find("label-rules", rule).load()
    for item in split_items(cell):
        label, end = (*unknown_labels(item), UNKNOWN)[:2] if unknown_labels(item) else (item, "")
        try:
            made.append(function(label, amount, known=tuple(known)) + end)
        except DataError as error:
            made.append(item)
            wrong.append(error)
    if wrong and len(wrong) == len(made):
        raise wrong[0]
    return SEPARATOR.join(made)


@register("label-rules", "transpose")
def transpose(label: str, amount: float, *, known: tuple[str, ...] = ()) -> str:
    """Transpose a key, chord, tonic, note (C4) or MIDI number by the semitones of a pitch shift.

    Parameters
    ----------
    label : str
        ``C``, ``Db minor``, ``f#:min``, ``As4``, ``key:C``, ``60`` and the like.
    amount : float
        Semitones, a whole number.
    known : tuple of str
        Labels that exist. If one of them is the same key or note, the result is spelled so;
        otherwise with sharps or flats as they are.

    Raises
    ------
    DataError
        If the label is no key or note.

    Examples
    --------
    >>> transpose("B minor", 2), transpose("C", 1, known=("C", "Db")), transpose("As3", 2)
    ('C# minor', 'Db', 'C4')
    """
    by = round(amount)
    if re.fullmatch(r"\d{1,3}", label):
        return str(int(label) + by)
    parsed = _parsed(label)
    if parsed is None:
        raise DataError(
            f"{label!r} is no key or note, so it cannot be transposed; expected C, Db minor, "
            "F#:min, A#4 and the like"
        )
    height = parsed.height + by if parsed.octave else (parsed.height + by) % 12
    spelled = _spellings(known).get(parsed._replace(height=height).identity)
    if spelled is not None:
        return spelled
    return parsed.spelled(height, known)


@register("label-rules", "multiply")
def multiply(label: str, amount: float, *, known: tuple[str, ...] = ()) -> str:
    """Multiply a tempo by the speed of a time stretch.

    Parameters
    ----------
    label : str
        Beats per minute: ``120``, ``92.5 bpm``, ``tempo:120``.
    amount : float
        The speed as a factor.
    known : tuple of str
        Unused.

    Raises
    ------
    DataError
        If the label is no number of beats per minute.

    Examples
    --------
    >>> multiply("120 bpm", 1.1), multiply("90", 0.95)
    ('132 bpm', '85.5')
    """
    found = _TEMPO.fullmatch(label)
    if found is None:
        raise DataError(
            f"{label!r} is no tempo in beats per minute, so it cannot follow a time stretch"
        )
    return f"{found['before'] or ''}{float(found['bpm']) * amount:.6g}{found['after'] or ''}"


class _Pitch(NamedTuple):
    """A label that is a key or a note.

    Parameters
    ----------
    height : int
        Semitones above C; above C-1, which is MIDI number 0, if there is an octave.
    octave : bool
        Whether the label has an octave.
    lower : bool
        Whether the letter is in lower case, which may mean a minor key.
    accidental, before, mode : str
        As they are written.
    """

    height: int
    octave: bool
    lower: bool
    accidental: str
    before: str
    mode: str

    @property
    def identity(self) -> tuple[object, ...]:
        """What two spellings of one key or note have in common."""
        mode = self.mode if len(self.mode) < 2 else self.mode.lower()
        mode = re.sub(r"[ :_-]", "", mode)
        return self.height, self.octave, self.lower, self.before, _MODE_NAMES.get(mode, mode)

    def spelled(self, height: int, known: tuple[str, ...]) -> str:
        """Return the label at another height, with accidentals as in this label or in `known`."""
        style = self.accidental or next(
            (p.accidental for x in known if (p := _parsed(x)) and p.accidental), "#"
        )
        flat = style[0] in "b♭" or "flat" in style.lower()
        name = (_FLATS if flat else _SHARPS)[height % 12]
        one = style[0] if style in ("##", "♯♯", "bb", "♭♭") else "#" if style == "x" else style
        name = name[0] + (one if len(name) > 1 else "")
        name = name[0].lower() + name[1:] if self.lower else name
        return f"{self.before}{name}{height // 12 - 1 if self.octave else ''}{self.mode}"


@lru_cache(maxsize=4096)
def _parsed(label: str) -> _Pitch | None:
    found = _PITCH.fullmatch(label)
    if found is None:
        return None
    accidental, octave = found["accidental"] or "", found["octave"]
    raised = {"##": 2, "♯♯": 2, "x": 2, "bb": -2, "♭♭": -2, "b": -1, "♭": -1, "": 0}.get(
        accidental, -1 if "flat" in accidental.lower() else 1
    )
    height = _STEPS[found["letter"].lower()] + raised
    height = height % 12 if octave is None else height + 12 * (int(octave) + 1)
    return _Pitch(
        height,
        octave is not None,
        found["letter"].islower(),
        accidental,
        found["named"] or "",
        found["mode"] or "",
    )


@lru_cache(maxsize=64)
def _spellings(known: tuple[str, ...]) -> dict[tuple[object, ...], str]:
    """Return the spelling of every key and note among labels; the first of several."""
    return {p.identity: label for label in reversed(known) if (p := _parsed(label)) is not None}
