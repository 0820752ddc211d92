"""Runs the blocks of a page, such as a chapter of the tutorial, in this process."""

import contextlib
import shlex
from pathlib import Path
from typing import Any

from mcls.disk.chapters import Block, Snippet
from mcls.errors import DataError


def run_line(line: str, folder: Path) -> int:
    """Run a command ``mcls ...`` in a folder and return its exit code; it prints as usual."""
    from mcls.cli.main import cli

    name, *words = shlex.split(line.replace("\\\n", " "))
    if name != "mcls":
        raise DataError(f"{line!r} is not a command of mcls")
    try:
        with contextlib.chdir(folder):
            cli(words, prog_name="mcls")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 1
    return 0


def run_snippet(
    block: Block, snippet: Snippet, folder: Path, namespace: dict[str, Any] | None = None
) -> None:
    """Run a command or a piece of Python of a block in a folder.

    Parameters
    ----------
    block, snippet
        What to run, and the block that it stands in.
    folder : Path
        The working directory.
    namespace : dict or None
        The names of the Python blocks of the page; changed in place.

    Raises
    ------
    DataError
        If a command fails although the page does not say so, or does not although it does.
    """
    if block.language == "python":
        with contextlib.chdir(folder):
            exec(compile(snippet.code, "<page>", "exec"), namespace)
        return
    code = run_line(snippet.code, folder)
    if (code != 0) != ("fails" in block.words):
        raise DataError(f"{snippet.code!r} ended with exit code {code}")
