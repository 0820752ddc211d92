"""``run.sha256``: the SHA-256 of every file of a run folder, which ``sha256sum -c`` checks, too.

A folder of an older version has none and is read all the same.
"""

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path

from mcls.disk.workspace import written_whole
from mcls.errors import FormatError

#: The name of the file.
SUMS = "run.sha256"

_LINE = re.compile(r"([0-9a-f]{64})  ([^/\n]+)")


def write_sums(folder: Path, coming: Mapping[str, bytes] | None = None) -> None:
    """Write the sums of the files of a folder; those of its subfolders are left to these.

    Parameters
    ----------
    folder : Path
        The folder.
    coming : mapping of str to bytes
        Files that will be written next, by their names.
    """
    sums = {
        path.name: file_sha256(path)
        for path in folder.iterdir()
        if path.is_file() and path.name != SUMS and not path.name.startswith(".")
    }
    sums |= {name: hashlib.sha256(data).hexdigest() for name, data in (coming or {}).items()}
    lines = [f"{sums[name]}  {name}\n" for name in sorted(sums) if "\n" not in name]
    with written_whole(folder / SUMS) as new:
        new.write_text("".join(lines), encoding="utf-8")


def check_sums(folder: Path) -> int:
    """Compare the files of a folder with its sums; return their number, 0 if there are no sums.

    Raises
    ------
    FormatError
        Names the file that is missing or differs.
    """
    sums = folder / SUMS
    if not sums.is_file():
        return 0
    try:
        lines = sums.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise FormatError(f"{sums} cannot be read ({error})") from error
    for number, line in enumerate(lines, start=1):
        found = _LINE.fullmatch(line)
        if found is None:
            raise FormatError(f"{sums}:{number}: not a SHA-256 and the name of a file")
        path = folder / found[2]
        if not path.is_file():
            raise FormatError(f"{folder} is not complete: {found[2]} is missing")
        if file_sha256(path) != found[1]:
            raise FormatError(
                f"{path} is damaged, or was changed: it does not match {SUMS}. If it was changed "
                "on purpose, delete its line there"
            )
    return len(lines)


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
