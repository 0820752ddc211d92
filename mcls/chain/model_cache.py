"""The models that steps of a chain carry, built once: a track is not the first to need them."""

from typing import Any

from mcls.disk.chain import Step
from mcls.disk.model import model_of
from mcls.errors import FormatError

#: The models that were used last, with the steps they come from.
_KNOWN: list[tuple[Step, Any]] = []
_N_KNOWN = 8


def carried_model(step: Step) -> Any:
    """Return the classifier or the net of a step of kind ``net`` or ``scores``.

    Parameters
    ----------
    step : Step
        With the file of a classifier in its array ``model``, or the tensors of a net and, in its
        settings, what else there is to know of it.

    Raises
    ------
    FormatError
        If it is damaged.
    """
    model = next((one for known, one in _KNOWN if known is step), None)
    if model is None:
        model = _built(step)
        _KNOWN[:] = [(step, model), *_KNOWN[: _N_KNOWN - 1]]
    return model


def _built(step: Step) -> Any:
    where = f"the {step.kind} of {step.name!r} in the chain"
    if "net" not in step.settings:
        return model_of(step.arrays["model"].tobytes(), where)
    import torch

    from mcls.training.model import read_net

    tensors = {name: torch.as_tensor(array) for name, array in step.arrays.items()}
    try:
        return read_net(tensors, {**step.settings, "learnt_from": step.learnt_from})
    except FormatError as error:
        raise FormatError(f"{where}: {error}") from error
