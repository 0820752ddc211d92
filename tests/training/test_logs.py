"""Experiment trackers: every one gets each epoch's figures; a missing package is said."""

import csv
import sys
from types import ModuleType

import numpy as np
import pytest

from mcls.errors import ConfigError
from mcls.training import logs


def history(run):
    with (run / "history.csv").open(encoding="utf-8") as file:
        return [{k: float(v) for k, v in row.items()} for row in csv.DictReader(file)]


@pytest.fixture
def installed(monkeypatch):
    """Return a function that installs a module for the test."""

    def install(name: str, **contents) -> None:
        module = ModuleType(name)
        vars(module).update(contents)
        monkeypatch.setitem(sys.modules, name, module)
        monkeypatch.setattr(logs, "find_spec", lambda wanted: wanted == name or None)

    return install


class Recorder:
    """Keeps what is logged; a context manager as runs of the trackers are."""

    def __init__(self):
        self.rows, self.begun, self.ended = [], {}, 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.ended += 1

    def log(self, row, step):
        self.rows.append((row, step))

    def start(self, **begun):
        self.begun = begun
        return self


def test_wandb_gets_the_history(train, installed):
    run = Recorder()
    installed("wandb", init=run.start)
    made = train("run", epochs=3, log="wandb:music")
    assert run.rows == [(row, i) for i, row in enumerate(history(made), start=1)]
    assert (run.begun["project"], run.begun["name"], run.ended) == ("music", "run", 1)
    assert run.begun["config"]["epochs"] == "3"


def test_mlflow_gets_the_history(train, installed):
    run, calls = Recorder(), []
    installed(
        "mlflow",
        set_experiment=calls.append,
        start_run=run.start,
        log_params=lambda options: calls.append(options["epochs"]),
        log_metrics=run.log,
    )
    made = train("run", epochs=2, log="mlflow:music")
    assert run.rows == [(row, i) for i, row in enumerate(history(made), start=1)]
    assert calls == ["music", "2"]
    assert (run.begun, run.ended) == ({"run_name": "run"}, 1)


def test_a_run_ends_when_the_training_fails(train, installed):
    run = Recorder()
    installed("wandb", init=run.start)

    def fail(row):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train("run", epochs=3, log="wandb:music", on_epoch=fail)
    assert (len(run.rows), run.ended) == (1, 1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"log": "wandb:music"}, r"--log wandb:music: wandb is not installed; pip install wandb"),
        ({"log": "wanbd:music"}, r"no tracker 'wanbd'; did you mean 'wandb'"),
        ({"log": "mlflow"}, r"--log mlflow: expected mlflow:EXPERIMENT"),
        ({"tensorboard": "log"}, r"pip install tensorboard"),
    ],
)
def test_what_cannot_be_logged_to_is_refused_at_once(
    train, tmp_path, monkeypatch, options, message
):
    monkeypatch.setattr(logs, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=message):
        train("run", **options)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("option", ["tensorboard", "log"])
def test_tensorboard_has_the_figures_of_the_history(train, tmp_path, option):
    reader = "tensorboard.backend.event_processing.event_accumulator"
    events = pytest.importorskip(reader).EventAccumulator(str(tmp_path / "log"))
    where = tmp_path / "log" if option == "tensorboard" else f"tensorboard:{tmp_path / 'log'}"
    rows = history(train("run", epochs=3, find_lr=True, **{option: where}))
    events.Reload()
    assert set(events.Tags()["scalars"]) == set(rows[0])
    for name in rows[0]:
        logged = events.Scalars(name)
        assert [one.step for one in logged] == [1, 2, 3]
        expected = [row[name] for row in rows]
        np.testing.assert_allclose([one.value for one in logged], expected, rtol=1e-6)


@pytest.mark.parametrize("package", ["torch.utils.tensorboard", "tensorboardX"])
def test_either_package_writes_for_tensorboard(train, tmp_path, installed, package, monkeypatch):
    written = []

    class Writer(Recorder):
        def __init__(self, folder):
            super().__init__()
            assert folder == str(tmp_path / "log")

        def add_scalar(self, name, value, epoch):
            written.append((name, value, epoch))

        def flush(self):
            pass

    installed(package, SummaryWriter=Writer)
    name = package.rpartition(".")[2]
    monkeypatch.setattr(logs, "find_spec", lambda wanted: wanted == name)
    rows = history(train("run", epochs=2, tensorboard=tmp_path / "log"))
    assert written == [
        (name, value, i) for i, row in enumerate(rows, start=1) for name, value in row.items()
    ]
