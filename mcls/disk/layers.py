"""Trained layers of a deep dictionary, kept on disk while the layers above them are trained.

Every layer is one HDF5 file (``layer-1.h5``, ``layer-2.h5``, ...): a dataset per array and, as
attributes, the numbers (JSON), the key of the dictionary that is being made, and a digest.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from mcls.disk.chain import Step, chain_digest
from mcls.disk.hdf5 import CORRUPT, member, members, new_hdf5, open_hdf5
from mcls.disk.workspace import written_whole
from mcls.errors import DataError, MclsError

KIND, FORMAT = "layer", 1

#: The arrays of a layer by name, and numbers that JSON can hold.
LayerState = tuple[Mapping[str, np.ndarray], Mapping[str, Any]]

#: Bytes that HDF5 itself needs for a file, and for each array in it.
_OVERHEAD = 1 << 14


class LayerFiles:
    """The layer files of one key in a folder; files of other keys are ignored.

    Parameters
    ----------
    folder : Path
        The folder of the files.
    key : str
        The digest of everything that determines the layers.
    """

    def __init__(self, folder: Path, key: str) -> None:
        self.folder = folder
        self.key = key

    def read(self) -> list[LayerState]:
        """Return the layers up to the first that is missing, corrupt or of another key."""
        layers: list[LayerState] = []
        while (layer := self._read(len(layers) + 1)) is not None:
            layers.append(layer)
        return layers

    def write(self, i: int, layer: LayerState) -> None:
        """Write layer `i`, counted from 1.

        Raises
        ------
        DataError
            If it cannot be written.
        """
        arrays, numbers = layer
        text = json.dumps(numbers, allow_nan=False)
        room = len(text) + sum(array.nbytes + _OVERHEAD for array in arrays.values()) + _OVERHEAD
        path = self._path(i)
        try:
            with written_whole(path) as temporary, new_hdf5(temporary, room) as file:
                file.attrs["kind"] = KIND
                file.attrs["format"] = FORMAT
                file.attrs["key"] = self.key
                file.attrs["numbers"] = text
                file.attrs["digest"] = self._digest(i, arrays, text)
                for name, array in arrays.items():
                    file.create_dataset(name, data=array)
        except OSError as error:
            raise DataError(f"{path} could not be written: {error.strerror or error}") from error

    def _read(self, i: int) -> LayerState | None:
        try:
            with open_hdf5(self._path(i), KIND, FORMAT) as file:
                text = str(file.attrs["numbers"])
                names = members(file)
                arrays = {name: member(file, name, h5py.Dataset)[()] for name in names}
                if file.attrs["digest"] != self._digest(i, arrays, text):
                    return None
            return arrays, json.loads(text)
        except (MclsError, *CORRUPT):
            return None  # it is trained again, and overwritten

    def _path(self, i: int) -> Path:
        return self.folder / f"layer-{i}.h5"

    def _digest(self, i: int, arrays: Mapping[str, np.ndarray], text: str) -> str:
        about = {"key": self.key, "layer": i, "numbers": text}
        return chain_digest((Step("dictionary", KIND, about, arrays=dict(arrays)),))
