"""Cross-validate: run a recipe once per fold, with that fold as the test part.

``RUN/fold-NAME/`` is the run folder of a fold. The dictionaries and runs that the recipe made for
it are inside: ``dict.h5``, or ``dict-1.h5``, ``dict-2.h5``, ... or the names that the recipe gives
them. Until the run folder is complete they are kept in its workspace, so that a command that was
killed continues with the table it was at. ``RUN/predictions.csv`` has every track once, scored by
the run that did not learn from it.

With a column of parts (train, valid, test) the recipe is run once, into ``RUN/fold-test/``.

A recipe with a table ``[tune]`` is tuned anew inside the train and valid part of each fold, and
what this gives is run: nested cross-validation. ``RUN/fold-NAME/tune/`` says what was chosen.

With several seeds ``RUN/seed-0/``, ``RUN/seed-1/``, ... are the cross-validations of each seed, and
nothing else is in ``RUN/``.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from mcls.data.options import Split
from mcls.data.parts import resolve_parts, split_cells
from mcls.disk.audit_file import across_parts, refuse_across
from mcls.disk.recipe import (
    Recipe,
    read_recipe,
    refuse_unknown_tables,
    space_of,
    table_of,
)
from mcls.disk.run import fold_folder, open_run, seed_folders, write_json
from mcls.disk.sums import SUMS, write_sums
from mcls.disk.text_files import read_json
from mcls.disk.workspace import Workspace, clean_workspaces, is_workspace, written_whole
from mcls.errors import ConfigError, DataError, FormatError, MclsError
from mcls.judging.evaluate import evaluate
from mcls.options import takes_options
from mcls.parallel.progress import Progress
from mcls.recipes.features import extraction_of, refuse_other_features
from mcls.recipes.graph import FIXED, RecipeNode, nodes_of
from mcls.recipes.run import run_recipe
from mcls.remote.functions import takes_urls
from mcls.settings import canonical, digest
from mcls.stages.options import Folds
from mcls.stores.store import Store
from mcls.tables.event_table import EVENTS_FILE, read_event_table, write_event_table
from mcls.tables.predictions import join_predictions, read_predictions, write_predictions

#: Tunes a recipe on the train and valid part of a split: takes the recipe, the store, the split and
#: a folder for its work, and returns the tuned recipe.
Tuner = Callable[[Recipe, Path, Split, Path], Recipe]


@dataclass(frozen=True)
class CrossValidated:
    """The result of `cross_validate`.

    Parameters
    ----------
    path : Path
        The folder of the folds.
    summary : dict
        JSON-like: metrics per fold, their mean and standard deviation, and pooled; with several
        seeds their mean, and the metrics per seed.
    computed : int
        The number of folds that this call computed.
    """

    path: Path
    summary: dict[str, Any]
    computed: int


@takes_urls(reads=("recipe", "store"), writes=("run",))
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
    tuner: Tuner | None = None,
) -> CrossValidated:
    """Run the ``[learn-dict]``, ``[encode]`` and ``[train]`` tables of a recipe once per fold.

    Everything is learnt anew from the train part of each fold. A dictionary that the recipe brings
    along is refused if it was learnt from the fold's test or valid tracks. See
    `mcls.recipes.graph` for recipes whose tables read the outputs of other tables.

    Parameters
    ----------
    recipe : mapping or path
        A recipe (see `mcls.disk.recipe`).
    store : path
        A store with a fold column or a part column.
    run : path
        The folder to make. The same command again computes only the missing folds.
    folds : Folds
        As keywords: ``split``, ``labels``, ``group``, ``valid``, ``settings``, ``seed``,
        ``memory`` and ``seeds``. A seed draws all that is random: the valid part, initial weights,
        batches. With a part column in place of a fold column the recipe is run once. With
        ``valid=0`` settings are chosen by inner folds of the train part.
    overwrite : bool
        Replace a cross-validation with other settings.
    progress : callable or None
        ``progress(tracks done, tracks in all, seconds of audio)``, over all folds.
    origins : mapping or None
        The origin of each option, for run.toml.
    tuner : callable or None
        `mcls.tuning.nested.tune_fold`, for a recipe with a table ``[tune]``.

    Returns
    -------
    CrossValidated

    Raises
    ------
    ConfigError
        If the recipe or a setting is wrong, the store holds other features than the recipe asks
        for, or the folder holds something else.
    DataError
        If folds or labels cannot be used, no track is in the test part, or a step was learnt from
        tracks it is tested on.
    """
    started = time.monotonic()
    opened, path = Store(Path(store)), Path(run)
    tables = recipe if isinstance(recipe, Mapping) else read_recipe(recipe)
    if folds.seeds > 1 or seed_folders(path):
        return _several_seeds(
            tables,
            opened.path,
            path,
            folds,
            progress,
            overwrite=overwrite,
            origins=origins,
            tuner=tuner,
        )
    refuse_unknown_tables(tables)
    refuse_other_features(extraction_of(tables), opened)
    space = space_of(tables)
    _check_tuning(space, folds, tuner)
    *before, last = nodes_of(tables, folds.settings)
    split = Split(
        labels=folds.labels or last.arguments.get("labels", "labels"),
        regression=last.arguments.get("regression", False),
        split=folds.split,
        valid=folds.valid,
        group=folds.group or last.arguments.get("group", "group"),
        seed=folds.seed,
    )
    nodes = [node.within(folds.memory) for node in (*before, last.without(FIXED))]
    names = _folds(opened, split.split)
    _refuse_findings(opened, split.split)
    for fold in names:  # a split that leaks is refused before any fold is computed
        resolve_parts(opened, split=replace(split, fold=fold))
    options = {
        **{key: value for key, value in vars(split).items() if key != "fold"},
        "jobs": [asdict(node) for node in nodes],
        "folds": names,
        **({"tune": dict(table_of(tables, "tune"))} if space else {}),
    }
    rows = sorted(stored.digest for stored in opened.features.values())
    content = [rows, opened.tracks.get("sha1"), opened.track_ids]
    key = digest([options, content, opened.column(split.split), opened.column(split.labels)])
    with Workspace(path, key) as work, _claimed(work, options, overwrite=overwrite):
        clean_workspaces(path)
        computed = 0
        for i, fold in enumerate(names):
            folder = path / fold_folder(fold)
            if not (folder / "about.json").is_file():
                tell = _shifted(progress, i, len(names), opened.n_tracks)
                one = replace(split, fold=fold)
                choose = None if tuner is None or not space else partial(tuner, tables)
                with Workspace(folder, key) as fold_work:
                    _run_fold(opened, fold_work, nodes, one, choose, origins, tell, folds.memory)
                computed += 1
            if progress is not None:
                progress((i + 1) * opened.n_tracks, len(names) * opened.n_tracks, 0.0)
        if computed == 0 and (path / "metrics.json").is_file():
            return CrossValidated(path, _read(path / "metrics.json"), 0)
        runs = [path / fold_folder(fold) for fold in names]
        summary = _pool(
            path, runs, [fold or "test" for fold in names], seconds=time.monotonic() - started
        )
    return CrossValidated(path, summary, computed)


def _several_seeds(
    tables: Recipe, store: Path, path: Path, folds: Folds, progress: Progress | None, **options: Any
) -> CrossValidated:
    """Cross-validate with each seed."""
    wanted = [folds.seed + i for i in range(folds.seeds)]
    _refuse_other_seeds(path, [*map(str, wanted)])
    each = []
    for i, seed in enumerate(wanted):
        one: dict[str, Any] = {**vars(folds), "seed": seed, "seeds": 1}
        tell = None if progress is None else partial(_of_several, progress, i, len(wanted))
        each.append(
            cross_validate(tables, store, path / f"seed-{seed}", progress=tell, **one, **options)
        )
    notes = list(dict.fromkeys(note for one in each for note in one.summary["notes"]))
    seconds = round(sum(one.summary["seconds"] for one in each), 3)
    summary = {**evaluate(path).as_dict(), "notes": notes, "seconds": seconds}
    return CrossValidated(path, summary, sum(one.computed for one in each))


def _refuse_other_seeds(path: Path, wanted: Sequence[str]) -> None:
    """Refuse a folder with other seeds, or with a cross-validation that has none.

    Raises
    ------
    ConfigError
        Names what is there.
    """
    if path.exists() and not path.is_dir():
        raise ConfigError(f"{path} is a file; expected a folder for the runs of the seeds")
    there = seed_folders(path)
    if any(seed not in wanted for seed in there):
        raise ConfigError(
            f"{path} holds the seeds {', '.join(there)}, and this asks for {', '.join(wanted)}; "
            "choose another name, or ask for all of them with --seed and --seeds"
        )
    inside = sorted(item.name for item in path.iterdir()) if path.is_dir() else []
    odd = [name for name in inside if not (name.startswith("seed-") or is_workspace(name))]
    if odd:
        raise ConfigError(
            f"{path} holds other files ({', '.join(odd[:3])}); choose another folder for several "
            "seeds"
        )


def _of_several(progress: Progress, i: int, n: int, done: int, total: int, seconds: float) -> None:
    progress(i * total + done, n * total, seconds)


def _check_tuning(space: Mapping[str, Any], folds: Folds, tuner: Tuner | None) -> None:
    """Refuse what a recipe with a table [tune] cannot be run with."""
    if not space:
        return
    if tuner is None:
        raise ConfigError(
            f"the recipe leaves {', '.join(space)} to be tuned; pass tuner=tune_fold of "
            "mcls.tuning.nested, or a recipe that `mcls tune` wrote"
        )
    if folds.settings:
        raise ConfigError(
            f"--param {folds.settings[0]} could replace what is tuned; write it in the recipe"
        )


def _folds(store: Store, column: str) -> list[str | None]:
    """Return the names of the folds; None alone for a part column."""
    cells = split_cells(store, column)
    if not cells.folds and "test" not in cells.values:
        raise DataError(
            f"{store.path}: column {column!r} has no test part, so there is nothing to score"
        )
    return [*cells.folds] or [None]


def _run_fold(
    store: Store,
    work: Workspace,
    nodes: Sequence[RecipeNode],
    split: Split,
    choose: Callable[[Path, Split, Path], Recipe] | None,
    origins: Mapping[str, str] | None,
    progress: Progress | None,
    memory: str | None,
) -> None:
    """Run the recipe on a fold, or the one that is chosen inside its train and valid part."""
    beside = []
    if choose is not None:
        beside = [work.pieces / "tune"]
        *before, last = nodes_of(choose(store.path, split, beside[0]))
        nodes = [node.within(memory) for node in (*before, last.without(FIXED))]
    run_recipe(store, work, nodes, split, origins=origins, progress=progress, beside=beside)


def _refuse_findings(store: Store, column: str) -> None:
    """Refuse folds or parts with findings of an audit across them, before any work."""
    part_of = dict(zip(store.track_ids, split_cells(store, column).values, strict=True))
    refuse_across(store.path, across_parts(store.path, part_of), part_of)


@contextmanager
def _claimed(work: Workspace, options: Mapping[str, Any], *, overwrite: bool) -> Iterator[None]:
    """Claim the folder; if the work is refused before anything is in it, remove it again."""
    _claim(work, options, overwrite=overwrite)
    try:
        yield
    except MclsError:
        if [item.name for item in work.out.iterdir()] == ["cv.json"]:
            work.remove_output()
        raise


def _claim(work: Workspace, options: Mapping[str, Any], *, overwrite: bool) -> None:
    """Make the folder, or check that the one that is there belongs to the same command."""
    path, key = work.out, work.key
    mark = path / "cv.json"
    if path.exists():
        if not path.is_dir():
            raise ConfigError(f"{path} is a file; expected a folder for the runs of the folds")
        inside = sorted(item.name for item in path.iterdir() if not is_workspace(item.name))
        if inside and not mark.is_file():
            raise ConfigError(
                f"{path} holds other files ({', '.join(inside[:3])}); choose another folder"
            )
        if inside:
            there = _read(mark)
            if there.get("key") == key:
                return
            if not overwrite:
                raise ConfigError(
                    f"{path} holds a cross-validation with {_difference(there, options)}; choose "
                    "another name, or pass --overwrite to replace it"
                )
            work.remove_output()
    path.mkdir(parents=True, exist_ok=True)
    with written_whole(mark) as temporary:
        write_json(temporary, {"key": key, "options": dict(options)})


def _difference(there: Mapping[str, Any], here: Mapping[str, Any]) -> str:
    """Say in which options a cross-validation that is there differs from this one."""
    old = there.get("options", {})
    differ = [name for name in here if canonical(old.get(name)) != canonical(here[name])]
    words = ["recipe" if name == "jobs" else name for name in differ]
    return f"another {', another '.join(words)}" if words else "other tracks, features or labels"


def _shifted(progress: Progress | None, fold: int, n_folds: int, n_tracks: int) -> Progress | None:
    if progress is None:
        return None
    return lambda done, total, seconds: progress(
        fold * n_tracks + done, n_folds * n_tracks, seconds
    )


def _read(path: Path) -> dict[str, Any]:
    try:
        return read_json(path)
    except FormatError as error:
        raise FormatError(f"{error}; remove the folder") from error


def _pool(path: Path, runs: Sequence[Path], folds: Sequence[str], seconds: float) -> dict[str, Any]:
    """Pool the predictions of all folds and compute their metrics; metrics.json is written last."""
    opened = [open_run(run) for run in runs]
    multi_label = opened[0].multi_label
    tested = [read_predictions(run.path / "predictions.csv").only("test") for run in opened]
    pooled = join_predictions([replace(one, multi_label=multi_label) for one in tested])
    for name in ("metrics.json", SUMS):  # until both are there, the folder is not complete
        (path / name).unlink(missing_ok=True)
    write_predictions(path / "predictions.csv", pooled)
    tables = [run.path / EVENTS_FILE for run in opened]
    if all(table.is_file() for table in tables):
        events = [one for table in tables for one in read_event_table(table) if one.part == "test"]
        write_event_table(path / EVENTS_FILE, events)
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
    said = {fold: run / "tune" / "about.json" for fold, run in zip(folds, runs, strict=True)}
    if all(file.is_file() for file in said.values()):
        summary["tuned"] = {fold: read_json(file)["best"] for fold, file in said.items()}
    with written_whole(path / "metrics.json") as temporary:
        write_json(temporary, summary)
        write_sums(path, {"metrics.json": temporary.read_bytes()})
    return summary
