"""The last rows of a run: what its classifier or its last layer sees of a track."""

import numpy as np

from mcls.chain.net import net_step
from mcls.disk.chain import Chain, extend
from mcls.disk.run import Run
from mcls.disk.tensors import read_tensors


def last_rows_chain(run: Run) -> Chain:
    """Return the chain whose rows a classifier is given; of a net, its last hidden layer."""
    chain = run.chain()
    if run.net_file is None:
        return chain
    return extend(chain, net_step(*read_tensors(run.net_file), ()))


def mean_row(rows: np.ndarray) -> np.ndarray:
    """Return the mean of the rows of a track, ``(n_dims,)``, float64."""
    return rows.mean(axis=0, dtype=np.float64)
