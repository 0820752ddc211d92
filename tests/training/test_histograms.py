"""Histograms of gradients and activations: against numpy, and as a plot of a run."""

import csv
import hashlib
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from mcls.cli.main import cli
from mcls.plots.histograms import EpochHistograms
from mcls.training.histograms import BINS, activation_histogram, gradient_histograms, histogram


def shares_of(found: dict) -> np.ndarray:
    return np.array([found[f"bin{i}"] for i in range(1, 1 + BINS)])


@pytest.mark.parametrize("logarithmic", [False, True])
def test_a_histogram_is_that_of_numpy(rng, logarithmic) -> None:
    """Shares to 1e-3: torch's edges are in single precision. Zeros and NaN are set apart."""
    values = rng.normal(0, 1, 5000).astype(np.float32)
    values[:500], values[500] = 0, np.nan
    found = histogram(torch.from_numpy(values), logarithmic=logarithmic)
    others = values[501:]
    others = np.log10(np.abs(others)) if logarithmic else others
    counts, _ = np.histogram(others, BINS)
    assert found["zeros"] == pytest.approx(500 / 4999)
    assert found["low"] == pytest.approx(others.min(), rel=1e-6)
    assert found["high"] == pytest.approx(others.max(), rel=1e-6)
    np.testing.assert_allclose(shares_of(found), counts / 4999, atol=1e-3)


def test_many_values_are_sampled_and_none_are_all_zero(rng) -> None:
    """The share of zeros of a million values is within 0.01, though they lie in columns."""
    values = rng.normal(0, 1, (1000, 1000)).astype(np.float32)
    values[:, ::2] = 0
    found = histogram(torch.from_numpy(values), logarithmic=False)
    assert found["zeros"] == pytest.approx(0.5, abs=0.01)
    empty = histogram(torch.zeros(10), logarithmic=True)
    assert empty["zeros"] == 1
    assert np.isnan(empty["low"])
    assert shares_of(empty).sum() == 0


def test_gradients_of_each_child_and_outputs_of_each_layer() -> None:
    net = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.ReLU(), torch.nn.Linear(4, 2))
    net(torch.randn(5, 3)).sum().backward()
    rows = gradient_histograms(net)
    assert [row["layer"] for row in rows] == ["0", "2"]
    grads = torch.cat([p.grad.reshape(-1) for p in net[2].parameters()])
    assert rows[1]["high"] == pytest.approx(float(grads.abs().max().log10()))
    assert activation_histogram("x", torch.ones(3))["bin1"] in (0.0, 1.0)


def test_cells_and_medians_follow_from_the_bins(rng) -> None:
    """The cells share out all values, and the median is right to the width of a bin."""
    values = rng.gamma(2, 1, 4000)
    counts, edges = np.histogram(values, BINS)
    one = EpochHistograms(*np.array([[1.0], [edges[0]], [edges[-1]], [0.0]]), counts[None] / 4000)
    cells = one.on(np.linspace(-1, edges[-1] + 1, 200))
    assert cells.sum() == pytest.approx(1)
    assert one.median()[0] == pytest.approx(np.median(values), abs=edges[1] - edges[0])
    alone = EpochHistograms(*np.array([[1.0], [2.0], [2.0], [0.5]]), np.full((1, BINS), 0.5 / BINS))
    assert alone.on(np.array([0.0, 1.0, 3.0])).tolist() == [[0.0, pytest.approx(0.5)]]


def weights_of(run: Path) -> str:
    return hashlib.sha256((run / "model.safetensors").read_bytes()).hexdigest()


def test_recording_changes_nothing_and_is_plotted(train, tmp_path) -> None:
    given = {"settings": ["layers=8x6", "dropout=0.5"], "epochs": 3}
    plain, seen = train("plain", **given), train("seen", histograms=True, **given)
    assert weights_of(plain) == weights_of(seen)
    assert not (plain / "histograms.csv").exists()
    with (seen / "histograms.csv").open() as file:
        rows = list(csv.DictReader(file))
    layers = {"gradient": {"dense1", "dense2", "output"}, "activation": {"dense1", "dense2"}}
    for quantity, names in layers.items():
        of = [row for row in rows if row["quantity"] == quantity]
        assert {row["layer"] for row in of} == names
        assert [int(row["epoch"]) for row in of if row["layer"] == "dense1"] == [1, 2, 3]

    def plot(run: Path):
        words = ["plot", str(run), "-o", str(tmp_path / "a.png"), "--histograms"]
        return CliRunner().invoke(cli, words, prog_name="mcls")

    done = plot(seen)
    assert done.exit_code == 0, done.output
    assert "histograms of 3 layers" in done.output
    assert "train the net with --histograms" in plot(plain).output
