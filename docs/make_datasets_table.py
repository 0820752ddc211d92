"""Write the table of data/README.md from the registry. `make docs` runs it; a test compares."""

import re
from pathlib import Path

from mcls.registry import Entry, entries

PAGE = Path(__file__).parents[1] / "data" / "README.md"

_BEGIN, _END = "<!-- table of datasets -->\n", "<!-- end of the table -->"
_HEAD = """\
| dataset | described by | task | tracks | labels | columns of splits | audio; metadata |
|---|---|---|---|---|---|---|
"""


def row(entry: Entry) -> str:
    """Return a dataset's line of the table."""
    facts = entry.facts
    cells = [
        f"[`{entry.name}`]({facts['url']})",
        facts["paper"],
        facts["task"],
        "–" if facts["tracks"] is None else f"{facts['tracks']:,}",
        "–" if facts["labels"] is None else str(facts["labels"]),
        facts["splits"],
        f"{facts['audio_licence']}; {facts['metadata_licence']}",
    ]
    return f"| {' | '.join(cells)} |\n"


def render(page: str) -> str:
    """Return the page with the table of what is registered now."""
    rows = "".join(row(entry) for entry in entries("datasets").values())
    table = f"{_BEGIN}\n{_HEAD}{rows}\n{_END}"
    return re.sub(f"{re.escape(_BEGIN)}.*?{re.escape(_END)}", lambda _: table, page, flags=re.S)


if __name__ == "__main__":
    PAGE.write_text(render(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
