"""``mcls list``: everything that has a name, straight from the registry."""

import json
from dataclasses import asdict
from typing import Any

import click

from mcls.cli.options import json_option
from mcls.cli.tables import show_table
from mcls.errors import MclsError
from mcls.registry import FAMILIES, Entry, entries, find


@click.command()
@click.argument("family", required=False)
@click.argument("name", required=False)
@json_option
def command(family: str | None, name: str | None, as_json: bool) -> None:
    """List features, classifiers, metrics and their settings.

    Without FAMILY: the families. With it: what there is. With NAME: its
    settings, as -p and NAME:key=value take them; of a net, its layers too.

    \b
    Example:
      mcls list
      mcls list features
      mcls list features mfcc
      mcls list classifiers svm --json
      mcls list nets fcn4
    """
    try:
        if family is None:
            _families(as_json)
        elif name is None:
            _family(family, as_json)
        else:
            _entry(find(family, name), as_json)
    except MclsError as error:
        raise click.UsageError(str(error)) from error


def _families(as_json: bool) -> None:
    found = {family: list(entries(family)) for family in sorted(FAMILIES)}
    if as_json:
        click.echo(json.dumps(found, indent=2))
        return
    rows = [[family, ", ".join(names) or "none yet"] for family, names in found.items()]
    show_table(["family", "names"], rows, left=2)


def _family(family: str, as_json: bool) -> None:
    found = entries(family)
    if as_json:
        click.echo(json.dumps({name: _as_dict(entry) for name, entry in found.items()}, indent=2))
        return
    facts = list(dict.fromkeys(key for entry in found.values() for key in entry.facts))
    facts = [key for key in facts if key != "order"]
    rows = []
    for name, entry in found.items():
        said = [_text(entry.facts.get(key, "")) for key in facts]
        rows.append([name, entry.summary, *said, ", ".join(entry.settings)])
    columns = ["name", "what", *facts, "settings"]
    show_table(columns, rows, left=len(columns))


def _entry(entry: Entry, as_json: bool) -> None:
    from mcls.settings import describe

    if as_json:
        layers = _layers_as_dict(entry) if entry.family == "nets" else {}
        click.echo(json.dumps(_as_dict(entry) | layers, indent=2))
        return
    click.echo(f"{click.style(entry.name, bold=True)}: {entry.summary}")
    for key, value in entry.facts.items():
        click.echo(f"{key.replace('_', ' ')}: {_text(value)}")
    if not entry.settings:
        click.echo("no settings")
        return
    click.echo()
    rows = [
        [setting.name, _text(setting.default), describe(setting.type), setting.doc]
        for setting in entry.settings.values()
    ]
    show_table(["setting", "default", "type", "what"], rows, left=4)
    if entry.family == "nets":
        _layers(entry)


def _layers(entry: Entry) -> None:
    said = _layers_as_dict(entry)
    frames, dims, labels = (entry.facts[key] for key in ("frames", "dims", "labels"))
    rows = [
        [
            layer["name"],
            layer["kind"],
            " x ".join(map(str, layer["output"])),
            f"{layer['n_parameters']:,}",
            f"{layer['flops'] / 1e6:,.3f}",
        ]
        for layer in said["layers"]
    ]
    click.echo()
    title = f"layers, for a segment of {frames} x {dims} (frames x dims) and {labels} labels"
    show_table(["layer", "what", "output", "parameters", "MFLOP"], rows, title=title, left=3)
    click.echo()
    least_frames, least_dims = said["smallest_input"]
    click.echo(
        f"{said['n_parameters']:,} parameters; {said['flops'] / 1e6:,.3f} MFLOP a segment, a "
        "multiply-add being two, norms and pools not counted\n"
        f"output: units, maps x frames, or maps x frames x dims\n"
        f"smallest segment: {least_frames} x {least_dims} (frames x dims)"
    )


def _layers_as_dict(entry: Entry) -> dict[str, Any]:
    from mcls.nets import smallest_input
    from mcls.nets.describe import describe_net

    frames, dims, labels = (entry.facts[key] for key in ("frames", "dims", "labels"))
    layers = describe_net(entry.name, {}, frames, dims, labels)
    return {
        "layers": [asdict(layer) for layer in layers],
        "n_parameters": sum(layer.n_parameters for layer in layers),
        "flops": sum(layer.flops for layer in layers),
        "smallest_input": smallest_input(entry.name, {}),
    }


def _as_dict(entry: Entry) -> dict[str, Any]:
    from mcls.settings import describe

    return {
        "family": entry.family,
        "name": entry.name,
        "summary": entry.summary,
        "facts": entry.facts,
        "settings": {
            setting.name: {
                "type": describe(setting.type),
                "default": setting.default,
                "doc": setting.doc,
            }
            for setting in entry.settings.values()
        },
    }


def _text(value: Any) -> str:
    """Write a value as `-p` takes it."""
    if isinstance(value, list | tuple):
        return ", ".join(map(_text, value)) or "none"
    if value is None or isinstance(value, bool):
        return str(value).lower()
    return str(value)
