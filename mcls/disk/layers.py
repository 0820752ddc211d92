"""Layers of a dictionary that have learnt, kept while those above them learn.

One HDF5 file a layer, ``layer-1.h5`` and so on, whole or not there: a dataset per array, and as
attributes the numbers (JSON), the key of what is being made and a digest of all of it.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from mcls.disk.chain import Step, chain_digest
from mcls.disk.hdf5 import DAMAGE, member, members, new_hdf5, open_hdf5
from mcls.disk.workspace import written_whole
from mcls.errors import DataError, MclsError

KIND, FORMAT = "layer", 1

#: Arrays by name, and numbers that JSON can hold.
Layer = tuple[Mapping[str, np.ndarray], Mapping[str, Any]]

#: Bytes of HDF5's own for a file, and for an array in it.
_OVERHEAD = 1 << 14


class LayerFiles:
    """The layers in a folder that belong to one key; others are as if they were not there.

    Parameters
    ----------
    folder : Path
        Where they are.
    key : str
        Names all that decides what the layers are.
    """

    def __init__(self, folder: Path, key: str) -> None:
        self.folder = folder
        self.key = key

    def read(self) -> list[Layer]:
        """Return the layers from the first on, up to one that is missing, damaged or foreign."""
        layers: list[Layer] = []
        while (layer := self._read(len(layers) + 1)) is not None:
            layers.append(layer)
        return layers

    def write(self, i: int, layer: Layer) -> None:
        """Keep layer `i`, counted from 1.

        Raises
        ------
        DataError
            If it cannot be written.
        """
        arrays, numbers = layer
        said = json.dumps(numbers, allow_nan=False)
        room = len(said) + sum(array.nbytes + _OVERHEAD for array in arrays.values()) + _OVERHEAD
        path = self._path(i)
        try:
            with written_whole(path) as temporary, new_hdf5(temporary, room) as file:
                file.attrs["kind"] = KIND
                file.attrs["format"] = FORMAT
                file.attrs["key"] = self.key
                file.attrs["numbers"] = said
                file.attrs["digest"] = self._digest(i, arrays, said)
                for name, array in arrays.items():
                    file.create_dataset(name, data=array)
        except OSError as error:
            raise DataError(f"{path} could not be written: {error.strerror or error}") from error

    def _read(self, i: int) -> Layer | None:
        try:
            with open_hdf5(self._path(i), KIND, FORMAT) as file:
                said = str(file.attrs["numbers"])
                names = members(file)
                arrays = {name: member(file, name, h5py.Dataset)[()] for name in names}
                if file.attrs["digest"] != self._digest(i, arrays, said):
                    return None
            return arrays, json.loads(said)
        except (MclsError, *DAMAGE):
            return None  # it is learnt again, and written over

    def _path(self, i: int) -> Path:
        return self.folder / f"layer-{i}.h5"

    def _digest(self, i: int, arrays: Mapping[str, np.ndarray], said: str) -> str:
        about = {"key": self.key, "layer": i, "numbers": said}
        return chain_digest((Step("dictionary", KIND, about, arrays=dict(arrays)),))
