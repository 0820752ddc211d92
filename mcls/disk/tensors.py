"""Read and write tensors and a JSON object in one safetensors file, without pickle."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mcls.disk.text_files import parse_json
from mcls.disk.workspace import written_whole
from mcls.errors import DataError, FormatError

if TYPE_CHECKING:
    import torch

#: The key of the file's metadata that holds the JSON object.
_KEY = "mcls"


def write_tensors(path: Path, tensors: Mapping[str, "torch.Tensor"], about: Any) -> None:
    """Write tensors and a JSON object; the file appears whole or not at all.

    Parameters
    ----------
    path : Path
        The file; replaced if it is there.
    tensors : mapping of str to torch.Tensor
        The tensors, on any device.
    about : JSON-like
        The object. NaN is refused; all other numbers are read back unchanged.

    Raises
    ------
    DataError
        If the file cannot be written.
    """
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    kept = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    metadata = {_KEY: json.dumps(about, allow_nan=False, ensure_ascii=False)}
    try:
        with written_whole(path) as temporary:
            save_file(kept, temporary, metadata)
    except (OSError, SafetensorError) as error:
        said = getattr(error, "strerror", None) or error
        raise DataError(f"{path} could not be written: {said}") from error


def read_tensors(path: Path) -> tuple[dict[str, "torch.Tensor"], dict[str, Any]]:
    """Read the tensors and the object that `write_tensors` wrote.

    Raises
    ------
    DataError
        If there is no such file, or it cannot be read.
    FormatError
        If it is corrupt, or was not written by mcls.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            names = file.keys()
            # copies: torch may take another kernel for memory that is not aligned
            tensors = {name: file.get_tensor(name).clone() for name in names}
        about = parse_json(metadata[_KEY], f"{path}: its metadata")
    except PermissionError as error:
        raise DataError(f"{path}: permission denied") from error
    except FileNotFoundError as error:
        raise DataError(f"there is no file {path}") from error
    except (OSError, SafetensorError, ValueError) as error:
        raise FormatError(f"{path}: not a safetensors file, or corrupt ({error})") from error
    except KeyError as error:
        raise FormatError(f"{path}: a safetensors file that mcls did not write") from error
    return tensors, about
