"""Summaries of nets: receptive fields, and the tables of mcls list nets."""

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from torch import nn

from mcls.cli.main import cli
from mcls.features.filters import mel_frequencies
from mcls.nets import build_net, smallest_input, summary
from mcls.nets.describe import describe_net
from mcls.nets.receptive_field import receptive_fields
from mcls.nets.summary import SUMMARIES, measure, summarise
from mcls.registry import entries, find


def by_arithmetic(steps: list[tuple[int, int]]) -> int:
    """From (size, stride) of filters and pools, first to last."""
    field, jump = 1, 1
    for size, stride in steps:
        field += (size - 1) * jump
        jump *= stride
    return field


def test_fields_by_arithmetic() -> None:
    fields = {one.layer: one for one in receptive_fields("fcn5", {}, 1366, 96)}
    frames = [(3, 1), (4, 4), (3, 1), (4, 4), (3, 1), (4, 4), (3, 1), (5, 5)]
    dims = [(3, 1), (2, 2), (3, 1), (2, 2), (3, 1), (2, 2), (3, 1), (3, 3)]
    for i in (1, 2, 3, 4):
        one = fields[f"conv{i}"]
        expected = (by_arithmetic(frames[: 2 * i]), by_arithmetic(dims[: 2 * i]))
        assert (one.frames, one.dims) == expected, one.layer
    samples = receptive_fields("samplecnn", {}, 59049, 1)
    steps = [(3, 3)]
    for one in samples[:9]:
        assert one.frames == by_arithmetic(steps), one.layer
        steps += [(3, 1), (3, 3)]
    assert samples[9].all_frames


def test_fields_are_where_the_gradient_is_not_zero() -> None:
    net = build_net("cnn1d", {"width": 0.05, "nonlinearity": "gelu"}, 128, 20, 3, seed=1).eval()
    for module in net.modules():
        if isinstance(module, nn.MaxPool1d):  # a maximum has a gradient at one place alone
            mean = nn.AvgPool1d(module.kernel_size)
            module.forward = mean.forward
    found = {}
    for layer in ("conv1", "conv2", "conv3"):
        kept: list[torch.Tensor] = []
        hook = net.get_submodule(layer).register_forward_hook(
            lambda module, given, output, kept=kept: kept.append(output)
        )
        x = torch.randn(1, 1, 128, 20, requires_grad=True)
        net(x)
        hook.remove()
        kept[0][0, :, kept[0].shape[2] // 2].sum().backward()
        found[layer] = int((x.grad.abs().sum(dim=(0, 1, 3)) > 0).sum())
    fields = {one.layer: one.frames for one in receptive_fields("cnn1d", {}, 128, 20)}
    assert (
        found == {layer: fields[layer] for layer in found} == {"conv1": 7, "conv2": 23, "conv3": 55}
    )


@pytest.mark.parametrize("name", ["crnn", "mlp", "cnn1d", "dieleman"])
def test_what_is_recurrent_or_dense_sees_all(name: str) -> None:
    facts = find("nets", name).facts
    last = receptive_fields(name, {}, min(facts["frames"], 200), facts["dims"])[-1]
    assert last.all_frames
    assert last.all_dims


def test_a_recurrent_layer_sees_all_though_its_middle_step_does_not() -> None:
    fields = {one.layer: one for one in receptive_fields("crnn", {}, 1366, 96)}
    assert not fields["conv4"].all_frames
    assert fields["gru1"].all_frames
    assert fields["gru1"].over_time


def test_fields_in_time_and_frequency() -> None:
    found = summarise(find("nets", "fcn4"))
    assert found.seconds == pytest.approx(1366 * 256 / 12000)
    sees = found.first
    assert sees.milliseconds == pytest.approx(1000 * 6 * 256 / 12000)
    edges = mel_frequencies(98, fmin=0, fmax=6000, htk=False)
    first = sees.field.first_dim
    assert sees.hertz == pytest.approx(edges[first + 5] - edges[first])
    assert found.last_over_time.field.layer == "conv3"
    layers = describe_net("fcn4", {}, 1366, 96, 50)
    assert found.n_parameters == sum(layer.n_parameters for layer in layers)
    assert found.flops == sum(layer.flops for layer in layers)


def test_every_net_with_a_rate_has_both_and_their_segment_has_a_length() -> None:
    for name, entry in entries("nets").items():
        assert ("sr" in entry.facts) == ("hop" in entry.facts), name
        if "sr" in entry.facts:
            seconds = entry.facts["frames"] * entry.facts["hop"] / entry.facts["sr"]
            assert 0.2 < seconds < 60, name


def test_the_table_of_one_net() -> None:
    result = CliRunner().invoke(cli, ["list", "nets", "dieleman", "--table"])
    assert result.exit_code == 0, result.output
    words = " ".join(result.stdout.split())
    assert "Dieleman & Schrauwen 2014 187 x 96 2.99 s 66,784 9.5" in words
    assert "conv1 11 x all: 176 ms conv2 51 x all: 816 ms" in words


def test_the_table_as_json() -> None:
    result = CliRunner().invoke(cli, ["list", "nets", "vgg-pons", "--table", "--json"])
    (net,) = json.loads(result.stdout)
    assert net["layers"][0]["frames"] == 6
    assert net["layers"][0]["milliseconds"] == pytest.approx(96)
    assert np.isfinite([layer["hertz"] for layer in net["layers"]]).all()


def test_a_table_of_something_else_is_wrong_usage() -> None:
    result = CliRunner().invoke(cli, ["list", "features", "--table"])
    assert result.exit_code == 2
    assert "--table compares nets" in result.output


def test_what_is_kept_of_nets_is_what_they_measure() -> None:
    for name in ("dieleman", "mlp", "compact-cnn"):
        entry = find("nets", name)
        assert measure(entry) == json.loads(SUMMARIES.read_text())["nets"][name]
    assert list(json.loads(SUMMARIES.read_text())["nets"]) == list(entries("nets"))


def test_measurements_of_other_sources_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(summary, "sources_digest", lambda: "changed")
    summary._known.cache_clear()
    assert summary._known() == {}
    summary._known.cache_clear()


@pytest.mark.slow
def test_every_measurement_of_nets_is_as_kept() -> None:
    for name, kept in json.loads(SUMMARIES.read_text())["nets"].items():
        assert measure(find("nets", name)) == kept, name


def test_the_table_of_all_nets() -> None:
    result = CliRunner().invoke(cli, ["list", "nets", "--table", "--json"])
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert [net["name"] for net in found] == list(entries("nets"))
    for net in found:
        assert len(net["layers"]) >= 1
        assert all(1 <= layer["frames"] <= net["n_frames"] for layer in net["layers"])


def test_types_and_settings_come_from_shared_names_and_base_classes() -> None:
    settings = find("nets", "fcn7").settings
    assert list(settings) == ["width", "pool", "nonlinearity", "dropout", "batch_norm", "init"]
    assert settings["init"].type == "Literal['xavier', 'he', 'orthogonal', 'default']"
    assert all(setting.doc for setting in settings.values())


def test_list_shows_the_layers_of_a_net() -> None:
    result = CliRunner().invoke(cli, ["list", "nets", "fcn4"], prog_name="mcls")
    assert result.exit_code == 0
    lines = [" ".join(line.split()) for line in result.stdout.splitlines()]
    assert "Layers for a segment of 1366 frames x 96 dimensions and 50 labels" in lines
    assert "conv2.conv convolution, 3x3 1x1 1x1 1 384 x 341 x 48 442,752 14,481.359" in lines
    assert any(line.startswith("17,365,938 parameters; 20,021.338 MFLOP") for line in lines)
    assert lines[-1] == "The smallest segment is 3 frames x 3 dimensions."


@pytest.mark.parametrize("name", entries("nets"))
def test_list_as_json(name: str) -> None:
    result = CliRunner().invoke(cli, ["list", "nets", name, "--json"], prog_name="mcls")
    said = json.loads(result.stdout)
    assert said["n_parameters"] == sum(layer["n_parameters"] for layer in said["layers"]) > 0
    assert said["smallest_input"] == list(smallest_input(name, {}))
    assert {"source", "frames", "dims", "labels"} <= set(said["facts"])


def test_the_page_of_nets_is_up_to_date() -> None:
    docs = Path(__file__).parents[1] / "docs"
    spec = importlib.util.spec_from_file_location("make_table", docs / "make_nets_table.py")
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    page = (docs / "nets.md").read_text(encoding="utf-8")
    assert page == made.render(page), "run `make docs`"
    for name in entries("nets"):
        assert f"| [`{name}`](nets/" in page, f"docs/nets has no page of {name}"
