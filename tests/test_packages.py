"""Entries of other packages, and presets, as the package in example_package adds them."""

import importlib
import importlib.util
import json
import pickle
import re
import shutil
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import soundfile
import torch
from click.testing import CliRunner

import mcls
from mcls import registry, source_text
from mcls.cli.main import cli
from mcls.errors import ConfigError
from mcls.nets import build_net
from mcls.registry import FAMILIES, defaults, entries, find
from mcls.settings import resolve

EXAMPLE = Path(__file__).parent / "example_package"


def forget() -> None:
    """Let the registry read everything again."""
    for cached in (registry._read, registry._entry_points, source_text.entries_of):
        cached.cache_clear()
    source_text._module.cache_clear()
    source_text._file_of.cache_clear()
    for name in [name for name in sys.modules if name.split(".")[0] == "mcls_example"]:
        del sys.modules[name]


@pytest.fixture
def install(monkeypatch) -> Iterator[Callable[[Path], None]]:
    """Put a folder with a package on Python's path for one test."""

    def install(folder: Path) -> None:
        monkeypatch.syspath_prepend(folder)
        importlib.invalidate_caches()
        forget()

    yield install
    monkeypatch.undo()
    forget()


@pytest.fixture
def example(install) -> None:
    install(EXAMPLE)


@pytest.fixture
def broken(install, tmp_path) -> Path:
    """A copy of the package that a test may damage before it looks at it."""
    shutil.copytree(EXAMPLE, tmp_path / "site")
    install(tmp_path / "site")
    return tmp_path / "site" / "mcls_example"


def run(*words: str):
    return CliRunner().invoke(cli, list(words), prog_name="mcls")


def test_its_entries_are_listed(example) -> None:
    result = run("list", "nets")
    assert result.exit_code == 0
    assert "mean-linear" in result.stdout
    said = json.loads(run("list", "nets", "mean-linear", "--json").stdout)
    assert said["package"] == "mcls-example"
    assert said["settings"]["pool"]["doc"] == "Pooling over time."
    assert "softer-threshold" in entries("encoders")


def test_without_the_package_there_is_no_such_entry() -> None:
    with pytest.raises(ConfigError, match="there is no 'mean-linear' among the nets"):
        find("nets", "mean-linear")


def test_every_family_has_an_entry_point(tmp_path, install) -> None:
    site = tmp_path / "site"
    (site / "tiny-1.dist-info").mkdir(parents=True)
    (site / "tiny-1.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: tiny\n")
    lines = [f"[mcls.{family}]\ntiny = tiny_entries" for family in FAMILIES]
    (site / "tiny-1.dist-info" / "entry_points.txt").write_text("\n".join(lines))
    text = "".join(
        f'@register("{family}", "tiny")\ndef thing{i}(x, *, size: int = {i}):\n    """Tiny."""\n'
        for i, family in enumerate(FAMILIES)
    )
    (site / "tiny_entries.py").write_text(f"from mcls.registry import register\n{text}")
    install(site)
    for i, family in enumerate(FAMILIES):
        entry = find(family, "tiny")
        assert (entry.package, defaults(entry)) == ("tiny", {"size": i})
        assert entry.load().registered_as == "tiny"


def test_the_package_of_the_how_to_page_works(tmp_path, install) -> None:
    page = (Path(__file__).parents[1] / "docs" / "add-an-entry.md").read_text(encoding="utf-8")
    project, code = (re.search(rf"```{kind}\n(.*?)```", page, re.S) for kind in ("toml", "python"))
    about = tomllib.loads(project[1])["project"]
    lines = []
    for group, points in about["entry-points"].items():
        lines += [f"[{group}]", *(f"{name} = {place}" for name, place in points.items())]
    info = tmp_path / "site" / "my_entries-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {about['name']}\n")
    (info / "entry_points.txt").write_text("\n".join(lines))
    (tmp_path / "site" / "my_entries.py").write_text(code[1])
    install(tmp_path / "site")
    for i in range(12):
        wave = np.sin(np.arange(8000) * 0.3)
        folder = tmp_path / "audio" / ("square" if i % 2 else "sine")
        folder.mkdir(parents=True, exist_ok=True)
        soundfile.write(folder / f"{i}.wav", 0.5 * (np.sign(wave) if i % 2 else wave), 8000)
    store, trained = str(tmp_path / "s.h5"), str(tmp_path / "run")
    feature = ["--feature", "crest:hop_length=256", "--sr", "8000"]
    for words in (
        ["list", "features", "crest"],
        ["extract", str(tmp_path / "audio"), store, *feature],
        ["train", store, trained, "--pool", "mean"],
    ):
        result = run(*words)
        assert result.exit_code == 0, result.output
    rows = mcls.Store(store).feature("crest")
    crest = {track: rows.track(i)[10, 0] for i, track in enumerate(rows.track_ids)}
    assert crest["sine/0"] == pytest.approx(20 * np.log10(np.sqrt(2)), abs=0.05)
    assert crest["square/1"] == pytest.approx(0, abs=0.05)
    result = run("eval", trained, "--metric", "top-2", "--json")
    assert json.loads(result.stdout)["metrics"]["top-2"]["micro"]["value"] == 1.0


def test_a_preset_of_a_class_has_other_defaults_and_facts(example) -> None:
    narrow, parent = find("nets", "fcn4-narrow"), find("nets", "fcn4")
    assert defaults(narrow) == defaults(parent) | {"width": 0.0625, "dropout": 0.0}
    assert narrow.facts == parent.facts | {"source": "Example 2026", "frames": 64}
    assert [s.doc for s in narrow.settings.values()] == [s.doc for s in parent.settings.values()]
    made = build_net("fcn4-narrow", {}, 64, 40, 3, seed=1)
    same = build_net("fcn4", {"width": 0.0625, "dropout": 0.0}, 64, 40, 3, seed=1)
    assert isinstance(made, parent.load())
    assert all(
        torch.equal(one, two)
        for one, two in zip(made.state_dict().values(), same.state_dict().values(), strict=True)
    )
    with pytest.raises(ConfigError, match=r"^fcn4-narrow: width=-1"):
        build_net("fcn4-narrow", {"width": -1}, 64, 40, 3)


def test_a_preset_can_be_pickled(example) -> None:
    kind = find("nets", "fcn4-narrow").load()
    assert pickle.loads(pickle.dumps(kind)) is kind
    function = find("encoders", "softer-threshold").load()
    assert pickle.loads(pickle.dumps(function)) is function


def test_a_preset_of_a_function_has_other_defaults(example) -> None:
    entry = find("encoders", "softer-threshold")
    rows = np.array([[3.0, 4.0]], np.float32)
    arrays = {"atoms": np.eye(2, dtype=np.float32)}
    assert entry.load()(rows, arrays).tolist() == pytest.approx(np.array([[2.9, 3.9]]))
    assert find("encoders", "soft-threshold").load()(rows, arrays).tolist() == [[2.5, 3.5]]
    assert list(resolve(entry, {"split_signs": "true"})) == ["alpha", "split_signs"]


@pytest.fixture
def script(monkeypatch) -> Callable[[str], ModuleType]:
    """Import a script of the documentation."""

    def script(path: str) -> ModuleType:
        file = Path(__file__).parents[1] / "docs" / path
        monkeypatch.syspath_prepend(file.parent)
        spec = importlib.util.spec_from_file_location(file.stem, file)
        module = importlib.util.module_from_spec(spec)
        monkeypatch.setitem(sys.modules, file.stem, module)
        spec.loader.exec_module(module)
        return module

    return script


def test_a_net_of_one_file_is_in_every_table(example, script) -> None:
    page = script("make_nets_table.py").render("<!-- table of nets -->\n<!-- end of the table -->")
    assert "| `mean-linear` | Example 2026 | 16 x 8 | 3 |" in page
    assert "| `fcn4-narrow` | Example 2026 | 64 x 96 | 50 |" in page
    rows = json.loads(run("list", "nets", "mean-linear", "--table", "--json").stdout)
    assert [row["name"] for row in rows] == ["mean-linear"]
    zoo = {net.name: net for net in script("results/make_zoo.py").all_nets()}
    assert set(zoo) == set(entries("nets"))
    assert zoo["mean-linear"].settings == zoo["fcn4-narrow"].settings == ()


def test_a_net_of_one_file_is_trained_encodes_and_predicts(example, tmp_path) -> None:
    steps = [
        f"data synth {tmp_path}/toy --tracks 24 --seconds 1.2",
        f"extract {tmp_path}/toy/manifest.csv {tmp_path}/mel.h5 --feature mel:n_mels=16",
        f"train {tmp_path}/mel.h5 {tmp_path}/run --model mean-linear -p pool=max --frames 16 "
        "--epochs 2 --device cpu",
        f"encode {tmp_path}/mel.h5 {tmp_path}/deep.h5 --with {tmp_path}/run --pool mean",
        f"predict {tmp_path}/run {tmp_path}/mel.h5",
        f"info {tmp_path}/run",
        f"export {tmp_path}/run {tmp_path}/net.pt2",
    ]
    for words in steps:
        result = run(*words.split())
        assert result.exit_code == 0, f"{words}: {result.output}"
    forget()


def test_a_run_of_a_package_that_is_gone_names_the_net(example, tmp_path, monkeypatch) -> None:
    frozen = build_net("mean-linear", {}, 16, 8, 3)
    assert frozen.registered_as == "mean-linear"
    monkeypatch.setattr(registry, "_packages", lambda family: iter(()))
    forget()
    with pytest.raises(ConfigError, match="there is no 'mean-linear' among the nets"):
        build_net("mean-linear", {}, 16, 8, 3)


def damage(package: Path, old: str, new: str) -> None:
    file = package / "nets.py"
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))
    forget()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("import torch\n", "import torch torch\n", "nets.py, line 5: invalid syntax"),
        ("width: float = 1.0", "width: float = WIDTH", "is not a literal"),
        ('of="fcn4"', 'of="fcn44"', "no such entry; did you mean 'fcn4'"),
        ('"mean-linear"', '"fcn5"', "there is another entry named 'fcn5'"),
        ("from mcls.registry", "from mcls.nothing import Base\nfrom mcls.registry", None),
    ],
)
def test_a_broken_package_is_named_and_the_rest_is_listed(
    broken, old: str, new: str, message: str | None
) -> None:
    damage(broken, old, new)
    result = run("list", "nets")
    assert "tagging-transformer" in result.stdout
    find("nets", "fcn4")
    if message is None:  # it can be read, and fails only when it is used
        assert result.exit_code == 0
        with pytest.raises(ConfigError, match="the package mcls-example cannot be imported"):
            build_net("mean-linear", {}, 16, 8, 3)
        return
    assert result.exit_code == 1
    assert "Error: the package mcls-example is broken" in result.stderr
    assert message in result.stderr
    assert run("list").exit_code == 1
    with pytest.raises(ConfigError, match=r"there is no 'mean-linear'.*mcls-example is broken"):
        find("nets", "mean-linear")


def test_a_package_that_is_gone_is_named(broken) -> None:
    (broken / "nets.py").unlink()
    forget()
    result = run("list", "nets")
    assert result.exit_code == 1
    assert "there is no module mcls_example.nets" in result.stderr


def test_a_preset_of_what_the_parent_lacks_is_refused(broken) -> None:
    damage(broken, "width=0.0625", "wdth=0.0625")
    with pytest.raises(ConfigError, match="fcn4 has no setting 'wdth'; did you mean 'width'"):
        find("nets", "fcn4-narrow").load()
