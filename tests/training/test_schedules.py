"""Schedules against torch's schedulers, and the two that wait for a plateau by hand."""

import numpy as np
import pytest
import torch
from torch.optim import lr_scheduler

from mcls.errors import ConfigError
from mcls.registry import entries
from mcls.training.schedules import rates, schedule_of


def theirs(make, n_steps: int, base: float = 1.0, values=None) -> np.ndarray:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=base)
    scheduler = make(optimizer)
    found = []
    for i in range(n_steps):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step() if values is None else scheduler.step(values[i])
    return np.array(found)


def test_steps_and_exponentials_are_torch_s():
    expected = theirs(lambda o: lr_scheduler.StepLR(o, 3, 0.3), 10)
    np.testing.assert_allclose(rates("step:every=3,factor=0.3", 10), expected)
    expected = theirs(lambda o: lr_scheduler.ExponentialLR(o, 0.9), 10)
    np.testing.assert_allclose(rates("exponential:factor=0.9", 10), expected)


def test_per_epoch_schedules_change_between_epochs_only():
    found = rates("step:every=1,factor=0.5", 6, steps_per_epoch=3)
    assert found.tolist() == [1, 1, 1, 0.5, 0.5, 0.5]


def test_inverse_time_halves_after_half():
    found = rates("inverse-time:half=4", 13)
    assert found[[0, 4, 12]].tolist() == [1, 0.5, 0.25]


def test_warm_restarts_are_torch_s():
    expected = theirs(
        lambda o: lr_scheduler.CosineAnnealingWarmRestarts(o, T_0=5, T_mult=2, eta_min=0.1), 40
    )
    ours = rates("cosine-restarts:period=5,grow=2,lowest=0.1", 40)
    np.testing.assert_allclose(ours, expected, atol=1e-12)


def test_cycles_are_torch_s():
    expected = theirs(
        lambda o: lr_scheduler.CyclicLR(o, 0.1, 1.0, step_size_up=4, cycle_momentum=False), 30, 0.1
    )
    np.testing.assert_allclose(rates("cyclic:period=8,lowest=0.1", 30), expected, atol=1e-12)
    expected = theirs(
        lambda o: lr_scheduler.CyclicLR(
            o, 0.1, 1.0, step_size_up=4, mode="triangular2", cycle_momentum=False
        ),
        30,
        0.1,
    )
    ours = rates("cyclic:period=8,lowest=0.1,decay=0.5", 30)
    np.testing.assert_allclose(ours, expected, atol=1e-12)


def test_one_cycle_is_torch_s():
    expected = theirs(
        lambda o: lr_scheduler.OneCycleLR(
            o,
            max_lr=1.0,
            total_steps=101,
            pct_start=0.31,  # torch's peak is a step early: 0.31 * 101 - 1 = 0.3 * 100
            div_factor=25,
            final_div_factor=400,
            cycle_momentum=False,
        ),
        101,
    )
    ours = rates("one-cycle:warm=0.3,first=0.04,last=1e-4", 101)
    np.testing.assert_allclose(ours, expected, atol=0.02)
    assert ours[0] == pytest.approx(0.04)
    assert ours[30] == ours.max() == 1
    assert ours[-1] == pytest.approx(1e-4)


def test_plateaus_are_torch_s():
    values = [1, 2, 2, 1, 3, 3, 3, 3, 3, 3, 4, 0, 0, 0]
    expected = theirs(
        lambda o: lr_scheduler.ReduceLROnPlateau(
            o, mode="max", factor=0.5, patience=1, threshold=0.0, threshold_mode="abs"
        ),
        len(values),
        values=values,
    )
    ours = rates("plateau:factor=0.5,patience=2,lowest=0", len(values), values=values)
    np.testing.assert_allclose(ours, expected)
    assert rates("plateau:factor=0.5,patience=1,lowest=0.25", 9, values=[0] * 9).min() == 0.25


def test_the_ladder_ends_after_its_last_rung():
    ours = rates("ladder:rungs=3,factor=0.1,patience=2", 9, values=[5] * 9)
    np.testing.assert_allclose(ours, [1, 1, 1, 0.1, 0.1, 0.01, 0.01, 0, 0])


@pytest.mark.parametrize("name", list(entries("schedules")))
def test_a_rate_is_never_negative_nor_above_the_given_and_ends_nothing_too_soon(name):
    found = rates(name, 500, steps_per_epoch=5, values=range(100))
    assert (found > 0).all()
    assert found.max() <= 1
    facts = schedule_of(name)[1]
    assert facts["per"] in ("step", "epoch")
    if facts["per"] == "epoch":
        assert (found.reshape(-1, 5) == found[::5, None]).all()


@pytest.mark.parametrize(
    "spec",
    ["step:every=0", "plateau:factor=1", "ladder:rungs=0", "cyclic:lowest=0", "one-cycle:warm=1"],
)
def test_settings_out_of_range_are_refused(spec):
    with pytest.raises(ConfigError, match=f"{spec.split(':')[1].split('=')[0]} out of range"):
        schedule_of(spec)
