"""The card of a listed track: what is wrong, a player, a spectrogram, and scores over time."""

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mcls.audio.files import Excerpt, parse_excerpt
from mcls.chain.match import rows_of_track
from mcls.disk.run import Run
from mcls.errors import DataError, MclsError
from mcls.evaluation.errors import amounts
from mcls.features.extractor import Extractor
from mcls.features.specs import FeatureSpec
from mcls.inspection.over_time import scores_over_time
from mcls.plots.colours import ROWS
from mcls.plots.track import thinned
from mcls.registry import find
from mcls.report.listed import ListedTrack, predicted
from mcls.report.listen import Listening, Player, find_audio
from mcls.report.runs import ReportedRun, RunStore, store_of
from mcls.settings import resolve

#: Mel bands, columns and colours of a spectrogram.
_BANDS, _COLUMNS, _COLOURS = 64, 240, 24

#: Scores over time that are shown, at most.
_TIMES = 48

_SR = 22050


@dataclass(frozen=True)
class Strip:
    """The scores of a label over time: ``(start, stop, shade in 0..1, score)``, in seconds."""

    label: str
    role: str
    cells: list[tuple[float, float, float, float]]


@dataclass(frozen=True)
class Card:
    """A track as the page shows it.

    Parameters
    ----------
    key : str
        Unique on the page.
    title : str
        The ``track_id``, and of an event its times.
    said : str
    facts : str
        True and predicted labels, part and fold.
    scores : list of (label, score, role)
        Of the whole track.
    amount : str
        What `scores` are.
    player : Player
    seconds : float
        Length of the track, or of what the run heard of it; 0 if unknown.
    picture : str
        The spectrogram as a data URL; empty without one.
    strips : list of Strip
    missing : list of str
        What could not be shown, and why.
    """

    key: str
    title: str
    said: str
    facts: str
    scores: list[tuple[str, str, str]]
    amount: str
    player: Player
    seconds: float
    picture: str
    strips: list[Strip]
    missing: list[str]


class CardMaker:
    """Makes the cards of a run's listed tracks."""

    def __init__(
        self,
        run: ReportedRun,
        key: str,
        *,
        stores: Sequence[Path],
        audio_root: Path | None,
        listening: Listening,
    ) -> None:
        self.run, self.key = run, key
        self.audio_root, self.listening = audio_root, listening
        self._given = stores
        self._stores: dict[str, RunStore] = {}
        self._chosen = None
        if not run.predictions.regression:
            self._chosen = predicted(run.predictions, run.threshold)

    def card(self, listed: ListedTrack) -> Card:
        """Return the card of a track; what cannot be shown is said in it."""
        run, i = self.run, listed.line
        track, scorer = run.predictions.track_ids[i], run.scored_by(i)
        known = self.store_of_fold(run.predictions.folds[i])
        missing: list[str] = []
        player, seconds, picture, strips = Player(), 0.0, "", list[Strip]()
        if known.store is None:
            missing.append(f"Audio and scores over time are not shown: {known.missing}.")
        else:
            try:
                index = known.store.index_of(track)
                player, seconds, picture = self._heard(known, index, scorer, missing)
                if scorer is not None:
                    strips = self._strips(known, index, scorer, listed, missing)
            except MclsError as error:
                missing.append(f"Not found: {error}.")
        values, amount = amounts(run.predictions)
        scores = [
            (run.predictions.names[j], f"{values[i, j]:.3g}", self._role(i, j))
            for j in listed.labels
        ]
        return Card(
            f"{self.key}-t{i}",
            run.title(i),
            listed.said,
            self._facts(i),
            scores,
            amount,
            player,
            seconds,
            picture,
            strips,
            missing,
        )

    def store_of_fold(self, fold: str) -> RunStore:
        """Return the store of the run that scored a fold."""
        if fold not in self._stores:
            self._stores[fold] = store_of(self.run.folders.get(fold), self._given)
        return self._stores[fold]

    def _role(self, i: int, j: int) -> str:
        """Return ``true``, ``predicted``, both or neither."""
        if self._chosen is None:
            return ""
        unknown = self.run.predictions.unknown
        if unknown is not None and unknown[i, j]:
            return "unknown"
        truth = self.run.predictions.truth[i, j]
        roles = ["true"] * bool(truth) + ["predicted"] * bool(self._chosen[i, j])
        return ", ".join(roles)

    def _facts(self, i: int) -> str:
        predictions = self.run.predictions
        said = []
        if self._chosen is not None:
            for word, chosen in (("true", predictions.truth), ("predicted", self._chosen)):
                names = [predictions.names[j] for j in np.flatnonzero(chosen[i])]
                said.append(f"{word}: {', '.join(names) or 'none'}")
        if predictions.unknown is not None and predictions.unknown[i].any():
            said.append(f"unknown: {int(predictions.unknown[i].sum())} labels")
        for word, value in (("part", predictions.parts[i]), ("fold", predictions.folds[i])):
            said += [f"{word} {value}"] if value else []
        return "; ".join(said)

    def _heard(
        self, known: RunStore, index: int, scorer: Run | None, missing: list[str]
    ) -> tuple[Player, float, str]:
        """Return the player, the seconds and the spectrogram of a track."""
        assert known.store is not None
        seconds = float(known.store.tracks.get("seconds", [0.0] * (index + 1))[index])
        if self.listening.how == "none":
            return Player(), seconds, ""
        try:
            path = find_audio(known.store, index, self.audio_root)
            excerpt = _excerpt(scorer)
            rows, sha1 = spectrogram(path, excerpt)
            own = known.store.tracks.get("sha1") if known.store.from_audio else None
            if own is not None and own[index] != sha1:
                raise DataError(f"{path} is another file than the one in {known.store.path}")
            player = self.listening.player(path, excerpt, seconds)
        except MclsError as error:
            missing.append(f"No audio: {error}.")
            return Player(), seconds, ""
        return player, seconds, picture_of(rows)

    def _strips(
        self, known: RunStore, index: int, run: Run, listed: ListedTrack, missing: list[str]
    ) -> list[Strip]:
        """Return the scores of the listed labels over time."""
        assert known.store is not None
        track = known.store.track_ids[index]
        names = self.run.predictions.names
        try:
            found = scores_over_time(run, track, rows_of_track(known.rows, index))
        except MclsError as error:
            missing.append(f"No scores over time: {error}.")
            return []
        columns = [found.labels.index(names[j]) for j in listed.labels if names[j] in found.labels]
        scores = thinned(found.scores[:, columns], _TIMES)
        step = found.step * len(found.scores) / len(scores)
        low, high = float(scores.min()), float(scores.max())
        if low >= 0 and high <= 1:
            low, high = 0.0, 1.0
        shades = (scores - low) / ((high - low) or 1)
        start = max(0.0, found.start - found.step / 2)
        return [
            Strip(
                found.labels[column],
                self._role(listed.line, names.index(found.labels[column])),
                [
                    (start + t * step, start + (t + 1) * step, float(shades[t, j]), float(score))
                    for t, score in enumerate(scores[:, j])
                ],
            )
            for j, column in enumerate(columns)
        ]


def _excerpt(run: Run | None) -> Excerpt | None:
    """Return the excerpt of a track that a run has heard."""
    if run is None:
        return None
    given = [step.settings.get("excerpt") for step in run.chain() if step.kind == "feature"]
    return parse_excerpt(given[0]) if given and isinstance(given[0], str) else None


def spectrogram(path: Path, excerpt: Excerpt | None) -> tuple[np.ndarray, str]:
    """Return a mel spectrogram in dB, ``(n_frames, n_mels)``, and the SHA-1 of the file."""
    settings = resolve(find("features", "mel"), {"n_mels": _BANDS})
    specs = [FeatureSpec("mel", "mel", settings)]
    found = Extractor(specs, sr=_SR, excerpt=excerpt, dtype="float32").track(path)
    return found.rows("mel"), found.sha1


def picture_of(rows: np.ndarray) -> str:
    """Return rows as an image of few colours, time to the right, as a data URL."""
    from PIL import Image

    cells = thinned(rows, _COLUMNS).T[::-1]
    low, high = float(cells.min()), float(cells.max())
    levels = np.rint((cells - low) / ((high - low) or 1) * (_COLOURS - 1)).astype(np.uint8)
    colours = (ROWS(np.linspace(0, 1, _COLOURS))[:, :3] * 255).astype(np.uint8)
    image = Image.fromarray(levels)
    image.putpalette(colours.tobytes())
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()
