"""Run folders: everything that `train` writes, sufficient to predict audio files elsewhere.

============== =====================================================================
run.toml       every setting of the run and its origin; it can be used as a recipe
chain.h5       the steps from the audio to the model's rows, with their arrays; the train tracks
model.skops    the classifier; for a net model.safetensors (`mcls.disk.tensors`)
history.csv    the training history of a net, a row per epoch
histograms.csv histograms of its gradients and activations, if they were recorded
predictions.csv scores of the tracks of all parts (`mcls.tables.predictions`)
metrics.json   the metrics of the valid and the test part
calibration.toml how scores become probabilities; absent if too few tracks tell
about.json     labels, aggregation, split id, versions, machine, seconds
run.sha256     the SHA-256 of every other file (`mcls.disk.sums`)
============== =====================================================================

A run folder appears whole or not at all. Nothing in it is pickled (see `mcls.disk.model`): a folder
from a stranger can be wrong but cannot run code.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mcls.disk.chain import (
    Chain,
    chain_room,
    ids_room,
    read_chain,
    read_ids,
    write_chain,
    write_ids,
)
from mcls.disk.hdf5 import new_hdf5, open_hdf5
from mcls.disk.model import read_model, write_model
from mcls.disk.sums import check_sums, write_sums
from mcls.disk.tensors import write_tensors
from mcls.disk.text_files import read_json, read_toml, toml_value
from mcls.disk.workspace import written_whole
from mcls.errors import ConfigError, FormatError
from mcls.remote.places import kept, spelled
from mcls.tabular import Tabular, metric_columns

#: The files of every run folder, in the order in which they are written. See `run_files`.
FILES = ("run.toml", "chain.h5", "model.skops", "predictions.csv", "metrics.json", "about.json")

#: The file of the model in place of model.skops, if the model is a net.
NET_FILE = "model.safetensors"

#: The file of the calibration, which not every run has.
CALIBRATION_FILE = "calibration.toml"

FORMAT = 1

#: The entries of about.json that `predict` needs.
_KEYS = {"format": int, "labels": list, "multi_label": bool, "aggregate": str, "threshold": float}


@dataclass(frozen=True, repr=False)
class Run(Tabular):
    """An opened run folder. Arrays and the model are read on demand.

    Parameters
    ----------
    path : Path
        The folder.
    settings : dict
        The content of run.toml.
    about : dict
        about.json: ``labels`` (names, in the order of the scores), ``multi_label``,
        ``aggregate``, ``threshold`` and how the run was made.
    """

    path: Path
    settings: dict[str, Any]
    about: dict[str, Any]

    @property
    def labels(self) -> list[str]:
        """The names of the labels, in the order of the scores."""
        return list(self.about["labels"])

    @property
    def title(self) -> str:
        """The path, the model and the number of labels."""
        model = self.settings.get("train", {}).get("model", "run")
        return f"{self.path}: {model}, {len(self.labels)} labels"

    def columns(self, most: int | None = None) -> dict[str, list[Any]]:
        """Return a row per part and metric of metrics.json."""
        return metric_columns(self.metrics())

    @property
    def regression(self) -> bool:
        """Whether numbers are predicted in place of labels."""
        return self.about.get("regression") is True

    @property
    def multi_label(self) -> bool:
        """Whether a track may have several labels."""
        return bool(self.about["multi_label"])

    @property
    def thresholds(self) -> list[float] | None:
        """The score from which each label is predicted; None: ``threshold`` for all of them.

        Raises
        ------
        FormatError
            If about.json does not hold a number per label.
        """
        found = self.about.get("thresholds")
        if found is None:
            return None
        numbers = isinstance(found, list) and all(isinstance(x, int | float) for x in found)
        if not numbers or len(found) != len(self.labels):
            raise FormatError(f"{self.path / 'about.json'}: thresholds are not a number per label")
        return [float(x) for x in found]

    def chain(self) -> Chain:
        """Return the steps from the audio to the classifier's rows."""
        with open_hdf5(self.path / "chain.h5", "chain", FORMAT) as file:
            return read_chain(file)

    def learnt_from(self) -> tuple[str, ...]:
        """Return the ``track_id`` of every track of the train part, if the run records them."""
        with open_hdf5(self.path / "chain.h5", "chain", FORMAT) as file:
            return read_ids(file)

    @property
    def net_file(self) -> Path | None:
        """The file of the net; None if the model is a classifier."""
        path = self.path / NET_FILE
        return path if path.is_file() else None

    def model(self) -> Any:
        """Return the fitted classifier; of a net see `mcls.chain.model_cache`."""
        return read_model(self.path / "model.skops")

    def calibration(self) -> dict[str, Any] | None:
        """Return the content of calibration.toml; None without one."""
        path = self.path / CALIBRATION_FILE
        return read_toml(path) if path.is_file() else None

    def metrics(self) -> dict[str, Any]:
        """Return metrics.json."""
        return read_json(self.path / "metrics.json")


def run_files(path: Path) -> list[str]:
    """Return the names of the files that make a folder a run."""
    net = (path / NET_FILE).is_file()
    return [NET_FILE if net and name == "model.skops" else name for name in FILES]


def open_run(path: Path | str) -> Run:
    """Open a run folder.

    Raises
    ------
    FormatError
        If it is not one, or a file in it is missing, corrupt or not as it was written.
    """
    path = kept(path)
    if path.exists() and not path.is_dir():
        raise FormatError(f"{path} is a file; expected a run folder, which `mcls train` makes")
    if not path.is_dir():
        raise FormatError(f"{path}: no such run folder")
    folds = sorted(path.glob("fold-*/run.toml"))
    if folds and not (path / "run.toml").is_file():
        raise FormatError(
            f"{path} is a cross-validation; name one of its runs, such as {folds[0].parent}"
        )
    refuse_seeds(path)
    missing = [name for name in run_files(path) if not (path / name).is_file()]
    if missing:
        raise FormatError(
            f"{path}: not a run folder of `mcls train`, as it has no {', '.join(missing)}"
        )
    check_sums(path)
    about = read_json(path / "about.json")
    for key, kind in _KEYS.items():
        value = about.get(key)
        if not isinstance(value, (int, float) if kind is float else kind):
            raise FormatError(f"{path / 'about.json'}: {key!r} is {value!r}, not a {kind.__name__}")
    if about["format"] != FORMAT:
        raise FormatError(
            f"{path}: the run has format {about['format']}; this version of mcls reads {FORMAT}"
        )
    fewest = 1 if about.get("regression") is True else 2
    names = about["labels"]
    if not all(isinstance(name, str) for name in names) or len(names) < fewest:
        raise FormatError(f"{path / 'about.json'}: labels are not a list of names")
    return Run(path, read_toml(path / "run.toml"), about)


def seed_folders(path: Path) -> dict[str, Path]:
    """Return the folders of a cross-validation with several seeds, by seed; else none."""
    found = {folder.name.removeprefix("seed-"): folder for folder in path.glob("seed-*")}
    return {seed: found[seed] for seed in sorted(filter(str.isdecimal, found), key=int)}


def refuse_seeds(path: Path) -> None:
    """Refuse a cross-validation with several seeds where one is needed.

    Raises
    ------
    FormatError
        Names the folder of the first seed.
    """
    seeds = seed_folders(path)
    if seeds and not (path / "run.toml").is_file():
        first = next(iter(seeds.values()))
        raise FormatError(f"{path} holds {len(seeds)} seeds, and one is needed; name {first}")


def fold_folder(fold: str | None) -> str:
    """Return the folder name of a fold; characters that file names cannot have become %XX."""
    if fold is None:
        return "fold-test"
    safe = re.sub(r"[^\w.+-]", lambda odd: "".join(f"%{b:02X}" for b in odd[0].encode()), fold)
    return f"fold-{safe}"


@contextmanager
def written_folder(path: Path, *, overwrite: bool = False) -> Iterator[Path]:
    """Yield a new folder to fill; rename it to `path` when all of it is on the disk.

    Parameters
    ----------
    path : Path
        The run folder to make. An empty folder may be there.
    overwrite : bool
        Replace a run folder that is there. Anything else that is there stays.

    Raises
    ------
    ConfigError
        If something is there that must not be replaced.
    """
    with written_whole(path) as folder:
        refuse_other(path, overwrite=overwrite)
        folder.mkdir()
        yield folder
        write_sums(folder)


def refuse_other(path: Path, *, overwrite: bool) -> None:
    """Refuse to replace anything that is not a run, or a run without `overwrite`.

    Raises
    ------
    ConfigError
        If `path` is a file, a folder with other files, or a run and `overwrite` is false.
    """
    if not path.exists():
        return
    if not path.is_dir():
        raise ConfigError(f"{path} is a file, but a run is a folder; choose another name")
    inside = sorted(item.name for item in path.iterdir())
    if inside and "run.toml" not in inside:
        raise ConfigError(
            f"{path} is a folder with other things in it ({', '.join(inside[:3])}), not a run; "
            "choose another name"
        )
    if inside and not overwrite:
        raise ConfigError(f"{path} exists; choose another name, or pass --overwrite to replace it")


def write_parts(
    folder: Path,
    *,
    command: str,
    settings: Mapping[str, Any],
    origins: Mapping[str, str],
    chain: Chain,
    model: Any,
    learnt_from: Sequence[str],
    metrics: Mapping[str, Any],
    about: Mapping[str, Any],
    calibration: Mapping[str, Any] | None = None,
) -> None:
    """Write all files of a run except predictions.csv into `folder`."""
    write_settings(folder / "run.toml", command, settings, origins)
    with new_hdf5(folder / "chain.h5", chain_room(chain) + ids_room(learnt_from)) as file:
        file.attrs["kind"] = "chain"
        file.attrs["format"] = FORMAT
        write_chain(file, chain)
        write_ids(file, learnt_from)
    if hasattr(model, "tensors"):
        write_tensors(folder / NET_FILE, model.tensors(), model.about())
    else:
        write_model(folder / "model.skops", model)
    if calibration is not None:
        lines = [f"{key} = {toml_value(value)}" for key, value in calibration.items()]
        text = "# From scores to probabilities; see mcls.evaluation.calibration.\n"
        (folder / CALIBRATION_FILE).write_text(text + "\n".join(lines) + "\n", encoding="utf-8")
    write_json(folder / "metrics.json", metrics)
    write_json(folder / "about.json", {"format": FORMAT, **about})


def write_settings(
    path: Path, command: str, settings: Mapping[str, Any], origins: Mapping[str, str]
) -> None:
    """Write settings as a recipe: one table, a key per option, and its origin as a comment.

    An option that is None is mentioned in a comment only.
    """
    lines = [
        f"# Every setting of the run and its origin. To repeat the run: mcls -c THIS {command} ...",
        "",
    ]
    lines.append(f"[{command}]")
    for key, value in settings.items():
        entry = f"# {key} is not set" if value is None else f"{key} = {toml_value(value)}"
        lines.append(f"{entry}  # {origins.get(key, 'default')}")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Write indented JSON; NaN is refused, and local copies are named by their URL."""
    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False)
    path.write_text(spelled(text) + "\n", encoding="utf-8")
