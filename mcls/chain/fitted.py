"""The model of a run, ready to score: a classifier, or a net."""

from typing import Any

from mcls.disk.run import Run
from mcls.disk.tensors import read_tensors
from mcls.errors import FormatError


def fitted_model(run: Run) -> Any:
    """Return the model of a run, as `score_tracks` takes it.

    Raises
    ------
    FormatError
        If its file is damaged, or names what mcls does not make.
    """
    if run.net_file is None:
        return run.model()
    from mcls.training.model import read_net

    tensors, about = read_tensors(run.net_file)
    try:
        return read_net(tensors, about)
    except FormatError as error:
        raise FormatError(f"{run.net_file}: {error}") from error
