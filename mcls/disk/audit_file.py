"""The audit file of a manifest or store: findings that concern its parts, and who looked at them.

``NAME.audit.toml`` lies beside the manifest or store ``NAME``::

    [[finding]]
    id = "near-copy-3f2a9c01"
    kind = "near-copy"
    tracks = ["rock/one", "rock/one live"]
    detail = "0.56 of the waveform agrees, at 0.64 s"
    acknowledged = false
    reason = ""

A finding whose tracks are in several parts of a split is *across parts*: scores are then too good.
`mcls eval`, `compare` and `cv` refuse such a split until the finding is acknowledged.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from mcls.disk.run import toml_value
from mcls.disk.text_files import read_toml
from mcls.disk.workspace import written_whole
from mcls.errors import ConfigError, DataError, FormatError, suggest
from mcls.remote.objects import NoObjectError
from mcls.remote.places import local_copy
from mcls.settings import digest

#: The largest audit file in bytes, about 10,000 findings.
_LARGEST = 1 << 21
_TEXTS = ("id", "kind", "detail", "reason")
_HEAD = (
    "# Findings of mcls data audit. To use a split that has one across its parts, look at the\n"
    "# tracks and run: mcls data audit NAME --acknowledge ID --reason TEXT\n"
)


@dataclass(frozen=True)
class Finding:
    """Tracks that must not be in different parts.

    Parameters
    ----------
    kind : str
        ``exact-copy``, ``near-copy`` or ``group``.
    tracks : tuple of str
        Their ids, sorted.
    detail : str
        What they have in common.
    acknowledged : bool
        Whether someone has looked at it and accepts it.
    reason : str
        Why it is accepted.
    """

    kind: str
    tracks: tuple[str, ...]
    detail: str = ""
    acknowledged: bool = False
    reason: str = ""

    @property
    def id(self) -> str:
        """The name of the finding: the same kind and tracks have the same."""
        return f"{self.kind}-{digest([self.kind, sorted(self.tracks)])[:8]}"

    def parts(self, part_of: Mapping[str, str]) -> list[str]:
        """Return the parts of its tracks; tracks in no part are ignored."""
        return sorted({part for track in self.tracks if (part := part_of.get(track))})

    def describe(self, part_of: Mapping[str, str]) -> str:
        """Return its id and tracks with their parts."""
        said = [f"{track} ({part_of[track]})" for track in self.tracks if part_of.get(track)]
        more = f" and {len(said) - 3} more" if len(said) > 3 else ""
        return f"{self.id}: {' = '.join(said[:3])}{more}"


def audit_file(path: Path | str) -> Path:
    """Return the audit file of a manifest, a folder or a store."""
    path = Path(path)
    return path.with_name(f"{path.name}.audit.toml")


def read_findings(path: Path | str) -> list[Finding]:
    """Return the findings of the audit file of a manifest or store; none without a file.

    Raises
    ------
    FormatError
        If the file is not one that mcls wrote or a person has edited sensibly.
    """
    file = audit_file(path)
    try:
        with local_copy(file) as local:
            tables = read_toml(local, _LARGEST).get("finding", []) if local.is_file() else []
    except NoObjectError:
        return []
    if not isinstance(tables, list):
        raise FormatError(f"{file}: finding is not a list of tables; expected [[finding]]")
    return [_finding(file, table) for table in tables]


def _finding(file: Path, table: object) -> Finding:
    if not isinstance(table, dict):
        raise FormatError(f"{file}: a finding is not a table; expected [[finding]]")
    if odd := [key for key in _TEXTS if not isinstance(table.get(key, ""), str)]:
        raise FormatError(f"{file}: {odd[0]} is {table[odd[0]]!r}; expected text")
    tracks, seen = table.get("tracks"), table.get("acknowledged", False)
    if not isinstance(tracks, list) or not all(isinstance(track, str) for track in tracks):
        raise FormatError(f"{file}: the tracks of a finding are {tracks!r}; expected names")
    if not isinstance(seen, bool):
        raise FormatError(f"{file}: acknowledged is {seen!r}; expected true or false")
    found = Finding(
        table.get("kind", ""), tuple(tracks), table.get("detail", ""), seen, table.get("reason", "")
    )
    if table.get("id") != found.id:
        raise FormatError(
            f"{file}: the finding {table.get('id')!r} is not that of its kind and tracks, which is "
            f"{found.id!r}; run mcls data audit again"
        )
    return found


def write_findings(path: Path | str, findings: Iterable[Finding]) -> None:
    """Write the audit file of a manifest or store; without findings, remove it."""
    file = audit_file(path)
    tables = []
    for one in findings:
        cells = {
            "id": one.id,
            "kind": one.kind,
            "tracks": list(one.tracks),
            "detail": one.detail,
            "acknowledged": one.acknowledged,
            "reason": one.reason,
        }
        lines = [f"{key} = {toml_value(value)}" for key, value in cells.items()]
        tables.append("\n".join(["[[finding]]", *lines]) + "\n")
    if not tables:
        file.unlink(missing_ok=True)
        return
    text = "\n".join([_HEAD, *tables])
    if len(text.encode()) > _LARGEST:
        raise DataError(
            f"{file}: {len(tables)} findings are too many to acknowledge one by one; let "
            "copies share a group with mcls data audit --groups OUT.csv, and audit OUT.csv"
        )
    with written_whole(file) as temporary:
        temporary.write_text(text, encoding="utf-8")


def keep_acknowledged(new: Sequence[Finding], old: Sequence[Finding]) -> list[Finding]:
    """Return new findings, acknowledged as the old ones of the same id."""
    seen = {one.id: one for one in old if one.acknowledged}
    return [
        replace(one, acknowledged=True, reason=seen[one.id].reason)
        if one.id in seen and not one.acknowledged
        else one
        for one in new
    ]


def carry_findings(sources: Sequence[Path | str], out: Path | str, tracks: Iterable[str]) -> None:
    """Write the findings of the manifests or stores that another one was made of beside it.

    Parameters
    ----------
    sources : sequence of paths
        What it was made of.
    out : path
        The store or manifest that was made.
    tracks : iterable of str
        Its tracks; findings of others are left out.
    """
    there = set(tracks)
    carried = [one for source in sources for one in read_findings(source)]
    carried = [one for one in carried if len(there.intersection(one.tracks)) > 1]
    if carried:
        own = read_findings(out)
        known = {one.id: one for one in [*own, *carried]}
        write_findings(out, keep_acknowledged([*known.values()], [*own, *carried]))


def across_parts(path: Path | str, part_of: Mapping[str, str]) -> list[Finding]:
    """Return the findings of a manifest or store whose tracks are in several parts.

    Parameters
    ----------
    path : path
        The manifest or store.
    part_of : mapping of str to str
        The part or fold of each track; ``""`` for those in none.
    """
    return [one for one in read_findings(path) if len(one.parts(part_of)) > 1]


def across_notes(path: Path | str, found: Sequence[Finding]) -> list[str]:
    """Return what a reader of scores must know of findings across parts."""
    notes = [
        f"{one.id} is across parts and was acknowledged: {one.reason}"
        for one in found
        if one.acknowledged
    ]
    if left := [one.id for one in found if not one.acknowledged]:
        shown = ", ".join(left[:3]) + (", ..." if len(left) > 3 else "")
        notes.append(
            f"{len(left)} findings of {audit_file(path)} are across parts and not acknowledged "
            f"({shown}), so that mcls eval refuses this split"
        )
    return notes


def refuse_across(path: Path | str, found: Sequence[Finding], part_of: Mapping[str, str]) -> None:
    """Refuse a split that has findings across its parts which nobody has acknowledged.

    Raises
    ------
    DataError
        The message names the findings and says what to do.
    """
    left = [one for one in found if not one.acknowledged]
    if not left:
        return
    said = "; ".join(one.describe(part_of) for one in left[:3])
    more = f"; and {len(left) - 3} more" if len(left) > 3 else ""
    raise DataError(
        f"{len(left)} findings of {audit_file(path)} are across parts, which makes scores too "
        f"good: {said}{more}. Split again so that copies stay together (mcls data audit --groups), "
        f"or acknowledge them: mcls data audit {path} --acknowledge {left[0].id} --reason TEXT"
    )


def acknowledge(path: Path | str, ids: Sequence[str], reason: str) -> list[Finding]:
    """Acknowledge findings in the audit file of a manifest or store; return them.

    Raises
    ------
    ConfigError
        If there is no finding of an id, or no reason.
    """
    findings = read_findings(path)
    known = {one.id: one for one in findings}
    for name in ids:
        if name not in known:
            hint = suggest(name, known) if known else "there are none"
            raise ConfigError(f"{audit_file(path)} has no finding {name!r}; {hint}")
    if not reason.strip():
        raise ConfigError("to acknowledge a finding, say why with --reason")
    changed = [
        replace(one, acknowledged=True, reason=reason) if one.id in ids else one for one in findings
    ]
    write_findings(path, changed)
    return [one for one in changed if one.id in ids]
