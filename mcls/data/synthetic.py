"""A synthetic dataset: toy music made from a seed, to try mcls on and to test it with.

Six styles differ in rhythm, harmony and instrumentation; no single sound gives a style away, and
their tempi overlap. Every style has several *artists*, whose tracks share instruments, a drum kit
and a room. Tracks of one artist therefore sound alike, and a split that separates them gives
scores that are too good; the group column, which names the artist, prevents that.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from mcls.data.splits import make_parts
from mcls.disk.workspace import clean_workspaces, is_workspace, written_whole
from mcls.errors import ConfigError, DataError
from mcls.parallel.progress import Progress
from mcls.settings import canonical
from mcls.tables.labels import parse_labels
from mcls.tables.manifest import Manifest, write_manifest

#: Sampling rate in Hz.
SR = 22050
#: Kept with every set; another version makes other audio.
VERSION = 2
#: Train, valid and test fractions of the tracks.
FRACTIONS = (0.5, 0.2, 0.3)
_TRACKS_PER_ARTIST = 3

#: Style: tempo in beats per minute, steps per beat, probability of minor and of drums, seconds that
#: a chord rings, the usual instruments of chords and melody.
STYLES = {
    "ballad": ((62, 96), 4, 0.5, 0.35, 2.5, "strings", "pluck"),
    "bossa": ((84, 132), 4, 0.5, 0.75, 0.3, "pluck", "bell"),
    "march": ((88, 132), 4, 0.2, 0.8, 0.2, "brass", "brass"),
    "swing": ((92, 150), 3, 0.4, 0.8, 0.25, "organ", "brass"),
    "techno": ((100, 144), 4, 0.7, 0.85, 0.15, "bell", "organ"),
    "waltz": ((84, 144), 4, 0.35, 0.6, 0.4, "pluck", "strings"),
}
#: One bar of each style: drums (k: kick, s: snare, h: hat; upper case with a hat), bass, chords and
#: melody. Digits are notes of the chord, x is the whole chord, r a step of a random walk.
_BARS = {
    "ballad": ("k...h...k...S...", "0.......2.......", "x...............", "0.1.2.1.0.1.2.1."),
    "bossa": ("K.hkK.hkk.K.S..k", "0.....2.2.....0.", "x..x..x...x..x..", "r..r..r.r...r..."),
    "march": ("K...S.sskh..S.s.", "0.......2.......", "..x...x...x...x.", "r...r.r.r...r..."),
    "swing": ("k..K.hh.Ss.h", "0..1..2..1..", "..x.....x...", "r.rr.r..rr.r"),
    "techno": ("k.h.K.h.k.h.K.h.", "00.00.0000.00.00", "x..x..x.........", "0.2.1.0.2.1.0.2."),
    "waltz": ("K...S...S...", "0...........", "....x...x...", "r...r.r.r..."),
}
_MAJOR, _MINOR = (0, 2, 4, 5, 7, 9, 11), (0, 2, 3, 5, 7, 8, 10)
_PROGRESSIONS = ((0, 3, 4, 0), (0, 5, 3, 4), (0, 4, 5, 3), (1, 4, 0, 0), (0, 0, 3, 4), (5, 3, 0, 4))
#: Instrument: roll-off of the harmonics in dB per octave, weight of the even harmonics, attack and
#: decay in seconds.
INSTRUMENTS = {
    "bell": (4.0, 0.05, 0.002, 0.7),
    "brass": (3.0, 1.0, 0.04, 9.0),
    "organ": (12.0, 0.3, 0.012, 9.0),
    "pluck": (8.0, 0.9, 0.003, 0.25),
    "strings": (7.0, 1.0, 0.12, 9.0),
}


@dataclass(frozen=True)
class Instrument:
    """One artist's version of an instrument: a period of its wave, attack and decay in seconds."""

    name: str
    period: np.ndarray
    attack: float
    decay: float


@dataclass(frozen=True)
class Artist:
    """The sounds that all tracks of one artist share."""

    style: str
    name: str
    tempo: float
    chords: Instrument
    melody: Instrument
    drums: dict[str, np.ndarray]
    levels: dict[str, float]
    room: np.ndarray
    noise: float


def make_synth(
    folder: str | Path,
    *,
    seed: int = 0,
    n_tracks: int = 180,
    seconds: float = 4.0,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Manifest:
    """Make a synthetic dataset.

    Parameters
    ----------
    folder : path
        Gets ``audio/STYLE/*.wav`` (16 bit, 22050 Hz, mono), ``manifest.csv`` and ``synth.json``
        (the settings). ``audio`` is a folder of class folders.
    seed : int
        Random seed; the same seed gives the same bytes.
    n_tracks : int, 18 or more
        Number of tracks.
    seconds : float, 1 or more
        Length of each track.
    overwrite : bool
        Replace a dataset made with other settings.
    progress : callable or None
        Called with tracks done, tracks in all and seconds of audio done.

    Returns
    -------
    Manifest
        Columns labels (the style), tags (instruments, drums, mode, tempo, noise), group (the
        artist) and split.

    Raises
    ------
    ConfigError
        If `n_tracks` or `seconds` is too small.
    DataError
        If the folder holds something else.
    """
    n_least = len(STYLES) * 3
    if n_tracks < n_least:
        raise ConfigError(f"n_tracks={n_tracks}; expected {n_least} or more (3 artists per style)")
    if not seconds >= 1:
        raise ConfigError(f"seconds={seconds}; expected 1 or more")
    folder = Path(folder)
    _claim(folder, _settings(seed, n_tracks, seconds), overwrite)
    n_artists = max(3, -(-n_tracks // len(STYLES)) // _TRACKS_PER_ARTIST)
    artists = [make_artist(style, i, seed) for i in range(n_artists) for style in STYLES]
    columns: dict[str, list[str]] = {name: [] for name in ("path", "labels", "tags", "group")}
    for track in range(n_tracks):
        artist = artists[track % len(artists)]
        path = f"audio/{artist.style}/{artist.name}-{track // len(artists) + 1}.wav"
        y, tags = compose(artist, np.random.default_rng([seed, 2, track]), seconds)
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        try:
            soundfile.write(folder / path, np.round(y * 32767).astype(np.int16), SR, "PCM_16")
        except soundfile.SoundFileError as error:
            raise DataError(f"{folder / path} could not be written; is the disk full?") from error
        cells = (path, artist.style, "|".join(tags), artist.name)
        for name, cell in zip(columns, cells, strict=True):
            columns[name].append(cell)
        if progress is not None:
            progress(track + 1, n_tracks, (track + 1) * seconds)
    ids = [path.removeprefix("audio/").removesuffix(".wav") for path in columns["path"]]
    strata = parse_labels(columns["labels"]).matrix
    parts = make_parts(strata, columns["group"], fractions=FRACTIONS, seed=seed, ids=ids)
    columns = {"track_id": ids, **columns, "split": parts}
    manifest = Manifest(columns, folder, folder / "manifest.csv")
    write_manifest(manifest, folder / "manifest.csv")
    return manifest


def is_made(
    folder: str | Path, *, seed: int = 0, n_tracks: int = 180, seconds: float = 4.0
) -> bool:
    """Return whether a folder already holds the whole dataset of these settings.

    What a killed command left beside a whole dataset is removed.
    """
    note = Path(folder) / "synth.json"
    whole = (Path(folder) / "manifest.csv").is_file() and note.is_file()
    if not whole or note.read_text(encoding="utf-8").strip() != _settings(seed, n_tracks, seconds):
        return False
    clean_workspaces(Path(folder))
    return True


def make_artist(style: str, number: int, seed: int) -> Artist:
    """Draw the instruments, drum kit and room of an artist."""
    rng = np.random.default_rng([seed, 1, list(STYLES).index(style), number])
    tempo, _, _, drums, _, *usual = STYLES[style]
    chords, melody = (
        make_instrument(name if rng.random() < 0.6 else str(rng.choice(list(INSTRUMENTS))), rng)
        for name in usual
    )
    time = np.arange(SR // 2) / SR
    room = rng.standard_normal(SR // 2) * np.exp(-time / rng.uniform(0.02, 0.13))
    room *= rng.uniform(0.0, 0.5) / np.linalg.norm(room)
    room[0] += 1
    return Artist(
        style,
        f"{style}-{number + 1:02d}",
        rng.uniform(*tempo),
        chords,
        melody,
        make_drums(rng) if rng.random() < drums else {},
        {part: rng.lognormal(0, 0.35) for part in ("bass", "chords", "melody", "drums")},
        room,
        10 ** rng.uniform(-3.5, -1.7),
    )


def make_instrument(name: str, rng: np.random.Generator) -> Instrument:
    """Draw a version of an instrument; every draw has another timbre."""
    roll_off, even, attack, decay = INSTRUMENTS[name]
    harmonics = np.arange(1, 13)
    level = 10 ** (-(roll_off + rng.normal(0, 1)) * np.log2(harmonics) / 20)
    level *= np.where(harmonics % 2 == 0, even, 1) * rng.lognormal(0, 0.3, len(harmonics))
    phase = rng.uniform(0, 2 * np.pi, len(harmonics))
    turns = 2 * np.pi * np.arange(2048) / 2048
    period = level @ np.sin(harmonics[:, None] * turns + phase[:, None]) / np.linalg.norm(level)
    return Instrument(name, period, attack * rng.lognormal(0, 0.3), decay * rng.lognormal(0, 0.4))


def make_drums(rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Draw a drum kit: the samples of kick (``k``), snare (``s``) and hat (``h``)."""
    time = np.arange(SR // 4) / SR
    sweep = rng.uniform(42, 65) * time + rng.uniform(1, 3) * (1 - np.exp(-time / 0.02))
    hiss = rng.standard_normal((2, len(time)))
    return {
        "k": 1.6 * np.sin(2 * np.pi * sweep) * np.exp(-time / rng.uniform(0.06, 0.14)),
        "s": 0.5 * hiss[0] * np.exp(-time / rng.uniform(0.03, 0.09)),
        "h": 0.2 * np.gradient(hiss[1]) * np.exp(-time / rng.uniform(0.012, 0.05)),
    }


def play(instrument: Instrument, midi: float, seconds: float) -> np.ndarray:
    """Return one note, ``(n_samples,)``."""
    time = np.arange(int(seconds * SR)) / SR
    turns = 440.0 * 2 ** ((midi - 69) / 12) * time
    wave = instrument.period[(turns * len(instrument.period)).astype(int) % len(instrument.period)]
    envelope = np.minimum(time / instrument.attack, 1) * np.exp(-time / instrument.decay)
    return wave * envelope * np.minimum((seconds - time) / 0.05, 1)


def compose(
    artist: Artist, rng: np.random.Generator, seconds: float
) -> tuple[np.ndarray, list[str]]:
    """Compose one track of an artist.

    Returns
    -------
    y : np.ndarray, shape (n_samples,), float64 in (-1, 1)
    tags : list of str
    """
    _, steps_per_beat, p_minor, _, ring, *_ = STYLES[artist.style]
    drums, bass, chords, melody = _BARS[artist.style]
    minor = bool(rng.random() < p_minor)
    tempo = artist.tempo * rng.uniform(0.94, 1.06)
    step = 60 / tempo / steps_per_beat
    first = int(rng.integers(len(drums)))  # an excerpt begins anywhere in a bar
    progression = _PROGRESSIONS[rng.integers(len(_PROGRESSIONS))]
    scale, key = _MINOR if minor else _MAJOR, 48 + int(rng.integers(12))
    y = np.zeros(int((seconds + 4) * SR))

    def add(part: str, sound: np.ndarray, at: int) -> None:
        start = int(max((at - first) * step + rng.normal(0, 0.006), 0) * SR)
        stop = min(start + len(sound), len(y))
        level = artist.levels[part] * rng.lognormal(0, 0.15)
        y[start:stop] += level * sound[: stop - start]

    def note(instrument: Instrument, degree: int, length: float) -> np.ndarray:
        return play(instrument, key + scale[degree % 7] + 12 * (degree // 7), length)

    walk = 7
    for at in range(first, first + int(np.ceil(seconds / step))):
        root, place = progression[at // len(drums) % 4], at % len(drums)
        if bass[place] != "." and rng.random() < 0.95:
            add("bass", note(artist.chords, root + 2 * int(bass[place]) - 7, 1.8 * step), at)
        if chords[place] != "." and rng.random() < 0.92:
            for degree in (root, root + 2, root + 4):
                add("chords", 0.5 * note(artist.chords, degree, ring), at)
        if melody[place] != "." and rng.random() < 0.75:
            walk = int(np.clip(walk + rng.integers(-2, 3), 5, 13))
            degree = walk if melody[place] == "r" else root + 7 + 2 * int(melody[place])
            add("melody", note(artist.melody, degree, 1.6 * step), at)
        struck = drums[place].lower() + ("h" if drums[place].isupper() else "")
        for drum, sound in artist.drums.items():
            if rng.random() < (0.93 if drum in struck else 0.02):
                add("drums", sound, at)
    return _record(y[: int(seconds * SR)], artist, rng), _tags(artist, minor, tempo)


def _record(y: np.ndarray, artist: Artist, rng: np.random.Generator) -> np.ndarray:
    """Add noise, reverberation and a level to dry audio; the peak stays below 1."""
    y = y / (np.sqrt(np.mean(y**2)) + 1e-9) + artist.noise * rng.standard_normal(len(y))
    size = len(y) + len(artist.room)
    wet = np.fft.irfft(np.fft.rfft(y, size) * np.fft.rfft(artist.room, size), size)[: len(y)]
    wet -= wet.mean()
    return wet * (10 ** rng.uniform(-0.5, -0.05) / np.abs(wet).max())


def _tags(artist: Artist, minor: bool, tempo: float) -> list[str]:
    return [
        *sorted({artist.chords.name, artist.melody.name}),
        *(["drums"] if artist.drums else []),
        "minor" if minor else "major",
        *(["fast"] if tempo > 120 else ["slow"] if tempo < 92 else []),
        *(["noisy"] if artist.noise > 10**-2.4 else []),
    ]


def _settings(seed: int, n_tracks: int, seconds: float) -> str:
    return canonical({"seed": seed, "n_tracks": n_tracks, "seconds": seconds, "version": VERSION})


def _claim(folder: Path, settings: str, overwrite: bool) -> None:
    """Write the settings into an empty folder, or into one that already holds a synthetic set."""
    note = folder / "synth.json"
    if note.is_file():
        if note.read_text(encoding="utf-8").strip() != settings and not overwrite:
            raise DataError(
                f"{folder} holds a synthetic dataset with other settings; pass --overwrite to "
                "replace it"
            )
        (folder / "manifest.csv").unlink(missing_ok=True)
        for old in (folder / "audio").glob("*/*.wav"):
            old.unlink()
    elif folder.exists() and (
        not folder.is_dir() or any(not is_workspace(path.name) for path in folder.iterdir())
    ):
        raise DataError(
            f"{folder} already exists and is not a synthetic dataset; choose another folder"
        )
    with written_whole(note) as temporary:
        temporary.write_text(settings + "\n", encoding="utf-8")
