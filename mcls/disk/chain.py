"""Chains on disk: every step from the audio to some rows, with the arrays each step has learnt.

A chain is a tuple of steps, each after its inputs; the last step makes the result. Feature steps
have no inputs (they read audio); a ``concat`` step has several; every other step has one. Stores,
dictionaries and runs carry their chain, so a run folder alone can score an audio file, and
`chain_digest` tells rows apart that were made differently. See `mcls.chain` for what steps do.

In HDF5 a chain is a group ``chain`` with a group per step, ``0``, ``1``, ...: attributes ``kind``,
``name``, ``settings`` (JSON), ``inputs``; a dataset per array; and for a learnt step
``learnt_from``, the ids of the tracks it was learnt from.
"""

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import h5py
import numpy as np

from mcls.disk.finite import check_finite
from mcls.disk.hdf5 import CORRUPT, member, members
from mcls.disk.text_files import parse_json
from mcls.errors import FormatError
from mcls.registry import entries
from mcls.settings import canonical

#: The dataset with the ids of the tracks that something was learnt from.
_IDS = "learnt_from"

#: Ways from the audio to the result that a chain may have, at most. Each concatenation of a step
#: with itself doubles them, and the memory of the result.
_MOST_WAYS = 256

#: Bytes that HDF5 itself needs for a step.
_OVERHEAD = 1 << 15


@dataclass(frozen=True)
class Step:
    """One step of a chain.

    Parameters
    ----------
    kind : str
        The kind, out of the family ``steps`` of the registry.
    name : str
        The name of the feature, the dictionary's method, the net, the model or the pooler.
    settings : dict
        Everything needed to do the step again, as JSON can hold it.
    inputs : tuple of int
        Indices of the earlier steps that it reads.
    arrays : dict of str to np.ndarray
        The arrays that it has learnt.
    learnt_from : tuple of str
        ``track_id`` of every track it was learnt from; empty if it learns nothing.
    """

    kind: str
    name: str
    settings: dict[str, Any]
    inputs: tuple[int, ...] = ()
    arrays: dict[str, np.ndarray] = field(default_factory=dict)
    learnt_from: tuple[str, ...] = ()


Chain = tuple[Step, ...]


def chain_digest(chain: Chain) -> str:
    """Return 16 hex digits that name a chain: its settings and its arrays."""
    sha = hashlib.sha256()
    for step in chain:
        sha.update(canonical([step.kind, step.name, step.settings, step.inputs]).encode())
        for name in sorted(step.arrays):
            array = np.ascontiguousarray(step.arrays[name])
            sha.update(f"{name}{array.dtype.str}{array.shape}".encode())
            sha.update(array.tobytes())
    return sha.hexdigest()[:16]


def extend(chain: Chain, step: Step) -> Chain:
    """Return the chain with one more step that reads its result."""
    return (*chain, replace(step, inputs=(len(chain) - 1,)))


def concatenate(chains: list[Chain]) -> Chain:
    """Join several chains into one that concatenates their results; shared steps stay shared."""
    if len(chains) == 1:
        return chains[0]
    steps: list[Step] = []
    known: dict[str, int] = {}
    results = []
    for chain in chains:
        place: dict[int, int] = {}
        for i, step in enumerate(chain):
            moved = replace(step, inputs=tuple(place[j] for j in step.inputs))
            key = chain_digest((moved,))
            if key not in known:
                known[key] = len(steps)
                steps.append(moved)
            place[i] = known[key]
        results.append(place[len(chain) - 1])
    return (*steps, Step("concat", "concat", {}, inputs=tuple(results)))


def spell_chain(chain: Chain) -> str:
    """Return the names of the steps of a chain in a line, such as ``mel > kmeans > max``.

    Examples
    --------
    >>> mel = (Step("feature", "mel", {}),)
    >>> branches = [extend(mel, Step("pool", name, {})) for name in ("mean", "max")]
    >>> spell_chain(branches[0]), spell_chain(concatenate(branches))
    ('mel > mean', 'mel > mean + mel > max')
    """

    def spelled(i: int) -> str:
        step = chain[i]
        before = " + ".join(map(spelled, step.inputs))
        if len(step.inputs) > 1:
            return before if i == len(chain) - 1 else f"({before})"
        return f"{before} > {step.name}" if before else step.name

    return spelled(len(chain) - 1)


def chain_room(chain: Chain) -> int:
    """Return the bytes that a chain takes in a file, at most."""
    arrays = sum(array.nbytes for step in chain for array in step.arrays.values())
    ids = sum(ids_room(step.learnt_from) for step in chain)
    settings = sum(len(canonical(step.settings)) for step in chain)
    return arrays + ids + settings + _OVERHEAD * (len(chain) + 1)


def write_chain(parent: h5py.Group, chain: Chain) -> None:
    """Write a chain into a new group ``chain`` of `parent`."""
    group = parent.create_group("chain")
    for i, step in enumerate(chain):
        item = group.create_group(str(i))
        item.attrs["kind"] = step.kind
        item.attrs["name"] = step.name
        item.attrs["settings"] = canonical(step.settings)
        item.attrs["inputs"] = np.asarray(step.inputs, dtype=np.int64)
        for name, array in step.arrays.items():
            item.create_dataset(name, data=array)
        write_ids(item, step.learnt_from)


def ids_room(track_ids: Sequence[str]) -> int:
    """Return the bytes that `write_ids` needs, at most."""
    return sum(len(track_id.encode()) + 64 for track_id in track_ids)


def write_ids(group: h5py.Group, track_ids: Sequence[str]) -> None:
    """Write the ids of the tracks that something was learnt from; nothing if there are none."""
    if track_ids:
        ids = [track_id.encode() for track_id in track_ids]
        group.create_dataset(_IDS, data=np.array(ids, dtype=h5py.string_dtype()))


def read_ids(group: h5py.Group) -> tuple[str, ...]:
    """Return the track ids that `write_ids` wrote; none if there are none.

    Raises
    ------
    FormatError
        If the dataset is not a list of names.
    """
    if _IDS not in group:
        return ()
    dataset = member(group, _IDS, h5py.Dataset)
    try:
        return tuple(dataset.asstr()[:])
    except CORRUPT as error:
        raise FormatError(
            f"{group.file.filename}: {_IDS} is not a list of names ({error})"
        ) from error


def read_chain(parent: h5py.Group) -> Chain:
    """Read the chain that `write_chain` wrote.

    Raises
    ------
    FormatError
        If the group is not a chain. Links out of the file are never followed.
    """
    group = member(parent, "chain", h5py.Group)
    chain: list[Step] = []
    ways: list[int] = []
    for i in range(len(group)):
        step = _read_step(member(group, str(i), h5py.Group), i)
        ways.append(sum(ways[j] for j in step.inputs) or 1)
        if ways[i] > _MOST_WAYS:
            raise FormatError(
                f"{parent.file.filename}: step {i} of the chain concatenates {ways[i]} results; "
                f"expected at most {_MOST_WAYS}"
            )
        chain.append(step)
    return tuple(chain)


def _read_step(item: h5py.Group, i: int) -> Step:
    file = item.file.filename
    try:
        kind, name = str(item.attrs["kind"]), str(item.attrs["name"])
        settings = parse_json(item.attrs["settings"], "its settings")
        inputs = tuple(int(j) for j in item.attrs["inputs"])
    except (FormatError, *CORRUPT) as error:
        raise FormatError(f"{file}: step {i} of the chain is corrupt ({error})") from error
    if kind not in entries("steps") or any(not 0 <= j < i for j in inputs):
        raise FormatError(
            f"{file}: step {i} of the chain is a {kind!r} that reads {inputs}; expected one of "
            f"{', '.join(entries('steps'))} that reads earlier steps. The file is corrupt, or a "
            "newer version of mcls made it"
        )
    arrays = {}
    for key in members(item):
        dataset = member(item, key, h5py.Dataset)
        if key != _IDS:
            arrays[key] = dataset[()]
    step = Step(kind, name, settings, inputs, arrays, read_ids(item))
    _check_step(step, f"{file}: step {i} of the chain ({kind} {name!r})")
    return step


#: The fewest and the most inputs of a step, by the fact ``inputs`` of its kind.
_INPUTS = {"none": (0, 0), "one": (1, 1), "several": (2, math.inf)}


def _check_step(step: Step, where: str) -> None:
    """Refuse a step with too few or too many inputs for its kind, and NaN in its arrays."""
    wanted = entries("steps")[step.kind].facts.get("inputs", "one")
    fewest, most = _INPUTS[wanted]
    if not fewest <= len(step.inputs) <= most:
        raise FormatError(f"{where} reads {len(step.inputs)} steps; expected {wanted}")
    check_finite(step.arrays, where)
