"""How a run was made: commands, versions, settings and digests, for a report."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mcls.disk.run import Run
from mcls.disk.sums import SUMS
from mcls.disk.text_files import read_text
from mcls.report.runs import ReportedRun
from mcls.report.tables import PageTable


@dataclass(frozen=True)
class Provenance:
    """How a run was made.

    Parameters
    ----------
    commands : list of str
        The command lines.
    facts : PageTable
        Versions, seeds, digests.
    files : list of (str, str)
        Names and texts of run.toml and run.sha256 of each run folder.
    """

    commands: list[str]
    facts: PageTable
    files: list[tuple[str, str]]


def provenance_of(run: ReportedRun) -> Provenance:
    """Return how a run was made, as its folders say."""
    runs = run.runs
    commands = [command_of(one) for one in runs]
    rows = [
        [name, ", ".join(dict.fromkeys(filter(None, (_spell(one, key) for one in runs))))]
        for name, key in _FACTS.items()
    ]
    rows.append(["predictions", str(run.path)])
    versions = [one.about.get("versions") for one in runs]
    rows += [
        [name, ", ".join(dict.fromkeys(str(some.get(name, "")) for some in _dicts(versions)))]
        for name in dict.fromkeys(name for some in _dicts(versions) for name in some)
    ]
    files = [
        (f"{one.path.name}/{name}", read_text(one.path / name))
        for one in runs
        for name in ("run.toml", SUMS)
        if (one.path / name).is_file()
    ]
    if run.path.is_dir() and run.path not in [one.path for one in runs]:
        sums = run.path / SUMS
        files += [(f"{run.path.name}/{SUMS}", read_text(sums))] if sums.is_file() else []
    known = [row for row in rows if row[1]]
    return Provenance(
        [one for one in dict.fromkeys(commands) if one != "mcls "],
        PageTable("Versions and digests", ["", ""], known, 2),
        files,
    )


def command_of(run: Run) -> str:
    """Return the command line that made a run."""
    return f"mcls {shlex.join(map(str, run.about.get('command') or []))}"


#: Rows of the table of facts, by the key in about.json.
_FACTS = {
    "mcls": "mcls",
    "commit": "commit",
    "Python": "python",
    "platform": "platform",
    "seed": "seed",
    "seconds": "seconds",
    "split id": "split_id",
    "published split": "split_name",
    "store": "store",
    "store digest": "store_digest",
    "parameters": "parameters",
    "aggregate": "aggregate",
}


def _spell(run: Run, key: str) -> str:
    value = run.about.get(key)
    return "" if value is None else str(value)


def _dicts(values: Sequence[Any]) -> list[dict[str, Any]]:
    return [value for value in values if isinstance(value, dict)]
