"""Labels in a training: they follow shifts of segments, or a note says that they may be wrong."""

import numpy as np

from mcls.chain.semitones import dims_per_semitone
from mcls.data.label_kinds import kinds_of, plural_of
from mcls.data.label_rules import follow, parse_rules
from mcls.data.parts import copies
from mcls.errors import ConfigError
from mcls.extraction.label_notes import stored_copies_notes, threats
from mcls.registry import find
from mcls.settings import resolve, split_spec
from mcls.stages.plan import Plan
from mcls.training.segment_augmentations import MovedLabels


def moved_labels(plan: Plan, n_dims: int, outputs: list[int]) -> MovedLabels | None:
    """Return how the labels of a plan follow the shifts of segments; None without a rule.

    Parameters
    ----------
    plan : Plan
        The plan of a net.
    n_dims : int
        Number of dimensions of the rows.
    outputs : list of int
        The labels that the net has outputs for.

    Raises
    ------
    ConfigError
        If the rule does not fit the column, the augmentations or the rows, or if a shifted label
        is on no train track.
    DataError
        If a label cannot follow.
    """
    training, column = plan.training, plan.settings["labels"]
    assert training is not None
    rules = parse_rules(training.label_rules)
    if not rules:
        return None
    if list(rules) != [column]:
        raise ConfigError(
            f"--label-rule is for the column {column!r} of labels, not for {', '.join(rules)}"
        )
    given = dict(split_spec(spec) for spec in training.augment)
    shifts = {
        name: resolve(find("segment-augmentations", name), settings)
        for name, settings in given.items()
        if find("segment-augmentations", name).facts.get("follows") == rules[column]
    }
    if not shifts:
        raise ConfigError(
            f"the label rule {rules[column]!r} follows none of the augmentations; add --augment "
            "shift, or leave the rule out"
        )
    rates = plan.store.tracks.get("sample_rate")
    dims = dims_per_semitone(plan.chain, n_dims, None if rates is None else int(rates[0]))
    if "n_chroma" in plan.chain[-1].settings and not all(one["wrap"] for one in shifts.values()):
        raise ConfigError("pitch classes are a circle: use --augment shift:wrap=true for chroma")
    most = max(int(one["dims"]) for one in shifts.values()) // dims
    return MovedLabels(dims, _order(plan, rules[column], outputs, most))


def _order(plan: Plan, rule: str, outputs: list[int], most: int) -> np.ndarray:
    """Return which output becomes which when shifted by up to `most` semitones."""
    names = [plan.table.names[i] for i in outputs]
    place = {name: i for i, name in enumerate(names)}
    order = np.empty((2 * most + 1, len(names)), dtype=np.int64)
    absent = set()
    for row, semitones in enumerate(range(-most, most + 1)):
        for i, name in enumerate(names):
            target = follow(name, rule, semitones, names)
            if target in place:
                order[row, place[target]] = i
            else:
                absent.add(target)
    if absent:
        raise ConfigError(
            f"shifted by up to {most} semitones, labels become {', '.join(sorted(absent)[:5])}, "
            "which no train track has; shift by less, or use --augment of mcls extract"
        )
    return order


def label_notes(plan: Plan) -> list[str]:
    """Name what may make the labels of a training wrong: stored copies, shifts of segments."""
    column, training = plan.settings["labels"], plan.training
    used = plan.parts.of("train", "valid", "test")
    whole = plan.store.column(column)
    cells = [whole[i] for i in used]
    copied = sorted(set(copies(plan.store)) & set(plan.parts.of("train").tolist()))
    made = plan.store.tracks.get("augmented_by", [])
    notes = stored_copies_notes([made[i] for i in copied if made], column, cells)
    if training is None:
        return notes
    names = [split_spec(spec)[0] for spec in training.augment]
    rule = parse_rules(training.label_rules).get(column)
    notes += threats("segment-augmentations", names, f"column {column!r}", column, cells, rule)
    pitched = kinds_of(column, cells).keys() & {"key", "pitch"}
    kinds = " or ".join(plural_of(kind) for kind in sorted(pitched))
    for option in ("test_shift", "five_crop"):
        if getattr(training, option) and pitched:
            notes.append(
                f"--{option.replace('_', '-')} averages the scores of shifted segments, but column "
                f"{column!r} looks like {kinds}, which a shift changes"
            )
    return notes
