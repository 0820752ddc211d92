"""The house: imports go down only, click and print stay upstairs, modules stay short."""

import ast
import subprocess
import sys
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1] / "mcls"
MODULES = sorted(ROOT.rglob("*.py"))

#: Rooms of each floor; a name that is in none is on floor 3, with the algorithms.
FLOORS = {
    7: {"cli", "__main__"},
    6: {"report", "serve", "tuning"},
    5: {"auditing", "extraction", "inspection", "judging", "recipes", "stages"},
    4: {"chain"},
    2: {"audio", "disk", "parallel", "remote", "stores", "tables"},
    1: {"__init__", "errors", "options", "registry", "settings", "source_text", "tabular"},
}

#: Modules that make the start slow, and that `mcls --help` must not import.
HEAVY = {
    "torch",
    "librosa",
    "sklearn",
    "scipy",
    "numba",
    "numpy",
    "h5py",
    "rich",
    "av",
    "soundfile",
}


def name_of(path: Path) -> str:
    return ".".join(("mcls", *path.relative_to(ROOT).with_suffix("").parts))


def room_of(module: str) -> str:
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else "__init__"


def floor_of(module: str) -> int:
    return next((floor for floor, rooms in FLOORS.items() if room_of(module) in rooms), 3)


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


@cache
def imports_of(path: Path) -> set[str]:
    """All modules a file imports, also inside functions."""
    found = set()
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: relative import"
            assert node.module is not None
            found.add(node.module)
            below = [f"{node.module}.{alias.name}" for alias in node.names]
            found |= {name for name in below if is_module(name)}
    return found


def is_module(name: str) -> bool:
    path = ROOT.parent.joinpath(*name.split("."))
    return name.startswith("mcls") and (path.with_suffix(".py").is_file() or path.is_dir())


def own_imports(path: Path) -> set[str]:
    return {name for name in imports_of(path) if name.split(".")[0] == "mcls"}


def ids(paths: list[Path]) -> list[str]:
    return [str(path.relative_to(ROOT)) for path in paths]


def test_modules_are_found() -> None:
    assert len(MODULES) > 30


@pytest.mark.parametrize("path", MODULES, ids=ids(MODULES))
def test_imports_go_down_only(path: Path) -> None:
    here = floor_of(name_of(path))
    up = sorted(name for name in own_imports(path) if floor_of(name) > here)
    assert not up, f"floor {here} imports {up}"


def test_rooms_of_a_floor_do_not_import_one_another_in_circles() -> None:
    rooms: dict[str, set[str]] = {}
    for path in MODULES:
        room = room_of(name_of(path))
        rooms.setdefault(room, set()).update(map(room_of, own_imports(path)))
    for room, below in rooms.items():
        below -= {room, "__init__"}
    try:
        TopologicalSorter(rooms).prepare()
    except CycleError as error:
        pytest.fail(f"rooms import one another in a circle: {error.args[1]}")


def test_modules_do_not_import_one_another_in_circles() -> None:
    packages = {
        name_of(path).removesuffix(".__init__") for path in MODULES if path.stem == "__init__"
    }
    modules = {
        name_of(path): {name for name in own_imports(path) if name not in packages}
        for path in MODULES
        if path.stem != "__init__"
    }
    try:
        TopologicalSorter(modules).prepare()
    except CycleError as error:
        pytest.fail(f"modules import one another in a circle: {error.args[1]}")


def test_no_two_public_classes_or_type_aliases_share_a_name() -> None:
    places: dict[str, list[str]] = {}
    for path in MODULES:
        for node in tree_of(path).body:
            name = ""
            if isinstance(node, ast.ClassDef):
                name = node.name
            elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                name = node.targets[0].id
            if name[:1].isupper() and not name.isupper():  # constants are in capitals
                places.setdefault(name, []).append(name_of(path))
    assert {name: found for name, found in places.items() if len(found) > 1} == {}


@pytest.mark.parametrize("path", MODULES, ids=ids(MODULES))
def test_click_rich_and_print_are_the_command_lines_own(path: Path) -> None:
    if room_of(name_of(path)) == "cli":
        return
    tops = {name.split(".")[0] for name in imports_of(path)}
    assert not tops & {"click", "rich"}
    calls = [node.func for node in ast.walk(tree_of(path)) if isinstance(node, ast.Call)]
    assert not any(isinstance(call, ast.Name) and call.id == "print" for call in calls)


@pytest.mark.parametrize("path", MODULES, ids=ids(MODULES))
def test_every_module_says_what_it_is(path: Path) -> None:
    assert ast.get_docstring(tree_of(path))


@pytest.mark.parametrize("path", MODULES, ids=ids(MODULES))
def test_nothing_is_pickled_and_no_error_passes_in_silence(path: Path) -> None:
    assert not imports_of(path) & {"pickle", "cPickle", "dill", "cloudpickle", "shelve", "marshal"}
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.ExceptHandler) and all(isinstance(x, ast.Pass) for x in node.body):
            kind = "" if node.type is None else ast.unparse(node.type)
            assert kind not in ("", "Exception", "BaseException"), f"{path}:{node.lineno}"


@pytest.mark.parametrize("words", [["--help"], ["list"], ["list", "features"], ["train", "--help"]])
def test_looking_imports_nothing_heavy(words: list[str]) -> None:
    allowed = {"rich"} if words[0] == "list" else set()
    program = (
        "import sys\n"
        "from mcls.cli.main import cli\n"
        f"cli({words!r}, standalone_mode=False)\n"
        f"print(sorted({HEAVY - allowed!r} & set(sys.modules)), file=sys.stderr)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stderr.strip() == "[]"
