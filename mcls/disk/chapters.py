"""Pages with blocks that run: the chapters of the tutorial, and how-to pages.

A page is Markdown. Three kinds of fenced blocks belong to what is run, in the order of the page:

* ``console``: commands on lines that begin with ``$ ``, each followed by what it printed; a command
  that ends in a backslash continues on the next line;
* ``python``: code; all such blocks of a page share one namespace;
* ``text`` directly behind a ``python`` block: what the code printed.

A comment ``<!-- run: WORDS -->`` above a block says how to compare what it prints with the page,
and one above the first heading whether the page is slow:

=============  ====================================================================
``vary``       numbers are not compared
``within X``   numbers with decimals may differ by X, or by that share of them
``first N``    only the first N lines of each output are shown, then ``...``
``last N``     only the last N lines of each output are shown, after ``...``
``fails``      the commands of the block end in an error
``slow``       the page takes longer than a few seconds
=============  ====================================================================
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from mcls.disk.text_files import read_text
from mcls.errors import ConfigError, FormatError

#: The tutorial, installed with the package; the files of ``docs/tutorial/`` in the sources.
FOLDER = Path(__file__).parents[1] / "tutorial"

_BLOCK = re.compile(
    r"^(?:<!-- run: (?P<words>[^\n]*?) -->\n\n?)?"
    r"```(?P<language>console|python)\n(?P<body>.*?)^```\n"
    r"(?:\n```text\n(?P<printed>.*?)^```\n)?",
    re.MULTILINE | re.DOTALL,
)
_WORD = re.compile(r"(?P<name>vary|fails|slow|within|first|last)(?: (?P<number>[\d.]+))?")


@dataclass(frozen=True)
class Snippet:
    """A command or a piece of Python, and what the page shows that it printed.

    Parameters
    ----------
    code : str
        The command as it is typed, without ``$ ``, or lines of Python.
    printed : str
        What the page shows below it, as lines; empty if nothing.
    """

    code: str
    printed: str


@dataclass(frozen=True)
class Block:
    """A block of a page.

    Parameters
    ----------
    language : {'console', 'python'}
    snippets : tuple of Snippet
        The commands; one piece of Python.
    words : dict
        What the comment above the block says, such as ``{'within': 0.1}``; 0 where there is no
        number.
    start, stop : int
        The characters of the page from its fence to the end of what it printed.
    """

    language: str
    snippets: tuple[Snippet, ...]
    words: dict[str, float] = field(default_factory=dict)
    start: int = 0
    stop: int = 0


@dataclass(frozen=True)
class Page:
    """A page with blocks that run.

    Parameters
    ----------
    path : Path
    text : str
    blocks : tuple of Block
    """

    path: Path
    text: str
    blocks: tuple[Block, ...]

    @property
    def title(self) -> str:
        """The first heading."""
        return next(iter(re.findall(r"^# (.*)", self.text, re.MULTILINE)), self.path.stem)

    @property
    def slow(self) -> bool:
        """Whether the page says that it takes longer than a few seconds."""
        return self.text.startswith("<!-- run: slow -->")

    def pictures(self) -> list[str]:
        """Return the pictures that the page shows, relative to it."""
        return re.findall(r"!\[[^\]]*\]\((images/[^)]+)\)", self.text)

    def parts(self) -> Iterator[str | Block]:
        """Yield headings and blocks in the order of the page."""
        at = 0
        for block in self.blocks:
            yield from re.findall(r"^#+ .*", self.text[at : block.start], re.MULTILINE)
            yield block
            at = block.stop
        yield from re.findall(r"^#+ .*", self.text[at:], re.MULTILINE)


_KNOWN = "vary, within X, first N, last N, fails or slow"


def read_page(path: Path) -> Page:
    """Read a page.

    Raises
    ------
    DataError, FormatError
        If it cannot be read, or a comment of a block is not understood.
    """
    text = read_text(path)
    blocks = tuple(_block(found, path) for found in _BLOCK.finditer(text))
    return Page(path, text, blocks)


def chapter_path(number: int) -> Path:
    """Return the page of a chapter of the tutorial.

    Raises
    ------
    ConfigError
        If there is no such chapter.
    """
    found = sorted(FOLDER.glob(f"{number:02d}-*.md"))
    if not found:
        numbers = sorted(int(path.name[:2]) for path in FOLDER.glob("[0-9][0-9]-*.md"))
        raise ConfigError(
            f"there is no chapter {number}; there are {', '.join(map(str, numbers)) or 'none'}"
        )
    return found[0]


def _block(found: re.Match[str], path: Path) -> Block:
    body, printed = found["body"], found["printed"] or ""
    python = [Snippet(body, printed)]
    snippets = python if found["language"] == "python" else _commands(body, path)
    words = dict(_words(found["words"] or "", path))
    start = found.start() + found[0].index("```")
    return Block(found["language"], tuple(snippets), words, start, found.end())


def _commands(body: str, path: Path) -> Iterator[Snippet]:
    pieces = re.split(r"^\$ ", body, flags=re.MULTILINE)
    if pieces[0].strip() or len(pieces) == 1:
        raise FormatError(f"{path}: a console block must begin with a line '$ mcls ...'")
    for piece in pieces[1:]:
        code, printed = re.fullmatch(r"((?:[^\n]*\\\n)*[^\n]*\n)(.*)", piece, re.DOTALL).groups()  # type: ignore[union-attr]
        yield Snippet(code.rstrip("\n"), printed)


def _words(words: str, path: Path) -> Iterator[tuple[str, float]]:
    for word in filter(None, words.split(", ")):
        found = _WORD.fullmatch(word)
        if found is None:
            raise FormatError(
                f"{path}: the comment of a block says {word!r}; see mcls.disk.chapters"
            )
        yield found["name"], float(found["number"] or 0)
