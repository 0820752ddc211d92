"""Losses against torch's own, optimizers against torch's, dead units by hand."""

import inspect
from functools import partial

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from mcls.errors import ConfigError
from mcls.registry import entries, find
from mcls.training.validation import dead_shares, gradient_norms

LOGITS = torch.from_numpy(np.random.default_rng(0).normal(0, 2, (9, 4)).astype(np.float32))
CLASSES = torch.arange(9) % 4
ONE_HOT = functional.one_hot(CLASSES, 4).float()
MANY = (torch.from_numpy(np.random.default_rng(1).random((9, 4))) < 0.4).float()
SHARE = torch.tensor([0.1, 0.2, 0.3, 0.4])


def loss(name: str, targets: torch.Tensor, **settings) -> torch.Tensor:
    return find("losses", name).load()(LOGITS, targets, SHARE, **settings)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_cross_entropy_is_torch_s(smoothing):
    ours = loss("cross-entropy", ONE_HOT, label_smoothing=smoothing)
    theirs = functional.cross_entropy(LOGITS, CLASSES, label_smoothing=smoothing, reduction="none")
    torch.testing.assert_close(ours, theirs)


def test_balanced_cross_entropy_is_torch_s_with_weights():
    weights = 1 / (SHARE * 4)
    theirs = functional.cross_entropy(LOGITS, CLASSES, weights, reduction="none")
    torch.testing.assert_close(loss("cross-entropy", ONE_HOT, weight="balanced"), theirs)


@pytest.mark.parametrize("weight", [1.0, 3.0, "balanced"])
def test_bce_is_torch_s(weight):
    weights = (1 - SHARE) / SHARE if weight == "balanced" else torch.full((4,), weight)
    theirs = functional.binary_cross_entropy_with_logits(
        LOGITS, MANY, pos_weight=weights, reduction="none"
    )
    torch.testing.assert_close(loss("bce", MANY, positive_weight=weight), theirs.mean(dim=1))


def test_hinge_is_that_of_a_linear_svm_per_label():
    from sklearn.metrics import hinge_loss

    for label in range(4):
        ours = functional.relu(1 - (2 * MANY[:, label] - 1) * LOGITS[:, label]).mean()
        theirs = hinge_loss(MANY[:, label].numpy(), LOGITS[:, label].numpy(), labels=[0, 1])
        assert float(ours) == pytest.approx(theirs, rel=1e-5)
    mean = loss("hinge", MANY).mean()
    each = [hinge_loss(MANY[:, i].numpy(), LOGITS[:, i].numpy(), labels=[0, 1]) for i in range(4)]
    assert float(mean) == pytest.approx(np.mean(each), rel=1e-5)


def test_distances_of_probabilities():
    p = LOGITS.sigmoid()
    mse, l1 = functional.mse_loss, functional.l1_loss
    torch.testing.assert_close(loss("l2", MANY), mse(p, MANY, reduction="none").mean(1))
    torch.testing.assert_close(loss("l1", MANY), l1(p, MANY, reduction="none").mean(1))


def test_focal_loss_is_lin_s_formula_and_without_focus_is_bce():
    plain = loss("focal", MANY, gamma=0.0, alpha=None)
    torch.testing.assert_close(plain, loss("bce", MANY))
    p = torch.where(MANY == 1, LOGITS.sigmoid(), 1 - LOGITS.sigmoid())
    alpha = torch.where(MANY == 1, 0.25, 0.75)
    paper = (-alpha * (1 - p) ** 2 * p.log()).mean(dim=1)  # equation 5
    torch.testing.assert_close(loss("focal", MANY), paper)


@pytest.mark.parametrize("name", list(entries("losses")))
def test_every_loss_gives_a_number_per_segment_and_falls_along_its_gradient(name):
    logits = LOGITS.clone().requires_grad_()
    function = find("losses", name).load()
    before = function(logits, ONE_HOT, SHARE)
    assert before.shape == (9,)
    before.mean().backward()
    with torch.no_grad():
        after = function(logits - 0.01 * logits.grad, ONE_HOT, SHARE)
    assert after.mean() < before.mean()


def test_settings_out_of_range_are_refused():
    with pytest.raises(ConfigError, match="label_smoothing=1"):
        loss("bce", MANY, label_smoothing=1.0)
    with pytest.raises(ConfigError, match="positive_weight=0"):
        loss("bce", MANY, positive_weight=0.0)


THEIRS = {
    "sgd": torch.optim.SGD,
    "momentum": partial(torch.optim.SGD, momentum=0.9),
    "nesterov": partial(torch.optim.SGD, momentum=0.9, nesterov=True),
    "rmsprop": torch.optim.RMSprop,
    "adagrad": torch.optim.Adagrad,
    "adadelta": torch.optim.Adadelta,
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
}


@pytest.mark.parametrize("name", list(entries("optimizers")))
def test_optimizers_step_as_torch_s_do_and_learn(name):
    make = find("optimizers", name).load()
    ends = []
    for maker in (make, THEIRS[name]):
        weight = nn.Parameter(torch.tensor([3.0, -2.0]))
        optimizer = maker([weight], lr=0.05)
        for _ in range(20):
            optimizer.zero_grad()
            weight.square().sum().backward()
            optimizer.step()
        ends.append(weight.detach())
    torch.testing.assert_close(*ends, rtol=0, atol=0)
    assert ends[0].square().sum() < 13
    assert "lr" in inspect.signature(make).parameters


def test_weight_decay_shrinks_weights_without_a_gradient():
    for name in entries("optimizers"):
        weight = nn.Parameter(torch.ones(2))
        optimizer = find("optimizers", name).load()([weight], weight_decay=0.1)
        weight.grad = torch.zeros(2)
        optimizer.step()
        assert (weight < 1).all(), name


def test_dead_units_are_those_at_an_end_for_all_of_a_batch():
    class Net(nn.Module):
        hidden = ("a", "b")

        def __init__(self):
            super().__init__()
            self.a = nn.Sequential(nn.Linear(2, 4), nn.ReLU())
            self.b = nn.Sequential(nn.Linear(4, 2), nn.Sigmoid())
            with torch.no_grad():
                self.a[0].weight.fill_(1)
                self.a[0].bias.copy_(torch.tensor([0.0, -1e3, -1e3, 0.0]))
                self.b[0].weight.fill_(1)
                self.b[0].bias.copy_(torch.tensor([50.0, 0.0]))

        def forward(self, x):
            return self.b(self.a(x))

    net = Net()
    x = torch.tensor([[1.0, 2.0], [-1.0, -3.0]])
    assert dead_shares(net, x) == {"dead_a": 0.5, "dead_b": 0.5}
    assert net.training
    net(x).sum().backward()
    norms = gradient_norms(net)
    assert set(norms) == {"a", "b"}
    flat = torch.cat([p.grad.flatten() for p in net.a.parameters()])
    assert float(norms["a"]) == pytest.approx(float(flat.norm()))
