"""How much memory a command may use."""

import os
import re
from contextlib import suppress
from math import ceil, log10
from pathlib import Path

from mcls.errors import ConfigError

_UNITS = {"B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
#: Where Linux says how much memory a container may use.
_LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))


def bytes_of(size: str) -> int:
    """Return the number of bytes of a size such as ``4GB``; a kB is 1,000 bytes.

    Raises
    ------
    ConfigError
        If it is not a number above 0 and a unit.

    Examples
    --------
    >>> bytes_of("500MB"), bytes_of("1.5 GB")
    (500000000, 1500000000)
    """
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([kKMGT]?B)\s*", size)
    if found is None or float(found[1]) == 0:
        raise ConfigError(
            f"{size!r} is not a size; write a number and a unit, such as 4GB or 500MB"
        )
    return int(float(found[1]) * _UNITS[found[2].upper()])


def memory_budget(said: str | None) -> int:
    """Return the bytes that learning may take: a size, or half of the memory of the machine.

    The memory of the machine, not what is free of it now, so that the same command does the same
    again. In a container it is the container's.

    Parameters
    ----------
    said : str or None
        A size, as in `bytes_of`.
    """
    return _machine() // 2 if said is None else bytes_of(said)


def spell_bytes(n: int) -> str:
    """Write a number of bytes with a unit and up to three digits, rounded up.

    Examples
    --------
    >>> spell_bytes(4_000_000_000), spell_bytes(52_310_000), spell_bytes(1_000_001)
    ('4GB', '52.4MB', '1.01MB')
    """
    unit = next((name for name in ("TB", "GB", "MB", "KB") if n >= _UNITS[name]), "B")
    scale = 10.0 ** (2 - int(log10(n / _UNITS[unit])))
    return f"{ceil(n / _UNITS[unit] * scale) / scale:g}{unit.replace('K', 'k')}"


def _machine() -> int:
    """Return the bytes of memory of the machine, or of the container."""
    found = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    for path in _LIMITS:
        with suppress(OSError, ValueError):  # there is no such limit, or it is "max"
            found.append(int(path.read_text()))
    return min(found)
