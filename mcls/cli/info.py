"""``mcls info``: what a file or folder is."""

import json
from pathlib import Path
from typing import Any

import click

from mcls.cli.options import FILE, json_option
from mcls.cli.progress import spell_seconds
from mcls.cli.tables import show_table

_SHOWN = 20


@click.command()
@click.argument("path", type=FILE)
@click.option("--labels", default="labels", help="Column of labels to count.")
@click.option("--split", default="split", help="Column of parts to count by.")
@json_option
def command(path: Path, labels: str, split: str, as_json: bool) -> None:
    """Say what a file or folder is, and what made it.

    PATH is a manifest, a folder of class folders, a store, a dictionary,
    a run, a cross-validation, predictions or an audio file.

    \b
    Example:
      mcls info mfcc.h5
      mcls info runs/vq --json
    """
    from mcls.inspection.info import info

    said = info(path, labels=labels, split=split)
    if as_json:
        click.echo(json.dumps(said, indent=2, ensure_ascii=False))
    else:
        _SHOW[said["kind"]](said)


def _show_store(said: dict[str, Any]) -> None:
    audio = spell_seconds(said["seconds_of_audio"])
    _title(said, f"{said['n_tracks']} tracks", f"{audio} of audio", _size(said["bytes"]))
    rows = []
    for name, feature in said["features"].items():
        rate = f"{feature['frame_rate']:.5g}" if feature["frame_rate"] else ""
        rows.append(
            [
                name,
                _spell_chain(feature["chain"]),
                str(feature["n_rows"]),
                rate,
                str(feature["n_dims"]),
                feature["dtype"],
            ]
        )
    show_table(["feature", "made by", "rows", "rows/s", "dims", "type"], rows, left=2)
    for name, feature in said["features"].items():
        _show_settings(feature["chain"], f"{name}: ")
    _show_columns(said)
    if said["split_note"]:
        click.echo(f"\nsplit: {said['split_note']}")
    failed = said["failed"]
    for one in failed[:_SHOWN]:
        click.echo(f"failed: {one.get('path', one['track_id'])}: {one['reason']}")
    if len(failed) > _SHOWN:
        click.echo(f"failed: {len(failed) - _SHOWN} more; --json lists them")


def _show_dictionary(said: dict[str, Any]) -> None:
    _title(said, _spell_chain(said["chain"]), _size(said["bytes"]))
    _show_settings(said["chain"])
    for step in said["chain"]:
        if step["learnt_from"]:
            click.echo(f"{step['name']} learnt from {step['learnt_from']} tracks")
    if said["report"]:
        click.echo()
        show_table(["report", ""], _pairs(said["report"]), left=2)


def _show_run(said: dict[str, Any]) -> None:
    kind = "any number of labels per track" if said["multi_label"] else "one label per track"
    _title(said, f"{len(said['labels'])} labels, {kind}", _size(said["bytes"]))
    click.echo(f"chain: {_spell_chain(said['chain'])}")
    _show_settings(said["chain"])
    parts = said["predictions"]["parts"]
    click.echo("scored: " + ", ".join(f"{n} {part or 'tracks'}" for part, n in parts.items()))
    click.echo(f"labels: {', '.join(said['labels'])}")
    for table in said["settings"].values():
        click.echo()
        show_table(["setting", "value"], _pairs(table), left=2)
    about = {key: said["about"][key] for key in _ABOUT if key in said["about"]}
    if about:
        click.echo()
        show_table(["about", ""], _pairs(about), left=2)


def _show_predictions(said: dict[str, Any]) -> None:
    folds = f"{len(said['folds'])} folds" if said["folds"] else ""
    parts = ", ".join(f"{n} {part or 'without a part'}" for part, n in said["parts"].items())
    _title(said, f"{said['n_tracks']} tracks ({parts})", folds)
    show_table(["label", "tracks"], [[name, str(n)] for name, n in said["labels"].items()])


def _show_manifest(said: dict[str, Any]) -> None:
    _title(said, f"{said['n_tracks']} tracks")
    for note in said["notes"]:
        click.echo(f"note: {note}")
    _show_columns(said)
    missing = said["missing"]
    for path in missing[:_SHOWN]:
        click.echo(f"missing: {path}")
    if len(missing) > _SHOWN:
        click.echo(f"missing: {len(missing) - _SHOWN} more; --json lists them")


def _show_audio(said: dict[str, Any]) -> None:
    channels = {1: "mono", 2: "stereo"}.get(said["channels"], f"{said['channels']} channels")
    length = "unknown length" if said["seconds"] is None else spell_seconds(said["seconds"])
    _title(said, length, f"{said['sample_rate']} Hz", channels, _size(said["bytes"]))


_SHOW = {
    "store": _show_store,
    "dictionary": _show_dictionary,
    "run": _show_run,
    "cross-validation": _show_predictions,
    "predictions": _show_predictions,
    "manifest": _show_manifest,
    "audio": _show_audio,
}

#: What of about.json people want to see.
_ABOUT = ("split_id", "aggregate", "threshold", "chosen", "seed", "mcls", "commit", "seconds")


def _title(said: dict[str, Any], *facts: str) -> None:
    click.echo(click.style(f"{said['path']}: {said['kind']}", bold=True), nl=False)
    click.echo("".join(f", {fact}" for fact in facts if fact))


def _show_columns(said: dict[str, Any]) -> None:
    """Print the columns with their distinct values, and the labels per part."""
    columns = ", ".join(f"{name} ({n})" for name, n in said["columns"].items())
    click.echo(f"columns (distinct values): {columns}")
    parts = said["parts"] or {}
    if said["labels"] is None:
        if parts:
            click.echo(", ".join(f"{n} {part or 'without a part'}" for part, n in parts.items()))
        return
    shown = list(parts) or ["all"]
    rows = [
        [label, *(str(counts.get(part, 0)) for part in shown)]
        for label, counts in said["labels"].items()
    ]
    if parts:
        rows.append(["(tracks)", *(str(parts[part]) for part in shown)])
    click.echo()
    show_table(["label", *(part or "no part" for part in shown)], rows)


def _show_settings(chain: list[dict[str, Any]], name: str = "") -> None:
    for step in chain:
        settings = ", ".join(f"{key}={_text(value)}" for key, value in step["settings"].items())
        if settings:
            click.echo(f"{name}{step['name']}: {settings}")


def _spell_chain(chain: list[dict[str, Any]]) -> str:
    return " > ".join(step["name"] for step in chain)


def _pairs(table: dict[str, Any]) -> list[list[str]]:
    return [[key.replace("_", " "), _text(value)] for key, value in table.items()]


def _text(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}={_text(one)}" for key, one in value.items()) + "}"
    if isinstance(value, list | tuple):
        if len(value) > _SHOWN:
            return f"{_text(value[0])} ... {_text(value[-1])} ({len(value)} values)"
        return ", ".join(map(_text, value)) or "none"
    if value is None or isinstance(value, bool):
        return str(value).lower()
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _size(n_bytes: int) -> str:
    for unit, size in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if n_bytes >= size:
            return f"{n_bytes / size:.3g} {unit}"
    return f"{n_bytes} bytes"
