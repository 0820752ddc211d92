"""Multi-level, multi-scale: all hidden layers of nets of several segment lengths, as Lee & Nam."""

import numpy as np
import torch

import mcls
from mcls.chain.model_cache import fitted_model
from mcls.disk.run import open_run
from mcls.stores.store import Store
from mcls.tables.predictions import read_predictions

SCALES = (2, 6)


def local(train, n_frames: int):
    given = {"model": "local-cnn", "settings": ["width=0.05", "dropout=0"]}
    return train(f"{n_frames}", frames=n_frames, optimizer="adam:lr=0.01", **given)


def test_all_layers_of_two_scales_are_maximum_in_a_segment_and_mean_over_a_track(
    train, store, tmp_path
):
    runs = [local(train, n) for n in SCALES]
    made = mcls.encode(store, tmp_path / "deep.h5", dicts=runs, layers=["all"], pool=["mean"])
    deep, stored = Store(made.path).feature(), Store(store).feature()
    # 6 maps a pooled layer and 13 of the last: 2 frames are pooled once, 6 frames twice
    assert made.n_dims == (6 + 13) + (2 * 6 + 13)
    for i in (2, 7, 10):  # 18, 40 and 7 rows
        rows, expected = stored.track(i), []
        for run, n_frames in zip(runs, SCALES, strict=True):
            model = fitted_model(open_run(run))
            starts = [*range(0, len(rows) - n_frames + 1, n_frames)]
            if len(rows) % n_frames:
                starts.append(len(rows) - n_frames)  # the last segment ends with the track
            x = torch.tensor(np.stack([rows[start : start + n_frames] for start in starts]))
            x = model.standardise(x[:, None]).squeeze(1).transpose(1, 2)
            with torch.no_grad():
                for name in model.net.eval().hidden:
                    x = getattr(model.net, name)(x)
                    expected.append(x.amax(dim=2).mean(dim=0).numpy())
        np.testing.assert_allclose(deep.track(i)[0], np.concatenate(expected), atol=1e-5)


def test_a_net_of_dense_layers_on_them_scores_raw_rows_from_its_run_alone(train, store, tmp_path):
    runs = [local(train, n) for n in SCALES]
    deep = mcls.encode(store, tmp_path / "deep.h5", dicts=runs, layers=["all"], pool=["mean"]).path
    settings = ["layers=16x16", "dropout=0"]
    run = train("run", deep, settings=settings, epochs=30, optimizer="adam:lr=0.01")
    assert mcls.evaluate(run, ["auc"], part="test")["auc"].macro.value > 0.8
    told = read_predictions(run / "predictions.csv")
    scores = {track.name: track.scores for track in mcls.predict(run, [store]).tracks}
    for name, expected in zip(told.track_ids, told.scores, strict=True):
        np.testing.assert_allclose(scores[name], expected, atol=1e-6)
