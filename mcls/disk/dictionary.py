"""Dictionary files: the chain from the audio to the codes, and a report on the learning."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mcls import __version__
from mcls.disk.chain import Chain, Step, chain_room, read_chain, write_chain
from mcls.disk.hdf5 import new_hdf5, open_hdf5
from mcls.disk.text_files import parse_json
from mcls.disk.workspace import written_whole
from mcls.errors import DataError, FormatError
from mcls.remote.places import kept, spelled
from mcls.settings import canonical

KIND, FORMAT = "dictionary", 1


@dataclass(frozen=True)
class DictionaryFile:
    """A dictionary file that has been read.

    Parameters
    ----------
    path : Path
        The file.
    chain : Chain
        From the audio to this dictionary, which is the last step.
    report : dict
        The measurements of the learning: usage, perplexity, history, ...
    key : str
        16 hex digits: two commands with the same key make the same dictionary.
    """

    path: Path
    chain: Chain
    report: dict[str, Any]
    key: str

    @property
    def step(self) -> Step:
        """The step of the dictionary: settings, arrays and the tracks it was learnt from."""
        return self.chain[-1]


def write_dictionary(path: Path, chain: Chain, report: dict[str, Any], key: str) -> None:
    """Write a dictionary file; it appears whole or not at all.

    Raises
    ------
    DataError
        If it cannot be written.
    """
    text = spelled(canonical(report))
    room = chain_room(chain) + len(text)
    try:
        with (
            written_whole(path) as temporary,
            new_hdf5(temporary, room) as file,
        ):
            file.attrs["kind"] = KIND
            file.attrs["format"] = FORMAT
            file.attrs["version"] = __version__
            file.attrs["key"] = key
            file.attrs["report"] = text
            write_chain(file, chain)
    except OSError as error:
        raise DataError(f"{path} could not be written: {error}") from error


def read_dictionary(path: str | Path) -> DictionaryFile:
    """Read a dictionary file.

    Raises
    ------
    DataError
        If there is no such file.
    FormatError
        If it is not one, or is corrupt.
    """
    path = kept(path)
    with open_hdf5(path, KIND, FORMAT) as file:
        chain = read_chain(file)
        try:
            report = parse_json(file.attrs["report"], f"{path}: its report")
            key = str(file.attrs["key"])
        except (KeyError, ValueError) as error:
            raise FormatError(f"{path}: the report is corrupt ({error})") from error
    if not chain or chain[-1].kind != "dictionary" or "atoms" not in chain[-1].arrays:
        raise FormatError(f"{path}: its chain does not end in a dictionary")
    return DictionaryFile(path, chain, report, key)
