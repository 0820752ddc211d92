"""A recipe once per fold: learn dictionaries, encode, train, predict, with the fold held out.

``RUN/fold-<name>/`` is a run folder, made whole or not at all. In it are the fold's dictionaries
too: ``dict.h5``, or ``dict-1.h5``, ``dict-2.h5``, ... or what else the recipe calls them, and the
runs that the last one was built on. Until it is complete they are in its workspace, so that a
command that was killed continues with the job it was at. ``RUN/predictions.csv`` holds every track
once, scored by the run that never saw it.

A column of parts (train, valid, test) is one fold: the recipe is run once, into ``RUN/fold-test/``.
"""

import json
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from mcls.data.options import Split
from mcls.data.parts import fold_names
from mcls.disk.predictions import join_predictions, read_predictions, write_predictions
from mcls.disk.recipe import Recipe, read_recipe
from mcls.disk.run import open_run, write_json, written_folder
from mcls.disk.store import Store
from mcls.disk.workspace import Workspace, clean_workspaces, is_workspace, written_whole
from mcls.errors import ConfigError, DataError, FormatError
from mcls.options import takes_options
from mcls.parallel.progress import Progress
from mcls.settings import canonical, digest
from mcls.stages.encode import encode
from mcls.stages.evaluate import evaluate
from mcls.stages.learn import learn_dict
from mcls.stages.options import Folds
from mcls.stages.plan import plan_run
from mcls.stages.recipe_graph import FIXED, Job, jobs_of
from mcls.stages.train import fill_run, train


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


@takes_options
def cross_validate(
    recipe: Recipe | Path | str,
    store: Path | str,
    run: Path | str,
    *,
    folds: Folds,
    overwrite: bool = False,
    progress: Progress | None = None,
    origins: Mapping[str, str] | None = None,
) -> CrossValidated:
    """Run the ``[learn-dict]``, ``[encode]`` and ``[train]`` tables of a recipe once per fold.

    See `mcls.stages.recipe_graph` for how tables name what they make and read.

    Nothing is learnt outside a fold's train part: dictionaries are learnt anew for every fold, and
    one that a recipe brings along is refused if it has seen the fold's test or valid tracks.

    Parameters
    ----------
    recipe : mapping or path
        A recipe (see `mcls.disk.recipe`).
    store : path
        A store with a fold column, or a part column.
    run : path
        The folder to make. The same command again does the folds that are missing.
    folds : Folds
        As keywords: ``split``, ``labels``, ``group``, ``valid``, ``settings`` and ``seed``. With a
        part column in place of a fold column the recipe is run once, from train to test. With
        ``valid=0`` settings are chosen by inner folds of the train part.
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
        If folds or labels cannot be used, no track is in the test part, or something was learnt
        from tracks it is tested on.
    """
    started = time.monotonic()
    opened, path = Store(Path(store)), Path(run)
    tables = recipe if isinstance(recipe, Mapping) else read_recipe(recipe)
    *before, last = jobs_of(tables, folds.settings)
    split = Split(
        labels=folds.labels or last.arguments.get("labels", "labels"),
        split=folds.split,
        valid=folds.valid,
        group=folds.group or last.arguments.get("group", "group"),
        seed=folds.seed,
    )
    jobs = [*before, last.without(FIXED)]
    cells = opened.column(split.split)
    names: list[str | None] = [*fold_names(cells, split.split)]
    if not names:
        if "test" not in cells:
            raise DataError(
                f"{opened.path}: column {split.split!r} has no test part, so there is nothing to "
                "score"
            )
        names = [None]
    common = {key: value for key, value in vars(split).items() if key != "fold"}
    options = {**common, "jobs": [asdict(job) for job in jobs], "folds": names}
    rows = sorted(stored.digest for stored in opened.features.values())
    content = [rows, opened.tracks.get("sha1"), opened.track_ids]
    key = digest([options, content, cells, opened.column(split.labels)])
    with Workspace(path, key) as work:
        _claim(work, options, overwrite=overwrite)
        clean_workspaces(path)
        computed = 0
        for i, fold in enumerate(names):
            folder = path / _folder_name(fold)
            if not (folder / "about.json").is_file():
                tell = _shifted(progress, i, len(names), opened.n_tracks)
                with Workspace(folder, key) as fold_work:
                    _run_fold(opened, fold_work, jobs, replace(split, fold=fold), origins, tell)
                computed += 1
            if progress is not None:
                progress((i + 1) * opened.n_tracks, len(names) * opened.n_tracks, 0.0)
        if computed == 0 and (path / "metrics.json").is_file():
            return CrossValidated(path, _read(path / "metrics.json"), 0)
        runs = [path / _folder_name(fold) for fold in names]
        summary = _pool(
            path, runs, [fold or "test" for fold in names], seconds=time.monotonic() - started
        )
    return CrossValidated(path, summary, computed)


def _run_fold(
    store: Store,
    work: Workspace,
    jobs: Sequence[Job],
    split: Split,
    origins: Mapping[str, str] | None,
    progress: Progress | None,
) -> None:
    """Do the jobs of a fold; the outputs are kept as pieces until the run folder is complete."""
    folder, made = work.out, work.pieces
    *before, last = (job.apart(folder.name) for job in jobs)
    names = [job.out for job in before]
    for job in before:
        source = made / job.store if job.store else store.path
        arguments = job.within(made, names)
        if job.command == "learn-dict":
            learn_dict(source, made / job.out, **arguments, **vars(split))
        elif job.command == "train":
            train(source, made / job.out, **arguments, **vars(split))
        else:
            encode(source, made / job.out, **arguments)
    opened = Store(made / last.store) if last.store else store
    plan = plan_run(opened, **last.within(made, names), **vars(split), origins=origins)
    kept = [job.out for job in before if job.command != "encode"]
    for option in ("dict", "init"):
        if plan.settings.get(option):
            plan.settings[option] = last.within(folder, kept)[
                "dicts" if option == "dict" else option
            ]
    with written_folder(folder) as new:
        fill_run(new, made, plan, progress=progress)
        for name in kept:
            (made / name).rename(new / name)


def _claim(work: Workspace, options: Mapping[str, Any], *, overwrite: bool) -> None:
    """Make the folder, or check that the one that is there belongs to the same command."""
    path, key = work.out, work.key
    mark = path / "cv.json"
    if path.exists():
        if not path.is_dir():
            raise ConfigError(f"{path}: is a file; the runs of the folds go into a folder")
        inside = sorted(item.name for item in path.iterdir() if not is_workspace(item.name))
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
            work.remove_output()
    path.mkdir(parents=True, exist_ok=True)
    with written_whole(mark) as temporary:
        write_json(temporary, {"key": key, "options": dict(options)})


def _difference(there: Mapping[str, Any], here: Mapping[str, Any]) -> str:
    differ = [name for name in here if canonical(there.get(name)) != canonical(here[name])]
    return "other " + ", ".join(differ) if differ else "other data"


def _folder_name(fold: str | None) -> str:
    """Return the folder of a fold; what a file name cannot hold is spelt as %XX."""
    if fold is None:
        return "fold-test"
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
        "split_id": digest(ids) if len(ids) > 1 else ids[0],
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
