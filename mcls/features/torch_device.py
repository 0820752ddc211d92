"""Where features compute with torch: the device, and one thread."""

from collections.abc import Iterator
from contextlib import contextmanager

from mcls.errors import ConfigError


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
def one_torch_thread() -> Iterator[None]:
    """Compute with one thread, so that rows do not depend on the number of processes."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
