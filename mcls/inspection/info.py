"""What a path is: store, dictionary, run, predictions, manifest or audio, in plain words."""

import csv
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import h5py

from mcls.disk.audio import probe
from mcls.disk.chain import Chain
from mcls.disk.dictionary import read_dictionary
from mcls.disk.labels import split_labels
from mcls.disk.manifest import Manifest, open_source
from mcls.disk.predictions import Predictions, read_predictions
from mcls.disk.run import open_run, run_files
from mcls.disk.store import MEASURED, Store
from mcls.errors import DataError, FormatError, MclsError

_TABLES = (".csv", ".tsv")

#: Parts in this order, anything else after them.
_PARTS = ("train", "valid", "test")


def info(path: Path | str, *, labels: str = "labels", split: str = "split") -> dict[str, Any]:
    """Describe a path.

    Parameters
    ----------
    path : path
        Anything mcls reads or writes.
    labels, split : str
        Columns to count, where there are any.

    Returns
    -------
    dict
        JSON-like. ``kind`` says which: ``store``, ``dictionary``, ``run``, ``cross-validation``,
        ``predictions``, ``manifest`` or ``audio``; the rest depends on it.

    Raises
    ------
    DataError
        If there is nothing at the path, or it cannot be told what it is.
    FormatError
        If it is damaged.
    """
    path = Path(path)
    if not path.exists():
        raise DataError(f"there is nothing at {path}")
    if path.is_dir():
        return _folder(path, labels, split)
    if not path.is_file():
        raise DataError(f"{path} is neither a file nor a folder")
    if h5py.is_hdf5(path):
        return _hdf5(path, labels, split)
    if path.suffix.lower() in _TABLES:
        if _is_predictions(path):
            return {
                "kind": "predictions",
                "path": str(path),
                **_predictions(read_predictions(path)),
            }
        return _manifest(open_source(path), path, labels, split)
    return _audio(path)


def _folder(path: Path, labels: str, split: str) -> dict[str, Any]:
    if any((path / name).is_file() for name in ("run.toml", "model.skops", "model.safetensors")):
        return _run(path)
    if (path / "predictions.csv").is_file():
        return {
            "kind": "cross-validation",
            "path": str(path),
            "runs": sorted(run.name for run in path.glob("fold-*") if run.is_dir()),
            **_predictions(read_predictions(path / "predictions.csv")),
        }
    return _manifest(open_source(path), path, labels, split)


def _hdf5(path: Path, labels: str, split: str) -> dict[str, Any]:
    with h5py.File(path, "r") as file:
        kind = file.attrs.get("kind")
    if kind == "features":
        return _store(Store(path), labels, split)
    if kind == "dictionary":
        found = read_dictionary(path)
        return {
            "kind": "dictionary",
            "path": str(path),
            "bytes": path.stat().st_size,
            "chain": describe_chain(found.chain),
            "report": found.report,
        }
    raise FormatError(f"{path} is HDF5 of kind {kind!r}; expected a store or a dictionary")


def _store(store: Store, labels: str, split: str) -> dict[str, Any]:
    columns = {name: list(map(str, values)) for name, values in store.tracks.items()}
    return {
        "kind": "store",
        "path": str(store.path),
        "bytes": store.path.stat().st_size,
        "n_tracks": store.n_tracks,
        "seconds_of_audio": sum(map(float, store.tracks.get("seconds", []))),
        "features": {
            name: {
                "n_rows": len(rows),
                "n_dims": rows.n_dims,
                "dtype": str(rows.dtype),
                "frame_rate": rows.frame_rate,
                "digest": rows.digest,
                "chain": describe_chain(rows.chain),
            }
            for name, rows in store.features.items()
        },
        "split_note": str(store.split_note or "") or None,
        "failed": store.failed,
        **_columns(columns, labels, split),
    }


def _run(path: Path) -> dict[str, Any]:
    run = open_run(path)
    return {
        "kind": "run",
        "path": str(path),
        "bytes": sum((path / name).stat().st_size for name in run_files(path)),
        "settings": run.settings,
        "labels": run.labels,
        "multi_label": run.multi_label,
        "chain": describe_chain(run.chain()),
        "about": run.about,
        "predictions": _predictions(read_predictions(path / "predictions.csv")),
    }


def _predictions(predictions: Predictions) -> dict[str, Any]:
    return {
        "n_tracks": len(predictions),
        "multi_label": predictions.multi_label,
        "parts": _count_parts(predictions.parts),
        "folds": dict(Counter(fold for fold in predictions.folds if fold)),
        "labels": dict(zip(predictions.names, predictions.truth.sum(axis=0).tolist(), strict=True)),
    }


def _manifest(manifest: Manifest, path: Path, labels: str, split: str) -> dict[str, Any]:
    missing = [str(audio) for audio in manifest.paths() if not audio.is_file()]
    return {
        "kind": "manifest",
        "path": str(path),
        "n_tracks": len(manifest),
        "missing": missing,
        "notes": manifest.notes,
        **_columns(manifest.columns, labels, split),
    }


def _audio(path: Path) -> dict[str, Any]:
    try:
        header = probe(path)
    except MclsError as error:
        raise DataError(f"{path}: not audio, nor anything else mcls knows ({error})") from error
    return {
        "kind": "audio",
        "path": str(path),
        "bytes": path.stat().st_size,
        "sample_rate": header.sr,
        "seconds": header.seconds,
        "channels": header.n_channels,
    }


def describe_chain(chain: Chain) -> list[dict[str, Any]]:
    """Return the steps of a chain without their arrays: shapes, and how many tracks they saw."""
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
    """Count what is in the columns: distinct values, and labels per part."""
    counted = {name: len(set(values)) for name, values in columns.items() if name not in MEASURED}
    found: dict[str, Any] = {"columns": counted, "parts": None, "labels": None}
    parts = columns.get(split)
    if parts is not None:
        found["parts"] = _count_parts(parts)
    if labels in columns:
        found["labels"] = _count_labels(columns[labels], parts)
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
