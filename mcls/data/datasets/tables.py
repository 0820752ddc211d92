"""Tables of metadata as datasets publish them: CSV or TSV, with or without a header."""

import csv
import io
from collections.abc import Iterator, Sequence
from pathlib import Path

from mcls.data.datasets.inventory import expected_layout
from mcls.disk.text_files import read_text
from mcls.errors import DataError


def find_table(root: Path, dataset: str, *names: str) -> Path:
    """Return the first of some files, by their paths below `root`, that exists.

    Raises
    ------
    DataError
        If none does; the message names the layout of the dataset.
    """
    for name in names:
        if (root / name).is_file():
            return root / name
    raise DataError(f"{root / names[0]} does not exist; expected {expected_layout(dataset)}")


def read_rows(path: Path, delimiter: str = ",") -> Iterator[list[str]]:
    """Yield the cells of every line that is not blank, without white space around them.

    Raises
    ------
    DataError
        If the file is missing or not a table, with the line.
    FormatError
        If it is not UTF-8.
    """
    text = read_text(path).removeprefix("\ufeff")
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        for row in reader:
            if row:
                yield [cell.strip() for cell in row]
    except csv.Error as error:
        raise DataError(f"{path}:{reader.line_num}: this is not a line of CSV ({error})") from None


def read_columns(
    path: Path, needed: Sequence[str], delimiter: str = ","
) -> dict[str, tuple[str, ...]]:
    """Return the columns of a table with a header.

    Raises
    ------
    DataError
        If a needed column is missing, or a line has another number of cells than the header.
    """
    rows = list(read_rows(path, delimiter))
    header = rows[0] if rows else []
    missing = [name for name in needed if name not in header]
    if missing:
        raise DataError(f"{path}: there is no column {missing[0]!r} ({', '.join(header[:12])})")
    for number, row in enumerate(rows, start=1):
        if len(row) != len(header):
            raise DataError(f"{path}: row {number} has {len(row)} cells, the header {len(header)}")
    cells = list(zip(*rows[1:], strict=True)) or [()] * len(header)
    return dict(zip(header, cells, strict=True))
