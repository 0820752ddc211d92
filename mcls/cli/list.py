"""``mcls list``: everything that has a name, straight from the registry."""

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from mcls.cli.options import json_option
from mcls.cli.tables import show_table
from mcls.errors import MclsError
from mcls.registry import FAMILIES, Entry, broken_packages, entries, find

if TYPE_CHECKING:
    from mcls.nets.summary import Sees


@click.command()
@click.argument("family", required=False)
@click.argument("name", required=False)
@click.option("--table", is_flag=True, help="Of nets: compare sizes and what units see.")
@json_option
def command(family: str | None, name: str | None, table: bool, as_json: bool) -> None:
    """List features, classifiers, metrics and their settings.

    Without FAMILY: the families. With it: what there is. With NAME: its
    settings, as -p and NAME:key=value take them; of a net, its layers too.
    With --table, all nets (or one): parameters, work and receptive fields.

    \b
    Example:
      mcls list
      mcls list features
      mcls list features mfcc
      mcls list classifiers svm --json
      mcls list nets fcn4
      mcls list nets --table
    """
    try:
        if table:
            _compare_nets(family, name, as_json)
        elif family is None:
            _families(as_json)
        elif name is None:
            _family(family, as_json)
        else:
            _entry(find(family, name), as_json)
    except MclsError as error:
        raise click.UsageError(str(error)) from error
    _refuse_broken_packages(family)


def _refuse_broken_packages(family: str | None) -> None:
    """End with an error if an installed package cannot be read; what can be is listed by then."""
    families = sorted(FAMILIES) if family is None else [family]
    messages = dict.fromkeys(text for one in families for text in broken_packages(one))
    if messages:
        raise click.ClickException("; ".join(messages))


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


def _compare_nets(family: str | None, name: str | None, as_json: bool) -> None:
    if family != "nets":
        raise click.UsageError("--table compares nets: mcls list nets --table")
    chosen = list(entries("nets").values()) if name is None else [find("nets", name)]
    from mcls.nets.summary import survey

    found = [survey(entry) for entry in chosen]
    if as_json:
        click.echo(json.dumps([net.as_dict() for net in found], indent=2))
        return
    rows = [
        [
            net.name,
            net.source,
            f"{net.n_frames} x {net.n_dims}",
            "" if net.seconds is None else f"{net.seconds:.3g} s",
            f"{net.n_parameters:,}",
            f"{net.flops / 1e6:,.1f}",
            _sees(net.first),
            _sees(net.last_over_time),
        ]
        for net in found
    ]
    columns = ["net", "published", "frames x dims", "time", "parameters", "MFLOP"]
    show_table([*columns, "first layer sees", "last layer over time sees"], rows, left=2)
    click.echo(
        "\nEach for the input of its publication. A unit sees frames x dims of a segment: in time, "
        "and in Hz\nof mel bands up to half the rate, in the middle of the axis. Work is of a "
        "segment; a multiply-add is two."
    )


def _sees(one: "Sees") -> str:
    """Write a receptive field: ``conv1 6 x 4: 128 ms, 268 Hz``."""
    field = one.field
    frames = "all" if field.all_frames else str(field.frames)
    dims = "all" if field.all_dims else str(field.dims)
    said = []
    if one.milliseconds is not None and not field.all_frames:
        spelt = one.milliseconds
        said.append(f"{spelt / 1000:.3g} s" if spelt >= 1000 else f"{spelt:.3g} ms")
    if one.hertz is not None and not field.all_dims:
        said.append(f"{one.hertz:.3g} Hz" if one.hertz < 1000 else f"{one.hertz / 1000:.3g} kHz")
    return f"{field.layer} {frames} x {dims}" + (": " + ", ".join(said) if said else "")


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
        "package": entry.package or "mcls",
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
