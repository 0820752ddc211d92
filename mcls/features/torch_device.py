"""The device on which features compute with torch."""

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
