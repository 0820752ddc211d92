"""Hooks of `make site`, which builds the documentation as a site.

* Pages from outside of docs/ join it, and links are turned from those of the repository, which
  work where it is read, into those of the site.
* The reference of the Python packages is made from their docstrings.
* Pages that mkdocs.yml does not name stand in the section of their folder.
"""

import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

import mcls

#: Pages of the repository outside of docs/, and their places on the site.
OUTSIDE = {
    "README.md": "start.md",
    "data/README.md": "data.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changes.md",
}
#: The section of the pages of a folder of docs/.
SECTIONS = {
    ".": "How-to",
    "howto": "How-to",
    "homework": "Tutorial",
    "nets": "Papers",
    "results": "Results",
    "tutorial": "Tutorial",
}

_ROOT = Path(__file__).parents[1]
_LINK = re.compile(r"(?<=\]\()([^)#\s:]+)(?=[)#])")


def on_config(config: Any) -> Any:
    """Append the pages that the navigation does not name."""
    named = set(re.findall(r"[\w/-]+\.md", str(config.nav)))
    sections = {name: pages for section in config.nav for name, pages in section.items()}
    for path in sorted((_ROOT / "docs").rglob("*.md")):
        page = path.relative_to(_ROOT / "docs")
        if page.as_posix() not in named:
            sections[SECTIONS[page.parent.as_posix()]].append(page.as_posix())
    python = next(entry["Python"] for entry in sections["Reference"] if "Python" in entry)
    python += [f"reference/{name}.md" for name in packages()]
    return config


def on_files(files: Files, config: Any) -> Files:
    """Add the pages from outside, and the reference."""
    for source, place in OUTSIDE.items():
        text = (_ROOT / source).read_text(encoding="utf-8")
        files.append(File.generated(config, place, content=moved_links(text, source, place)))
    files.append(File.generated(config, "reference/index.md", content=_public_names()))
    for name in packages():
        text = f"# mcls.{name}\n\n::: mcls.{name}\n    options: {{show_root_heading: false}}\n"
        files.append(File.generated(config, f"reference/{name}.md", content=text))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Turn the links of a page of docs/ that lead out of it, and let it begin with its title."""
    place = page.file.src_uri
    markdown = markdown.removeprefix("<!-- run: slow -->").lstrip()
    return markdown if place in OUTSIDE.values() else moved_links(markdown, f"docs/{place}", place)


def _public_names() -> str:
    """Return the page of what `import mcls` gives; what a package's page describes is linked."""
    pieces = ["# Python\n\nWhat `import mcls` gives.\n"]
    for name, module in mcls._PLACES.items():
        if module.split(".")[1] in packages():
            pieces.append(f"## {name}\n\n`mcls.{name}` is [{module}.{name}][].\n")
        else:
            pieces.append(f"::: {module}.{name}\n")
    return "\n".join(pieces)


def packages() -> list[str]:
    """Return the packages that take arrays and give arrays, and the files they are stored in."""
    hidden = {"cli", "inspection", "report", "serve", "stages"}
    found = {path.parent.name for path in (_ROOT / "mcls").glob("*/__init__.py")}
    return sorted(found - hidden)


def moved_links(text: str, source: str, place: str) -> str:
    """Return a page with links from its place on the site instead of in the repository."""

    def moved(found: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join(posixpath.dirname(source), found[1]))
        if target in OUTSIDE:
            target = OUTSIDE[target]
        elif target.startswith("docs/"):
            target = target.removeprefix("docs/")
        else:
            return found[1]
        return posixpath.relpath(target, posixpath.dirname(place) or ".")

    return _LINK.sub(moved, text)
