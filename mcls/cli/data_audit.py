"""``mcls data audit``: find copies of recordings and other faults of a dataset."""

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mcls.cli.messages import echo, echo_json, printable, say
from mcls.cli.options import FILE, OUT, json_option, options_from, overwrite_option
from mcls.cli.progress import done_line, progress_bar
from mcls.tables.options import Reading

if TYPE_CHECKING:
    from mcls.auditing.audit import Audit
    from mcls.disk.audit_file import Finding

#: Findings that are shown of each kind.
_SHOWN = 10


@click.command()
@click.argument("source", type=FILE, metavar="MANIFEST|STORE")
@options_from(Reading)
@click.option("--split", default="split", help="Column of parts or of folds; or none.")
@click.option(
    "--group", default="group", help="Column whose groups must stay within one part; or none."
)
@click.option("--run", type=FILE, help="Cross-validation whose predictions dispute labels.")
@click.option("--feature", help="Feature of a store to compare (default: cqt, else mel).")
@click.option(
    "--groups", type=OUT, metavar="OUT.csv", help="Manifest to write, with copies grouped."
)
@click.option("--acknowledge", multiple=True, metavar="ID", help="Accept a finding; repeatable.")
@click.option("--reason", default="", metavar="TEXT", help="Why the findings are acceptable.")
@click.option("--all", "every", is_flag=True, help="Show all findings, not only ten of each kind.")
@click.option("--jobs", type=click.IntRange(1), default=1, help="Number of worker processes.")
@overwrite_option
@json_option
def audit(
    source: Path,
    acknowledge: tuple[str, ...],
    reason: str,
    every: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Find copies of recordings, wrong labels and faults.

    Copies are found although they were cut, shifted, made louder, encoded
    with loss, or transposed by up to two semitones. A store is audited from
    the rows of its mel or cqt feature, a manifest from its audio, which
    finds more.

    Copies and groups are written to MANIFEST.audit.toml. While one is in
    several parts, the exit code is 1, and eval, compare and cv refuse the
    split until it is acknowledged. With --groups a manifest is written
    whose column duplicate_group keeps copies together in mcls data split.

    \b
    Example:
      mcls data audit toy/manifest.csv
      mcls data audit esc10.csv --split fold --run runs/cv --jobs 2
      mcls data audit toy/manifest.csv --groups grouped.csv
      mcls data split grouped.csv --by duplicate_group --column clean
    """
    if acknowledge or reason:
        if not acknowledge:
            raise click.UsageError("--reason belongs to --acknowledge")
        _acknowledge(source, acknowledge, reason)
        return
    from mcls.auditing.audit import audit as audit_source

    started = time.monotonic()
    with progress_bar("auditing") as progress:
        found = audit_source(source, progress=progress, **options)
    if as_json:
        echo_json(found.as_dict())
    else:
        _show(found, every)
        for note in found.notes:
            say(f"note: {note}")
    if options["groups"] is not None:
        done_line(f"{options['groups']}: column 'duplicate_group' written", started)
    across = found.across
    if across:
        echo(
            f"problem: {len(across)} findings are across parts; see {found.file}, or keep copies "
            "together with --groups",
            err=True,
        )
        click.get_current_context().exit(1)


def _acknowledge(source: Path, ids: tuple[str, ...], reason: str) -> None:
    from mcls.disk.audit_file import acknowledge, audit_file

    for one in acknowledge(source, ids, reason):
        say(f"{audit_file(source)}: {one.id} acknowledged: {reason}")


def _show(found: "Audit", every: bool) -> None:
    """Print a line per finding, by kind."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    kinds: dict[str, list[Finding]] = {}
    for one in found.findings:
        kinds.setdefault(one.kind, []).append(one)
    said = ", ".join(f"{len(some)} {kind}" for kind, some in kinds.items()) or "nothing found"
    echo(f"{found.source}: {found.n_tracks} tracks: {said}")
    if not kinds:
        return
    table = Table()
    for name in ("finding", "tracks", "parts", "what"):
        table.add_column(name, overflow="fold")
    for kind, some in kinds.items():
        for one in some[: len(some) if every else _SHOWN]:
            tracks = ", ".join(one.tracks[:3])
            tracks += f" and {len(one.tracks) - 3} more" if len(one.tracks) > 3 else ""
            parts = " ".join(one.parts(found.part_of))
            if one.acknowledged:
                parts += " (acknowledged)"
            name = one.id if len(one.tracks) > 1 else kind
            cells = (name, tracks, parts, one.detail)
            table.add_row(*(escape(printable(cell)) for cell in cells))
        if len(some) > _SHOWN and not every:
            table.add_row(kind, f"{len(some) - _SHOWN} more; see --all", "", "")
        table.add_section()
    Console(width=None if sys.stdout.isatty() else 1000).print(table)
