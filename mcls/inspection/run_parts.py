"""What plots need of a run: that its model is a net, and the store that it was trained on."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mcls.disk.run import Run, open_run
from mcls.errors import ConfigError, DataError
from mcls.remote.places import kept
from mcls.stores.store import Store


def open_net_run(path: Path, lacks: str) -> Run:
    """Open the run of a net.

    Parameters
    ----------
    path : Path
        A run folder.
    lacks : str
        What other models lack, for the message.

    Raises
    ------
    ConfigError
        If its model is not a net.
    """
    run = open_run(path)
    if run.net_file is None:
        raise ConfigError(
            f"{path}: its model is not a net, so it has no {lacks}; give a run of a net (mcls list "
            "nets)"
        )
    return run


def open_run_store(path: Path, about: Mapping[str, Any], store: Path | None) -> Store:
    """Open the store of a run.

    Parameters
    ----------
    path : Path
        The run, for the message.
    about : mapping
        Its ``about.json``; empty for a CSV of predictions.
    store : Path or None
        The store to open instead of the one that the run was trained on.

    Raises
    ------
    DataError
        If there is no such store.
    """
    place = store or about.get("store")
    if not place:
        raise DataError(f"{path} does not say from which store it is; name it with --store")
    if not kept(place).exists():
        raise DataError(f"{path}: there is no store at {place}; name it with --store")
    return Store(place)
