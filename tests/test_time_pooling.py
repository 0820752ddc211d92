"""Pooling over time: each formula against numpy, gradients against finite differences."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from scipy.special import softmax

from mcls.errors import ConfigError
from mcls.nets.blocks.layers import init_weights
from mcls.nets.blocks.time_pooling import time_pool

WORDS = ["mean", "max", "std", "lp", "lp1", "lp3", "lp8", "attention", "attention4", "autopool"]
each = pytest.mark.parametrize("word", WORDS)


def maps(n: int = 3, n_maps: int = 5, n_frames: int = 7) -> torch.Tensor:
    rng = np.random.default_rng(440)
    return torch.tensor(rng.normal(size=(n, n_maps, n_frames)), requires_grad=True)


def pooled(word: str, x: torch.Tensor) -> np.ndarray:
    pool = time_pool(word, x.shape[1]).double()
    return pool(x).detach().numpy()


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("mean", lambda x: x.mean(axis=2)),
        ("max", lambda x: x.max(axis=2)),
        ("std", lambda x: x.std(axis=2)),
        ("lp", lambda x: np.sqrt((x**2).mean(axis=2))),
        ("lp1", lambda x: np.abs(x).mean(axis=2)),
        ("lp3", lambda x: (np.abs(x) ** 3).mean(axis=2) ** (1 / 3)),
        ("autopool", lambda x: x.mean(axis=2)),  # before it has learnt
        ("std+max", lambda x: np.concatenate([x.std(axis=2), x.max(axis=2)], axis=1)),
    ],
)
def test_formulas(word: str, expected) -> None:
    x = maps()
    assert_allclose(pooled(word, x), expected(x.detach().numpy()), rtol=1e-12)


def test_attention_is_a_mean_by_soft_max_weights_per_head() -> None:
    x = maps()
    pool = time_pool("attention2", 5).double()
    weight = pool.parts[0].weigh.weight.detach().numpy()[:, :, 0]  # (heads, maps)
    given = x.detach().numpy()
    weights = softmax(np.einsum("hm,bmt->bht", weight, given), axis=2)
    expected = np.einsum("bht,bmt->bhm", weights, given).reshape(3, 10)
    assert_allclose(pool(x).detach(), expected, rtol=1e-12)


def test_autopool_goes_from_mean_to_maximum_each_map_by_itself() -> None:
    x = maps()
    given = x.detach().numpy()
    pool = time_pool("autopool", 5).double()
    alpha = np.array([-2.0, 0.0, 1.0, 5.0, 1e4])
    with torch.no_grad():
        pool.parts[0].alpha.copy_(torch.tensor(alpha))
    made = pool(x).detach().numpy()
    weights = softmax(alpha[:, None] * given, axis=2)
    assert_allclose(made, (weights * given).sum(axis=2), rtol=1e-10)
    assert_allclose(made[:, 1], given[:, 1].mean(axis=1), rtol=1e-12)
    assert_allclose(made[:, 4], given[:, 4].max(axis=1), rtol=1e-12)


def test_a_power_average_grows_with_its_power_to_the_maximum() -> None:
    x = maps().abs()
    powers = [pooled(f"lp{p}", x) for p in (1, 2, 4, 16, 2000)]
    assert all((a < b).all() for a, b in pairwise(powers))
    assert_allclose(powers[-1], x.detach().amax(dim=2), rtol=2e-3)  # 7^(1/2000) = 1.001


def test_large_powers_of_large_and_small_values_stay_in_range() -> None:
    x = torch.tensor([[[3e30, 1e30], [3e-30, 1e-30]]])
    expected = np.array([[3e30, 3e-30]]) * (1 / 2) ** (1 / 8)
    assert_allclose(time_pool("lp8", 2)(x), expected, rtol=1e-3)


@each
def test_gradients_are_those_of_finite_differences(word: str) -> None:
    torch.manual_seed(0)
    pool = time_pool(word, 5).double()
    for parameter in pool.parameters():
        torch.nn.init.normal_(parameter)
    parameters = tuple(pool.parameters())
    assert torch.autograd.gradcheck(lambda x, *_: pool(x), (maps(), *parameters))


@each
@pytest.mark.parametrize("value", [0.0, 0.1, -2.0])
@pytest.mark.parametrize("n_frames", [1, 6])
def test_constant_maps_have_finite_gradients(word: str, value: float, n_frames: int) -> None:
    x = torch.full((2, 3, n_frames), value, requires_grad=True)
    pool = time_pool(word, 3)
    made = pool(x)
    expected = {"std": 0.0}.get(word, abs(value) if word.startswith("lp") else value)
    assert_allclose(made.detach(), np.full(made.shape, expected), rtol=1e-5, atol=1e-6)
    made.sum().backward()
    assert torch.isfinite(x.grad).all()
    assert all(torch.isfinite(p.grad).all() for p in pool.parameters())


@each
def test_the_order_of_frames_does_not_matter(word: str) -> None:
    x = maps()
    pool = time_pool(word, 5).double()
    assert_allclose(pool(x).detach(), pool(x.flip(2)).detach(), rtol=1e-12)


@pytest.mark.parametrize(
    ("word", "n_out"),
    [("mean", 5), ("mean+max", 10), ("mean+max+lp", 15), ("attention3+autopool", 20)],
)
def test_the_length_of_the_vector_is_said(word: str, n_out: int) -> None:
    pool = time_pool(word, 5)
    assert pool.n_out == n_out
    assert pool(maps().float()).shape == (3, n_out)


def test_attention_takes_any_initialisation() -> None:
    pool = time_pool("attention", 5)
    init_weights(pool, "orthogonal")
    assert float(pool.parts[0].weigh.weight.detach().norm()) == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("maen", r"no pooling over time 'maen' \('maen'\); did you mean 'mean'"),
        ("mean+", r"no pooling over time '' \('mean\+'\)"),
        ("mean3", "no pooling over time 'mean3'.*did you mean 'mean'"),
        ("mean+max+mean", "names one twice"),
        ("lp0", "lp0': 0; expected 1 or more"),
        ("lp²", "no pooling over time"),
    ],
)
def test_unknown_poolings_are_refused(word: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        time_pool(word, 5)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@each
def test_a_cuda_device_gives_what_the_cpu_gives(word: str) -> None:
    pool, x = time_pool(word, 5), maps().float().detach()
    with torch.no_grad():
        expected = pool(x)
        assert_allclose(pool.cuda()(x.cuda()).cpu(), expected, rtol=1e-4, atol=1e-5)
