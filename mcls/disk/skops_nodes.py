"""Objects in a skops file, for the kinds of values that classifiers consist of.

A skops file is a zip archive: ``schema.json`` describes a value as a tree of nodes, and its arrays
are members in numpy's format. The package skops reads what is written here, and its files are read
here. It is not imported, because it imports all of scikit-learn and what that finds (seconds), and
because a reader that knows eight kinds of nodes and calls only the types it is given is short
enough to be checked by eye. Equal objects make equal bytes.
"""

import io
import json
import zipfile
from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from typing import Any

import numpy as np

#: Version of the skops format, https://skops.readthedocs.io/en/stable/persistence.html.
PROTOCOL = 2

_SCHEMA = "schema.json"


def write_nodes(file: Any, thing: Any) -> None:
    """Write an object.

    Parameters
    ----------
    file : path or binary file
        Where to write it.
    thing : object
        An estimator of scikit-learn's kind, or what it consists of: numbers, text, numeric arrays,
        decision trees, and lists, tuples and dictionaries with text as keys.

    Raises
    ------
    TypeError
        If it consists of anything else.
    """
    with zipfile.ZipFile(file, "w") as archive:
        schema = {**_node(thing, archive), "protocol": PROTOCOL}
        archive.writestr(zipfile.ZipInfo(_SCHEMA), json.dumps(schema, indent=2))


def read_schema(archive: zipfile.ZipFile) -> dict[str, Any]:
    """Return the node of the object in a skops file."""
    schema: dict[str, Any] = json.loads(archive.read(_SCHEMA))
    return schema


def read_nodes(schema: Mapping[str, Any], archive: zipfile.ZipFile, types: frozenset[str]) -> Any:
    """Return the object in a skops file.

    Parameters
    ----------
    schema : dict
        Its node, from `read_schema`.
    archive : zipfile.ZipFile
        The skops file, for its arrays.
    types : frozenset of str
        Full names of the types that may be made; `named_types` lists those of a node.

    Raises
    ------
    ValueError
        If a node is of another kind or type, or of a later version of the format.
    """
    if schema["protocol"] not in range(PROTOCOL + 1):
        raise ValueError(f"the skops protocol is {schema['protocol']}, not up to {PROTOCOL}")
    return _build(schema, archive, types)


def named_types(node: Any) -> Iterator[str]:
    """Yield the full name of every type and function that a node names."""
    if isinstance(node, dict):
        if "__class__" in node or "__module__" in node:
            yield f"{node.get('__module__')}.{node.get('__class__')}"
        if "module_path" in node or "function" in node:
            yield f"{node.get('module_path')}.{node.get('function')}"
        for value in node.values():
            yield from named_types(value)
    elif isinstance(node, list):
        for value in node:
            yield from named_types(value)


def named_files(node: Any) -> Iterator[str]:
    """Yield the member of every array of a node."""
    if isinstance(node, dict):
        if isinstance(node.get("file"), str):
            yield node["file"]
        for value in node.values():
            yield from named_files(value)
    elif isinstance(node, list):
        for value in node:
            yield from named_files(value)


def _node(thing: Any, archive: zipfile.ZipFile) -> dict[str, Any]:
    """Describe an object, and add its arrays to the archive."""
    if thing is None or type(thing) in (bool, int, float, str):
        return {**_named(str, "JsonNode"), "content": json.dumps(thing), "is_json": True}
    kind = type(thing)
    if isinstance(thing, np.ndarray | np.generic) and thing.dtype != object:
        name = f"{len(archive.namelist())}.npy"
        member = io.BytesIO()
        np.save(member, _without_gaps(thing), allow_pickle=False)
        archive.writestr(zipfile.ZipInfo(name), member.getbuffer())
        return {**_named(kind, "NdArrayNode"), "type": "numpy", "file": name}
    if kind in (list, tuple):
        loader = "ListNode" if kind is list else "TupleNode"
        return {**_named(kind, loader), "content": [_node(item, archive) for item in thing]}
    if kind is dict and all(type(key) is str for key in thing):
        keys = {**_named(list, "ListNode"), "content": [_named(str, "TypeNode")] * len(thing)}
        content = {key: _node(item, archive) for key, item in thing.items()}
        return {**_named(kind, "DictNode"), "content": content, "key_types": keys}
    if kind.__name__ == "Tree":  # its state alone does not make one
        _, arguments, state = thing.__reduce__()
        made = {"__reduce__": {"args": _node(arguments, archive)}}
        return {**_named(kind, "TreeNode"), **made, "content": _node(state, archive)}
    if hasattr(thing, "get_params"):
        return {**_named(kind, "ObjectNode"), "content": _node(thing.__getstate__(), archive)}
    raise TypeError(f"a classifier contains a {kind.__module__}.{kind.__qualname__}")


def _without_gaps(array: Any) -> Any:
    """Return an array with zeros between the fields of its records, where memory is random."""
    if array.dtype.names is None:
        return array
    clean = np.zeros(array.shape, array.dtype)
    for name in array.dtype.names:
        clean[name] = array[name]
    return clean


def _named(kind: type, loader: str) -> dict[str, Any]:
    return {"__class__": kind.__name__, "__module__": kind.__module__, "__loader__": loader}


def _type(node: Mapping[str, Any], types: frozenset[str], base: Any) -> Any:
    """Import the type that a node names, if it is one of `types` and derived from `base`."""
    module, name = node["__module__"], node["__class__"]
    found = getattr(import_module(module), name) if f"{module}.{name}" in types else None
    if not (isinstance(found, type) and issubclass(found, base)):
        raise ValueError(f"{module}.{name} is not expected")
    return found


def _build(node: Mapping[str, Any], archive: zipfile.ZipFile, types: frozenset[str]) -> Any:
    builder = _BUILDERS.get(node["__loader__"])
    if builder is None:
        raise ValueError(f"{node['__loader__']} is no kind of node of a classifier")
    return builder(node, archive, types)


def _json(node: Mapping[str, Any], _: zipfile.ZipFile, types: frozenset[str]) -> Any:
    return json.loads(node["content"])


def _array(node: Mapping[str, Any], archive: zipfile.ZipFile, types: frozenset[str]) -> Any:
    found = np.load(io.BytesIO(archive.read(node["file"])), allow_pickle=False)
    kind = _type(node, types, (np.ndarray, np.generic))
    return found if kind is np.ndarray else kind(found)


def _items(node: Mapping[str, Any], archive: zipfile.ZipFile, types: frozenset[str]) -> list[Any]:
    return [_build(item, archive, types) for item in node["content"]]


def _tuple(node: Mapping[str, Any], archive: zipfile.ZipFile, types: frozenset[str]) -> Any:
    return tuple(_items(node, archive, types))


def _dict(node: Mapping[str, Any], archive: zipfile.ZipFile, types: frozenset[str]) -> Any:
    if any(key["__class__"] != "str" for key in node["key_types"]["content"]):
        raise ValueError("a dictionary has keys that are not text")
    return {key: _build(item, archive, types) for key, item in node["content"].items()}


def _object(node: Mapping[str, Any], archive: zipfile.ZipFile, types: frozenset[str]) -> Any:
    from sklearn.base import BaseEstimator

    kind = _type(node, types, BaseEstimator)
    made = kind.__new__(kind)
    made.__setstate__(_build(node["content"], archive, types))
    return made


def _tree(node: Mapping[str, Any], archive: zipfile.ZipFile, types: frozenset[str]) -> Any:
    from sklearn.tree._tree import Tree

    made = _type(node, types, Tree)(*_build(node["__reduce__"]["args"], archive, types))
    made.__setstate__(_build(node["content"], archive, types))
    return made


_BUILDERS: dict[str, Callable[[Mapping[str, Any], zipfile.ZipFile, frozenset[str]], Any]] = {
    "JsonNode": _json,
    "NdArrayNode": _array,
    "ListNode": _items,
    "TupleNode": _tuple,
    "DictNode": _dict,
    "ObjectNode": _object,
    "TreeNode": _tree,
}
