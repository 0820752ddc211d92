"""Metrics of a run on changed audio: transposed, stretched, noisy, louder or quieter."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from mcls.chain.feature import FeatureReader
from mcls.disk.run import Run, open_run, run_files
from mcls.errors import ConfigError, DataError, FormatError
from mcls.evaluation import Evaluation
from mcls.evaluation import evaluate as measure
from mcls.extraction.label_notes import threats
from mcls.features.augmentations import Augmentation, augment
from mcls.features.extractor import Change
from mcls.judging.evaluate import open_predictions, run_threshold
from mcls.parallel.progress import Progress
from mcls.registry import find
from mcls.stages.predict import FileToScore, Scored, Scorer, score_tracks_with
from mcls.tables.manifest import open_source
from mcls.tables.options import Reading
from mcls.tables.predictions import Predictions

#: Difference of scores from which unchanged audio counts as other audio than that of the run.
_SAME = 1e-3


@dataclass(frozen=True)
class Perturbed:
    """The metrics of a run at several amounts of one change.

    Parameters
    ----------
    path : Path
        The run folder or cross-validation.
    change : str
        Name of the augmentation, such as ``pitch-shift``.
    unit : str
        Unit of the amounts.
    amounts : list of float or None
        The amounts; None is the unchanged audio, where no amount leaves it as it is.
    evaluations : list of Evaluation
        Of each amount, of the same tracks.
    notes : list of str
        What a reader of the figures should know.
    """

    path: Path
    change: str
    unit: str
    amounts: list[float | None]
    evaluations: list[Evaluation]
    notes: list[str]

    def as_dict(self) -> dict[str, Any]:
        """Return a JSON object."""
        each = [
            {"amount": amount, **one.as_dict()}
            for amount, one in zip(self.amounts, self.evaluations, strict=True)
        ]
        return {
            "path": str(self.path),
            "change": self.change,
            "unit": self.unit,
            "notes": self.notes,
            "amounts": each,
        }


def perturb(
    path: Path | str,
    audio: Path | str,
    changes: Mapping[str, Sequence[float]],
    *,
    metrics: Sequence[str] | None = None,
    part: str | None = None,
    audio_root: Path | str | None = None,
    seed: int = 0,
    jobs: int = 1,
    progress: Progress | None = None,
) -> list[Perturbed]:
    """Score changed audio of the tracks of a part, and measure each amount of each change.

    Parameters
    ----------
    path : path
        A run folder, or a cross-validation, whose folds are scored by their own runs.
    audio : path
        The manifest, or folder of class folders, with the audio of the tracks.
    changes : mapping of str to sequence of float
        Amounts by the name of the augmentation. The unchanged audio is measured as well.
    metrics, part
        As in `mcls.judging.evaluate.evaluate`.
    audio_root : path or None
        Folder that the paths in the manifest are relative to.
    seed : int
        Seed of what is random, such as noise; a track has the same noise at every amount.
    jobs : int
        Number of worker processes.
    progress : callable or None
        ``progress(tracks done, tracks in all, seconds of audio)``.

    Returns
    -------
    list of Perturbed
        One per change.

    Raises
    ------
    DataError
        If a track is not in `audio`, or cannot be scored.
    FormatError
        If `path` is not a run.
    """
    path = Path(path)
    predictions, about = open_predictions(path)
    if predictions.times is not None:
        raise ConfigError(f"{path} scores events, but changed audio is scored as whole tracks")
    part = part or ("test" if any(predictions.parts) else "")
    try:
        chosen = predictions.only(part)
    except DataError as error:
        raise DataError(f"{path}: {error}") from error
    steps = [(name, amount) for name in changes for amount in _with_unchanged(name, changes[name])]
    each = list(dict.fromkeys(_change_of(*step) for step in steps))
    scored = _scored(path, chosen, _paths(audio, audio_root, chosen), each, seed, jobs, progress)
    found = []
    for name in changes:
        amounts = _with_unchanged(name, changes[name])
        evaluations = [
            measure(
                _predictions(chosen, scored[_change_of(name, amount)]),
                metrics,
                threshold=run_threshold(about),
            )
            for amount in amounts
        ]
        unit = find("augmentations", name).facts["unit"]
        notes = [*_other_audio(chosen, scored[None]), *_label_notes(name, chosen)]
        found.append(Perturbed(path, name, unit, amounts, evaluations, notes))
    return found


def _with_unchanged(name: str, amounts: Sequence[float]) -> list[float | None]:
    """Return the amounts, with the one that leaves audio as it is; None if there is no such."""
    unchanged = find("augmentations", name).facts.get("unchanged")
    if unchanged is None:
        return [*amounts, None]
    return [*sorted({*amounts, unchanged})]


def _change_of(name: str, amount: float | None) -> Augmentation | None:
    """Return the change of an amount; None leaves the audio as it is."""
    if amount is None or amount == find("augmentations", name).facts.get("unchanged"):
        return None
    return Augmentation(name, amount, amount)


def _paths(audio: Path | str, root: Path | str | None, chosen: Predictions) -> list[Path]:
    """Return the audio file of each track."""
    source = open_source(audio, reading=Reading(None if root is None else str(root)))
    place = dict(zip(source.track_ids, source.paths(), strict=True))
    absent = [track for track in chosen.track_ids if track not in place]
    if absent:
        raise DataError(
            f"{audio} lacks {len(absent)} of the {len(chosen)} tracks to score, such as "
            f"{absent[0]!r}; give the manifest that the run's store was extracted from"
        )
    return [place[track] for track in chosen.track_ids]


def _predictions(chosen: Predictions, scored: Sequence[Scored]) -> Predictions:
    """Return the predictions with other scores, and other probabilities if there are any."""
    known = [one.probabilities for one in scored if one.probabilities is not None]
    return replace(
        chosen,
        scores=np.array([one.scores for one in scored]),
        probabilities=np.array(known) if len(known) == len(scored) else None,
    )


def _scored(
    path: Path,
    chosen: Predictions,
    paths: Sequence[Path],
    changes: Sequence[Augmentation | None],
    seed: int,
    jobs: int,
    progress: Progress | None,
) -> dict[Augmentation | None, list[Scored]]:
    """Return the scores of every track under every change."""
    scored = {change: [Scored("", chosen.scores[0])] * len(chosen) for change in changes}
    runs = _runs(path, chosen)
    total, before = len(changes) * len(chosen), 0
    for run, tracks in runs:
        if run.labels != chosen.names:
            raise FormatError(f"{run.path}: its labels are not those of {path}")
        reader = FeatureReader(run.chain(), run.about.get("sample_rate"))
        files = [
            FileToScore(chosen.track_ids[i], paths[i], reader, _applied(change, paths[i], seed))
            for change in changes
            for i in tracks
        ]

        def report(done: int, _: int, seconds: float, before: int = before) -> None:
            if progress is not None:
                progress(before + done, total, seconds)

        found = score_tracks_with(Scorer(run, None), files, jobs=jobs, progress=report)
        for at, file in enumerate(files):
            one = found[at]
            if not isinstance(one, Scored):
                raise DataError(f"{file.path}: {one}")
            scored[changes[at // len(tracks)]][tracks[at % len(tracks)]] = one
        before += len(files)
    return scored


def _runs(path: Path, chosen: Predictions) -> list[tuple[Run, list[int]]]:
    """Return the runs and the tracks that each of them scores."""
    if all((path / name).is_file() for name in run_files(path)):
        return [(open_run(path), list(range(len(chosen))))]
    folds = {fold: [i for i, f in enumerate(chosen.folds) if f == fold] for fold in chosen.folds}
    found = []
    for fold, tracks in folds.items():
        folder = path / f"fold-{fold or 'test'}"
        if not folder.is_dir():
            raise FormatError(f"{path} is no run, and has no {folder.name} to score audio with")
        found.append((open_run(folder), tracks))
    return found


def _applied(change: Augmentation | None, path: Path, seed: int) -> Change | None:
    if change is None:
        return None
    name = int(hashlib.sha1(path.name.encode()).hexdigest()[:8], 16)
    return partial(augment, augmentations=[change], seed=[seed, name])


def _other_audio(chosen: Predictions, scored: Sequence[Scored]) -> list[str]:
    """Say if unchanged audio has other scores than those in the run."""
    scores = np.array([one.scores for one in scored])
    scale = max(1.0, float(np.abs(chosen.scores).max()))
    differ = np.flatnonzero(np.abs(scores - chosen.scores).max(axis=1) > _SAME * scale)
    if not len(differ):
        return []
    return [
        f"{len(differ)} of {len(chosen)} tracks have other scores than in predictions.csv without "
        f"any change, such as {chosen.track_ids[differ[0]]!r}: is this the audio of the run?"
    ]


def _label_notes(name: str, chosen: Predictions) -> list[str]:
    """Say if the change may make the true labels wrong."""
    where = "the column of true labels"
    return threats("augmentations", [name], where, "labels", chosen.names, can_follow=False)
