"""``mcls info``: describe a file or folder."""

from pathlib import Path
from typing import Any

import click

from mcls.cli.messages import echo, echo_json
from mcls.cli.options import FILE, json_option, options_from
from mcls.cli.progress import spell_seconds
from mcls.cli.tables import show_table
from mcls.tables.options import Reading

_SHOWN = 20


@click.command()
@click.argument("path", type=FILE)
@options_from(Reading)
@click.option("--split", default="split", help="Column of parts to count the labels by.")
@click.option(
    "--verify",
    is_flag=True,
    help="Compare all of a store, dictionary or run with its checksums.",
)
@json_option
def command(path: Path, split: str, verify: bool, as_json: bool, **reading: Any) -> None:
    """Describe what a file or folder holds and how it was made.

    PATH is a manifest, a folder of class folders, a store, a dictionary,
    a run, a cross-validation, predictions or an audio file. For a run this
    shows the metrics, the data, the model and the features; --json adds
    every setting. --verify looks for damage: it reads all of a store, a
    dictionary, a run or a cross-validation and compares it with its
    checksums.

    \b
    Example:
      mcls info mfcc.h5
      mcls info runs/vq --json
      mcls info mfcc.h5 --verify
    """
    if verify:
        from mcls.inspection.verify import verify as compared

        said, show = compared(path), show_verified
    else:
        from mcls.inspection.info import info

        said = info(path, split=split, **reading)
        show = _SHOW[said["kind"]]
    if as_json:
        echo_json(said)
    else:
        show(said)


def show_verified(said: dict[str, Any]) -> None:
    """Print what `verify` compared."""
    for one in said["verified"]:
        echo(f"{one}: as it was written")
    for one in said["unverified"]:
        echo(f"{one}: no checksums, as an older version of mcls wrote it")


def _show_store(said: dict[str, Any]) -> None:
    audio = spell_seconds(said["seconds_of_audio"])
    _title(said, f"{said['n_tracks']} tracks", f"{audio} of audio", _size(said["bytes"]))
    rows = []
    for name, feature in said["features"].items():
        rate = f"{feature['frame_rate']:.5g}" if feature["frame_rate"] else "per track"
        sizes = [str(feature["n_rows"]), rate, str(feature["n_dims"]), feature["dtype"]]
        rows.append([name, feature["steps"], *sizes])
    columns = ["feature", "steps", "rows", "rows per second", "dimensions", "type"]
    show_table(columns, rows, left=2)
    for name, feature in said["features"].items():
        echo()
        show_table([f"settings of {name}", ""], _steps(feature["chain"]), left=2)
    echo()
    _show_columns(said)
    if said["split_note"]:
        echo("", f"split: {said['split_note']}")
    for note in said["notes"]:
        echo(f"note: {note}")
    failed = said["failed"]
    for one in failed[:_SHOWN]:
        echo(f"failed: {one.get('path', one['track_id'])}: {one['reason']}")
    if len(failed) > _SHOWN:
        echo(f"failed: {len(failed) - _SHOWN} more; --json lists them")


def _show_dictionary(said: dict[str, Any]) -> None:
    _title(said, said["steps"], _size(said["bytes"]))
    for step in said["chain"]:
        if step["learnt_from"]:
            echo(f"{step['name']} was learnt from {step['learnt_from']} tracks")
    echo()
    show_table(["settings", ""], _steps(said["chain"]), left=2)
    report = {key: value for key, value in said["report"].items() if not _is_long(value)}
    curve = _learning_curve(said["report"].get("history"))
    if report or curve:
        echo()
        show_table(["learning", ""], [*_pairs(report), *curve], left=2)


def _show_run(said: dict[str, Any]) -> None:
    about, settings = said["about"], dict(said["settings"].get("train", {}))
    model = str(settings.pop("model", "unknown"))
    kind = "any number of labels per track" if said["multi_label"] else "one label per track"
    kind = f"{len(said['labels'])} labels, {kind}"
    if about.get("regression"):
        kind = f"{len(said['labels'])} targets of a regression"
    _title(said, model, kind, _size(said["bytes"]))
    commit = f" (commit {about['commit'][:7]})" if about.get("commit") else ""
    spent = f" in {spell_seconds(about['seconds'])}" if "seconds" in about else ""
    echo(f"trained {said['made']} by mcls {about.get('mcls', '')}{commit}{spent}")
    _show_metrics(said["metrics"])
    summary = about.get("summary", {})
    counts = summary.get("tracks") or said["predictions"]["parts"]
    data = {
        "labels": said["labels"],
        "tracks": ", ".join(f"{n} {part}" for part, n in counts.items()),
        "split": summary.get("split"),
        "store": about.get("store"),
    }
    echo()
    show_table(["data", ""], _pairs({key: value for key, value in data.items() if value}), left=2)
    params = [str(param).partition("=") for param in settings.pop("param", [])]
    selected = {
        f"{name.rstrip('_')} (selected)": value
        for name, value in about.get("chosen", {}).items()
        if not isinstance(value, list | dict)
    }
    training = {key: about[key] for key in _TRAINING if key in about}
    echo()
    show_table(
        ["model", model],
        [*([key, value] for key, _, value in params), *_pairs({**selected, **training})],
        left=2,
    )
    echo()
    show_table(["features", said["steps"]], _steps(said["chain"]), left=2)
    echo()
    rest = {key: value for key, value in settings.items() if key not in _REPRESENTATION}
    show_table(["options", ""], _pairs(rest), left=2)
    for note in about.get("notes", []):
        echo(f"note: {note}")


def _show_metrics(metrics: dict[str, dict[str, Any]]) -> None:
    """Print the value to quote of each metric with its interval, for each part."""
    rows = []
    for part, values in metrics.items():
        for name, one in values.items():
            value = "undefined" if one["value"] is None else f"{one['value']:.3f}"
            known = one["low"] is not None and one["high"] is not None
            interval = f"{one['low']:.3f} to {one['high']:.3f}" if known else ""
            rows.append([part, name, value, interval])
    if rows:
        echo()
        show_table(["part", "metric", "value", "95 % interval"], rows, left=2)


def _show_predictions(said: dict[str, Any]) -> None:
    folds = f"{len(said['folds'])} folds" if said["folds"] else ""
    parts = ", ".join(f"{n} {part or 'without a part'}" for part, n in said["parts"].items())
    _title(said, f"{said['n_tracks']} tracks ({parts})", folds)
    _show_metrics(said.get("metrics", {}))
    echo()
    show_table(["label", "tracks"], [[name, str(n)] for name, n in said["labels"].items()])


def _show_manifest(said: dict[str, Any]) -> None:
    _title(said, f"{said['n_tracks']} tracks")
    for note in said["notes"]:
        echo(f"note: {note}")
    _show_columns(said)
    missing = said["missing"]
    for path in missing[:_SHOWN]:
        echo(f"missing: {path}")
    if len(missing) > _SHOWN:
        echo(f"missing: {len(missing) - _SHOWN} more; --json lists them")


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

#: Results of training a net in about.json.
_TRAINING = ("kept_epoch", "epochs", "parameters", "segment_rows", "segment_seconds", "threshold")

#: Settings of a run that its chain shows already.
_REPRESENTATION = ("feature", "dict", "encoder", "pool")


def _title(said: dict[str, Any], *facts: str) -> None:
    echo(f"{said['path']}: {said['kind']}", bold=True, nl=False)
    echo("".join(f", {fact}" for fact in facts if fact))


def _show_columns(said: dict[str, Any]) -> None:
    """Print the columns with their distinct values, and the labels per part."""
    columns = ", ".join(f"{name} ({n})" for name, n in said["columns"].items())
    echo(f"columns (distinct values): {columns}")
    parts = said["parts"] or {}
    if said["labels"] is None:
        if parts:
            echo(", ".join(f"{n} {part or 'without a part'}" for part, n in parts.items()))
        return
    shown = list(parts) or ["all"]
    rows = [
        [label, *(str(counts.get(part, 0)) for part in shown)]
        for label, counts in said["labels"].items()
    ]
    if parts:
        rows.append(["(tracks)", *(str(parts[part]) for part in shown)])
    echo()
    show_table(["label", *(part or "no part" for part in shown)], rows)


def _steps(chain: list[dict[str, Any]]) -> list[list[str]]:
    """Return the name and the settings of each step; settings that are not set are left out."""
    return [[step["name"], _spell_settings(step["settings"]) or "no settings"] for step in chain]


def _spell_settings(settings: dict[str, Any]) -> str:
    """Return settings as ``key=value``, those of nested tables among them."""
    said = []
    for key, value in settings.items():
        if isinstance(value, dict):
            said.append(_spell_settings(value))
        elif value is not None:
            said.append(f"{key}={_text(value)}")
    return ", ".join(filter(None, said))


def _is_long(value: Any) -> bool:
    """Whether a value has no place in a table, such as a history or a number per atom."""
    return isinstance(value, dict) or (isinstance(value, list) and len(value) > 3)


def _learning_curve(history: Any) -> list[list[str]]:
    """Return the first and the last value of each quantity that was measured while learning."""
    if not isinstance(history, list) or not history:
        return []
    first, last = history[0], history[-1]
    return [
        [key, f"{_text(first[key])} at first, {_text(last[key])} after {len(history)} passes"]
        for key in last
        if isinstance(first.get(key), int | float)
    ]


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
