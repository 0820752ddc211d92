"""Hints for trainings that learn nothing, or nothing after their first epoch."""

import json

import pytest
from click.testing import CliRunner

from mcls.cli.main import cli


def notes(run) -> list[str]:
    return json.loads((run / "about.json").read_text(encoding="utf-8"))["notes"]


@pytest.mark.parametrize(
    "options",
    [{}, {"loss": "hinge"}, {"labels": "tags"}, {"labels": "tags", "loss": "focal"}],
    ids=str,
)
def test_a_net_that_stays_at_chance_says_so_and_one_that_learns_does_not(train, options):
    (hint,) = notes(train("stuck", optimizer="sgd:lr=1e-9", epochs=3, **options))
    assert hint.startswith("hint: the net stays at chance level: its valid loss is ")
    assert "--optimizer sgd:lr=" in hint
    assert notes(train("learns", optimizer="adam:lr=0.01", epochs=10, **options)) == []


def test_a_net_that_is_best_at_its_first_epoch_says_so(train):
    run = train("fast", optimizer="adam:lr=0.05", epochs=8, monitor="accuracy")
    about = json.loads((run / "about.json").read_text(encoding="utf-8"))
    given = {"optimizer": "adam:lr=0.05", "monitor": "accuracy"}
    assert notes(train("once", epochs=1, **given)) == []
    if about["kept_epoch"] == 1:
        assert notes(run)[0].startswith("hint: the first of 8 epochs is the best on the valid part")
    else:
        assert notes(run) == []


def test_without_a_valid_part_the_train_loss_decides(train):
    found = notes(train("stuck", split="alone", optimizer="sgd:lr=1e-9", epochs=2))
    assert found[0].startswith("hint: the net stays at chance level: its train loss is ")
    found = notes(train("l1", split="alone", l1=10.0, optimizer="sgd:lr=1e-9", epochs=2))
    assert not any("hint: " in note for note in found)


def test_the_command_prints_hints_last_on_stderr(store, tmp_path):
    words = ["train", str(store), str(tmp_path / "run"), "--model", "mlp", "-p", "layers=8"]
    words += ["--epochs", "2", "--device", "cpu", "--optimizer", "sgd:lr=1e-9"]
    done = CliRunner().invoke(cli, words)
    assert done.exit_code == 0, done.output
    assert done.stderr.splitlines()[-1].startswith("hint: the net stays at chance level")
    assert "hint: " not in done.stdout
