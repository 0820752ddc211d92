"""``mcls list``: the registry's families, entries and settings."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from mcls.cli.messages import echo, echo_json
from mcls.cli.options import json_option
from mcls.cli.tables import show_table
from mcls.errors import MclsError
from mcls.registry import FAMILIES, Entry, broken_packages, entries, find
from mcls.settings import spell_setting

#: Facts that are shown of one entry, not in the table of its family.
_LONG = ("order", "url", "layout")

if TYPE_CHECKING:
    from mcls.nets.summary import PhysicalField


@click.command()
@click.argument("family", required=False)
@click.argument("name", required=False)
@click.option("--table", is_flag=True, help="Compare the sizes and receptive fields of nets.")
@json_option
def command(family: str | None, name: str | None, table: bool, as_json: bool) -> None:
    """List features, nets and other entries with their settings.

    Without arguments, list the families; recipes are one more. With FAMILY, list its entries. With
    NAME too, show the settings that -p and NAME:key=value accept, and the
    layers of a net.

    \b
    Example:
      mcls list
      mcls list features
      mcls list features mfcc
      mcls list classifiers svm --json
      mcls list nets fcn4
      mcls list nets --table
      mcls list recipes
      mcls list datasets magnatagatune
    """
    if family == "recipes":
        _recipes(name, as_json)
        return
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


def _recipes(name: str | None, as_json: bool) -> None:
    """List the recipes that come with mcls, or one of them."""
    from mcls.disk.installed_recipes import about_recipe, recipe_names

    found = [about_recipe(one) for one in ([name] if name else recipe_names())]
    if as_json:
        echo_json([asdict(one) for one in found])
        return
    columns = ["name", "summary", "paper", "dataset", "published", "needs", "minutes", "gpu"]
    show_table(
        columns, ([getattr(one, key) for key in columns] for one in found), left=len(columns)
    )


def _refuse_broken_packages(family: str | None) -> None:
    """End with an error if an installed package cannot be read; what can be is listed by then."""
    families = sorted(FAMILIES) if family is None else [family]
    messages = dict.fromkeys(text for one in families for text in broken_packages(one))
    if messages:
        raise click.ClickException("; ".join(messages))


def _families(as_json: bool) -> None:
    found = {family: list(entries(family)) for family in sorted(FAMILIES)}
    if as_json:
        echo_json(found)
        return
    rows = [[family, ", ".join(names)] for family, names in found.items()]
    show_table(["family", "names"], rows, left=2)


def _family(family: str, as_json: bool) -> None:
    found = entries(family)
    if as_json:
        echo_json({name: _as_dict(entry) for name, entry in found.items()})
        return
    facts = list(dict.fromkeys(key for entry in found.values() for key in entry.facts))
    facts = [key for key in facts if key not in _LONG]
    rows = []
    for name, entry in found.items():
        values = [_text(entry.facts.get(key, "")) for key in facts]
        rows.append([name, entry.summary, *values, ", ".join(entry.settings)])
    columns = ["name", "summary", *facts, "settings"]
    show_table(columns, rows, left=len(columns))


def _entry(entry: Entry, as_json: bool) -> None:
    from mcls.settings import describe

    if as_json:
        layers = _layers_as_dict(entry) if entry.family == "nets" else {}
        echo_json(_as_dict(entry) | layers)
        return
    echo(entry.name, bold=True, nl=False)
    echo(f": {entry.summary}")
    if entry.of:
        echo(f"preset of: {entry.of}")
    if entry.package:
        echo(f"package: {entry.package}")
    for key, value in entry.facts.items():
        echo(f"{key.replace('_', ' ')}: {_text(value)}")
    if entry.family == "datasets":
        _published_splits(entry.name)
    if not entry.settings:
        echo("no settings")
        return
    echo()
    rows = [
        [setting.name, _text(setting.default), describe(setting.type), setting.doc]
        for setting in entry.settings.values()
    ]
    show_table(["setting", "default", "type", "meaning"], rows, left=4)
    if entry.family == "nets":
        _layers(entry)


def _published_splits(dataset: str) -> None:
    """Show the published splits of a dataset that mcls recognises."""
    from mcls.data.published_splits import published_splits

    rows = [
        [one.name, one.column, "/".join(map(str, one.tracks.values())), one.id, one.licence]
        for one in published_splits()
        if one.dataset == dataset
    ]
    if rows:
        echo()
        columns = ["published split", "column", "tracks", "split id", "licence of the list"]
        show_table(columns, rows, left=len(columns))


def _compare_nets(family: str | None, name: str | None, as_json: bool) -> None:
    if family != "nets":
        raise click.UsageError("--table compares nets; type mcls list nets --table")
    chosen = list(entries("nets").values()) if name is None else [find("nets", name)]
    from mcls.nets.summary import summarise

    found = [summarise(entry) for entry in chosen]
    if as_json:
        echo_json([net.as_dict() for net in found])
        return
    rows = [
        [
            net.name,
            net.source,
            f"{net.n_frames} x {net.n_dims}",
            "" if net.seconds is None else f"{net.seconds:.3g} s",
            f"{net.n_parameters:,}",
            f"{net.flops / 1e6:,.1f}",
            _field(net.first),
            _field(net.last_over_time),
        ]
        for net in found
    ]
    columns = [
        "net",
        "published",
        "input",
        "time",
        "parameters",
        "MFLOP",
        "field of first layer",
        "field of last layer",
    ]
    show_table(columns, rows, left=2)
    echo(
        "",
        "Each net at the input of its publication, frames x dimensions. The fields are the "
        "receptive fields of",
        "the first hidden layer and of the last one over time, in frames x dimensions, in time, "
        "and in Hz for",
        "mel bands up to half the sample rate, in the middle of the axis. MFLOP are those of one "
        "segment; a",
        "multiply-add counts as two.",
    )


def _field(one: "PhysicalField") -> str:
    """Write a receptive field: ``conv1 6 x 4: 128 ms, 268 Hz``."""
    field = one.field
    frames = "all" if field.all_frames else str(field.frames)
    dims = "all" if field.all_dims else str(field.dims)
    sizes = []
    if one.milliseconds is not None and not field.all_frames:
        ms = one.milliseconds
        sizes.append(f"{ms / 1000:.3g} s" if ms >= 1000 else f"{ms:.3g} ms")
    if one.hertz is not None and not field.all_dims:
        sizes.append(f"{one.hertz:.3g} Hz" if one.hertz < 1000 else f"{one.hertz / 1000:.3g} kHz")
    return f"{field.layer} {frames} x {dims}" + (": " + ", ".join(sizes) if sizes else "")


def _layers(entry: Entry) -> None:
    net = _layers_as_dict(entry)
    frames, dims, labels = (entry.facts[key] for key in ("frames", "dims", "labels"))
    rows = [
        [
            layer["name"],
            layer["kind"],
            "x".join(map(str, layer["stride"])),
            "x".join(map(str, layer["padding"])),
            str(layer["groups"]) if layer["stride"] else "",
            " x ".join(map(str, layer["output"])),
            f"{layer['n_parameters']:,}",
            f"{layer['flops'] / 1e6:,.3f}",
        ]
        for layer in net["layers"]
    ]
    echo()
    title = f"Layers for a segment of {frames} frames x {dims} dimensions and {labels} labels"
    columns = ["layer", "operation", "stride", "padding", "groups", "output", "parameters", "MFLOP"]
    show_table(columns, rows, title=title, left=6)
    echo()
    least_frames, least_dims = net["smallest_input"]
    echo(
        f"{net['n_parameters']:,} parameters; {net['flops'] / 1e6:,.3f} MFLOP per segment, where a "
        "multiply-add counts as two and norms and pools are not counted",
        "Outputs are units, maps x frames, or maps x frames x dimensions.",
        f"The smallest segment is {least_frames} frames x {least_dims} dimensions.",
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
        "preset_of": entry.of,
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
    """Write a value as `-p` accepts it."""
    if isinstance(value, list | tuple):
        return ", ".join(map(_text, value)) or "none"
    return spell_setting(value)
