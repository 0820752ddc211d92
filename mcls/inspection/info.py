"""Describe a store, dictionary, run, cross-validation, predictions, manifest or audio file."""

import csv
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from mcls.audio.files import probe
from mcls.disk.chain import Chain, spell_chain
from mcls.disk.dictionary import read_dictionary
from mcls.disk.hdf5 import kind_of
from mcls.disk.run import open_run, refuse_seeds, run_files
from mcls.disk.sums import check_sums
from mcls.disk.text_files import read_json
from mcls.errors import DataError, FormatError, MclsError
from mcls.options import takes_options
from mcls.remote.places import is_file, spelled
from mcls.stores.store import KIND, MEASURED, Store, is_store
from mcls.tables.events import hold_events, labels_in
from mcls.tables.labels import split_labels
from mcls.tables.manifest import Manifest, open_source
from mcls.tables.options import Reading
from mcls.tables.predictions import Predictions, read_predictions

_TABLES = (".csv", ".tsv")

#: The order of the parts; any other part comes after them.
_PARTS = ("train", "valid", "test")


@takes_options
def info(path: Path | str, *, reading: Reading, split: str = "split") -> dict[str, Any]:
    """Describe a path.

    Parameters
    ----------
    path : path
        Any file or folder that mcls reads or writes.
    reading : Reading
        As keywords: ``labels``, the column of labels to count, and how a manifest is read.
    split : str
        Column of parts to count, if it exists.

    Returns
    -------
    dict
        As JSON can hold it. ``kind`` is ``store``, ``dictionary``, ``run``, ``cross-validation``,
        ``predictions``, ``manifest`` or ``audio``; the other keys depend on it.

    Raises
    ------
    DataError
        If there is nothing at the path, or its kind is unknown.
    FormatError
        If it is corrupt.
    """
    path, labels = Path(path), reading.labels
    if not path.exists():
        raise DataError(f"there is nothing at {path}")
    if is_store(path):
        return _hdf5(path, labels, split)
    if path.is_dir():
        return _folder(path, reading, split)
    if not path.is_file():
        raise DataError(f"{path} is neither a file nor a folder")
    if path.suffix.lower() in _TABLES:
        if _is_predictions(path):
            return {
                "kind": "predictions",
                "path": str(path),
                **_predictions(read_predictions(path)),
            }
        return _manifest(open_source(path, reading=reading), path, labels, split)
    return _audio(path)


def _folder(path: Path, reading: Reading, split: str) -> dict[str, Any]:
    refuse_seeds(path)
    if any((path / name).is_file() for name in ("run.toml", "model.skops", "model.safetensors")):
        return _run(path)
    if (path / "predictions.csv").is_file():
        check_sums(path)
        return {
            "kind": "cross-validation",
            "path": str(path),
            "runs": sorted(run.name for run in path.glob("fold-*") if run.is_dir()),
            "metrics": _headlines(path),
            **_predictions(read_predictions(path / "predictions.csv")),
        }
    return _manifest(open_source(path, reading=reading), path, reading.labels, split)


def _hdf5(path: Path, labels: str, split: str) -> dict[str, Any]:
    kind = None if path.is_dir() else kind_of(path)
    if path.is_dir() or kind == KIND:
        return _store(Store(path), labels, split)
    if kind == "dictionary":
        found = read_dictionary(path)
        return {
            "kind": "dictionary",
            "path": str(path),
            "bytes": path.stat().st_size,
            "steps": spell_chain(found.chain),
            "chain": describe_chain(found.chain),
            "report": found.report,
        }
    raise FormatError(f"{path} is HDF5 of kind {kind!r}; expected a store or a dictionary")


def _store(store: Store, labels: str, split: str) -> dict[str, Any]:
    columns = {name: list(map(str, values)) for name, values in store.tracks.items()}
    return {
        "kind": "store",
        "path": str(store.path),
        "bytes": store.n_bytes,
        "n_tracks": store.n_tracks,
        "seconds_of_audio": sum(map(float, store.tracks.get("seconds", []))),
        "features": {
            name: {
                "n_rows": len(rows),
                "n_dims": rows.n_dims,
                "dtype": str(rows.dtype),
                "frame_rate": rows.frame_rate,
                "digest": rows.digest,
                "steps": spell_chain(rows.chain),
                "chain": describe_chain(rows.chain),
            }
            for name, rows in store.features.items()
        },
        "split_note": str(store.split_note or "") or None,
        "notes": store.notes,
        "failed": store.failed,
        **_columns(columns, labels, split),
    }


def _run(path: Path) -> dict[str, Any]:
    run = open_run(path)
    chain = run.chain()
    made = datetime.fromtimestamp((path / "about.json").stat().st_mtime)
    return {
        "kind": "run",
        "path": str(path),
        "bytes": sum((path / name).stat().st_size for name in run_files(path)),
        "settings": run.settings,
        "labels": run.labels,
        "multi_label": run.multi_label,
        "steps": spell_chain(chain),
        "chain": describe_chain(chain),
        "made": made.isoformat(sep=" ", timespec="minutes"),
        "metrics": _headlines(path),
        "about": run.about,
        "predictions": _predictions(read_predictions(path / "predictions.csv")),
    }


def _headlines(path: Path) -> dict[str, dict[str, Any]]:
    """Return the value to quote of each metric in metrics.json, by part.

    Raises
    ------
    FormatError
        If the file is corrupt.
    """
    file = path / "metrics.json"
    if not file.is_file():
        return {}
    try:
        content = read_json(file)
        # A run has an evaluation per part, a cross-validation a single one.
        evaluations = {content["part"]: content} if "metrics" in content else content
        return {
            part: {
                name: {
                    key: None if one[one["headline"]] is None else one[one["headline"]][key]
                    for key in ("value", "low", "high")
                }
                for name, one in evaluation["metrics"].items()
            }
            for part, evaluation in evaluations.items()
        }
    except (FormatError, KeyError, TypeError, AttributeError) as error:
        raise FormatError(f"{file} is corrupt ({type(error).__name__}: {error})") from error


def _predictions(predictions: Predictions) -> dict[str, Any]:
    regression = predictions.regression
    counts = (
        np.full(len(predictions.names), len(predictions))
        if regression
        else predictions.truth.sum(axis=0)
    )
    return {
        "n_tracks": len(predictions),
        "multi_label": predictions.multi_label,
        "parts": _count_parts(predictions.parts),
        "folds": dict(Counter(fold for fold in predictions.folds if fold)),
        "labels": dict(zip(predictions.names, counts.tolist(), strict=True)),
    }


def _manifest(manifest: Manifest, path: Path, labels: str, split: str) -> dict[str, Any]:
    missing = [spelled(audio) for audio in manifest.paths() if not is_file(audio)]
    columns = dict(manifest.columns)
    if labels in columns:
        columns[labels] = manifest.label_cells(labels)
    return {
        "kind": "manifest",
        "path": str(path),
        "n_tracks": len(manifest),
        "missing": missing,
        "notes": manifest.notes,
        **_columns(columns, labels, split),
    }


def _audio(path: Path) -> dict[str, Any]:
    try:
        header = probe(path)
    except MclsError as error:
        raise DataError(f"{path} is neither audio nor a file that mcls makes ({error})") from error
    return {
        "kind": "audio",
        "path": str(path),
        "bytes": path.stat().st_size,
        "sample_rate": header.sr,
        "seconds": header.seconds,
        "channels": header.n_channels,
    }


def describe_chain(chain: Chain) -> list[dict[str, Any]]:
    """Return the steps of a chain, with the shapes of their arrays in place of the arrays."""
    return [
        {
            "kind": step.kind,
            "name": step.name,
            "settings": step.settings,
            "inputs": list(step.inputs),
            "arrays": {name: list(array.shape) for name, array in step.arrays.items()},
            "learnt_from": len(step.learnt_from),
        }
        for step in chain
    ]


def _columns(columns: dict[str, list[str]], labels: str, split: str) -> dict[str, Any]:
    """Count the distinct values of each column, and the labels per part."""
    counted = {name: len(set(values)) for name, values in columns.items() if name not in MEASURED}
    found: dict[str, Any] = {"columns": counted, "parts": None, "labels": None}
    parts = columns.get(split)
    if parts is not None:
        found["parts"] = _count_parts(parts)
    if labels in columns:
        cells = columns[labels]
        found["labels"] = _count_labels(labels_in(cells) if hold_events(cells) else cells, parts)
    return found


def _count_parts(parts: Sequence[str]) -> dict[str, int]:
    counts = Counter(parts)
    first = {part: counts.pop(part) for part in _PARTS if part in counts}
    return first | dict(sorted(counts.items()))


def _count_labels(cells: Sequence[str], parts: Sequence[str] | None) -> dict[str, dict[str, int]]:
    counts: dict[str, Counter[str]] = {}
    for cell, part in zip(cells, parts or ["all"] * len(cells), strict=True):
        for label in split_labels(cell):
            counts.setdefault(label, Counter())[part] += 1
    return {label: dict(counts[label]) for label in sorted(counts)}


def _is_predictions(path: Path) -> bool:
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
        header = file.readline(65536)
    return any(cell.strip().startswith("score:") for cell in next(csv.reader([header]), []))
