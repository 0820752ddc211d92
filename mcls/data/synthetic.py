"""Toy music: a small set of tracks made from a seed, to try things on and to test with.

Six styles, told apart by what makes styles: rhythm, harmony, who plays what. No single sound
gives one away: all draw on the same instruments, with leanings, and tempi overlap. Every style has
several *artists*, each with instruments, a drum kit and a room of their own on all their tracks. So
tracks of one artist sound alike, and a split that tears artists apart gives a score that is too
good: the group column is there for that.

=========  =====  ===========================================================================
style      metre  how it goes
=========  =====  ===========================================================================
ballad     4/4    slow; long chords, broken chords above, hardly any drums
bossa      4/4    clave on the rim, syncopated chords, bass on one and before three
march      4/4    kick and snare in turn, off-beat chords, major
swing      4/4    triplets; a ride pattern, a walking bass, back-beat
techno     4/4    kick on every beat, hats between, repeated bass notes, minor
waltz      3/4    bass on one, chords on two and three
=========  =====  ===========================================================================

Tags: the instruments that play, drums, mode, tempo, room and noise.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from mcls.data.splits import make_parts
from mcls.data.synthetic_sounds import (
    INSTRUMENTS,
    SR,
    Instrument,
    Room,
    make_instrument,
    make_kit,
    make_room,
    play,
    produce,
)
from mcls.disk.atomic import written_whole
from mcls.disk.labels import parse_labels
from mcls.disk.manifest import Manifest, write_manifest
from mcls.errors import ConfigError, DataError
from mcls.settings import canonical

#: Written into every set; a set made by another version is another set.
VERSION = 1
#: Train, valid and test shares of the tracks, by artist.
FRACTIONS = (0.5, 0.2, 0.3)
_PER_ARTIST = 3
#: How often a part is played by the instrument that is usual in the style.
_USUAL = 0.6
_MAJOR, _MINOR = (0, 2, 4, 5, 7, 9, 11), (0, 2, 3, 5, 7, 8, 10)
_PROGRESSIONS = ((0, 3, 4, 0), (0, 5, 3, 4), (0, 4, 5, 3), (1, 4, 0, 0), (0, 0, 3, 4), (5, 3, 0, 4))


@dataclass(frozen=True)
class Style:
    """A style: patterns over one bar (``x`` plays, digits are notes of the chord, ``r`` roams).

    `beat` is in steps, `tempo` in beats per minute, `hold` (of chords) in steps; `minor` and
    `drums` are how likely they are; `players` usually play bass and chords, and the melody.
    """

    beat: int
    tempo: tuple[float, float]
    kick: str
    snare: str
    hat: str
    bass: str
    chords: str
    melody: str
    minor: float
    drums: float
    hold: float
    players: tuple[str, str]


STYLES = {
    "ballad": Style(
        4,
        (62, 96),
        kick="x.......x.......",
        snare="............x...",
        hat="....x.......x...",
        bass="0.......2.......",
        chords="x...............",
        melody="0.1.2.1.0.1.2.1.",
        minor=0.5,
        drums=0.35,
        hold=14,
        players=("strings", "pluck"),
    ),
    "bossa": Style(
        4,
        (84, 132),
        kick="x..xx..xx..xx..x",
        snare="x..x..x...x..x..",
        hat="x.x.x.x.x.x.x.x.",
        bass="0.....2.2.....0.",
        chords="x..x..x...x..x..",
        melody="r..r..r.r...r...",
        minor=0.5,
        drums=0.75,
        hold=2,
        players=("pluck", "bell"),
    ),
    "march": Style(
        4,
        (88, 132),
        kick="x.......x.......",
        snare="....x.xx....x.x.",
        hat="x...x...x...x...",
        bass="0.......2.......",
        chords="..x...x...x...x.",
        melody="r...r.r.r...r...",
        minor=0.2,
        drums=0.8,
        hold=1.5,
        players=("brass", "brass"),
    ),
    "swing": Style(
        3,
        (92, 150),
        kick="x..x..x..x..",
        snare="...x....xx..",
        hat="x..x.xx..x.x",
        bass="0..1..2..1..",
        chords="..x.....x...",
        melody="r.rr.r..rr.r",
        minor=0.4,
        drums=0.8,
        hold=1.5,
        players=("organ", "brass"),
    ),
    "techno": Style(
        4,
        (100, 144),
        kick="x...x...x...x...",
        snare="....x.......x...",
        hat="..x...x...x...x.",
        bass="00.00.0000.00.00",
        chords="x..x..x.........",
        melody="0.2.1.0.2.1.0.2.",
        minor=0.7,
        drums=0.85,
        hold=1,
        players=("bell", "organ"),
    ),
    "waltz": Style(
        4,
        (84, 144),
        kick="x...........",
        snare="....x...x...",
        hat="....x...x...",
        bass="0...........",
        chords="....x...x...",
        melody="r...r.r.r...",
        minor=0.35,
        drums=0.6,
        hold=3,
        players=("pluck", "strings"),
    ),
}


@dataclass(frozen=True)
class Artist:
    """What the tracks of one artist share."""

    style: str
    name: str
    bass: Instrument
    chords: Instrument
    melody: Instrument
    kit: dict[str, np.ndarray] | None
    levels: dict[str, float]
    room: Room
    tempo: float


def make_synth(
    folder: str | Path,
    *,
    seed: int = 0,
    n_tracks: int = 180,
    seconds: float = 4.0,
    overwrite: bool = False,
    progress: Callable[[int, int, float], None] | None = None,
) -> Manifest:
    """Make a set of toy music.

    Parameters
    ----------
    folder : path
        Gets ``audio/STYLE/*.wav`` (16 bit, 22050 Hz, mono), ``manifest.csv`` and ``synth.json``
        (the settings). ``audio`` is a folder of class folders as well.
    seed : int
        Other seeds give other artists and tracks; the same seed the same bytes.
    n_tracks : int, 18 or more
        Of all styles together.
    seconds : float, 1 or more
        The length of every track.
    overwrite : bool
        Replace a set with other settings.
    progress : callable or None
        Called with tracks done, tracks in all and seconds of audio done.

    Returns
    -------
    Manifest
        Columns labels (the style), tags, group (the artist) and split.

    Raises
    ------
    ConfigError
        If `n_tracks` or `seconds` is too small.
    DataError
        If the folder holds something else.
    """
    n_least = len(STYLES) * 3
    if n_tracks < n_least:
        raise ConfigError(f"{n_tracks} tracks; at least {n_least} (3 artists for each style)")
    if not seconds >= 1:
        raise ConfigError(f"{seconds} s; a track needs 1 s or more")
    folder = Path(folder)
    settings = {"seed": seed, "n_tracks": n_tracks, "seconds": seconds, "version": VERSION}
    _claim(folder, canonical(settings), overwrite)
    per_style = -(-n_tracks // len(STYLES))
    n_artists = max(3, per_style // _PER_ARTIST)
    artists = [
        [_make_artist(style, number, seed) for number in range(n_artists)] for style in STYLES
    ]
    columns: dict[str, list[str]] = {name: [] for name in ("path", "labels", "tags", "group")}
    for track in range(n_tracks):
        artist = artists[track % len(STYLES)][track // len(STYLES) % n_artists]
        take = track // len(STYLES) // n_artists + 1
        path = f"audio/{artist.style}/{artist.name}-{take}.wav"
        y, tags = compose(artist, np.random.default_rng([seed, 2, track]), seconds)
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(folder / path, np.round(y * 32767).astype(np.int16), SR, subtype="PCM_16")
        for name, cell in zip(columns, (path, artist.style, tags, artist.name), strict=True):
            columns[name].append(cell)
        if progress is not None:
            progress(track + 1, n_tracks, (track + 1) * seconds)
    ids = [path.removeprefix("audio/").removesuffix(".wav") for path in columns["path"]]
    columns["split"] = make_parts(
        parse_labels(columns["labels"]).matrix,
        columns["group"],
        fractions=FRACTIONS,
        seed=seed,
        ids=ids,
    )
    manifest = Manifest({"track_id": ids, **columns}, folder, folder / "manifest.csv")
    write_manifest(manifest, folder / "manifest.csv")
    return manifest


def is_made(
    folder: str | Path, *, seed: int = 0, n_tracks: int = 180, seconds: float = 4.0
) -> bool:
    """Return whether a folder already holds the whole set of these settings."""
    settings = {"seed": seed, "n_tracks": n_tracks, "seconds": seconds, "version": VERSION}
    note = Path(folder) / "synth.json"
    whole = (Path(folder) / "manifest.csv").is_file() and note.is_file()
    return whole and note.read_text(encoding="utf-8").strip() == canonical(settings)


def compose(artist: Artist, rng: np.random.Generator, seconds: float) -> tuple[np.ndarray, str]:
    """Make one track of an artist.

    Returns
    -------
    y : np.ndarray, shape (n_samples,), float64 in [-1, 1]
    tags : str
        Joined by ``|``.
    """
    style = STYLES[artist.style]
    minor = bool(rng.random() < style.minor)
    tempo = artist.tempo * rng.uniform(0.94, 1.06)
    step = 60 / tempo / style.beat
    bar = len(style.kick)
    start = int(rng.integers(bar))  # an excerpt begins anywhere in a bar
    n_steps = int(np.ceil(seconds / step)) + start
    chords = _PROGRESSIONS[rng.integers(len(_PROGRESSIONS))]
    scale = np.array(_MINOR if minor else _MAJOR)
    key = 48 + int(rng.integers(12))
    y = np.zeros(int((seconds + 4) * SR))

    def pitch(degree: int) -> int:
        return key + int(scale[degree % 7]) + 12 * (degree // 7)

    def add(sound: np.ndarray, at: int, level: float) -> None:
        when = (at - start) * step + rng.normal(0, 0.006)
        first = int(max(when, 0) * SR)
        last = min(first + len(sound), len(y))
        y[first:last] += level * rng.lognormal(0, 0.15) * sound[: last - first]

    melody = 7
    for at in range(start, n_steps):
        root, place = chords[at // bar % 4], at % bar
        if style.bass[place] != "." and rng.random() < 0.95:
            note = pitch(root + 2 * int(style.bass[place])) - 12
            add(play(artist.bass, note, 1.8 * step), at, artist.levels["bass"])
        if style.chords[place] != "." and rng.random() < 0.92:
            for degree in (root, root + 2, root + 4):
                sound = play(artist.chords, pitch(degree), style.hold * step)
                add(sound, at, artist.levels["chords"] / 2)
        mark = style.melody[place]
        if mark != "." and rng.random() < 0.75:
            melody = int(np.clip(melody + rng.integers(-2, 3), 5, 13))
            degree = melody if mark == "r" else root + 7 + 2 * int(mark)
            add(play(artist.melody, pitch(degree), 1.6 * step), at, artist.levels["melody"])
        for drum in ("kick", "snare", "hat") if artist.kit else ():
            played = getattr(style, drum)[place] != "."
            if artist.kit and rng.random() < (0.93 if played else 0.02):
                add(artist.kit[drum], at, artist.levels["drums"])
    y = produce(y[: int(seconds * SR)], artist.room, rng)
    return y, "|".join(_tags(artist, minor, tempo))


def _tags(artist: Artist, minor: bool, tempo: float) -> list[str]:
    players = {artist.chords.name, artist.melody.name}
    return [
        *sorted(players),
        *(["drums"] if artist.kit else []),
        "minor" if minor else "major",
        *(["fast"] if tempo > 120 else ["slow"] if tempo < 92 else []),
        *(["roomy"] if artist.room.wet * artist.room.reverb > 0.2 else []),
        *(["noisy"] if artist.room.noise > 10**-2.4 else []),
    ]


def _make_artist(style: str, number: int, seed: int) -> Artist:
    rng = np.random.default_rng([seed, 1, list(STYLES).index(style), number])
    names = list(INSTRUMENTS)
    chords, melody = (
        usual if rng.random() < _USUAL else names[rng.integers(len(names))]
        for usual in STYLES[style].players
    )
    has_drums = rng.random() < STYLES[style].drums
    levels = {part: rng.lognormal(0, 0.35) for part in ("bass", "chords", "melody", "drums")}
    return Artist(
        style,
        f"{style}-{number + 1:02d}",
        make_instrument(chords, rng),
        make_instrument(chords, rng),
        make_instrument(melody, rng),
        make_kit(rng) if has_drums else None,
        levels,
        make_room(rng),
        rng.uniform(*STYLES[style].tempo),
    )


def _claim(folder: Path, settings: str, overwrite: bool) -> None:
    """Write the settings into an empty folder, or into one that holds a set already."""
    note = folder / "synth.json"
    if note.is_file():
        other = note.read_text(encoding="utf-8").strip() != settings
        if other and not overwrite:
            raise DataError(f"{folder} holds a set with other settings; --overwrite replaces it")
        (folder / "manifest.csv").unlink(missing_ok=True)
        for old in (folder / "audio").glob("*/*.wav"):
            old.unlink()
    elif folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise DataError(f"{folder} is there and is no set of toy music; choose another name")
    with written_whole(note) as temporary:
        temporary.write_text(settings + "\n", encoding="utf-8")
