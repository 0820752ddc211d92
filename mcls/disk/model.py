"""The classifier of a run as a skops file, restricted to a list of types.

A pickle can run any code when it is read. skops writes a schema that names the type of every
object. Only the types listed here are created, so a file from a stranger can be wrong but cannot
run code.
"""

import io
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from mcls.errors import FormatError
from mcls.registry import entries

#: The types that a model file may name besides the classifiers of mcls.
_PIECES = {
    *("builtins.dict", "builtins.list", "builtins.str", "builtins.tuple"),
    *("numpy.ndarray", "numpy.bool", "numpy.float64", "numpy.int64"),
    "sklearn.ensemble._forest.RandomForestClassifier",
    "sklearn.linear_model._logistic.LogisticRegression",
    "sklearn.linear_model._ridge.Ridge",
    "sklearn.mixture._gaussian_mixture.GaussianMixture",
    "sklearn.neighbors._classification.KNeighborsClassifier",
    "sklearn.preprocessing._data.StandardScaler",
    "sklearn.svm._classes.SVR",
    "sklearn.tree._classes.DecisionTreeClassifier",
    "sklearn.tree._tree.Tree",
}


def write_model(path: Path, model: Any) -> None:
    """Write a classifier with skops."""
    from skops.io import dump

    dump(model, path)


def read_model(path: Path) -> Any:
    """Read a classifier; only types that the classifiers of mcls consist of are created.

    Raises
    ------
    FormatError
        If the file is corrupt, or names any other type.
    """
    try:
        return model_of(path.read_bytes(), path)
    except OSError as error:
        raise FormatError(f"{path}: cannot be read ({error.strerror})") from error


def model_of(content: bytes, where: Path | str) -> Any:
    """Return the classifier in the bytes of a file; see `read_model`.

    Parameters
    ----------
    content : bytes
        The content of a file that `write_model` wrote.
    where : path or str
        The origin of the content, for messages.
    """
    from skops.io import loads

    own = {f"{entry.module}.{entry.attribute}" for entry in entries("classifiers").values()}
    trusted = own | _PIECES
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            sizes = _sizes(archive, len(content), where)
            schema = json.loads(archive.read("schema.json"))
        named = set(_named_types(schema))
        if named - trusted:
            foreign = ", ".join(sorted(named - trusted))
            raise FormatError(
                f"{where}: refused, as it names types that mcls does not use: {foreign}"
            )
        if sum(sizes[name] for name in _named_files(schema)) > len(content):
            raise FormatError(f"{where}: refused, as its arrays are larger than the file")
        model = loads(content, trusted=sorted(trusted))
    except FormatError:
        raise
    except Exception as error:  # skops and numpy raise many kinds of exceptions for corrupt files
        raise FormatError(f"{where}: corrupt ({type(error).__name__}: {error})") from error
    if f"{type(model).__module__}.{type(model).__qualname__}" not in own:
        raise FormatError(f"{where}: contains a {type(model).__name__}, not a classifier of mcls")
    _check_trees(model, where, model.n_features_in_)
    for name, array in _arrays(model):  # infinite numbers may be logarithms of 0
        if array.dtype.kind == "f" and np.isnan(array).any():
            raise FormatError(f"{where}: {name} has numbers that are NaN")
    return model


def _sizes(archive: zipfile.ZipFile, n_bytes: int, where: Path | str) -> dict[str, int]:
    """Return the sizes of the members; refuse compressed ones, and more than the file can hold."""
    members = archive.infolist()
    if any(member.compress_type != zipfile.ZIP_STORED for member in members):
        raise FormatError(f"{where}: refused, as its members are compressed, which mcls never does")
    if sum(member.file_size for member in members) > n_bytes:
        raise FormatError(f"{where}: refused, as its members are larger than the file")
    return {member.filename: member.file_size for member in members}


def _named_files(node: Any) -> Iterator[str]:
    """Yield the member of every array of a schema."""
    if isinstance(node, dict):
        if isinstance(node.get("file"), str):
            yield node["file"]
        for value in node.values():
            yield from _named_files(value)
    elif isinstance(node, list):
        for value in node:
            yield from _named_files(value)


def _named_types(node: Any) -> Iterator[str]:
    """Yield the full name of every type and function that a skops file names."""
    if isinstance(node, dict):
        if "__class__" in node or "__module__" in node:
            yield f"{node.get('__module__')}.{node.get('__class__')}"
        if "module_path" in node or "function" in node:
            yield f"{node.get('module_path')}.{node.get('function')}"
        for value in node.values():
            yield from _named_types(value)
    elif isinstance(node, list):
        for value in node:
            yield from _named_types(value)


def _arrays(thing: Any, name: str = "model") -> Iterator[tuple[str, np.ndarray]]:
    """Yield the arrays of a classifier and of what it consists of, by the path to each."""
    if isinstance(thing, np.ndarray):
        yield name, thing
    elif isinstance(thing, list | tuple | dict):
        items = thing.items() if isinstance(thing, dict) else enumerate(thing)
        for key, item in items:
            yield from _arrays(item, f"{name}[{key!r}]")
    elif hasattr(thing, "get_params"):
        for key, item in vars(thing).items():
            yield from _arrays(item, f"{name}.{key}")


def _check_trees(thing: Any, where: Path | str, n_dims: int) -> None:
    """Refuse decision trees with invalid node indices, which scikit-learn does not check."""
    if isinstance(thing, list | tuple):
        for item in thing:
            _check_trees(item, where, n_dims)
    elif isinstance(thing, dict):
        for item in thing.values():
            _check_trees(item, where, n_dims)
    elif type(thing).__name__ == "Tree":
        here = np.arange(thing.node_count)
        left, right, feature = thing.children_left, thing.children_right, thing.feature
        leaf = left == -1
        inside = [(child > here) & (child < len(here)) for child in (left, right)]
        inside.append((feature >= 0) & (feature < n_dims))
        if len(here) == 0 or not np.all(leaf | np.logical_and.reduce(inside)):
            raise FormatError(f"{where}: corrupt (a decision tree points outside itself)")
    elif hasattr(thing, "get_params"):
        _check_trees(vars(thing), where, n_dims)
