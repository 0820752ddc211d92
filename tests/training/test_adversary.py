"""`mcls train --adversary`: the reversed gradient, what the net hides, what is refused."""

import csv
import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from torch import nn

import mcls
from mcls.disk.chain import Step
from mcls.errors import ConfigError, DataError
from mcls.nets import build_net
from mcls.stores.store import NewRows, StoreContents, write_store
from mcls.training.adversary import Adversary, group_head, ramp, reverse_gradient
from mcls.training.objective import step_losses
from mcls.training.segment_augmentations import Batch, MovedLabels, shift


def history(run):
    with (run / "history.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_the_gradient_is_reversed_against_finite_differences() -> None:
    """Central differences in 64 bits: equal to 1e-6."""
    torch.manual_seed(0)
    head = nn.Linear(3, 2).double()
    x = torch.randn(4, 3, dtype=torch.float64, requires_grad=True)
    weights = torch.randn(4, 2, dtype=torch.float64)
    strength = torch.tensor(0.7, dtype=torch.float64)

    def loss(x: torch.Tensor) -> torch.Tensor:
        return (head(x).tanh() * weights).sum()

    reversed_x = reverse_gradient(x, strength)
    assert torch.equal(reversed_x, x)
    loss(reversed_x).backward()
    numeric = np.empty((4, 3))
    with torch.no_grad():
        for i, j in np.ndindex(4, 3):
            step = torch.zeros_like(x)
            step[i, j] = 1e-6
            numeric[i, j] = (loss(x + step) - loss(x - step)) / 2e-6
    assert_allclose(x.grad, -0.7 * numeric, rtol=1e-6, atol=1e-8)


def test_the_ramp_is_that_of_the_paper() -> None:
    progress = np.linspace(0, 1, 11)
    expected = 2 / (1 + np.exp(-10 * progress)) - 1
    assert_allclose([ramp(p) for p in progress], expected, rtol=1e-12)


@pytest.mark.parametrize("net", ["fcn3", "mlp", "cnn1d"])
def test_the_head_reads_the_last_hidden_layer(net: str) -> None:
    settings = {"layers": "9x7"} if net == "mlp" else {"width": 0.02}
    frames = 110 if net == "cnn1d" else 12
    made = build_net(net, settings, frames, 10, 3)
    both = Adversary(made, group_head(made, frames, 10, 4, seed=0))
    logits, groups = both(torch.randn(5, 1, frames, 10))
    assert logits.shape == (5, 3)
    assert groups.shape == (5, 4)
    assert made.training


def test_auxiliary_logits_count_by_their_weight_and_groups_once() -> None:
    rng = torch.Generator().manual_seed(0)
    logits, first, second = (torch.randn(6, 3, generator=rng) for _ in range(3))
    groups = torch.randn(6, 2, generator=rng)
    y, of = torch.eye(3)[[0, 1, 2, 0, 1, 2]], torch.eye(2)[[0, 0, 0, 1, 1, 1]]
    cross = nn.functional.cross_entropy

    def loss(logits, targets, share):
        return cross(logits, targets, reduction="none")

    net = SimpleNamespace(auxiliary_weight=0.3)
    task = SimpleNamespace(model=SimpleNamespace(net=net), loss=loss, head=None)
    labels, others, named = step_losses(task, (logits, first, second), y, None)
    assert_allclose(labels.mean(), cross(logits, y), rtol=1e-6)
    assert_allclose(others.mean(), 0.3 * (cross(first, y) + cross(second, y)), rtol=1e-6)
    assert named == 0
    task.head = nn.Identity()
    labels, others, named = step_losses(task, (logits, groups), torch.cat([y, of], dim=1), None)
    assert_allclose(labels.mean(), cross(logits, y), rtol=1e-6)
    assert_allclose(others.mean(), cross(groups, of), rtol=1e-6)
    assert named == (groups.argmax(1) == of.argmax(1)).float().mean()


def test_with_weight_0_the_net_learns_as_without(train) -> None:
    given = {"epochs": 3, "frames": 4, "augment": ["mixup"]}
    alone = train("alone", **given)
    watched = train("watched", adversary="fold", adversary_weight=0, **given)
    told = [(run / "predictions.csv").read_bytes() for run in (alone, watched)]
    assert told[0] == told[1]
    assert "adversary_accuracy" not in history(alone)[0]
    assert 0 <= float(history(watched)[0]["adversary_accuracy"]) <= 1
    hidden = train("hidden", adversary="fold", **given)
    assert (hidden / "predictions.csv").read_bytes() != told[0]


def test_groups_stay_where_labels_follow_a_shift() -> None:
    x, y = np.zeros((8, 2, 5), np.float32), np.eye(5, dtype=np.float32)[[0, 0, 0, 0, 1, 1, 1, 1]]
    y[:, 3:] = [[1, 0], [0, 1]] * 4
    swapped = MovedLabels(1, np.array([[1, 0, 2], [0, 1, 2], [1, 0, 2]]))
    batch = Batch(x, y, np.zeros(5, np.float32), np.ones(5, np.float32), swapped)
    moved = shift(batch, np.random.default_rng(0), dims=1)
    assert (moved.y[:, :3] != y[:, :3]).any()
    assert np.array_equal(moved.y[:, 3:], y[:, 3:])


@pytest.fixture
def voices(tmp_path):
    """Two labels in the first dimension, and four groups by far larger offsets of the others."""
    rng = np.random.default_rng(440)
    n = 80
    label, group = np.arange(n) % 2, np.arange(n) // 2 % 4
    rows = [
        np.concatenate([[2.0 * (k - 0.5)], 3 * np.eye(4)[g]]) + rng.normal(0, 0.3, (6, 5))
        for k, g in zip(label, group, strict=True)
    ]
    columns = {
        "track_id": [f"t{i:02d}" for i in range(n)],
        "path": [f"t{i:02d}.wav" for i in range(n)],
        "labels": ["ab"[k] for k in label],
        "speaker": [f"s{g}" for g in group],
        "same": ["x"] * n,
        "some": ["x", ""] * (n // 2),
        "split": ["train"] * 64 + ["test"] * 16,
    }
    path = tmp_path / "voices.h5"
    chain = (Step("feature", "mel", {"n_mels": 5}),)
    new = NewRows(
        "mel", chain, 10.0, 5, [6] * n, iter(r.astype(np.float32) for r in rows), "float32"
    )
    write_store(path, StoreContents(columns), [new])
    return path


GIVEN = {
    "model": "mlp",
    "settings": ["layers=16"],
    "epochs": 40,
    "frames": 1,
    "batch_size": 32,
    "optimizer": "adam:lr=0.005",
    "device": "cpu",
    "group": None,
}


def test_the_net_hides_the_groups_and_still_tells_the_labels(voices, tmp_path) -> None:
    given = GIVEN | {"optimizer": "sgd:lr=0.05", "epochs": 80}
    named = {}
    for weight in (0.0, 1.0):
        run = tmp_path / f"run{weight}"
        mcls.train(voices, run, adversary="speaker", adversary_weight=weight, **given)
        last = history(run)[-1]
        named[weight] = float(last["adversary_accuracy"])
        assert mcls.evaluate(run, ["accuracy"])["accuracy"].micro.value > 0.95
    assert named[0.0] > 0.95
    assert named[1.0] < 0.5  # chance is 0.25


def test_groups_that_tell_the_labels_are_named(voices, tmp_path) -> None:
    mcls.train(voices, tmp_path / "run", adversary="track_id", **GIVEN | {"epochs": 1})
    notes = json.loads((tmp_path / "run" / "about.json").read_text(encoding="utf-8"))["notes"]
    assert any("cannot tell the labels" in note for note in notes)


@pytest.mark.parametrize(
    ("given", "error", "said"),
    [
        ({"adversary": "labels"}, ConfigError, "these are the labels"),
        ({"adversary": "same"}, DataError, "every train track has the value 'x'"),
        ({"adversary": "some"}, DataError, "track 't01' has no value"),
        ({"adversary": "artist"}, DataError, "artist"),
        ({"adversary": "speaker", "compile": True}, ConfigError, "leave --compile out"),
        ({"adversary_weight": 0.5}, ConfigError, "name its column with --adversary"),
        ({"adversary": "speaker", "model": "svm", "settings": []}, ConfigError, "option of nets"),
    ],
)
def test_refused(given, error, said, voices, tmp_path) -> None:
    only = {} if given.get("model") != "svm" else {"model": "svm", "group": None}
    with pytest.raises(error, match=said):
        mcls.train(voices, tmp_path / "run", **(only or GIVEN) | given)
