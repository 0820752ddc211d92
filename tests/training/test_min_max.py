"""`--min-max`: binary visible units from the command line, and a net that starts from them."""

import numpy as np
import pytest

import mcls
from mcls.chain.model_cache import fitted_model
from mcls.disk.run import open_run
from mcls.errors import DataError
from mcls.stores.store import Store

GIVEN = {"method": "dbn", "settings": ["layers=8x6", "visible=binary", "n_epochs=2"], "context": 2}


def test_a_net_starts_from_a_dbn_of_binary_units_and_clips_as_it_does(store, tmp_path):
    with pytest.raises(DataError, match="scale them with --min-max"):
        mcls.learn_dict(store, tmp_path / "no.h5", **GIVEN)
    dbn = mcls.learn_dict(store, tmp_path / "dbn.h5", min_max=True, **GIVEN).path
    codes = mcls.encode(store, tmp_path / "codes.h5", dicts=[dbn]).path
    run = tmp_path / "run"
    mcls.train(
        store,
        run,
        model="mlp",
        init=[str(dbn)],
        epochs=1,
        optimizer="sgd:lr=1e-12",
        overlap=0.5,
        device="cpu",
    )
    model = fitted_model(open_run(run))
    assert model.standardise.limits.tolist() == [0, 1]
    rows, wanted = Store(store).feature(), Store(codes).feature()
    i = 30  # a test track, with values beyond those of the train part
    own = np.asarray(rows.rows[rows.offsets[i] : rows.offsets[i + 1]])
    wild = own.copy()
    wild[: len(own) // 2] += 1000
    found = model.hidden(own, ["dense2"])
    expected = np.asarray(wanted.rows[wanted.offsets[i] : wanted.offsets[i + 1]])
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert np.isfinite(model.hidden(wild, ["dense2"])).all()
    assert model.standardise(model_segments(wild)).max() == 1


def model_segments(rows):
    import torch

    return torch.from_numpy(rows[:2][None, None])
