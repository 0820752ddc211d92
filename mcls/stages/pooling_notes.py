"""Notes about rows that a classifier reads although others were surely meant."""

import numpy as np

from mcls.chain.match import stored_steps
from mcls.registry import find_in
from mcls.stages.plan import MODELS, Plan


def pooling_notes(plan: Plan) -> list[str]:
    """Name a histogram of rows that are no codes, and frames that were not pooled."""
    if plan.training is not None:
        return []  # a net reads segments
    chain, model = plan.chain, plan.settings["model"]
    notes = [
        f"the pooler 'histogram' counts codes, but its rows are {before.name!r}, which no "
        "dictionary has encoded; give the dictionary with --dict, or use --pool meanstd"
        for step in chain
        if step.kind == "pool" and step.name == "histogram"
        for before in [chain[step.inputs[0]]]
        if before.kind == "feature"
    ]
    last = len(chain) - 1
    reads = find_in(MODELS, model).facts.get("reads")
    if chain[last].kind == "feature" and reads is None:
        stored = stored_steps(plan.store, chain)[last]
        train = plan.parts.of("train")
        n_rows = int(np.diff(stored.spans[train]).sum())
        if n_rows > len(train):
            notes.append(
                f"{model} learns from every frame ({n_rows} frames of {len(train)} train tracks); "
                "for one row per track or window add --pool, such as --pool meanstd"
            )
    return notes
