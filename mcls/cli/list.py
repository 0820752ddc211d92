"""``mcls list``: everything that has a name, straight from the registry."""

import json
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
    settings, as -p and NAME:key=value take them.

    \b
    Example:
      mcls list
      mcls list features
      mcls list features mfcc
      mcls list classifiers svm --json
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
        click.echo(json.dumps(_as_dict(entry), indent=2))
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
