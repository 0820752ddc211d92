"""The train tracks that resemble a file, by the last rows of the run."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mcls.chain.last_rows import last_rows_chain, mean_row
from mcls.chain.match import encoded_track, rows_for_run
from mcls.disk.run import Run
from mcls.errors import DataError
from mcls.parallel.progress import Progress
from mcls.remote.places import folder_of
from mcls.remote.urls import below
from mcls.stores.store import Store
from mcls.tables.labels import split_labels


@dataclass(frozen=True)
class Neighbour:
    """A train track and its similarity to a file, the cosine of their rows, -1 to 1."""

    index: int
    similarity: float


class TrainTracks:
    """The train tracks of a run with their last rows.

    Every dimension is standardised over the train tracks, so that no dimension decides alone.

    Parameters
    ----------
    run : Run
        A run.
    store : Store
        The store that it was trained on.
    audio_root : path or None
        Folder that the paths in the store are relative to; None: the folder of the store.
    progress : callable or None
        ``progress(tracks done, tracks in all, 0.0)``.

    Attributes
    ----------
    names : list of str
        The ``track_id`` of each train track.
    labels : list of list of str
        Their labels.
    paths : list of Path or None
        Where their audio is, or was.

    Raises
    ------
    DataError
        If the store has other rows than the run needs, or none of the train tracks.
    """

    def __init__(
        self,
        run: Run,
        store: Store,
        audio_root: Path | str | None = None,
        progress: Progress | None = None,
    ) -> None:
        chain = last_rows_chain(run)
        stored = rows_for_run(store, chain)
        learnt = set(run.learnt_from())
        tracks = [i for i, name in enumerate(store.track_ids) if name in learnt]
        if not tracks:
            raise DataError(f"{store.path} has none of the tracks that {run.path} was trained on")
        rows = []
        for i in tracks:
            rows.append(mean_row(encoded_track(stored, chain, i)[0]))
            if progress is not None:
                progress(len(rows), len(tracks), 0.0)
        matrix = np.array(rows)
        self._mean, scale = matrix.mean(axis=0), matrix.std(axis=0)
        self._scale = np.where(scale > 0, scale, 1.0)
        self._directions = _directions((matrix - self._mean) / self._scale)
        self.names = [store.track_ids[i] for i in tracks]
        column = run.settings.get("train", {}).get("labels", "labels")
        cells = store.column(column) if column in store.tracks else [""] * store.n_tracks
        self.labels = [split_labels(cells[i]) for i in tracks]
        paths = store.column("path") if "path" in store.tracks else [""] * store.n_tracks
        root = folder_of(store.path) if audio_root is None else Path(audio_root)
        self.paths = [below(root, paths[i]) if paths[i] else None for i in tracks]

    def nearest(self, row: np.ndarray, n: int) -> list[Neighbour]:
        """Return the `n` most similar train tracks of a row, ``(n_dims,)``, best first."""
        direction = _directions(((row - self._mean) / self._scale)[None])[0]
        similarities = self._directions @ direction
        order = np.argsort(-similarities, kind="stable")[:n]
        return [Neighbour(int(i), float(similarities[i])) for i in order]


def _directions(rows: np.ndarray) -> np.ndarray:
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return rows / np.where(lengths > 0, lengths, 1.0)


#: The first bytes of audio files that browsers play, and their media types.
_MEDIA: Sequence[tuple[int, bytes, str]] = (
    (0, b"RIFF", "audio/wav"),
    (0, b"fLaC", "audio/flac"),
    (0, b"OggS", "audio/ogg"),
    (0, b"ID3", "audio/mpeg"),
    (0, b"\xff\xfb", "audio/mpeg"),
    (0, b"\xff\xf3", "audio/mpeg"),
    (0, b"\xff\xf2", "audio/mpeg"),
    (4, b"ftyp", "audio/mp4"),
    (0, b"\x1aE\xdf\xa3", "audio/webm"),
)


def media_type(path: Path) -> str | None:
    """Return the media type of an audio file by its content; None if browsers do not play it.

    A store names its files, and may name any: only what begins like audio is sent.
    """
    try:
        with path.open("rb") as file:
            head = file.read(16)
    except OSError:
        return None
    return next((kind for at, magic, kind in _MEDIA if head[at:].startswith(magic)), None)
