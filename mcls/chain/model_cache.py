"""Models ready to score: that of a run, and those of the steps of a chain, each built once."""

from typing import Any

import numpy as np

from mcls.disk.chain import Step
from mcls.disk.model import model_of
from mcls.disk.run import Run
from mcls.disk.tensors import read_tensors
from mcls.errors import ConfigError, DataError, FormatError

#: The models that were used last, with the steps that they belong to.
_CACHE: list[tuple[Step, Any]] = []
_CACHE_SIZE = 8


def fitted_model(run: Run) -> Any:
    """Return the classifier or the net of a run, as `score_tracks` takes it.

    Raises
    ------
    FormatError
        If its file is damaged, or names types that mcls does not make.
    """
    if run.net_file is None:
        return run.model()
    from mcls.training.read_net import read_net

    tensors, about = read_tensors(run.net_file)
    try:
        return read_net(tensors, about)
    except FormatError as error:
        raise FormatError(f"{run.net_file}: {error}") from error


def net_of_labels(run: Run) -> Any:
    """Return the net of a run, if each of its outputs is a label.

    Raises
    ------
    ConfigError
        If its outputs are states of HMMs.
    FormatError
        If its file is damaged.
    """
    model = fitted_model(run)
    if hasattr(model, "decoder"):
        raise ConfigError(
            f"{run.path}: the outputs of a {model.spec.net} are states, not labels; this command "
            "needs a net of labels"
        )
    return model


def classifier_of_step(run: Run) -> tuple[dict[str, np.ndarray], tuple[str, ...]]:
    """Return the classifier of a run as the arrays of a step, and the tracks it was learnt from.

    Raises
    ------
    DataError
        If the run does not name them.
    """
    learnt_from = run.learnt_from()
    refuse_nameless_tracks(run, learnt_from)
    file = (run.path / "model.skops").read_bytes()
    return {"model": np.frombuffer(file, dtype=np.uint8)}, learnt_from


def refuse_nameless_tracks(run: Run, learnt_from: tuple[str, ...]) -> None:
    """Refuse to build on a run that does not name its train tracks.

    Raises
    ------
    DataError
        The message says why it matters.
    """
    if not learnt_from:
        raise DataError(
            f"{run.path} does not name the tracks that it was learnt from, so scores on its own "
            "train tracks could not be refused; an older version of mcls made it: train it again"
        )


def step_model(step: Step) -> Any:
    """Return the classifier or the net of a step of a chain; the next call finds it in the cache.

    Parameters
    ----------
    step : Step
        A step with the file of a classifier in its array ``model``, or with the tensors of a net as
        arrays and the rest of the net in its settings.

    Raises
    ------
    FormatError
        If it is damaged.
    """
    model = next((one for known, one in _CACHE if known is step), None)
    if model is None:
        model = _built(step)
        _CACHE[:] = [(step, model), *_CACHE[: _CACHE_SIZE - 1]]
    return model


def _built(step: Step) -> Any:
    where = f"the {step.kind} of {step.name!r} in the chain"
    if "net" not in step.settings:
        if "model" not in step.arrays:
            raise FormatError(f"{where} has no model")
        return model_of(step.arrays["model"].tobytes(), where)
    import torch

    from mcls.training.read_net import read_net

    tensors = {name: torch.as_tensor(array) for name, array in step.arrays.items()}
    try:
        return read_net(tensors, {**step.settings, "learnt_from": step.learnt_from})
    except FormatError as error:
        raise FormatError(f"{where}: {error}") from error
