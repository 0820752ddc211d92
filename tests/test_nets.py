"""Nets: the contract that each keeps."""

from collections.abc import Iterator

import pytest
import safetensors.torch
import torch
from numpy.testing import assert_allclose
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from mcls.errors import ConfigError
from mcls.nets import build_net, smallest_input
from mcls.nets.blocks.long_filters import LongFilters
from mcls.nets.describe import describe_net
from mcls.registry import entries, find

NAMES = list(entries("nets"))
ANY_LENGTH = [name for name in NAMES if find("nets", name).facts.get("any_length")]

each = pytest.mark.parametrize("name", NAMES)


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """Small products are quicker on one thread, where cores are shared."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def narrow(name: str, **settings) -> dict:
    """Settings that make a net small."""
    size = {"width": 0.02} if "width" in find("nets", name).settings else {"layers": (12, 8)}
    shallow = {"samplecnn": {"modules": 2}, "waveform-frontend": {"midend": "dense"}}
    return size | shallow.get(name, {}) | settings


def sizes(name: str) -> dict[str, tuple[int, int]]:
    """The smallest segment, and one that is longer and wider."""
    frames, dims = smallest_input(name, narrow(name))
    more = 97 if name == "crnn" else 37  # two steps of its recurrent layers
    return {"smallest": (frames, dims), "longer": (frames + more, dims + 21)}


def segments(n: int, n_frames: int, n_dims: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n, 1, n_frames, n_dims, generator=generator)


def outputs(net: nn.Module, x: torch.Tensor) -> dict[str, torch.Tensor]:
    """What each hidden layer gives."""
    found: dict[str, torch.Tensor] = {}
    for name in net.hidden:
        layer = net.get_submodule(name)
        layer.register_forward_hook(lambda _, __, made, name=name: found.update({name: made}))
    with torch.no_grad():
        net(x)
    return found


@each
@pytest.mark.parametrize("n_labels", [1, 2, 50])
@pytest.mark.parametrize("size", ["smallest", "longer"])
@pytest.mark.parametrize("batch", [1, 3])
def test_segments_in_logits_out(name: str, batch: int, size: str, n_labels: int) -> None:
    n_frames, n_dims = sizes(name)[size]
    net = build_net(name, narrow(name), n_frames, n_dims, n_labels, seed=1).eval()
    logits = net(segments(batch, n_frames, n_dims))
    assert logits.shape == (batch, n_labels)
    assert logits.dtype == torch.float32
    assert torch.isfinite(logits).all()


@each
def test_hidden_layers_are_named_in_order_and_come_before_dropout(name: str) -> None:
    n_frames, n_dims = sizes(name)["longer"]
    net = build_net(name, narrow(name, dropout=0.9), n_frames, n_dims, 2, seed=1)
    assert isinstance(net.hidden, tuple)
    x = segments(4, n_frames, n_dims)
    found = outputs(net.eval(), x)
    assert tuple(found) == net.hidden
    assert all(made.ndim in (2, 3, 4) and len(made) == 4 for made in found.values())
    first = found[net.hidden[0]].clone()
    norms = [m for m in net.modules() if isinstance(m, nn.BatchNorm1d | nn.BatchNorm2d)]
    net.train()
    for norm in norms:
        norm.eval()
    assert torch.equal(outputs(net, x)[net.hidden[0]], first)


@each
def test_the_gradient_reaches_every_parameter(name: str) -> None:
    n_frames, n_dims = sizes(name)["longer"]
    settings = narrow(name, nonlinearity="tanh", dropout=0.0)
    net = build_net(name, settings, n_frames, n_dims, 2, seed=1).eval()
    net(segments(4, n_frames, n_dims)).square().sum().backward()
    for path, parameter in net.named_parameters():
        assert parameter.grad is not None, path
        assert torch.isfinite(parameter.grad).all(), path
        assert parameter.grad.abs().max() > 0, path


@each
def test_a_batch_is_its_segments_one_by_one(name: str) -> None:
    n_frames, n_dims = sizes(name)["longer"]
    net = build_net(name, narrow(name), n_frames, n_dims, 3, seed=1).eval()
    x = segments(5, n_frames, n_dims)
    with torch.no_grad():
        alone = torch.cat([net(x[i : i + 1]) for i in range(5)])
        largest = max(1.0, float(alone.abs().max()))  # some 1000 in untrained nets of 100 layers
        assert_allclose(net(x), alone, rtol=0, atol=1e-5 * largest)


@each
def test_weights_follow_from_the_seed_and_torchs_generator_is_left_alone(name: str) -> None:
    n_frames, n_dims = sizes(name)["smallest"]
    before = torch.get_rng_state()
    one, same, other = (
        build_net(name, narrow(name), n_frames, n_dims, 2, seed).state_dict() for seed in (3, 3, 4)
    )
    describe_net(name, narrow(name), n_frames, n_dims, 2)
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(one[key], same[key]) for key in one)
    assert any(not torch.equal(one[key], other[key]) for key in one)


@each
def test_saved_and_loaded_it_gives_the_same(name: str, tmp_path) -> None:
    n_frames, n_dims = sizes(name)["longer"]
    net = build_net(name, narrow(name), n_frames, n_dims, 2, seed=1)
    x = segments(4, n_frames, n_dims)
    net(x)  # moves the statistics of batch norms
    safetensors.torch.save_file(net.state_dict(), tmp_path / "net.safetensors")
    again = build_net(name, narrow(name), n_frames, n_dims, 2, seed=2)
    again.load_state_dict(safetensors.torch.load_file(tmp_path / "net.safetensors"))
    with torch.no_grad():
        assert torch.equal(net.eval()(x), again.eval()(x))


@each
def test_too_small_a_segment_is_refused_with_the_smallest(name: str) -> None:
    frames, dims = smallest_input(name, {})
    for n_frames, n_dims in ((frames - 1, dims), (frames, dims - 1)):
        with pytest.raises(ConfigError, match=f"at least {frames} frames x {dims} dimensions"):
            build_net(name, {}, n_frames, n_dims, 2)
    with pytest.raises(ConfigError, match="0 labels; expected 1 or more"):
        build_net(name, narrow(name), frames, dims, 0)


@each
def test_bad_settings_are_all_named(name: str) -> None:
    frames, dims = smallest_input(name, {})
    size = {"width": -1} if "width" in find("nets", name).settings else {"layers": "0x5"}
    with pytest.raises(ConfigError, match=r"^" + name + r": dropout=1.0; .*(layers=0x5|width=-1)"):
        build_net(name, {"dropout": "1", **size}, frames, dims, 2)


@pytest.mark.parametrize("name", [name for name in NAMES if name != "resnet152"])  # a minute
def test_it_learns_eight_random_segments_by_heart(name: str) -> None:
    n_frames, n_dims = (size + 12 for size in sizes(name)["smallest"])
    wider = {
        "compact-cnn": 0.25,
        "dieleman": 0.5,
        "crnn": 0.25,
        "samplecnn": 0.1,
        "pons-parallel": 0.1,
    }
    width = wider.get(name, 0.03)
    sized = "width" in find("nets", name).settings
    size = {"width": width} if sized else {"layers": (32,)}
    settings = narrow(name, dropout=0.0, **size)
    net = build_net(name, settings, n_frames, n_dims, 2, seed=1)
    x = segments(8, n_frames, n_dims)
    y = torch.tensor([[i >> 1 & 1, i & 1] for i in range(8)], dtype=torch.float32)
    optimizer = torch.optim.Adam(net.parameters(), lr=0.01)
    for step in range(200):
        net.train()
        optimizer.zero_grad()
        nn.functional.binary_cross_entropy_with_logits(net(x), y).backward()
        optimizer.step()
        if step % 10 == 9:
            with torch.no_grad():
                if torch.equal(net.eval()(x) > 0, y > 0):
                    return
    pytest.fail("training errors are left after 200 steps")


@each
@pytest.mark.parametrize("init", ["xavier", "he", "orthogonal", "default"])
@pytest.mark.parametrize("batch_norm", [False, True])
def test_every_initialisation_with_and_without_batch_norm(
    name: str, batch_norm: bool, init: str
) -> None:
    n_frames, n_dims = sizes(name)["longer"]
    settings = narrow(name, init=init, batch_norm=batch_norm)
    net = build_net(name, settings, n_frames, n_dims, 2, seed=1)
    assert torch.isfinite(net(segments(4, n_frames, n_dims))).all()


@each
def test_a_net_of_any_length_takes_longer_segments_than_it_was_built_for(name: str) -> None:
    frames, dims = sizes(name)["longer"]
    net = build_net(name, narrow(name), frames, dims, 2, seed=1).eval()
    if name in ANY_LENGTH:
        assert net(segments(2, 3 * frames, dims)).shape == (2, 2)
    else:
        with pytest.raises(RuntimeError, match="shape"):
            net(segments(2, 3 * frames, dims))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@each
def test_a_cuda_device_gives_what_the_cpu_gives(name: str) -> None:
    n_frames, n_dims = sizes(name)["longer"]
    net = build_net(name, narrow(name), n_frames, n_dims, 2, seed=1).eval()
    x = segments(4, n_frames, n_dims)
    with torch.no_grad():
        expected = net(x)
        assert_allclose(net.cuda()(x.cuda()).cpu(), expected, rtol=0, atol=1e-2)  # TF32


@each
def test_operations_are_what_torch_counts(name: str, monkeypatch) -> None:
    monkeypatch.setattr(LongFilters, "forward", nn.Conv2d.forward)  # transforms are not counted
    n_frames, n_dims = sizes(name)["longer"]
    layers = describe_net(name, narrow(name), n_frames, n_dims, 3)
    net = build_net(name, narrow(name), n_frames, n_dims, 3, seed=1).eval()
    plain = sdpa_kernel(SDPBackend.MATH)  # what is fused for a CPU is not counted
    with FlopCounterMode(display=False) as counter, torch.no_grad(), plain:
        net(segments(1, n_frames, n_dims))
    assert sum(layer.flops for layer in layers) == counter.get_total_flops()
    n_parameters = sum(parameter.numel() for parameter in net.parameters())
    assert sum(layer.n_parameters for layer in layers) == n_parameters
