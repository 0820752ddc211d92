"""The confusion matrix of a run, and the tracks in its cells."""

from typing import Any

from mcls.evaluation.errors import amounts
from mcls.report.runs import ReportedRun

#: Labels up to which the matrix is shown; of more labels, the most frequent confusions.
_LABELS, _PAIRS = 40, 60

#: Tracks of a cell that are listed, at most.
_TRACKS = 100


def confusion_of(
    run: ReportedRun, cards: dict[int, str]
) -> tuple[dict[str, Any] | None, dict[str, Any]]:
    """Return the matrix for the page, and the tracks of its cells for the script.

    Parameters
    ----------
    run : ReportedRun
        With one label per track.
    cards : dict of int to str
        The names of cards by the line of their track.
    """
    counts, names = run.found.overall.confusion, run.predictions.names
    if counts is None:
        return None, {}
    n = len(names)
    pairs = sorted(
        ((i, j, counts[i][j]) for i in range(n) for j in range(n) if i != j and counts[i][j]),
        key=lambda pair: -pair[2],
    )
    found: dict[str, Any] = {"names": names, "n_pairs": len(pairs), "pairs": [], "rows": []}
    if n > _LABELS:
        found["pairs"] = pairs[:_PAIRS]
    else:
        found["rows"] = [[(c, c / max(1, sum(row))) for c in row] for row in counts]
    shown = None if n <= _LABELS else {(i, j) for i, j, _ in pairs[:_PAIRS]}
    return found, {"names": names, "tracks": _tracks(run, cards, shown)}


def _tracks(
    run: ReportedRun, cards: dict[int, str], shown: set[tuple[int, int]] | None
) -> dict[str, Any]:
    predictions = run.predictions
    values, amount = amounts(predictions)
    true, chosen = predictions.truth.argmax(axis=1), predictions.scores.argmax(axis=1)
    cells: dict[str, Any] = {}
    for line, (i, j) in enumerate(zip(true.tolist(), chosen.tolist(), strict=True)):
        if shown is not None and (i, j) not in shown:
            continue
        cell = cells.setdefault(f"{i}:{j}", {"n": 0, "list": []})
        cell["n"] += 1
        cell["list"].append((line, float(values[line, j])))
    for cell in cells.values():
        ranked = sorted(cell["list"], key=lambda one: -one[1])[:_TRACKS]
        cell["list"] = [
            [run.title(line), f"{amount} {value:.2f}", cards.get(line, "")]
            for line, value in ranked
        ]
    return cells
