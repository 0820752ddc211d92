"""Classifiers of rows, one file per family."""

from typing import Any

from mcls.registry import entries, imported


def __getattr__(name: str) -> Any:
    return imported("classifiers", name, __name__)


def __dir__() -> list[str]:
    return sorted({*globals(), *(entry.attribute for entry in entries("classifiers").values())})
