"""Verify files: compare all of a store, dictionary, run or cross-validation with its checksums."""

from pathlib import Path
from typing import Any

from mcls.disk.checksums import BLOCK, read_checksums
from mcls.disk.dictionary import read_dictionary
from mcls.disk.hdf5 import kind_of
from mcls.disk.run import open_run
from mcls.disk.sums import SUMS, check_sums
from mcls.errors import ConfigError, DataError
from mcls.stores.shard_index import is_shard_folder
from mcls.stores.store import Store


def verify(path: Path | str) -> dict[str, Any]:
    """Compare everything in a file or folder with the checksums it was written with.

    Parameters
    ----------
    path : path
        A store, a dictionary, a run or a cross-validation with its runs.

    Returns
    -------
    dict
        ``kind`` and ``path``; ``verified`` and ``unverified``, lists of texts: what is as it was
        written, and what has no checksums because an older version of mcls wrote it.

    Raises
    ------
    ConfigError
        If files of this kind have no checksums.
    DataError
        If there is nothing at the path.
    FormatError
        If anything differs; the message names the file, and the feature and track of rows.
    """
    path = Path(path)
    if not path.exists():
        raise DataError(f"there is nothing at {path}")
    if is_shard_folder(path):
        said = _shards(path)
    else:
        said = _hdf5(path) if path.is_file() else _folder(path)
    return {"kind": said.pop("kind"), "path": str(path), **said}


def _hdf5(path: Path) -> dict[str, Any]:
    kind = kind_of(path)
    if kind == "features":
        for rows in Store(path).features.values():
            rows.verify()
    elif kind == "dictionary":
        read_dictionary(path)
    else:
        raise ConfigError(
            f"{path}: only stores, dictionaries, runs and cross-validations have checksums"
        )
    found = read_checksums(path)
    name = "store" if kind == "features" else kind
    if found is None:
        return {"kind": name, "verified": [], "unverified": [str(path)]}
    n_blocks = len(found.expected)
    size = f"{n_blocks} block{'s' * (n_blocks > 1)} of {BLOCK >> 10} KiB"
    return {"kind": name, "verified": [f"{path} ({size})"], "unverified": []}


def _shards(path: Path) -> dict[str, Any]:
    index = Store(path).index
    assert index is not None
    for shard in index.shards:
        for rows in Store(shard.path).features.values():
            rows.verify()
        shard.verify()
    n_shards = len(index.shards)
    verified = f"{path} ({n_shards} shard{'s' * (n_shards > 1)})"
    return {"kind": "store", "verified": [verified], "unverified": []}


def _folder(path: Path) -> dict[str, Any]:
    runs = sorted(file.parent for file in path.glob("fold-*/run.toml"))
    is_run = (path / "run.toml").is_file()
    if not is_run and not runs:
        raise ConfigError(
            f"{path}: expected a store, a dictionary, a run or a cross-validation to verify"
        )
    verified, unverified = [], []
    for folder in [path, *runs]:
        n_files = check_sums(folder)
        if n_files:
            verified.append(f"{folder} ({n_files} files in {SUMS})")
        else:
            unverified.append(str(folder))
        if (folder / "run.toml").is_file():
            open_run(folder).chain()
    kind = "run" if is_run else "cross-validation"
    return {"kind": kind, "verified": verified, "unverified": unverified}
