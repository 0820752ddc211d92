"""A check of torch.export archives, so that opening one from a stranger cannot run code.

``torch.export.load`` trusts an archive: it unpickles what an archive says is pickled, evaluates its
expressions of sizes in Python, and calls the functions it names. `check_archive` refuses archives
that hold more than tensors, operators of torch, and arithmetic.
"""

import io
import json
import re
import zipfile
from collections.abc import Iterator
from typing import Any

from mcls.errors import FormatError

#: What a graph may call.
_OPERATOR = re.compile(
    r"torch\.ops\.((aten|prims)\.\w+\.\w+|higher_order\.(scan|cond|map_impl|while_loop))"
    r"|_operator\.[a-z]\w*|math\.[a-z]\w*|torch\.sym_\w+"
)
#: The size of an input in an expression, such as L['x'].size()[1].
_SIZE = re.compile(r"L(\['\w+'\]|\[\d+\])+\.size\(\)\[\d+\]")
#: Words and other characters of arithmetic with sizes.
_WORD = re.compile(
    r"[su]?\d+|Symbol|Integer|Add|Mul|Pow|Max|Min|(Floor|Clean|Ceil|IntTrue)Div|(Ceil|Floor|Trunc)ToInt"
    r"|PowByNatural|(Python)?Mod|ModularIndexing|Where|Eq|Ne|Lt|Le|Gt|Ge|And|Or|Not|max|min|and|or|not"
    r"|True|False|positive|negative|nonnegative|integer"
)
_CHARACTERS = frozenset("'+-*/%()<>=!,&|~")


def check_archive(path: str) -> None:
    """Refuse an archive of ``torch.export.save`` that could run code when it is opened.

    Raises
    ------
    FormatError
        If it holds anything pickled, a library, a call of anything but an operator of torch, or an
        expression that is not arithmetic of sizes; or if it is no such archive.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            if len({name.lower() for name in names}) < len(names):
                raise FormatError(f"{path} holds two files of one name; its content is ambiguous")
            for name in names:
                _check_member(archive, name.partition("/")[2], name, path)
    except (zipfile.BadZipFile, ValueError, KeyError, TypeError, AttributeError) as error:
        raise FormatError(f"{path} is not a torch.export archive ({error})") from error
    if not any("/models/" in name for name in names):
        raise FormatError(f"{path} is not an archive of torch.export, or of an older one")


def _check_member(archive: zipfile.ZipFile, place: str, name: str, path: str) -> None:
    """Check a file of the archive, `place` without the name of the archive."""
    import torch

    if re.fullmatch(r"models/\w+\.json", place):
        _check_graph(json.loads(archive.read(name)), path)
    elif re.fullmatch(r"data/(weights|constants)/\w+_config\.json", place):
        for about in json.loads(archive.read(name))["config"].values():
            if about["use_pickle"]:
                raise FormatError(f"{path} holds pickled tensors, which could run code")
    elif place.startswith("data/sample_inputs/"):
        try:
            torch.load(io.BytesIO(archive.read(name)), weights_only=True)
        except Exception as error:  # torch and pickle raise errors of many types
            raise FormatError(f"{path} holds pickled objects, which could run code") from error
    elif not re.fullmatch(
        r"data/(weights/weight|constants/tensor)_\d+|extra/.*|archive_\w+|byteorder|version|\.data/\w+",
        place,
    ):
        raise FormatError(f"{path} holds {place}, which is neither a tensor nor a graph")


def _check_graph(graph: Any, path: str) -> None:
    for kind, text in _texts(graph):
        if kind == "target":
            if not _OPERATOR.fullmatch(text) or "__" in text:
                raise FormatError(f"{path} calls {text}, which is not an operator of torch")
            continue
        rest = _SIZE.sub("1", text)
        other = {*re.sub(r"[\w\s]", "", rest)} - _CHARACTERS
        if other or not all(map(_WORD.fullmatch, re.findall(r"\w+", rest))):
            raise FormatError(f"{path} holds the expression {text!r}, which is not arithmetic")


def _texts(node: Any, key: str = "") -> Iterator[tuple[str, str]]:
    """Yield what torch resolves or evaluates in a graph: its kind and its text."""
    if isinstance(node, dict):
        for name, value in node.items():
            yield from _texts(value, name)
    elif isinstance(node, list):
        for value in node:
            yield from _texts(value, key)
    elif isinstance(node, str) and key in ("target", "expr_str", "guards_code"):
        yield key, node
