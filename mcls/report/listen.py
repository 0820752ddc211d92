"""The audio of listed tracks: found, checked against the store, and embedded as small Opus."""

import base64
import io
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

import numpy as np

from mcls.audio.files import Excerpt, audio_blocks
from mcls.errors import DataError
from mcls.remote.places import folder_of, is_file, spelled
from mcls.remote.urls import below, url_of
from mcls.stores.store import Store

#: Opus at this bit rate, and of at most so many seconds.
_SR, _BITS, SECONDS = 48000, 32000, 30.0

Audio = Literal["embed", "link", "none"]


@dataclass(frozen=True)
class Player:
    """What a page plays of a track.

    Parameters
    ----------
    key : str
        The name of the embedded audio; empty if there is none.
    link : str
        The address of the file, relative to the page; empty if it is not linked.
    said : str
        Why there is no audio, or what part of it is played.
    """

    key: str = ""
    link: str = ""
    said: str = ""


def find_audio(store: Store, i: int, audio_root: Path | None) -> Path:
    """Return the audio file of a track of a store.

    Parameters
    ----------
    store : Store
    i : int
        Index of the track.
    audio_root : Path or None
        Folder that the paths in the store are relative to; None: the folder of the store.

    Raises
    ------
    DataError
        If there is no such file; the message names the place.
    """
    root = folder_of(store.path) if audio_root is None else audio_root
    path = below(root, store.column("path")[i])
    if not is_file(path):
        raise DataError(f"there is no audio at {spelled(path)}; name its folder with --audio-root")
    return path


@dataclass
class Listening:
    """Prepares the players of a page, within a budget.

    Parameters
    ----------
    how : {'embed', 'link', 'none'}
    out : Path
        The page, which links are relative to.
    budget : float
        Bytes of embedded audio, as they are in the page.
    """

    how: Audio
    out: Path
    budget: float
    embedded: dict[str, str] = field(default_factory=dict)
    n_left_out: int = 0
    used: int = 0
    _keys: dict[tuple[Path, Excerpt | None], str] = field(default_factory=dict)

    def player(self, path: Path, excerpt: Excerpt | None, seconds: float) -> Player:
        """Return the player of a file, or of an excerpt of it that lasts `seconds`."""
        if self.how == "none":
            return Player(said="")
        if self.how == "link":
            link = quote(os.path.relpath(path.absolute(), self.out.absolute().parent))
            link = url_of(path) or link
            said = "" if excerpt is None else f"The run has heard {excerpt} (seconds@start)."
            return Player(link=link, said=said)
        said = f"The first {SECONDS:g} s of {seconds:.0f} s." if seconds > SECONDS + 0.5 else ""
        known = self._keys.get((path.absolute(), excerpt))
        if known is not None:
            return Player(known, said=said)
        if self.used >= self.budget:
            return self._left_out()
        text = base64.b64encode(opus(path, excerpt)).decode()
        if self.used + len(text) > self.budget:
            return self._left_out()
        key = f"a{len(self.embedded)}"
        self._keys[path.absolute(), excerpt] = key
        self.embedded[key] = text
        self.used += len(text)
        return Player(key, said=said)

    def _left_out(self) -> Player:
        self.n_left_out += 1
        said = f"Its audio is left out, as {self.budget / 1e6:g} MB are used up (--audio-budget)."
        return Player(said=said)


def opus(path: Path, excerpt: Excerpt | None = None, seconds: float = SECONDS) -> bytes:
    """Return the beginning of a file, or of an excerpt of it, as Opus in WebM, mono, 32 kbit/s.

    Raises
    ------
    DataError
        If it cannot be read.
    """
    return encode_opus(_beginning(path, excerpt, round(seconds * _SR)))


def _beginning(path: Path, excerpt: Excerpt | None, most: int) -> np.ndarray:
    blocks: list[np.ndarray] = []
    for block in audio_blocks(path, sr=_SR, excerpt=excerpt):
        blocks.append(block)
        if sum(map(len, blocks)) >= most:
            break
    return np.concatenate(blocks)[:most]


def encode_opus(samples: np.ndarray) -> bytes:
    """Return samples at 48 kHz, shape ``(n,)``, as Opus in WebM."""
    import av

    buffer = io.BytesIO()
    with av.open(buffer, "w", format="webm", options={"fflags": "+bitexact"}) as container:
        stream: Any = container.add_stream("libopus", rate=_SR)
        stream.bit_rate = _BITS
        stream.layout = "mono"
        clipped = np.clip(samples, -1, 1).astype(np.float32)[None]
        frame = av.AudioFrame.from_ndarray(clipped, format="flt", layout="mono")
        frame.sample_rate, frame.pts = _SR, 0
        for given in (frame, None):
            for packet in stream.encode(given):
                container.mux(packet)
    return buffer.getvalue()
