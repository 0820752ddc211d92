"""The precision of a training: what torch is told, and that nothing stays changed."""

import pytest
import torch

from mcls.errors import ConfigError
from mcls.training.arithmetic import (
    autocast,
    check_precision,
    describe_precision,
    exact_arithmetic,
    training_arithmetic,
)


def flags() -> dict[str, bool]:
    cudnn = torch.backends.cudnn
    return {
        "matmul": torch.backends.cuda.matmul.allow_tf32,
        "cudnn": cudnn.allow_tf32,
        "benchmark": cudnn.benchmark,
        "deterministic": cudnn.deterministic,
    }


@pytest.mark.parametrize("precision", ["32", "tf32", "bf16", "16"])
def test_only_tf32_computes_in_tf32_and_scores_never_do(precision):
    before = flags()
    tf32 = precision == "tf32"
    own = {"matmul": tf32, "cudnn": tf32, "benchmark": True, "deterministic": False}
    with training_arithmetic(precision):
        assert flags() == own
        with exact_arithmetic():
            exact = {"matmul": False, "cudnn": False, "benchmark": False, "deterministic": True}
            assert flags() == exact
        assert flags() == own
    assert flags() == before
    with pytest.raises(KeyError), training_arithmetic(precision):
        raise KeyError
    assert flags() == before


def test_a_training_leaves_the_flags_as_they_were(train):
    before, seen = flags(), []
    train("run", epochs=1, on_epoch=lambda row: seen.append(flags()))
    assert seen == [{"matmul": False, "cudnn": False, "benchmark": True, "deterministic": False}]
    assert flags() == before


def test_mixed_precision_is_of_16_bits_and_only_that():
    cpu, x = torch.device("cpu"), torch.ones(2, 2)
    kinds = {"32": torch.float32, "tf32": torch.float32, "bf16": torch.bfloat16}
    for precision, kind in kinds.items():
        with autocast(precision, cpu):
            assert (x @ x).dtype == kind


@pytest.mark.parametrize("precision", ["16", "tf32"])
def test_a_cpu_refuses_what_it_lacks(train, precision):
    with pytest.raises(ConfigError, match=f"--precision {precision} is for CUDA; .* bf16 or 32"):
        train("run", epochs=1, precision=precision)


def test_a_card_before_ampere_refuses_tf32(monkeypatch):
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: (7, 5))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "Tesla T4")
    with pytest.raises(ConfigError, match="Tesla T4 has no TF32; use 16 or 32"):
        check_precision("tf32", "cuda")
    check_precision("32", "cuda")
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: (9, 0))
    check_precision("tf32", "cuda")


def test_the_precision_is_said_in_words():
    assert describe_precision("32", "H100") == (
        "trained on H100 in IEEE float32 (TF32 is off; --precision tf32 or bf16 is faster)"
    )
    assert "10 bits of mantissa" in describe_precision("tf32", "H100")
    assert "mixed precision: bf16 and IEEE float32 (TF32 is off)" in describe_precision("bf16", "X")
