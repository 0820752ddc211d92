"""The reference page is what the commands say, and every command says enough."""

import importlib.util
import inspect
import pydoc
import re
import shlex
from pathlib import Path

import click
import pytest

from mcls.cli.main import Commands, cli
from mcls.disk.recipe import read_recipe, tables_of
from mcls.nets.summary import SUMMARIES, sources_digest
from mcls.registry import FAMILIES, entries

ROOT = Path(__file__).parents[1]


def generator():
    path = ROOT / "docs" / "make_cli_reference.py"
    spec = importlib.util.spec_from_file_location("make_cli_reference", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


MADE = generator()
COMMANDS = {context.command_path: (command, context) for command, context in MADE.commands()}
LEAVES = {path: pair for path, pair in COMMANDS.items() if not isinstance(pair[0], click.Group)}


def examples(help_text: str) -> list[str]:
    """Return the commands below `Example:`."""
    found = re.search(r"\nExamples?:\n((?:[ ]*mcls .*\n?)+)", inspect.cleandoc(help_text))
    return [line.strip() for line in found[1].splitlines()] if found else []


def test_there_are_commands() -> None:
    assert len(LEAVES) >= 12


def test_the_reference_page_is_up_to_date() -> None:
    page = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    assert page == MADE.render(), "run `make docs`"


def test_the_measurements_of_nets_are_up_to_date() -> None:
    assert f'"{sources_digest()}"' in SUMMARIES.read_text(encoding="utf-8"), "run `make docs`"


def test_the_table_of_training_options_is_up_to_date() -> None:
    page = MADE.TRAINING_PAGE.read_text(encoding="utf-8")
    assert "| `--epochs` | Maximum number of epochs. | `50` | 1 or more |" in page
    assert page == MADE.render_training(), "run `make docs`"


@pytest.mark.parametrize("path", COMMANDS)
def test_a_command_says_what_it_does_in_one_line_and_shows_examples(path: str) -> None:
    command, _ = COMMANDS[path]
    assert command.help
    first = command.help.strip().splitlines()[0]
    assert len(first) <= 60
    assert first.endswith(".")
    assert examples(command.help), "no Example"


#: Words that begin a fragment instead of a sentence.
FRAGMENTS = {"Of", "What", "How", "So", "Where", "Whether", "Which", "When", "Whose", "That"}


def faults(help_line: str) -> list[str]:
    """Return what is wrong with a line of help."""
    first = re.split(r"\W", help_line, maxsplit=1)[0]
    found = {
        "does not start with a capital": not help_line[:1].isupper(),
        "is not a sentence": not help_line.endswith("."),
        "is longer than 80 characters": len(help_line) > 80,
        f"begins with the fragment word {first!r}": first in FRAGMENTS,
    }
    return [fault for fault, is_there in found.items() if is_there]


def test_every_line_of_help_is_a_short_sentence() -> None:
    lines = {
        f"{path} {parameter.opts[0]}": parameter.help or ""
        for path, (command, _) in COMMANDS.items()
        for parameter in command.params
        if isinstance(parameter, click.Option)
    }
    lines |= {
        f"{family} {entry.name} {setting.name}": setting.doc
        for family in FAMILIES
        for entry in entries(family).values()
        for setting in entry.settings.values()
    }
    bad = {place: (line, wrong) for place, line in lines.items() if (wrong := faults(line))}
    assert not bad, "\n".join(f"{place}: {line!r} {wrong}" for place, (line, wrong) in bad.items())


@pytest.mark.parametrize("path", COMMANDS)
def test_examples_are_commands_that_exist_with_options_that_exist(path: str) -> None:
    command, _ = COMMANDS[path]
    for line in examples(command.help):
        words = shlex.split(line, comments=True)[1:]
        while words[0] == "-c":
            words = words[2:]
        found: click.Command = cli
        with click.Context(cli, info_name="mcls") as context:
            while isinstance(found, click.Group) and words:
                found = found.get_command(context, words.pop(0))
                assert found is not None, line
        known = {"-h", "--help"}
        for parameter in found.params:
            known |= {*parameter.opts, *parameter.secondary_opts}
        used = {word.partition("=")[0] for word in words if re.match(r"--?[a-zA-Z]", word)}
        assert used <= known, line


@pytest.mark.parametrize("path", COMMANDS)
def test_commands_share_one_word_for_one_thing(path: str) -> None:
    command, _ = COMMANDS[path]
    shared = {"--seed": "integer", "--json": "boolean", "--overwrite": "boolean"}
    for parameter in command.params:
        for option in set(parameter.opts) & set(shared):
            assert parameter.type.name == shared[option]


def test_every_command_is_in_a_section() -> None:
    context = click.Context(cli, info_name="mcls")
    assert isinstance(cli, Commands)
    assert "More:" not in cli.get_help(context)


@pytest.mark.parametrize("path", sorted((ROOT / "pipelines").glob("*.toml")), ids=lambda p: p.stem)
def test_every_recipe_names_options_that_exist(path: Path) -> None:
    from mcls.cli.recipe_defaults import defaults_of

    context = click.Context(cli, info_name="mcls")
    recipe = read_recipe(path)
    for name in recipe:
        for table in tables_of(recipe, name):
            assert defaults_of(context, name, table, path)


PAGES = [path for path in ROOT.rglob("*.md") if not {".venv", "build", "runs"} & set(path.parts)]


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)", page.read_text(encoding="utf-8"), re.MULTILINE)
    kept = [re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings]
    return {heading.replace(" ", "-") for heading in kept}


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_to_pages_and_headings_that_exist(page: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if "://" in link:
            continue
        name, _, anchor = link.partition("#")
        target = page.parent / name if name else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def test_the_index_leads_to_every_page_of_the_docs() -> None:
    docs = ROOT / "docs"
    seen, to_read = set(), [docs / "index.md"]
    while to_read:
        page = to_read.pop()
        if page in seen:
            continue
        seen.add(page)
        links = re.findall(r"\]\(([^)#\s]+\.md)", page.read_text(encoding="utf-8"))
        to_read += [(page.parent / link).resolve() for link in links if "://" not in link]
    assert {page.resolve() for page in docs.rglob("*.md")} <= seen


def test_paths_and_names_in_the_architecture_exist() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    paths = re.findall(r"`((?:mcls|tests|docs|benchmarks|pipelines)/[\w./-]*)`", page)
    assert len(paths) > 40
    assert [path for path in paths if not (ROOT / path).exists()] == []
    packages = {path.parent.name for path in (ROOT / "mcls").glob("*/__init__.py")}
    assert {path for path in packages if f"`mcls/{path}/`" not in page} == set()


def test_what_the_papers_lead_to_can_be_imported() -> None:
    page = (ROOT / "docs" / "papers.md").read_text(encoding="utf-8")
    names = re.findall(r"`(mcls\.[\w.]+)`", page)
    assert len(names) > 40
    for name in names:
        assert pydoc.locate(name).__doc__, name
