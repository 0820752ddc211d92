"""Run the blocks of pages and write what they print, and their pictures, into the pages.

``python docs/make_tutorial.py`` runs all chapters of the tutorial and all how-to pages,
``python docs/make_tutorial.py 2 5`` two chapters, ``python docs/make_tutorial.py howto/groups.md``
one page. `mcls.disk.chapters` says how a page is written. A test runs the pages, too, and compares
what they print with what they show.
"""

import contextlib
import io
import re
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from mcls.cli.chapter import run_snippet
from mcls.disk.chapters import Block, Page, Snippet, read_page

DOCS = Path(__file__).parent
#: Decimals may differ by this, or by this share, unless a page says otherwise.
TOLERANCE = 0.02

_NUMBER = re.compile(r"[-+]?\d[\d,]*(?:\.\d+)?(?:e[-+]?\d+)?", re.IGNORECASE)
_TOKEN = re.compile(rf"{_NUMBER.pattern}|[^\W\d]+|\S", re.IGNORECASE)
#: How long a command took, which is never compared.
_TIME = re.compile(r"\bin (?:[\d.]+ (?:h|min|s)\b ?)+")


def pages() -> list[Path]:
    """Return the pages whose blocks are run."""
    howto = sorted(path for path in DOCS.glob("howto/*.md") if path.name != "index.md")
    return sorted(DOCS.glob("tutorial/[0-9][0-9]-*.md")) + howto


def run_page(page: Page, folder: Path) -> Iterator[tuple[Block, Snippet, str]]:
    """Run a page in a folder; yield each command or piece of Python with what it printed."""
    (folder / "images").mkdir(exist_ok=True)
    namespace = {"__name__": "chapter"}
    for block in page.blocks:
        for snippet in block.snippets:
            heard = io.StringIO()
            try:
                with contextlib.redirect_stdout(heard), contextlib.redirect_stderr(heard):
                    run_snippet(block, snippet, folder, namespace)
            except BaseException:
                print(heard.getvalue(), file=sys.stderr)
                raise
            yield block, snippet, shown(heard.getvalue(), block.words)


def shown(printed: str, words: dict[str, float]) -> str:
    """Return what a page shows of what was printed: all lines, or the first or the last."""
    lines = [line.rstrip() for line in printed.strip("\n").splitlines()]
    first, last = int(words.get("first", 0)), int(words.get("last", 0))
    if (first or last) and len(lines) > first + last:
        lines = [*lines[:first], "...", *lines[len(lines) - last :]]
    return "".join(f"{line}\n" for line in lines)


def difference(expected: str, printed: str, words: dict[str, float]) -> str:
    """Return how two outputs differ, or nothing: words must agree, numbers nearly."""
    theirs, ours = (_TOKEN.findall(_plain(text)) for text in (expected, printed))
    for one, other in zip(theirs, ours, strict=False):
        if one != other and not _near(one, other, words):
            return f"the page shows {one!r}, printed was {other!r}"
    if len(theirs) != len(ours):
        return f"the page shows {len(theirs)} words and numbers, printed were {len(ours)}"
    return ""


def _plain(text: str) -> str:
    return re.sub("─+", "─", _TIME.sub("in TIME ", text))


def _near(one: str, other: str, words: dict[str, float]) -> bool:
    if not (_NUMBER.fullmatch(one) and _NUMBER.fullmatch(other)):
        return False
    if "vary" in words:
        return True
    whole = not re.search("[.e]", one + other)
    tolerance = words.get("within", 0.0 if whole else TOLERANCE)
    a, b = (float(text.replace(",", "")) for text in (one, other))
    return abs(a - b) <= tolerance * max(1.0, abs(a))


def render(page: Page, printed: list[tuple[Block, Snippet, str]]) -> str:
    """Return the page with what its blocks printed."""
    text = page.text
    for block in reversed(page.blocks):
        found = [(snippet, said) for of, snippet, said in printed if of is block]
        if block.language == "python":
            ((snippet, said),) = found
            new = f"```python\n{snippet.code}```\n" + (f"\n```text\n{said}```\n" if said else "")
        else:
            lines = "".join(f"$ {snippet.code}\n{said}" for snippet, said in found)
            new = f"```console\n{lines}```\n"
        text = text[: block.start] + new + text[block.stop :]
    return text


def keep_picture(made: Path, kept: Path) -> None:
    """Keep a picture with a palette of 256 colours, which is a fraction of the bytes."""
    from PIL import Image

    kept.parent.mkdir(exist_ok=True)
    with Image.open(made) as image:
        image.convert("RGB").quantize(256, method=Image.Quantize.MEDIANCUT).save(
            kept, optimize=True
        )


def main(words: list[str]) -> None:
    """Run the pages named by number or path, or all."""
    chosen = [
        path
        for path in pages()
        if not words
        or any(word in (path.name[:2].lstrip("0"), str(path.relative_to(DOCS))) for word in words)
    ]
    for path in chosen:
        started = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="mcls-page-") as folder:
            page = read_page(path)
            printed = list(run_page(page, Path(folder)))
            path.write_text(render(page, printed), encoding="utf-8")
            for picture in page.pictures():
                keep_picture(Path(folder) / picture, path.parent / picture)
        print(f"{path.relative_to(DOCS)}: {time.monotonic() - started:.1f} s")


if __name__ == "__main__":
    main(sys.argv[1:])
