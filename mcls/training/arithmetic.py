"""The arithmetic in which nets compute, decided in one place.

=========================== ======================================================================
precision                   products of matrices and convolutions in a training
=========================== ======================================================================
``32``                      IEEE float32, without TF32
``tf32``                    float32 numbers with 10 instead of 23 bits of mantissa (TF32)
``bf16``, ``16``            mixed precision: 16 bits where autocast uses them, else IEEE float32
=========================== ======================================================================

Scores are always computed in IEEE float32. TF32 and cuDNN's choice of kernels are global settings
of torch; both are as they were once a context of this module is left.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from mcls.errors import ConfigError

#: The numbers of mixed precision.
MIXED = {"bf16": torch.bfloat16, "16": torch.float16}
#: The first generation of CUDA devices that computes in TF32 (Ampere).
_TF32_SINCE = (8, 0)


@contextmanager
def training_arithmetic(precision: str) -> Iterator[None]:
    """Compute in the precision of a training; cuDNN times its kernels and takes the fastest.

    Segments have a fixed size, so kernels are timed once for each size of a batch.
    """
    with _backends(tf32=precision == "tf32", benchmark=True, deterministic=False):
        yield


@contextmanager
def exact_arithmetic() -> Iterator[None]:
    """Compute in IEEE float32, with kernels that give the same numbers every time."""
    with _backends(tf32=False, benchmark=False, deterministic=True):
        yield


def autocast(precision: str, device: torch.device) -> torch.autocast:
    """Return the context of the forward pass: mixed precision, if that is the precision."""
    kind = MIXED.get(precision, torch.bfloat16)
    return torch.autocast(device.type, kind, enabled=precision in MIXED)


def check_precision(precision: str, device: str) -> None:
    """Check that a device, ``cpu`` or ``cuda``, computes in a precision.

    Raises
    ------
    ConfigError
        If it does not.
    """
    if device == "cpu":
        if precision in ("16", "tf32"):
            raise ConfigError(f"--precision {precision} is for CUDA; on a CPU use bf16 or 32")
    elif precision == "tf32" and torch.cuda.get_device_capability() < _TF32_SINCE:
        raise ConfigError(
            f"--precision tf32: {torch.cuda.get_device_name()} has no TF32; use 16 or 32"
        )


def describe_precision(precision: str, device: str) -> str:
    """Say in which numbers a net is trained on a CUDA device of the given name."""
    said = {
        "32": "IEEE float32 (TF32 is off; --precision tf32 or bf16 is faster)",
        "tf32": "TF32: products of float32 numbers with 10 bits of mantissa",
    }
    mixed = f"mixed precision: {precision} and IEEE float32 (TF32 is off)"
    return f"trained on {device} in {said.get(precision, mixed)}"


@contextmanager
def _backends(*, tf32: bool, benchmark: bool, deterministic: bool) -> Iterator[None]:
    products = torch.backends.cuda.matmul
    before = products.allow_tf32
    products.allow_tf32 = tf32
    try:
        with torch.backends.cudnn.flags(
            enabled=True, benchmark=benchmark, deterministic=deterministic, allow_tf32=tf32
        ):
            yield
    finally:
        products.allow_tf32 = before
