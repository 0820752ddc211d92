"""Cells of CSV files that a spreadsheet must not take for a formula.

A name that begins with one of ``= + - @`` would be computed, or would run a command, where the file
is opened in a spreadsheet. It is written behind an apostrophe, which is taken away when it is read.
"""

import csv
import io
import re
from collections.abc import Iterable

#: Text that a spreadsheet may compute, behind any number of apostrophes.
_FORMULA = re.compile(r"'*\s*[=+\-@＝＋－＠].", re.DOTALL)


#: How files begin that may be taken for a table by mistake.
_SIGNATURES = {
    b"\x89HDF\r\n": "an HDF5 file, such as a store or a dictionary",
    b"PK\x03\x04": "a ZIP file, such as a spreadsheet or a model",
    b"RIFF": "an audio file",
    b"fLaC": "an audio file",
    b"OggS": "an audio file",
    b"ID3": "an audio file",
}


def other_kind(head: bytes) -> str:
    """Return what a file is that begins with these bytes, if it is surely no table; else ``""``.

    Examples
    --------
    >>> other_kind(b"RIFF...."), other_kind(b"path,labels")
    ('an audio file', '')
    """
    return next((kind for sign, kind in _SIGNATURES.items() if head.startswith(sign)), "")


def csv_line(cells: Iterable[str], delimiter: str = ",") -> str:
    r"""Return a line of CSV with the cells made safe.

    Examples
    --------
    >>> csv_line(["=a", "b,c", "d\re"])
    '\'=a,"b,c","d\re"\n'
    """
    out = io.StringIO(newline="")
    # csv puts quotation marks around the characters of its own line end only
    csv.writer(out, delimiter=delimiter, lineterminator="\r\n").writerow(map(safe_cell, cells))
    return out.getvalue().removesuffix("\r\n") + "\n"


def safe_cell(cell: str) -> str:
    """Return a cell as it is written; numbers stay as they are.

    Examples
    --------
    >>> safe_cell("=1+1"), safe_cell("'=1+1"), safe_cell("-0.25"), safe_cell("a=b"), safe_cell("-")
    ("'=1+1", "''=1+1", '-0.25', 'a=b', '-')
    """
    if not _FORMULA.match(cell) or (cell[0] != "'" and _is_number(cell)):
        return cell
    return "'" + cell


def read_cell(cell: str) -> str:
    """Return the text that `safe_cell` wrote.

    Examples
    --------
    >>> read_cell("'=1+1"), read_cell("''=1+1"), read_cell("'tis"), read_cell("-0.25")
    ('=1+1', "'=1+1", "'tis", '-0.25')
    """
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell) else cell


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True
