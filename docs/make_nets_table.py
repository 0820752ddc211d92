"""Write the table of docs/nets.md from the registry. `make docs` runs it; a test compares.

It also writes mcls/nets/summaries.json, from which `mcls list nets --table` reads what takes a
minute to measure, if a source file of mcls/nets has changed.

A net's row links to docs/nets/MODULE.md if there is such a page, where MODULE is the name of the
net's module with hyphens.
"""

import re
from pathlib import Path

from mcls.nets import smallest_input
from mcls.nets.describe import describe_net
from mcls.nets.summary import SUMMARIES, measure, sources_digest, write_summaries
from mcls.registry import Entry, entries

PAGE = Path(__file__).with_name("nets.md")
PAGES = Path(__file__).with_name("nets")

_BEGIN, _END = "<!-- table of nets -->\n", "<!-- end of the table -->"
_HEAD = """\
| net | published | input | labels | parameters | MFLOP | smallest segment | longer segments |
|---|---|---|---|---|---|---|---|
"""


def row(entry: Entry) -> str:
    """Return a net's line of the table."""
    facts = entry.facts
    n_frames, n_dims, n_labels = (facts[key] for key in ("frames", "dims", "labels"))
    layers = describe_net(entry.name, {}, n_frames, n_dims, n_labels)
    mflop = sum(layer.flops for layer in layers) / 1e6
    page = entry.module.rpartition(".")[2].replace("_", "-") + ".md"
    cells = [
        f"[`{entry.name}`](nets/{page})" if (PAGES / page).is_file() else f"`{entry.name}`",
        facts["source"],
        f"{n_frames} x {n_dims}",
        str(n_labels),
        f"{sum(layer.n_parameters for layer in layers):,}",
        f"{mflop:,.1f}" if mflop < 100 else f"{mflop:,.0f}",
        " x ".join(map(str, smallest_input(entry.name, {}))),
        "yes" if facts.get("any_length") else "no",
    ]
    return f"| {' | '.join(cells)} |\n"


def render(page: str) -> str:
    """Return the page with the table of what is registered now."""
    rows = "".join(row(entry) for entry in entries("nets").values())
    table = f"{_BEGIN}\n{_HEAD}{rows}\n{_END}"
    return re.sub(f"{re.escape(_BEGIN)}.*?{re.escape(_END)}", lambda _: table, page, flags=re.S)


def write_measurements() -> None:
    """Measure all nets anew, unless no source file has changed since."""
    if SUMMARIES.is_file() and sources_digest() in SUMMARIES.read_text(encoding="utf-8"):
        return
    found = {name: measure(entry) for name, entry in entries("nets").items()}
    SUMMARIES.write_text(write_summaries(found), encoding="utf-8")


if __name__ == "__main__":
    write_measurements()
    PAGE.write_text(render(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
