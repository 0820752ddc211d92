"""Run the tables of a recipe for one split: once for `cross_validate`'s fold, or for a trial."""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mcls.data.options import Split
from mcls.disk.run import written_folder
from mcls.disk.workspace import Workspace
from mcls.parallel.progress import Progress
from mcls.recipes.graph import RecipeNode
from mcls.settings import digest
from mcls.stages.encode import encode
from mcls.stages.learn import learn_dict
from mcls.stages.plan import plan_run
from mcls.stages.train import fill_run, train
from mcls.stages.train_net import OnEpoch
from mcls.stores.store import Store


def run_recipe(
    store: Store,
    work: Workspace,
    nodes: Sequence[RecipeNode],
    split: Split,
    *,
    origins: Mapping[str, str] | None = None,
    progress: Progress | None = None,
    on_epoch: OnEpoch | None = None,
    shared: Path | None = None,
    beside: Sequence[Path] = (),
) -> None:
    """Run the nodes of a recipe and write the run folder of the last one.

    Parameters
    ----------
    store : Store
        The store that the nodes read.
    work : Workspace
        The held workspace of the run folder; outputs of nodes are pieces in it until the run
        folder, which keeps dictionaries and runs, is complete.
    nodes : sequence of RecipeNode
        As `nodes_of` orders them.
    split : Split
        The parts of the tracks, for every node.
    origins : mapping or None
        The origin of each option, for run.toml.
    progress, on_epoch : callable or None
        Of the last node; see `train`.
    shared : Path or None
        A folder where dictionaries and runs are kept for other calls with the same store. Calls
        that need the same one at the same time make it once. The run folder then has links.
    beside : sequence of Path
        More files and folders to move into the run folder.
    """
    folder, made = work.out, work.pieces
    started = None if shared or any(made.iterdir()) else time.monotonic()
    *before, last = (node.logging_apart(folder.name) for node in nodes)
    names = [node.out for node in before]
    keys: dict[str, str] = {}
    for node in before:
        keys[node.out] = digest([node.command, node.arguments, _keys_of(node, keys), vars(split)])
        if shared is None or node.command == "encode":
            _make(store, node, made / node.out, made, names, split)
            continue
        kept = shared / keys[node.out]
        with Workspace(kept, wait=True):
            _make(store, node, kept / node.out, made, names, split)
        if not (made / node.out).exists():
            (made / node.out).symlink_to((kept / node.out).absolute())
    opened = Store(made / last.store) if last.store else store
    plan = plan_run(opened, **last.arguments_in(made, names), **vars(split), origins=origins)
    inside = [node.out for node in before if node.command != "encode"]
    at_the_end = last.arguments_in(folder, inside)
    for key, name in (("dict", "dicts"), ("init", "init")):
        if plan.settings.get(key):
            plan.settings[key] = at_the_end[name]
    with written_folder(folder) as new:
        fill_run(new, made, plan, started=started, progress=progress, on_epoch=on_epoch)
        for path in [*(made / name for name in inside), *beside]:
            path.rename(new / path.name)


def _make(
    store: Store,
    node: RecipeNode,
    out: Path,
    made: Path,
    names: Sequence[str],
    split: Split,
) -> None:
    """Make the output of a node before the last, unless it is there."""
    source = made / node.store if node.store else store.path
    arguments: dict[str, Any] = node.arguments_in(made, names)
    if node.command == "learn-dict":
        learn_dict(source, out, **arguments, **vars(split))
    elif node.command == "train":
        train(source, out, **arguments, **vars(split))
    else:
        encode(source, out, **arguments)


def _keys_of(node: RecipeNode, keys: Mapping[str, str]) -> list[str]:
    """Return what tells apart the inputs of a node that other nodes have made."""
    return [keys.get(name, name) for name in node.inputs()]
