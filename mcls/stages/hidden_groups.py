"""The groups that a net is trained not to tell; see `mcls.training.adversary`."""

import numpy as np

from mcls.errors import ConfigError, DataError
from mcls.stages.plan import Plan


def hidden_groups(plan: Plan, truth: np.ndarray) -> tuple[np.ndarray | None, list[str]]:
    """Return the groups that ``--adversary`` names, a column each, and notes about them.

    Parameters
    ----------
    plan : Plan
        The plan of a run with a net.
    truth : np.ndarray, shape (n_tracks, n_labels)
        Labels of the train tracks.

    Returns
    -------
    groups : np.ndarray, shape (n_tracks, n_groups), float32, or None
        The group of each train track, 0 or 1; None without an adversary.
    notes : list of str

    Raises
    ------
    ConfigError
        If the column is that of the labels.
    DataError
        If a train track has no group, or all have the same.
    """
    column = plan.training.adversary if plan.training is not None else None
    if column is None:
        return None, []
    if column == plan.settings["labels"]:
        raise ConfigError(f"--adversary {column}: these are the labels; name another column")
    index = plan.parts.of("train")
    cells = plan.store.column(column)
    groups = np.array([cells[i] for i in index])
    if (groups == "").any():
        name = plan.store.track_ids[index[int((groups == "").argmax())]]
        raise DataError(f"--adversary {column}: track {name!r} has no value in this column")
    names, numbers = np.unique(groups, return_inverse=True)
    if len(names) < 2:
        raise DataError(
            f"--adversary {column}: every train track has the value {str(names[0])!r}; expected "
            "two or more"
        )
    columns = np.eye(len(names), dtype=np.float32)[numbers]
    each = [np.unique(truth[numbers == group], axis=0) for group in range(len(names))]
    if all(len(labels) == 1 for labels in each):
        note = (
            f"--adversary {column}: all tracks of a group have the same labels, so features that "
            "do not tell the groups cannot tell the labels"
        )
        return columns, [note]
    return columns, []
