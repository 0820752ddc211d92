"""Augmentation of audio: what is changed, by how much, and which labels may become wrong.

An augmentation changes audio by an amount drawn from a range. It is written ``name=low..high``, or
``name`` for its default range::

    pitch-shift=-2..2      semitones          threatens key, pitch     rule: transpose
    time-stretch=0.9..1.1  speed              threatens tempo, length  rule: multiply
    equalise=-6..6         dB in seven bands
    noise=20..40           dB below the signal
    gain=-6..6             dB                 threatens loudness

All chosen augmentations are applied to a copy, in the order of the list above. The amounts are
drawn from the seed of the copy, so the same copy is the same audio whenever it is made.

A label rule (`mcls.data.label_rules`) lets labels follow an augmentation. Its amount is then drawn
before all others, and a pitch shift is a whole number of semitones.

The audio is changed by audiomentations (``pip install 'mcls[augment]'``). This module draws the
amounts, and seeds the global generators that audiomentations uses for the time of the call only.
"""

import hashlib
import random
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib.util import find_spec
from itertools import pairwise
from typing import Any

import numpy as np

from mcls.errors import ConfigError, missing_extra
from mcls.registry import Entry, entries, find, register

#: The most amounts of one augmentation.
_MOST_AMOUNTS = 100


@dataclass(frozen=True)
class Augmentation:
    """An augmentation and the range from which its amount is drawn.

    Parameters
    ----------
    name : str
        Its name in the registry.
    low, high : float
        The range.
    followed : bool
        Whether labels follow it: its amount is then known without the audio; see `amounts`.
    """

    name: str
    low: float
    high: float
    followed: bool = False

    def __str__(self) -> str:
        return f"{self.name}={self.low:g}..{self.high:g}"


@register(
    "augmentations",
    "pitch-shift",
    order=0,
    packages=["audiomentations"],
    threatens=["key", "pitch"],
    follows="transpose",
    whole=True,
    unit="semitones",
    unchanged=0.0,
    grid=1.0,
    limits=[-24.0, 24.0],
)
def pitch_shift(
    y: np.ndarray, sr: int, rng: np.random.Generator, *, low: float = -2.0, high: float = 2.0
) -> np.ndarray:
    """Shift the pitch without changing the tempo.

    Parameters
    ----------
    y : np.ndarray, shape (n_samples,), float32
        Audio.
    sr : int
        Sampling rate in Hz.
    rng : np.random.Generator
        Source of the random amount.
    low, high : float in [-24, 24]
        Range of the pitch shift in semitones.
    """
    from audiomentations import PitchShift

    amount = rng.uniform(low, high)
    return _apply(PitchShift(min_semitones=amount, max_semitones=amount, p=1.0), y, sr, rng)


@register(
    "augmentations",
    "time-stretch",
    order=1,
    packages=["audiomentations"],
    threatens=["tempo", "length"],
    follows="multiply",
    unit="speed factor",
    unchanged=1.0,
    grid=0.1,
    limits=[0.1, 10.0],
)
def time_stretch(
    y: np.ndarray, sr: int, rng: np.random.Generator, *, low: float = 0.9, high: float = 1.1
) -> np.ndarray:
    """Change the tempo, and so the length, without changing the pitch.

    Parameters
    ----------
    y : np.ndarray, shape (n_samples,), float32
        Audio.
    sr : int
        Sampling rate in Hz.
    rng : np.random.Generator
        Source of the random amount.
    low, high : float in [0.1, 10]
        Range of the speed as a factor; above 1 is faster.
    """
    from audiomentations import TimeStretch

    rate = rng.uniform(low, high)
    change = TimeStretch(min_rate=rate, max_rate=rate, leave_length_unchanged=False, p=1.0)
    return _apply(change, y, sr, rng)


@register(
    "augmentations",
    "equalise",
    order=2,
    packages=["audiomentations"],
    threatens=[],
    unit="dB in each of seven bands",
)
def equalise(
    y: np.ndarray, sr: int, rng: np.random.Generator, *, low: float = -6.0, high: float = 6.0
) -> np.ndarray:
    """Boost or cut seven frequency bands with a parametric equaliser.

    Bands above half the sampling rate are skipped.

    Parameters
    ----------
    y : np.ndarray, shape (n_samples,), float32
        Audio.
    sr : int
        Sampling rate in Hz.
    rng : np.random.Generator
        Source of the random gains, centres and widths.
    low, high : float
        Range of the gain in dB.
    """
    from audiomentations import HighShelfFilter, LowShelfFilter, PeakingFilter

    edges = [42, 91, 196, 421, 909, 1957, 4216, 9486]
    for band, (start, end) in enumerate(pairwise(edges)):
        centre, decibels = float(rng.uniform(start, end)), float(rng.uniform(low, high))
        if centre >= 0.45 * sr:
            continue
        kind = LowShelfFilter if band == 0 else HighShelfFilter if band == 6 else PeakingFilter
        change = kind(
            min_center_freq=centre,
            max_center_freq=centre,
            min_gain_db=decibels,
            max_gain_db=decibels,
            p=1.0,
        )
        y = _apply(change, y, sr, rng)
    return y


@register(
    "augmentations",
    "noise",
    order=3,
    packages=["audiomentations"],
    threatens=[],
    unit="dB below the signal",
    grid=10.0,
)
def noise(
    y: np.ndarray, sr: int, rng: np.random.Generator, *, low: float = 20.0, high: float = 40.0
) -> np.ndarray:
    """Add white noise at a random signal-to-noise ratio.

    Parameters
    ----------
    y : np.ndarray, shape (n_samples,), float32
        Audio.
    sr : int
        Sampling rate in Hz.
    rng : np.random.Generator
        Source of the random ratio and noise.
    low, high : float
        Range of the signal-to-noise ratio in dB.
    """
    from audiomentations import AddGaussianSNR

    ratio = rng.uniform(low, high)
    return _apply(AddGaussianSNR(min_snr_db=ratio, max_snr_db=ratio, p=1.0), y, sr, rng)


@register(
    "augmentations",
    "gain",
    order=4,
    threatens=["loudness"],
    unit="dB",
    unchanged=0.0,
    grid=6.0,
)
def gain(
    y: np.ndarray, sr: int, rng: np.random.Generator, *, low: float = -6.0, high: float = 6.0
) -> np.ndarray:
    """Make the audio louder or quieter.

    Parameters
    ----------
    y : np.ndarray, shape (n_samples,), float32
        Audio.
    sr : int
        Sampling rate in Hz; unused.
    rng : np.random.Generator
        Source of the random amount.
    low, high : float
        Range of the gain in dB.
    """
    return (y * 10 ** (rng.uniform(low, high) / 20)).astype(np.float32)


def parse_augmentations(words: Sequence[str], *, label_safe: bool = False) -> list[Augmentation]:
    """Parse augmentations written ``name=low..high``, and sort them by order of application.

    Parameters
    ----------
    words : sequence of str
        The augmentations.
    label_safe : bool
        Keep only label-preserving augmentations.

    Raises
    ------
    ConfigError
        If a name is unknown or given twice, a range is invalid, or audiomentations is missing.

    Examples
    --------
    >>> [str(one) for one in parse_augmentations(["gain", "pitch-shift=-1..1"])]
    ['pitch-shift=-1..1', 'gain=-6..6']
    """
    parsed: dict[str, Augmentation] = {}
    for word in words:
        name, equals, text = word.partition("=")
        entry = _installed(name)
        low, high = entry.settings["low"].default, entry.settings["high"].default
        if equals:
            low, high = _range(word, text)
        if name in parsed:
            raise ConfigError(f"augmentation {name!r} is given twice")
        parsed[name] = Augmentation(name, low, high)
    if label_safe:
        parsed = {name: one for name, one in parsed.items() if not threatens(name)}
    return sorted(parsed.values(), key=lambda one: find("augmentations", one.name).facts["order"])


def amounts_of(name: str, text: str) -> list[float]:
    """Parse the amounts of an augmentation: ``LOW..HIGH``, ``LOW..HIGH/STEP`` or ``A,B,C``.

    Parameters
    ----------
    name : str
        The augmentation; its fact ``grid`` is the default step.
    text : str
        The amounts.

    Returns
    -------
    list of float
        Ascending, each once.

    Raises
    ------
    ConfigError
        If it cannot be parsed, or an amount is out of range.

    Examples
    --------
    >>> amounts_of("pitch-shift", "-2..2"), amounts_of("noise", "0..30/15")
    ([-2.0, -1.0, 0.0, 1.0, 2.0], [0.0, 15.0, 30.0])
    """
    facts = _installed(name).facts
    span, slash, step = text.partition("/")
    try:
        if ".." in span:
            low, high = _range(f"{name}={span}", span)
            by = float(step) if slash else facts["grid"]
            n = int((high - low) / by + 1e-9) + 1 if by > 0 else 0
            found = [round(low + i * by, 9) for i in range(min(n, _MOST_AMOUNTS + 1))]
        else:
            found = sorted({float(one) for one in text.split(",")})
    except ValueError:
        found = []
    if not 0 < len(found) <= _MOST_AMOUNTS:
        raise ConfigError(
            f"cannot parse the amounts {text!r} of {name}; write LOW..HIGH, LOW..HIGH/STEP or "
            f"A,B,C, at most {_MOST_AMOUNTS} amounts"
        )
    low, high = facts.get("limits", [-1000.0, 1000.0])
    if bad := [one for one in found if not low <= one <= high]:
        raise ConfigError(f"{name}={bad[0]:g}; expected {low:g} to {high:g} ({facts['unit']})")
    return found


def threatens(name: str) -> list[str]:
    """Return the kinds of label that an augmentation may make wrong."""
    return find("augmentations", name).facts["threatens"]


def let_labels_follow(
    augmentations: Sequence[Augmentation], rules: Sequence[str]
) -> list[Augmentation]:
    """Mark the augmentations that the label rules follow.

    Raises
    ------
    ConfigError
        If a rule follows none of them, or a range has no whole number of semitones.
    """
    by_name = entries("augmentations")
    for rule in rules:
        those = [name for name, entry in by_name.items() if _follows(entry) == rule]
        if not any(one.name in those for one in augmentations):
            raise ConfigError(
                f"the label rule {rule!r} follows {', '.join(those)}, which is not among the "
                "augmentations; add it with --augment, or leave the rule out"
            )
    marked = [replace(one, followed=_follows(by_name[one.name]) in rules) for one in augmentations]
    for one in marked:
        if one.followed and _whole(one.name) and np.ceil(one.low) > np.floor(one.high):
            raise ConfigError(
                f"{one}: labels can follow whole semitones only, and there is none in this range"
            )
    return marked


def amounts(augmentations: Sequence[Augmentation], seed: Sequence[int]) -> dict[str, float]:
    """Return the amounts of a copy by those augmentations that labels follow.

    Parameters
    ----------
    augmentations : sequence of Augmentation
        The augmentations, from `let_labels_follow`.
    seed : sequence of int
        Seed of the copy.
    """
    rng = np.random.default_rng([*seed, 1])
    found = {}
    for one in augmentations:
        if one.followed:
            if _whole(one.name):
                low, high = int(np.ceil(one.low)), int(np.floor(one.high))
                drawn = float(rng.integers(low, high, endpoint=True))
            else:
                drawn = rng.uniform(one.low, one.high)
            found[one.name] = drawn
    return found


def _follows(entry: Entry) -> str | None:
    """Return the rule by which labels follow an augmentation."""
    return entry.facts.get("follows")


def _whole(name: str) -> bool:
    """Return whether amounts are whole numbers where labels follow."""
    return bool(find("augmentations", name).facts.get("whole"))


def augment(
    y: np.ndarray, sr: int, augmentations: Sequence[Augmentation], seed: Sequence[int]
) -> np.ndarray:
    """Return an augmented copy of audio.

    Parameters
    ----------
    y : np.ndarray, shape (n_samples,), float32
        Audio.
    sr : int
        Sampling rate in Hz.
    augmentations : sequence of Augmentation
        The augmentations, from `parse_augmentations`.
    seed : sequence of int
        Seed of the copy; the same seed and audio give the same bytes.

    Returns
    -------
    np.ndarray, shape (n,), float32
        Longer or shorter than `y` after a time stretch.
    """
    rng = np.random.default_rng(list(seed))
    known = amounts(augmentations, seed)
    for one in augmentations:
        low, high = (known[one.name],) * 2 if one.followed else (one.low, one.high)
        y = find("augmentations", one.name).load()(y, sr, rng, low=low, high=high)
    return np.ascontiguousarray(y, dtype=np.float32)


def copy_seed(track_id: str, seed: int) -> list[int]:
    """Return the seed of an augmented copy, which does not depend on the other tracks."""
    return [seed, int(hashlib.sha1(track_id.encode()).hexdigest()[:8], 16)]


def _installed(name: str) -> Entry:
    """Return the entry of an augmentation, if the packages that it needs are installed."""
    entry = find("augmentations", name)
    for package in entry.facts.get("packages", []):
        if find_spec(package) is None:
            raise missing_extra(f"the augmentation {name}", package, "augment")
    return entry


def _range(word: str, text: str) -> tuple[float, float]:
    match = re.fullmatch(r"([-+\d.eE]+?)(?:\.\.([-+\d.eE]+))?", text)
    try:
        assert match is not None
        low = float(match[1])
        high = float(match[2]) if match[2] is not None else low
    except (AssertionError, ValueError):
        raise ConfigError(
            f"cannot parse the augmentation {word!r}; write NAME or NAME=LOW..HIGH"
        ) from None
    if low > high:
        raise ConfigError(
            f"augmentation {word!r}: the lower bound {low:g} is above the upper bound {high:g}"
        )
    return low, high


def _apply(change: Any, y: np.ndarray, sr: int, rng: np.random.Generator) -> np.ndarray:
    with _global_generators(int(rng.integers(2**32))):
        return np.asarray(change(y, sample_rate=sr), dtype=np.float32)


@contextmanager
def _global_generators(seed: int) -> Iterator[None]:
    """Seed the global generators that audiomentations uses, and restore them afterwards."""
    kept = random.getstate(), np.random.get_state()
    random.seed(seed)
    np.random.seed(seed)
    try:
        yield
    finally:
        random.setstate(kept[0])
        np.random.set_state(kept[1])
