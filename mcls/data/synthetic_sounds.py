"""The sounds of the toy music: wavetable instruments, drums, a room.

Everything is drawn from a generator that the caller passes, and computed in float64; the caller
rounds to 16 bits.
"""

from dataclasses import dataclass

import numpy as np

#: Sampling rate of the toy music, Hz.
SR = 22050
_TABLE = 2048

#: Family -> (roll-off of the harmonics in dB/octave, weight of even harmonics, attack in s,
#: decay in s (0 sustains), vibrato depth in semitones).
INSTRUMENTS: dict[str, tuple[float, float, float, float, float]] = {
    "pluck": (8.0, 0.9, 0.003, 0.25, 0.0),
    "organ": (12.0, 0.3, 0.012, 0.0, 0.0),
    "brass": (3.0, 1.0, 0.040, 0.0, 0.1),
    "strings": (7.0, 1.0, 0.120, 0.0, 0.3),
    "bell": (4.0, 0.05, 0.002, 0.7, 0.0),
}


@dataclass(frozen=True)
class Instrument:
    """One artist's version of an instrument: two periods of wave to fade between, an envelope."""

    name: str
    bright: np.ndarray
    dull: np.ndarray
    attack: float
    decay: float
    vibrato: float


def make_instrument(name: str, rng: np.random.Generator) -> Instrument:
    """Draw an instrument of a family; every call gives another timbre."""
    roll_off, even, attack, decay, vibrato = INSTRUMENTS[name]
    harmonics = np.arange(1, 13)
    level = 10 ** (-(roll_off + rng.normal(0, 1.0)) * np.log2(harmonics) / 20)
    level *= np.where(harmonics % 2 == 0, even, 1.0) * rng.lognormal(0, 0.3, len(harmonics))
    phase = rng.uniform(0, 2 * np.pi, len(harmonics))
    time = np.arange(_TABLE) / _TABLE
    waves = np.sin(2 * np.pi * harmonics[:, None] * time + phase[:, None])
    dull = level * harmonics**-1.2
    return Instrument(
        name,
        level @ waves / np.linalg.norm(level),
        dull @ waves / np.linalg.norm(dull),
        attack * rng.lognormal(0, 0.3),
        decay * rng.lognormal(0, 0.4),
        vibrato * rng.uniform(0.2, 1.5),
    )


def play(instrument: Instrument, midi: float, seconds: float) -> np.ndarray:
    """Return one note, ``(n_samples,)``; it rings on for a moment after `seconds`."""
    release = 0.05
    time = np.arange(int((seconds + release) * SR)) / SR
    frequency = 440.0 * 2 ** ((midi - 69) / 12)
    turns = frequency * time
    if instrument.vibrato:
        turns += frequency * instrument.vibrato / 12 * 0.7 / 34 * np.sin(2 * np.pi * 5.4 * time)
    place = (turns * _TABLE).astype(np.int64) % _TABLE
    fade = np.exp(-time / 0.25)
    wave = fade * instrument.bright[place] + (1 - fade) * instrument.dull[place]
    envelope = np.minimum(time / instrument.attack, 1.0)
    if instrument.decay:
        envelope *= np.exp(-time / instrument.decay)
    return wave * envelope * np.clip((seconds + release - time) / release, 0, 1)


def make_kit(rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Draw a drum kit: the samples of ``kick``, ``snare`` and ``hat``."""
    time = np.arange(int(0.25 * SR)) / SR
    low = rng.uniform(42, 65)
    sweep = low * time + rng.uniform(1.0, 3.0) * (1 - np.exp(-time / 0.02))
    kick = np.sin(2 * np.pi * sweep) * np.exp(-time / rng.uniform(0.06, 0.14))
    noise = rng.standard_normal(len(time))
    tone = np.sin(2 * np.pi * rng.uniform(160, 260) * time)
    share = rng.uniform(0.3, 0.8)
    snare = (share * noise + (1 - share) * tone) * np.exp(-time / rng.uniform(0.03, 0.09))
    hiss = np.diff(rng.standard_normal(len(time) + 2), n=2) / 2.5
    hat = hiss * np.exp(-time / rng.uniform(0.012, 0.05))
    return {"kick": 1.6 * kick, "snare": 0.7 * snare, "hat": 0.35 * hat}


@dataclass(frozen=True)
class Room:
    """What one artist's productions have in common, beside the instruments."""

    reverb: float
    wet: float
    tilt: float
    noise: float


def make_room(rng: np.random.Generator) -> Room:
    """Draw a production: reverberation time in s, its level, tilt in dB/octave, noise level."""
    return Room(
        reverb=rng.uniform(0.15, 0.9),
        wet=rng.uniform(0.0, 0.5),
        tilt=rng.uniform(-2.0, 1.0),
        noise=10 ** rng.uniform(-3.5, -1.7),
    )


def produce(y: np.ndarray, room: Room, rng: np.random.Generator) -> np.ndarray:
    """Add noise to dry audio, put it into a room, tilt its spectrum; the peak stays below 1."""
    size = 1 << int(np.ceil(np.log2(len(y) + SR)))
    time = np.arange(int(min(room.reverb * 1.5, 1.0) * SR)) / SR
    tail = rng.standard_normal(len(time)) * np.exp(-6.9 * time / room.reverb)
    tail *= room.wet / np.linalg.norm(tail)
    tail[0] += 1
    frequency = np.maximum(np.fft.rfftfreq(size, 1 / SR), 40.0)
    tilt = 10 ** (room.tilt * np.log2(frequency / 1000) / 20)
    tilt[0] = 0  # no constant part
    dry = y / (np.sqrt(np.mean(y**2)) + 1e-9) + room.noise * rng.standard_normal(len(y))
    wet = np.fft.irfft(np.fft.rfft(dry, size) * np.fft.rfft(tail, size) * tilt, size)[: len(y)]
    return wet * (10 ** rng.uniform(-0.5, -0.05) / np.abs(wet).max())
