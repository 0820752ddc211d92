"""Sizes of nets, against papers and sums by hand."""

from itertools import pairwise

import pytest
from torch import nn

from mcls.nets import build_net, smallest_input
from mcls.nets.describe import NetLayer, describe_net
from mcls.registry import find


def counts(name: str, n_labels: int, **settings) -> int:
    facts = find("nets", name).facts
    layers = describe_net(name, settings, facts["frames"], facts["dims"], n_labels)
    return sum(layer.n_parameters for layer in layers)


def kernel(n_in: int, n_out: int, size: int) -> int:
    return n_in * n_out * size + n_out


def test_dieleman_has_the_published_66_thousand_parameters() -> None:
    by_hand = 2 + kernel(96, 32, 8) + kernel(32, 32, 8) + kernel(9 * 32, 100, 1)
    assert counts("dieleman", 50) == by_hand + kernel(100, 50, 1) == 66_784


def test_crnn_has_the_published_396786_parameters_and_torchs_second_biases() -> None:
    second_biases = 2 * 3 * 32
    assert counts("crnn", 50, input_norm="frames") == 396_786 + second_biases
    # 1440 places in time were normalised, 96 bands are by default
    assert counts("crnn", 50) == 396_786 + second_biases - 2 * 1440 + 2 * 96


def test_crnn_reads_15_steps_of_96_frames() -> None:
    layers = {layer.name: layer for layer in describe_net("crnn", {}, 1366, 96, 50)}
    assert layers["input_norm"].output == (96, 1440, 1)  # 37 frames at each end
    assert layers["conv4.pool"].output == (128, 15, 1)
    assert layers["gru2.gru"].output == (32, 15)


@pytest.mark.parametrize(
    ("name", "maps", "sizes_1x1", "left"),
    [
        ("fcn3", [256, 768, 2048], [], [(273, 32), (17, 8), (1, 1)]),
        ("fcn4", [128, 384, 768, 2048], [], [(341, 48), (68, 12), (8, 4), (1, 1)]),
        (
            "fcn5",
            [128, 256, 512, 1024, 2048],
            [],
            [(341, 48), (85, 24), (21, 12), (4, 4), (1, 1)],
        ),
        ("fcn6", [128, 256, 512, 1024, 2048], [1024], None),
        ("fcn7", [128, 256, 512, 1024, 2048], [1024, 2048], None),
    ],
)
def test_fcn_by_hand(name: str, maps: list, sizes_1x1: list, left: list | None) -> None:
    by_hand = sum(kernel(*pair, 9) + 2 * pair[1] for pair in pairwise([1, *maps]))
    last = [maps[-1], *sizes_1x1]
    by_hand += sum(kernel(*pair, 1) + 2 * pair[1] for pair in pairwise(last))
    layers = describe_net(name, {}, 1366, 96, 50)
    assert sum(layer.n_parameters for layer in layers) == by_hand + kernel(last[-1], 50, 1)
    pools = [layer.output[1:] for layer in layers if layer.name.endswith("pool")]
    assert pools == (left or [(341, 48), (85, 24), (21, 12), (4, 4), (1, 1)])
    assert [layer.output[0] for layer in layers if ".conv" in layer.name] == maps + sizes_1x1


def test_fcn4_has_17_million_parameters() -> None:
    assert counts("fcn4", 50) == 17_365_938


def test_cnn1d_by_hand() -> None:
    by_hand = kernel(128, 256, 4) + 2 * kernel(256, 256, 4) + kernel(256, 512, 4)
    by_hand += kernel(3 * 512, 2048, 1) + kernel(2048, 2048, 1) + kernel(2048, 40, 1)
    assert counts("cnn1d", 40) == by_hand == 8_607_016
    layers = describe_net("cnn1d", {}, 599, 128, 40)
    frames = [layer.output[1] for layer in layers if layer.name.startswith("conv")]
    assert frames == [596, 149, 146, 73, 70, 35, 32]


def test_cnn1d_may_keep_the_number_of_frames() -> None:
    layers = describe_net("cnn1d", {"padding": "same"}, 16, 8, 2)
    frames = [layer.output[1] for layer in layers if layer.name.endswith(("pool", "conv4.conv"))]
    assert frames == [4, 2, 1, 1]
    assert smallest_input("cnn1d", {"padding": "same"}) == (16, 1)


def test_width_scales_every_hidden_layer() -> None:
    layers = describe_net("fcn4", {"width": 0.125}, 1366, 96, 50)
    assert [layer.output[0] for layer in layers if ".conv" in layer.name] == [16, 48, 96, 256]


def test_mlp_by_hand() -> None:
    assert counts("mlp", 10, layers="50x50x50") == (
        kernel(513, 50, 1) + 2 * kernel(50, 50, 1) + kernel(50, 10, 1)
    )


def test_layers_that_neither_learn_nor_change_sizes_are_left_out() -> None:
    assert describe_net("mlp", {"layers": "7"}, 2, 5, 3) == [
        NetLayer("dense1.linear", "dense", (7,), 77, 140),
        NetLayer("output", "dense", (3,), 24, 42),
    ]


#: Batch norms that a net always has, and those that batch_norm adds: one a convolution, but for
#: nets without one after dense layers (alexnet, vgg16), and with one for each of many filters.
NORMS = {
    "alexnet": (0, 5),
    "cnn1d": (0, 6),
    "compact-cnn": (0, 5),
    "crnn": (1, 4),
    "dieleman": (1, 3),
    "fcn3": (0, 3),
    "fcn4": (0, 4),
    "fcn5": (0, 5),
    "fcn6": (0, 6),
    "fcn7": (0, 7),
    "googlenet": (0, 57),
    "local-cnn": (0, 4),
    "mlp": (0, 2),
    "musicnn": (1, 10),
    "pons-2018": (0, 14),
    "pons-blackbox": (0, 2),
    "pons-frequency": (0, 1),
    "pons-onet": (0, 8),
    "pons-onet-pnet": (0, 43),
    "pons-parallel": (0, 4),
    "pons-pnet": (0, 35),
    "pons-tf": (0, 3),
    "pons-timbre": (0, 14),
    "pons-time": (0, 1),
    "resnet18": (0, 20),
    "resnet34": (0, 36),
    "resnet50": (0, 53),
    "resnet101": (0, 104),
    "resnet152": (0, 155),
    "samplecnn": (0, 4),
    "short-chunk": (1, 8),
    "short-chunk-res": (1, 22),
    "tagging-transformer": (1, 7),
    "vgg-pons": (1, 5),
    "vgg16": (0, 13),
    "vgg19": (0, 16),
    "waveform-frontend": (0, 11),
}


@pytest.mark.parametrize("name", NORMS)
def test_batch_norms_by_hand(name: str) -> None:
    shallow = {"samplecnn": {"modules": 2}, "waveform-frontend": {"midend": "dense"}}
    settings = {"layers": (12, 8)} if name == "mlp" else {"width": 0.02, **shallow.get(name, {})}
    frames, dims = smallest_input(name, settings)
    frames += 97 if name == "crnn" else 37  # two steps of its recurrent layers

    def n_norms(batch_norm: bool) -> int:
        net = build_net(name, {**settings, "batch_norm": batch_norm}, frames, dims + 21, 2)
        return sum(isinstance(m, nn.BatchNorm1d | nn.BatchNorm2d) for m in net.modules())

    always, added = NORMS[name]
    assert (n_norms(False), n_norms(True)) == (always, always + added)
