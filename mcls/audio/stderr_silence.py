"""Silence for libraries that print to the standard error of the process, such as libmpg123."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_quiet_lock, _quiet_depth, _stderr = threading.Lock(), 0, -1


@contextmanager
def silenced_stderr() -> Iterator[None]:
    """Keep what libmpg123 prints from the standard error of the process."""
    global _quiet_depth, _stderr
    with _quiet_lock:
        if not _quiet_depth:
            _stderr = _silence()
        _quiet_depth += 1
    try:
        yield
    finally:
        with _quiet_lock:
            _quiet_depth -= 1
            if not _quiet_depth and _stderr >= 0:
                os.dup2(_stderr, 2)
                os.close(_stderr)


def _silence() -> int:
    """Let nothing more be seen of the standard error; return a copy, or -1 if there is none."""
    try:
        copy = os.dup(2)
    except OSError:
        return -1
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    os.close(nowhere)
    return copy
