"""How features compute with torch: the device, and in which numbers."""

from collections.abc import Iterator
from contextlib import contextmanager

from mcls.errors import ConfigError
from mcls.parallel.threads import one_torch_thread


def device_of(feature: str, asked: str) -> str:
    """Return ``cpu`` or ``cuda``, given ``auto``, ``cpu`` or ``cuda``.

    Raises
    ------
    ConfigError
        If there is no CUDA device.
    """
    if asked == "cpu":
        return asked
    import torch

    if torch.cuda.is_available():
        return "cuda"
    if asked == "cuda":
        raise ConfigError(f"{feature}: this machine has no CUDA device; use device=cpu")
    return "cpu"


@contextmanager
def exact_inference() -> Iterator[None]:
    """Compute without gradients, in IEEE float32 (never TF32), with one thread on a CPU."""
    import torch

    exact = torch.backends.cudnn.flags(enabled=True, deterministic=True, allow_tf32=False)
    with torch.inference_mode(), one_torch_thread(), exact:
        yield
