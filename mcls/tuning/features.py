"""The stores that trials read: one for each setting of the features, made once and kept.

``FOLDER/<digest>/`` holds ``inner.h5``, the store of a search (see `mcls.tuning.inner_store`), the
dictionaries that trials share and, where features are extracted here, ``store.h5`` with all parts.
"""

from collections.abc import Sequence
from pathlib import Path

from mcls.data.options import Split
from mcls.disk.recipe import Recipe
from mcls.disk.workspace import Workspace
from mcls.errors import ConfigError, DataError
from mcls.extraction.extract import extract
from mcls.recipes.features import extraction_of, refuse_other_features
from mcls.settings import digest
from mcls.stores.store import Store, is_store
from mcls.tuning.inner_store import divide, write_inner_store


class SearchStores:
    """Makes the stores that trials read.

    Parameters
    ----------
    source : Path
        A store, or a manifest or folder from which stores are extracted.
    folder : Path
        Where they are kept.
    recipe : mapping
        The recipe as it stands.
    split : Split
        Which tracks are in the train and the valid part.
    n_folds : int
        Number of inner folds where there is no valid part.
    shares : sequence of float
        Shares of the train tracks.

    Attributes
    ----------
    inner : InnerParts
        How the tracks are divided; the same for all features.
    notes : list of str
        What a reader of the result must know.
    """

    def __init__(
        self,
        source: Path,
        folder: Path,
        recipe: Recipe,
        split: Split,
        n_folds: int,
        shares: Sequence[float],
    ) -> None:
        self.source, self.folder, self.split = source, folder, split
        self.n_folds, self.shares = n_folds, shares
        self.is_store = starts_from_store(source)
        self.inner = divide(self._opened(recipe), split, n_folds, shares=shares)
        self.notes = [*self.inner.notes]
        failed = self._opened(recipe).failed
        if failed:
            self.notes.append(f"{len(failed)} tracks could not be read and are in no trial")

    def of(self, recipe: Recipe) -> Path:
        """Return the store that a trial of a recipe reads."""
        out = self._place(recipe) / "inner.h5"
        if not out.exists():
            store = self._opened(recipe)
            inner = divide(store, self.split, self.n_folds, shares=self.shares)
            if inner.id != self.inner.id:
                raise DataError("with these features other tracks can be read than with others")
            with Workspace(out.parent, wait=True):
                write_inner_store(store, inner, out)
        return out

    def _place(self, recipe: Recipe) -> Path:
        asked = "store" if self.is_store else digest(extraction_of(recipe))
        return self.folder / asked

    def _opened(self, recipe: Recipe) -> Store:
        """Return the store with all parts."""
        asked = extraction_of(recipe)
        if self.is_store:
            store = Store(self.source)
            refuse_other_features(asked, store)
            return store
        path = self._place(recipe) / "store.h5"
        if not path.exists():
            with Workspace(path.parent, wait=True):
                extract(self.source, path, **asked)
        return Store(path)


def starts_from_store(source: Path) -> bool:
    """Return whether a path is a store, and not a manifest or a folder of audio.

    Raises
    ------
    ConfigError
        If there is nothing.
    """
    if not source.exists():
        raise ConfigError(f"{source}: there is no such store, manifest or folder")
    return is_store(source)
