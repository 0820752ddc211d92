"""A training shared by several processes: the weights of one, whatever is killed on the way."""

import numpy as np
import pytest
from safetensors.numpy import load_file

OPTIONS = {
    "settings": ["layers=16", "dropout=0"],
    "epochs": 3,
    "batch_size": 13,
    "optimizer": "nesterov:lr=0.1",
}


@pytest.mark.slow
@pytest.mark.parametrize("n", [2, 4])
def test_several_processes_learn_the_weights_of_one(train, n):
    """13 segments a batch, so that processes have shares of different sizes."""
    one = train("one", **OPTIONS)
    several = train("several", devices=n, **OPTIONS)
    ours, theirs = (load_file(run / "model.safetensors") for run in (one, several))
    assert ours.keys() == theirs.keys()
    for name, weights in ours.items():
        np.testing.assert_allclose(theirs[name], weights, rtol=1e-4, atol=1e-6, err_msg=name)
