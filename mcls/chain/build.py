"""Build a chain: rows of a store, dictionaries or runs that encode them, poolers."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from mcls.chain.match import different_settings, reaches, stored_steps
from mcls.chain.net import net_step
from mcls.chain.options import Representation
from mcls.chain.scores import scores_step
from mcls.chain.states import states_step
from mcls.disk.chain import Chain, Step, chain_digest, concatenate, extend
from mcls.disk.dictionary import DictionaryFile, read_dictionary
from mcls.disk.run import open_run
from mcls.disk.tensors import read_tensors
from mcls.errors import ConfigError
from mcls.features.pooling import parse_pool, pool_settings
from mcls.registry import find
from mcls.settings import resolve, split_spec
from mcls.stores.store import Store, StoredRows


def build_chain(store: Store, representation: Representation, layers: Sequence[str] = ()) -> Chain:
    """Build the chain that turns the rows of a store into other rows.

    Parameters
    ----------
    store : Store
        The store with the rows.
    representation : Representation
        ``feature`` is read without dictionaries; a dictionary or a run finds its own. Several
        features, separated by commas, are pooled and concatenated. The codes of several
        dictionaries and runs are concatenated. For the encoder of the method itself,
        settings left out are those that the dictionary was learnt with. The poolers are applied
        one after the other to the codes of each dictionary.
    layers : sequence of str
        Hidden layers of nets: names, numbers from 1 on, or ``all``; of feature maps the maximum
        over a segment is taken, or the mean, as in ``all:mean``. None given: the last layer.
        Or ``scores`` alone: the scores of the runs, of nets or classifiers. ``states``: the state
        posteriors of HMMs.

    Returns
    -------
    Chain

    Raises
    ------
    ConfigError
        If an encoder or pooler is unknown, or a dictionary or run needs a feature that the store
        does not hold; the message names the settings that differ.
    """
    dicts, encoder = representation.dicts, representation.encoder
    runs = [Path(path).is_dir() for path in dicts]
    if encoder is not None and (not dicts or all(runs)):
        raise ConfigError(f"encoder {encoder!r} needs a dictionary to encode with")
    if layers and not any(runs):
        raise ConfigError(f"layer {', '.join(layers)}: there is no run to take it from")
    bases: list[Chain] = [
        _with_run(store, path, layers) if is_run else _with_dictionary(store, path, encoder)
        for path, is_run in zip(dicts, runs, strict=True)
    ]
    if not dicts:
        names = representation.feature.split(",") if representation.feature else [None]
        bases = [store.feature(name).chain for name in names]
    poolers = [parse_pool(spec) for spec in representation.pool]
    branches = []
    for chain in bases:
        for pooler in poolers:
            chain = extend(chain, Step("pool", pooler.name, dict(pool_settings(pooler))))
        branches.append(chain)
    return concatenate(branches)


def _with_dictionary(store: Store, path: Path | str, encoder: str | None) -> Chain:
    kept = read_dictionary(path)
    return extend(rows_for_dictionary(store, kept).chain, with_encoder(kept.step, encoder))


def rows_for_dictionary(store: Store, kept: DictionaryFile) -> StoredRows:
    """Return the rows of a store that a dictionary encodes.

    Raises
    ------
    ConfigError
        If the store does not hold them; the message names the settings that differ.
    """
    base = kept.chain[:-1]
    digest = chain_digest(base)
    for stored in store.features.values():
        if stored.digest == digest:
            return stored
    raise ConfigError(_mismatch(store, kept.path, base))


def with_encoder(step: Step, encoder: str | None) -> Step:
    """Return the step of a dictionary with another encoder, such as ``omp:n_nonzero=4``.

    For the encoder that the dictionary was learnt with, settings left out stay as they are.

    Raises
    ------
    ConfigError
        If there is no such encoder or setting.
    """
    if encoder is None:
        return step
    name, given = split_spec(encoder)
    entry = find("encoders", name)
    own = step.settings["encoder_settings"] if name == step.settings["encoder"] else {}
    settings = {"encoder": name, "encoder_settings": resolve(entry, {**own, **given})}
    return replace(step, settings={**step.settings, **settings})


def _with_run(store: Store, path: Path | str, layers: Sequence[str]) -> Chain:
    run = open_run(path)
    chain = run.chain()
    if not reaches(chain, stored_steps(store, chain)):
        raise ConfigError(_mismatch(store, Path(path), chain))
    if "scores" in layers:
        if len(layers) > 1:
            raise ConfigError(
                f"layer {', '.join(layers)}: scores cannot be combined with hidden layers"
            )
        return extend(chain, scores_step(run))
    if run.net_file is None:
        model = run.settings["train"]["model"]
        if not find("classifiers", model).facts.get("has_states"):
            raise ConfigError(
                f"{path}: its model is {model!r}, which has no hidden layers "
                "to encode with; train a net (mcls list nets), or take its scores (--layer scores)"
            )
        if set(layers) - {"states"}:
            raise ConfigError(
                f"layer {', '.join(layers)}: a {model} has no hidden layers; expected states, or "
                "scores"
            )
        return extend(chain, states_step(run))
    return extend(chain, net_step(*read_tensors(run.net_file), layers))


def _mismatch(store: Store, path: Path, base: Chain) -> str:
    """Say why no feature of a store fits a dictionary or a run."""
    wanted = base[0]
    for stored in store.features.values():
        first = stored.chain[0]
        if first.name == wanted.name and len(stored.chain) == len(base):
            differ = [
                f"{name} is {there} there, {here} here"
                for name, there, here in different_settings(wanted, first)
            ]
            why = "; ".join(differ) or "its learnt steps differ"
            return f"{path} was learnt from other features than {store.path} holds: {why}"
    return (
        f"{path} was learnt from {wanted.name!r} ({len(base)} steps); {store.path} holds "
        f"{', '.join(store.features)}"
    )
