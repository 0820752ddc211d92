"""A recipe once per fold: learn the dictionary, encode, train, predict, with the fold held out.

``RUN/fold-<name>/`` is a run folder (with the fold's ``dict.h5``), made whole or not at all: a
command that was cut off goes on at the fold it was at. ``RUN/predictions.csv`` holds every track
once, scored by the run that never saw it.
"""

import json
import re
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mcls.disk.atomic import written_whole
from mcls.disk.predictions import join_predictions, read_predictions, write_predictions
from mcls.disk.run import open_run, write_json, written_folder
from mcls.disk.store import Store
from mcls.errors import ConfigError, FormatError
from mcls.recipe import read_recipe, stage_arguments
from mcls.settings import canonical, digest
from mcls.stages.evaluate import evaluate
from mcls.stages.learn import learn_dict
from mcls.stages.parts import fold_names
from mcls.stages.plan import plan_run
from mcls.stages.train import fill_run

Progress = Callable[[int, int, float], None]

#: What the command decides for every fold, so that a recipe may not.
_FIXED = ("split", "fold", "valid", "group", "seed", "labels")


@dataclass(frozen=True)
class CrossValidated:
    """What `cross_validate` made.

    Parameters
    ----------
    path : Path
        The folder of the folds.
    summary : dict
        JSON-like: per fold, mean and standard deviation over folds, pooled.
    computed : int
        Folds that were not there already.
    """

    path: Path
    summary: dict[str, Any]
    computed: int


def cross_validate(
    recipe: Mapping[str, Mapping[str, Any]] | Path | str,
    store: Path | str,
    run: Path | str,
    *,
    split: str = "fold",
    labels: str | None = None,
    group: str | None = None,
    valid: float = 0.0,
    settings: Sequence[str] = (),
    seed: int = 0,
    overwrite: bool = False,
    progress: Progress | None = None,
    origins: Mapping[str, str] | None = None,
) -> CrossValidated:
    """Run the ``[learn-dict]``, ``[encode]`` and ``[train]`` tables of a recipe once per fold.

    Nothing is learnt outside a fold's train part: the dictionary is learnt anew for every fold, and
    one that a recipe brings along is refused if it has seen the fold's test or valid tracks.

    Parameters
    ----------
    recipe : mapping or path
        A recipe (see `mcls.recipe`). Without a table ``[learn-dict]`` no dictionary is learnt.
    store : path
        A store with a fold column.
    run : path
        The folder to make. The same command again does the folds that are missing.
    split : str
        The fold column.
    labels, group : str or None
        Columns; None: as the recipe's ``[train]`` says, else ``labels`` and ``group``.
    valid : float in [0, 1)
        Fraction of the other folds' tracks drawn as valid part; 0: settings are chosen by inner
        folds of the train part.
    settings : sequence of str
        Settings of the classifier that replace the recipe's, ``key=value``.
    seed : int
        Of everything drawn.
    overwrite : bool
        Replace a cross-validation made otherwise.
    progress : callable or None
        ``progress(tracks done, tracks in all, seconds of audio)``, over all folds.
    origins : mapping or None
        Where each option came from.

    Returns
    -------
    CrossValidated

    Raises
    ------
    ConfigError
        If the recipe or a setting is wrong, or the folder holds something else.
    DataError
        If folds or labels cannot be used, or something was learnt from tracks it is tested on.
    """
    started = time.monotonic()
    opened, path = Store(Path(store)), Path(run)
    tables = recipe if isinstance(recipe, Mapping) else read_recipe(recipe)
    learn, train = _tables(tables, settings)
    common = {
        "split": split,
        "labels": labels or train.pop("labels", "labels"),
        "group": group or train.pop("group", "group"),
        "valid": valid,
        "seed": seed,
    }
    train = {key: value for key, value in train.items() if key not in _FIXED}
    folds = fold_names(opened.column(split), split)
    if not folds:
        raise ConfigError(
            f"column {split!r} holds parts, not folds: one split is what `mcls train` is for; "
            "name a fold column with --split, or make one with `mcls data split --folds`"
        )
    options = {**common, "learn-dict": learn, "train": train, "folds": folds}
    rows = sorted(stored.digest for stored in opened.features.values())
    content = [rows, opened.tracks.get("sha1"), opened.track_ids]
    key = digest([options, content, opened.column(split), opened.column(str(common["labels"]))])
    _claim(path, key, options, overwrite=overwrite)
    computed = 0
    for i, fold in enumerate(folds):
        folder = path / _folder_name(fold)
        if not (folder / "about.json").is_file():
            tell = _shifted(progress, i, len(folds), opened.n_tracks)
            _run_fold(opened, folder, learn, train, {**common, "fold": fold}, origins, tell)
            computed += 1
        if progress is not None:
            progress((i + 1) * opened.n_tracks, len(folds) * opened.n_tracks, 0.0)
    runs = [path / _folder_name(fold) for fold in folds]
    if computed == 0 and (path / "metrics.json").is_file():
        return CrossValidated(path, _read(path / "metrics.json"), 0)
    summary = _pool(path, runs, folds, seconds=time.monotonic() - started)
    return CrossValidated(path, summary, computed)


def _tables(
    tables: Mapping[str, Mapping[str, Any]], settings: Sequence[str]
) -> tuple[dict[str, Any] | None, dict[str, Any]]:
    """Return the arguments of `learn_dict`, if there is such a table, and of `plan_run`."""
    learn = None
    if "learn-dict" in tables:
        learn = stage_arguments(tables["learn-dict"], learn_dict, where="learn-dict")
        learn = {key: value for key, value in learn.items() if key not in _FIXED}
    train = stage_arguments(tables.get("train", {}), plan_run, where="train")
    encode = {
        key: value for key, value in tables.get("encode", {}).items() if key not in ("name", "with")
    }
    train = {**stage_arguments(encode, plan_run, where="encode"), **train}
    replaced = {setting.partition("=")[0] for setting in settings}
    kept = [s for s in train.get("settings", ()) if s.partition("=")[0] not in replaced]
    train["settings"] = [*kept, *settings]
    if learn is not None and "feature" not in learn and "feature" in train:
        learn["feature"] = train["feature"]
    if learn is not None and "feature" in learn:
        train.setdefault("feature", learn["feature"])
    return learn, train


def _run_fold(
    store: Store,
    folder: Path,
    learn: dict[str, Any] | None,
    train: dict[str, Any],
    common: dict[str, Any],
    origins: Mapping[str, str] | None,
    progress: Progress | None,
) -> None:
    with written_folder(folder) as temporary:
        dicts = list(train.get("dicts", ()))
        if learn is not None:
            learn_dict(store.path, temporary / "dict.h5", **learn, **common)
            dicts.append(temporary / "dict.h5")
        plan = plan_run(store, **{**train, **common, "dicts": dicts}, origins=origins)
        if learn is not None:
            plan.settings["dict"][-1] = str(folder / "dict.h5")
        fill_run(temporary, plan, progress=progress)


def _claim(path: Path, key: str, options: Mapping[str, Any], *, overwrite: bool) -> None:
    """Make the folder, or see that the one that is there is of the same command."""
    mark = path / "cv.json"
    if path.exists():
        if not path.is_dir():
            raise ConfigError(f"{path}: is a file; the runs of the folds go into a folder")
        inside = sorted(item.name for item in path.iterdir())
        if inside and not mark.is_file():
            raise ConfigError(f"{path}: holds other things ({', '.join(inside[:3])}), not folds")
        if inside:
            there = _read(mark)
            if there.get("key") == key:
                return
            if not overwrite:
                raise ConfigError(
                    f"{path}: holds folds of another recipe, store or option "
                    f"({_difference(there.get('options', {}), options)}); choose another name, or "
                    "--overwrite replaces them"
                )
            shutil.rmtree(path)
    path.mkdir(parents=True, exist_ok=True)
    with written_whole(mark) as temporary:
        write_json(temporary, {"key": key, "options": dict(options)})


def _difference(there: Mapping[str, Any], here: Mapping[str, Any]) -> str:
    differ = [name for name in here if canonical(there.get(name)) != canonical(here[name])]
    return "other " + ", ".join(differ) if differ else "other data"


def _folder_name(fold: str) -> str:
    """Return the folder of a fold; what a file name cannot hold is spelt as %XX."""
    safe = re.sub(r"[^\w.+-]", lambda odd: "".join(f"%{b:02X}" for b in odd[0].encode()), fold)
    return f"fold-{safe}"


def _shifted(progress: Progress | None, fold: int, n_folds: int, n_tracks: int) -> Progress | None:
    if progress is None:
        return None
    return lambda done, total, seconds: progress(
        fold * n_tracks + done, n_folds * n_tracks, seconds
    )


def _read(path: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, TypeError) as error:
        raise FormatError(f"{path}: damaged ({error}); remove the folder") from error


def _pool(path: Path, runs: Sequence[Path], folds: Sequence[str], seconds: float) -> dict[str, Any]:
    """Join the test parts of all folds and measure them; the figures are written last."""
    opened = [open_run(run) for run in runs]
    multi_label = opened[0].multi_label
    tested = [read_predictions(run.path / "predictions.csv").only("test") for run in opened]
    pooled = join_predictions([replace(one, multi_label=multi_label) for one in tested])
    write_predictions(path / "predictions.csv", pooled)
    ids = [run.about["split_id"] for run in opened]
    summary = {
        **evaluate(path).as_dict(),
        "split_id": digest(ids),
        "split_ids": dict(zip(folds, ids, strict=True)),
        "notes": list(dict.fromkeys(note for run in opened for note in run.about["notes"])),
        "chosen": {
            fold: {name: value for name, value in run.about["chosen"].items() if name != "choice_"}
            for fold, run in zip(folds, opened, strict=True)
        },
        "seconds": round(seconds, 3),
    }
    with written_whole(path / "metrics.json") as temporary:
        write_json(temporary, summary)
    return summary
