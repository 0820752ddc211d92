"""The part of ``mcls eval`` that lists wrong predictions."""

from pathlib import Path
from typing import TYPE_CHECKING

from mcls.cli.messages import echo
from mcls.cli.tables import show_table

if TYPE_CHECKING:
    from mcls.judging.list_errors import ListedErrors


def error_table(found: "ListedErrors") -> tuple[list[str], list[list[str]]]:
    """Return the columns that some error fills, and a row per error."""
    kinds = {one.kind for one in found.errors}
    unit = "probability" if found.probabilities else "score"
    numbers = "off" in kinds
    label = "predicted" if numbers or "wrong" in kinds else "label"
    limit = f"{unit} of true" if "wrong" in kinds else "threshold"
    rows = [
        {
            "track": one.track,
            "fold": one.fold,
            "target": one.target,
            "error": one.kind if label == "label" else "",
            label: one.predicted,
            "true": one.true,
            "off by" if numbers else unit: f"{one.score:{'+' * numbers}.3f}",
            limit: "" if one.limit is None else f"{one.limit:.3f}",
            "path": one.path,
        }
        for one in found.errors
    ]
    columns = [name for name in rows[0] if any(row[name] for row in rows)] if rows else ["track"]
    return columns, [[row[name] for name in columns] for row in rows]


def show_errors(path: Path, found: "ListedErrors") -> None:
    """Print the wrong predictions of a run."""
    columns, rows = error_table(found)
    which = f"the {len(rows)} worst of {found.n_errors}" if len(rows) < found.n_errors else "all"
    if not rows:
        echo(f"{path}: no wrong predictions")
        return
    show_table(columns, rows, left=len(columns), title=f"{path}: wrong predictions, {which}")
