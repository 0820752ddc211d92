"""Import skops without what scikit-learn's adapters import.

skops lists the estimators of scikit-learn by importing all of its packages. Two of these adapt
torch and Dask to scikit-learn and import them, which takes longer than everything else together;
they contain no estimators.
"""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.abc import MetaPathFinder
from types import ModuleType

_ADAPTED = ("torch", "dask")


def skops_io() -> ModuleType:
    """Return the module ``skops.io``; torch and Dask stay out unless they are needed."""
    with _without_adapters():
        import skops.io
    io: ModuleType = skops.io
    return io


class _NoAdapters(MetaPathFinder):
    """Finds the adapters missing, as in an installation without the libraries they adapt."""

    def find_spec(self, name: str, path: Sequence[str] | None, target: object = None) -> None:
        package, _, adapted = name.rpartition(".")
        if package.startswith("sklearn.externals") and adapted in _ADAPTED:
            raise ModuleNotFoundError(f"{name} is left out", name=name)


@contextmanager
def _without_adapters() -> Iterator[None]:
    finder = _NoAdapters()
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
