"""Digests of what small recipes make: run before and after a change that should change nothing.

    python benchmarks/digests.py AUDIO_FOLDER > before.txt    # a folder of class folders
    ... change the code ...
    python benchmarks/digests.py AUDIO_FOLDER > after.txt; diff before.txt after.txt

Every recipe is made small (few atoms, units, rows and epochs), its features are extracted from the
same tracks, and it is cross-validated over two folds with one thread. One line per thing made: the
rows and chain of the store, every dictionary and model, and the bytes of predictions.csv for the
valid and the test part. Attributes that say when and by which version a file was made, or that it
has checksums, are left out.
"""

import argparse
import csv
import hashlib
import os
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

import h5py
import numpy as np

PIPELINES = Path(__file__).parents[1] / "pipelines"
RECIPES = (
    "mfcc-triangle-svm",
    "mfcc-stats-svm",
    "nam-kmeans",
    "nam-sparse",
    "nam-rbm",
    "cqt-nmf",
    "henaff-psd-cqt",
    "mel-autoencoder",
    "hamel-eck-svm",
    "mlp-dbn",
    "cnn1d",
    "fcn4",
    "three-views",
)
SMALL = {"size": 16, "rows": 1000, "epochs": 2, "frames": 16}
SMALL_PARAMS = {"n_epochs": "2", "width": "0.05", "max_iter": "3"}
LEFT_OUT = {"created", "version", "mcls", "mcls_version", "mtime", "checksums"}


def small_table(table):
    """Return a recipe's table with fewer atoms, rows, units and epochs."""
    found = {key: SMALL.get(key, value) for key, value in table.items()}
    params = []
    for param in table.get("param", []):
        key, _, value = param.partition("=")
        if key == "layers":
            value = "x".join("12" for _ in value.split("x"))
        elif key == "learning_rate" or key not in SMALL_PARAMS:
            pass
        else:
            value = SMALL_PARAMS[key]
        params.append(f"{key}={value}")
    if params:
        found["param"] = params
    if found.get("method") == "sparse-rbm":
        found["param"] = [*found.get("param", []), "n_epochs=2"]
    return found


def toml_of(recipe):
    """Write tables of text, numbers, booleans and lists as TOML."""
    lines = []
    for command, value in recipe.items():
        if command == "about":  # what it says changes no number
            continue
        several = isinstance(value, list)
        for table in value if several else [value]:
            lines.append(f"[[{command}]]" if several else f"[{command}]")
            small = small_table(table) if command in ("learn-dict", "train") else table
            lines += [f"{key} = {_toml(item)}" for key, item in small.items()]
    return "\n".join(lines) + "\n"


def _toml(value):
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml, value)) + "]"
    return str(value) if isinstance(value, int | float) else '"' + value + '"'


def manifest_of(audio, path, n_classes=4, n_tracks=8):
    """Write a manifest of the first tracks of the first class folders, in two folds."""
    suffixes = {".wav", ".ogg", ".flac", ".mp3"}
    rows = []
    for folder in sorted(p for p in audio.iterdir() if p.is_dir())[:n_classes]:
        files = sorted(p for p in folder.iterdir() if p.suffix in suffixes)[:n_tracks]
        rows += [
            (f"{folder.name}/{f.stem}", f.resolve(), folder.name, i % 2)
            for i, f in enumerate(files)
        ]
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("track_id", "path", "labels", "fold"))
        writer.writerows(rows)


def digest_of_hdf5(path):
    """Return a digest of all datasets and attributes but those of time and version."""
    sha = hashlib.sha256()

    def visit(name, item):
        for key in sorted(set(item.attrs) - LEFT_OUT):
            sha.update(f"{name}@{key}={np.asarray(item.attrs[key]).tolist()}".encode())
        if isinstance(item, h5py.Dataset):
            value = item[()]
            data = repr(value.tolist()).encode() if value.dtype == object else value.tobytes()
            sha.update(f"{name}{value.shape}".encode() + data)

    with h5py.File(path) as file:
        names = []
        file.visit(names.append)
        for name in sorted(names):
            visit(name, file[name])
    return sha.hexdigest()[:16]


def digest_of_rows(path):
    """Return a digest of a store's rows and offsets alone."""
    sha = hashlib.sha256()
    with h5py.File(path) as file:
        for name in sorted(file["features"]):
            for part in ("rows", "offsets"):
                sha.update(file["features"][name][part][()].tobytes())
    return sha.hexdigest()[:16]


def digest_of(path):
    """Return a digest of a file; of predictions.csv, of the lines of the valid and test part."""
    content = path.read_bytes()
    if path.name == "predictions.csv":
        content = b"".join(line for line in content.splitlines(True) if b",train," not in line)
    return hashlib.sha256(content).hexdigest()[:16]


def main():
    """Make every recipe small and print a line per thing made."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("audio", type=Path, help="a folder of class folders")
    parser.add_argument("--recipe", action="append", choices=RECIPES, help="only these")
    parser.add_argument("--work", type=Path, help="keep what is made in this folder")
    given = parser.parse_args()
    work = given.work or Path(tempfile.mkdtemp())
    work.mkdir(parents=True, exist_ok=True)
    manifest = work / "manifest.csv"
    manifest_of(given.audio, manifest)
    mcls = Path(sys.executable).with_name("mcls")
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    for name in given.recipe or RECIPES:
        recipe = tomllib.loads((PIPELINES / f"{name}.toml").read_text(encoding="utf-8"))
        small = work / f"{name}.toml"
        small.write_text(toml_of(recipe), encoding="utf-8")
        store, run = work / f"{name}.h5", work / name
        for words in (
            ["-c", small, "extract", manifest, store, "--split", "fold"],
            ["cv", small, store, run, "--split", "fold"],
        ):
            subprocess.run([mcls, *words], check=True, env=environment, stdout=sys.stderr)
        print(f"{name} rows {digest_of_rows(store)}")
        print(f"{name} store {digest_of_hdf5(store)}")
        for path in sorted(run.rglob("*")):
            said = f"{name} {path.relative_to(run)}"
            if path.suffix == ".h5":
                print(said, digest_of_hdf5(path))
            elif path.name in ("predictions.csv", "model.safetensors"):
                print(said, digest_of(path))
        sys.stdout.flush()


if __name__ == "__main__":
    main()
