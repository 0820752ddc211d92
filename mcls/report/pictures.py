"""Pictures of a run's atoms or filters, for a report."""

import base64
import io
from dataclasses import dataclass

from mcls.chain.match import chain_up_to
from mcls.disk.dictionary import DictionaryFile
from mcls.disk.run import Run
from mcls.errors import MclsError
from mcls.inspection.dictionary import draw_atoms
from mcls.inspection.filters import plot_filters
from mcls.plots.page import Figure, style

#: Dots per inch, and atoms or filters of a picture.
_DPI, _SHOWN = 110, 64


@dataclass(frozen=True)
class Picture:
    """A picture as a data URL, with its size in dots and what it shows."""

    url: str
    width: int
    height: int
    shows: str


def pictures_of(run: Run) -> tuple[list[Picture], list[str]]:
    """Return pictures of a run's filters and of the dictionaries of its chain, and what failed."""
    found, missing = [], []
    with style():
        if run.net_file is not None:
            try:
                found.append(_picture(*plot_filters(run.path, top=_SHOWN)))
            except MclsError as error:
                missing.append(f"No picture of filters: {error}.")
        chain = run.chain()
        for i, step in enumerate(chain):
            if step.kind != "dictionary" or "atoms" not in step.arrays:
                continue
            kept = DictionaryFile(run.path / "chain.h5", chain_up_to(chain, i), {}, "")
            try:
                found.append(_picture(*draw_atoms(kept, top=_SHOWN)))
            except MclsError as error:
                missing.append(f"No picture of the atoms of {step.name}: {error}.")
    return found, missing


def _picture(page: Figure, shows: str) -> Picture:
    """Return a figure as a PNG of 128 colours."""
    from PIL import Image

    raw, small = io.BytesIO(), io.BytesIO()
    page.savefig(raw, format="png", dpi=_DPI)
    with Image.open(raw) as image:
        few = image.convert("RGB").quantize(128)
    few.save(small, "PNG", optimize=True)
    url = "data:image/png;base64," + base64.b64encode(small.getvalue()).decode()
    return Picture(url, *few.size, shows)
