"""The starter notebooks are valid, hold no outputs, and run from top to bottom."""

import contextlib
import json
from pathlib import Path

import pytest

NOTEBOOKS = sorted((Path(__file__).parents[1] / "docs" / "homework").glob("*.ipynb"))
#: Less work than a student would want.
SMALL = {"TRACKS = 180": "TRACKS = 36", "EPOCHS = 15": "EPOCHS = 1"}


def ids(paths: list[Path]) -> list[str]:
    return [path.stem for path in paths]


def test_there_are_notebooks() -> None:
    assert ids(NOTEBOOKS) == ["1-instruments", "2-genres"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=ids(NOTEBOOKS))
def test_a_notebook_is_valid_and_has_no_outputs(path: Path) -> None:
    book = json.loads(path.read_text(encoding="utf-8"))
    assert (book["nbformat"], book["nbformat_minor"]) == (4, 5)
    assert book["metadata"]["kernelspec"]["name"] == "python3"
    names = [cell["id"] for cell in book["cells"]]
    assert len(set(names)) == len(names)
    for cell in book["cells"]:
        wanted = {"cell_type", "id", "metadata", "source"}
        if cell["cell_type"] == "code":
            wanted |= {"outputs", "execution_count"}
            assert cell["outputs"] == []
            assert cell["execution_count"] is None
        assert set(cell) == wanted
    with contextlib.suppress(ImportError):
        import nbformat

        nbformat.validate(nbformat.reads(json.dumps(book), 4))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=ids(NOTEBOOKS))
@pytest.mark.slow
def test_a_notebook_runs(path: Path, tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {"__name__": "notebook"}
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        if cell["cell_type"] != "code":
            continue
        code = "".join(cell["source"])
        for much, little in SMALL.items():
            code = code.replace(much, little)
        exec(compile(code, cell["id"], "exec"), names)
    assert 0 <= names["baseline"] <= 1
    assert ", test: accuracy" in capsys.readouterr().out
    assert list(tmp_path.glob("*.png"))
