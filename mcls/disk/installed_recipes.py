"""The recipes that come with mcls: what they are of, and where their files are.

They are the files of ``pipelines/`` in the sources, installed with the package. Each says what it
is of in its table ``[about]``.
"""

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from mcls.disk.text_files import read_toml
from mcls.disk.workspace import written_whole
from mcls.errors import ConfigError, suggest

FOLDER = Path(__file__).parents[1] / "pipelines"


@dataclass(frozen=True)
class AboutRecipe:
    """The table ``[about]`` of a recipe.

    Parameters
    ----------
    name : str
        Its name, without ``.toml``.
    summary : str
        The system in a few words.
    paper : str
        Authors and year, if it is of a paper.
    dataset : str
        The dataset of the paper: a name of ``mcls list datasets``, or another.
    protocol : str
        The parts, labels and metric of the paper.
    published : str
        The dataset, metric and figure that the authors published, if we read it there.
    differs : str
        What differs from the paper.
    needs : str
        What it needs beyond two processor cores.
    minutes : str
        Minutes of one processor core to extract ESC-10 and to run one fold of it, measured.
    gpu : str
        Time on a GPU; an estimate, if it says so.
    labels : int
        Number of labels of the protocol; 0: none is given.
    tracks : int
        Number of train tracks of the protocol; 0: none is given.
    seconds : int
        Length of a track.
    """

    name: str
    summary: str = ""
    paper: str = ""
    dataset: str = ""
    protocol: str = ""
    published: str = ""
    differs: str = ""
    needs: str = ""
    minutes: str = ""
    gpu: str = ""
    labels: int = 0
    tracks: int = 0
    seconds: int = 30


def recipe_names() -> list[str]:
    """Return the names of the recipes, sorted."""
    return sorted(path.stem for path in FOLDER.glob("*.toml"))


def recipe_path(recipe: Path | str) -> Path:
    """Return the file of a recipe, from its path or its name.

    A file of that path comes first; the name of a recipe that comes with mcls is one word.

    Raises
    ------
    ConfigError
        If it is neither; the message suggests a name.
    """
    path = Path(recipe)
    if path.exists() and not path.is_dir():
        return path
    names = recipe_names()
    if str(recipe) in names:
        return FOLDER / f"{recipe}.toml"
    hint = suggest(path.stem, names)
    if hint.startswith("there are"):
        hint = "type mcls list recipes for those that come with mcls"
    raise ConfigError(f"there is no recipe {str(recipe)!r}; {hint}")


def about_recipe(name: Path | str) -> AboutRecipe:
    """Return what a recipe is of.

    Parameters
    ----------
    name : str or path
        A recipe that comes with mcls, or a file.

    Raises
    ------
    ConfigError
        If there is no such recipe, or its table ``[about]`` has another key or type.
    """
    path = recipe_path(name)
    table: dict[str, Any] = read_toml(path).get("about", {})
    defaults = {one.name: one.default for one in fields(AboutRecipe)[1:]}
    said: dict[str, Any] = {}
    for key, value in table.items():
        if key not in defaults:
            raise ConfigError(f"{path}: [about] has no key {key!r}; {suggest(key, defaults)}")
        if type(value) is not type(defaults[key]):
            expected = "text" if defaults[key] == "" else "a whole number"
            raise ConfigError(f"{path}: [about] {key} is {value!r}; expected {expected}")
        said[key] = " ".join(value.split()) if isinstance(value, str) else value
    return AboutRecipe(path.stem, **said)


def copy_recipe(recipe: Path | str, out: Path, *, overwrite: bool = False) -> None:
    """Copy a recipe to a file that can be changed.

    Raises
    ------
    ConfigError
        If there is no such recipe, `out` does not end in .toml, or is there already and
        `overwrite` is not set.
    """
    source = recipe_path(recipe)
    if out.suffix.lower() != ".toml":
        raise ConfigError(f"{out}: a recipe must end in .toml")
    text = source.read_bytes()
    if out.exists() and not overwrite and out.read_bytes() != text:
        raise ConfigError(f"{out} is there already; choose another name, or pass --overwrite")
    with written_whole(out) as temporary:
        temporary.write_bytes(text)
