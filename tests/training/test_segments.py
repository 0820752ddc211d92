"""Segments: the grid covers a track, crops stay inside, a batch follows from its number alone."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mcls.errors import ConfigError, DataError
from mcls.registry import entries
from mcls.stores.store import Store
from mcls.training import device_batches
from mcls.training.device_batches import DeviceBatches, DeviceRows
from mcls.training.segment_augmentations import MovedLabels, augmentations_of
from mcls.training.segments import Batches, Tracks, cut, grid, step_of


@given(n_rows=st.integers(1, 300), n_frames=st.integers(1, 80))
def test_the_grid_covers_every_row_and_leaves_the_track_nowhere(n_rows, n_frames):
    starts = grid(n_rows, n_frames)
    covered = {row for start in starts for row in range(start, start + n_frames)}
    assert set(range(n_rows)) <= covered
    if n_rows >= n_frames:
        assert max(covered) == n_rows - 1
        assert len(starts) == -(-n_rows // n_frames)
    else:
        assert starts.tolist() == [0]


@given(n_rows=st.integers(1, 300), n_frames=st.integers(1, 80), overlap=st.floats(0, 0.99))
def test_a_grid_that_overlaps_goes_in_equal_steps_up_to_the_last(n_rows, n_frames, overlap):
    starts = grid(n_rows, n_frames, overlap)
    last = max(0, n_rows - n_frames)
    assert starts[0] == 0
    assert starts[-1] == last
    steps = np.diff(starts)
    assert (steps[:-1] == step_of(n_frames, overlap)).all()
    assert (steps > 0).all()
    assert (steps <= step_of(n_frames, overlap)).all()
    # as near to the share that was asked for as whole rows allow
    assert abs(step_of(n_frames, overlap) - max(1, n_frames * (1 - overlap))) <= 0.5


def numbered(lengths) -> Tracks:
    """Tracks whose rows are (track, place in it)."""
    rows = [np.stack([np.full(n, i), np.arange(n)], 1) for i, n in enumerate(lengths)]
    stops = np.cumsum(lengths)
    targets = np.eye(len(lengths), dtype=np.float32)
    held = np.concatenate(rows).astype(np.float32)
    return Tracks(held, stops - np.array(lengths), stops, targets)


def epoch(batches: Batches, number: int = 0) -> list[tuple[np.ndarray, np.ndarray]]:
    return [batches[number, step] for step in range(len(batches))]


def test_a_segment_is_a_stretch_of_one_track_with_the_track_s_labels():
    batches = Batches(numbered([9, 30, 17]), 5, 4)
    assert batches.n_segments == 1 + 6 + 3
    for x, y in epoch(batches):
        assert x.shape[1:] == (1, 5, 2)
        tracks, places = x[:, 0, :, 0], x[:, 0, :, 1]
        assert (tracks == tracks[:, :1]).all()
        assert (np.diff(places, axis=1) == 1).all()
        assert np.array_equal(y.argmax(axis=1), tracks[:, 0])


def test_rows_without_neighbours_come_once_an_epoch_in_another_order_each_time():
    batches = Batches(numbered([4, 1, 7]), 1, 5)
    seen = [np.concatenate([x[:, 0, 0] for x, _ in epoch(batches, i)]) for i in (0, 1)]
    for rows in seen:
        assert len({tuple(row) for row in rows}) == len(rows) == 12
    assert not np.array_equal(*seen)


def test_crops_are_spread_over_the_track_and_reach_both_ends():
    batches = Batches(numbered([40]), 10, 4)
    starts = np.array([np.sort(x[:, 0, 0, 1]) for i in range(400) for x, _ in epoch(batches, i)])
    places = 31  # where a segment may begin
    edges = np.arange(5) * places / 4
    for j in range(4):
        assert np.floor(edges[j]) <= starts[:, j].min()
        assert starts[:, j].max() <= np.ceil(edges[j + 1])
    assert starts.min() == 0
    assert starts.max() == 30
    counts = np.bincount(starts.astype(int).ravel(), minlength=places)
    assert counts.std() / counts.mean() < 0.25  # 1600 drawn over 31 places: 0.14 by chance


def test_batches_differ_in_size_by_one_segment_at_most():
    batches = Batches(numbered([33]), 1, 32)
    assert [len(x) for x, _ in epoch(batches)] == [16, 17]


@pytest.mark.parametrize("short", ["loop", "pad"])
def test_short_tracks_are_looped_or_padded_with_the_mean(short):
    rows = np.arange(6, dtype=np.float32).reshape(3, 2)
    one = np.array([0]), np.array([3]), np.array([0])
    segment = cut(rows, *one, 7, short=short, mean=np.array([8.0, 9.0]))[0]
    later = rows[[0, 1, 2, 0]] if short == "loop" else np.tile([8, 9], (4, 1))
    assert np.array_equal(segment, np.concatenate([rows, later]))


@pytest.mark.filterwarnings("ignore:This DataLoader will create")
def test_a_batch_does_not_depend_on_workers_or_on_what_was_asked_before(store):
    opened = Store(store)
    rows = opened.feature()
    tracks = Tracks(rows, rows.offsets[:-1], rows.offsets[1:], np.eye(36, dtype=np.float32))
    augment = augmentations_of(["mixup", "specaugment", "noise"])
    batches = Batches(tracks, 10, 8, seed=3, augment=augment)
    expected = [batches[2, step] for step in range(len(batches))]
    fresh = Batches(tracks, 10, 8, seed=3, augment=augment)
    for step in reversed(range(len(batches))):
        for one, other in zip(fresh[2, step], expected[step], strict=True):
            assert np.array_equal(one, other)
    for workers in (0, 1, 3):
        loaded = list(DeviceBatches(batches, torch.device("cpu"), workers).epoch(2))
        assert len(loaded) == len(expected)
        for (x, y), (x_expected, y_expected) in zip(loaded, expected, strict=True):
            assert np.array_equal(x.numpy(), x_expected)
            assert np.array_equal(y.numpy(), y_expected)
    other = Batches(tracks, 10, 8, seed=4)
    assert not np.array_equal(other[2, 0][0], Batches(tracks, 10, 8, seed=3)[2, 0][0])


@pytest.mark.parametrize("short", ["loop", "pad"])
@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_segments_cut_on_the_device_are_those_cut_in_memory(short, dtype):
    for lengths in ([9, 30, 17, 4], [12, 30, 17]):  # shorter than a segment, and none
        tracks = numbered(lengths)
        rows = np.concatenate([np.full((3, tracks.rows.shape[1]), -1), tracks.rows]).astype(dtype)
        moved = Tracks(rows, tracks.starts + 3, tracks.stops + 3, tracks.targets)
        mean = np.full(rows.shape[1], 0.25, np.float32)
        batches = Batches(moved, 10, 4, seed=3, short=short, mean=mean)
        for shard in ((0, 1), (1, 2)):
            batches.shard = shard
            made = list(DeviceRows(batches, torch.device("cpu")).epoch(1))
            assert len(made) == len(batches)
            for step, (x, y) in enumerate(made):
                expected = batches[1, step]
                assert x.numpy().dtype == expected[0].dtype
                assert np.array_equal(x.numpy(), expected[0])
                assert np.array_equal(y.numpy(), expected[1])


AUGMENTED = [
    *([name] for name, one in entries("segment-augmentations").items() if "on_device" in one.facts),
    ["shift:dims=3,wrap=true", "specaugment:masks=3", "roll", "mixup:alpha=1", "gain"],
]


@pytest.mark.parametrize("specs", AUGMENTED, ids="+".join)
@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_segments_augmented_on_the_device_are_those_augmented_in_memory(specs, dtype, rng):
    lengths = [9, 30, 17, 4]
    rows = rng.normal(-30, 10, (sum(lengths), 5)).astype(dtype)
    stops = np.cumsum(lengths)
    tracks = Tracks(rows, stops - lengths, stops, np.eye(4, dtype=np.float32))
    mean, scale = np.full(5, -30, np.float32), np.full(5, 10, np.float32)
    order = np.stack([np.roll(np.arange(4), s) for s in range(-2, 3)])
    for moved in (None, MovedLabels(1, order)):
        batches = Batches(
            tracks,
            10,
            4,
            seed=3,
            short="pad",
            augment=augmentations_of(specs),
            moved_labels=moved,
            mean=mean,
            scale=scale,
        )
        batches.shard = (1, 2)
        made = list(DeviceRows(batches, torch.device("cpu")).epoch(1))
        for step, (x, y) in enumerate(made):
            expected = batches[1, step]
            np.testing.assert_allclose(x.numpy(), expected[0], rtol=1e-6, atol=1e-6)
            np.testing.assert_allclose(y.numpy(), expected[1], rtol=1e-6, atol=1e-6)
            assert x.dtype == y.dtype == torch.float32


def test_rows_stay_off_the_device_if_an_augmentation_is_for_numpy(monkeypatch):
    monkeypatch.setattr(device_batches, "_fits", lambda batches, device: True)
    monkeypatch.setattr(device_batches, "DeviceRows", lambda batches, device: "on the device")
    card = torch.device("cuda")
    for specs, where in (
        ([], "on the device"),
        (["mixup", "gain"], "on the device"),
        (["mixup", "noise"], None),
        (["pca-jitter"], None),
    ):
        batches = Batches(numbered([30, 30]), 10, 2, augment=augmentations_of(specs))
        found = DeviceBatches(batches, card)
        assert found.rows == where
        said = "prepared by threads (1)" if where is None else "rows of the train part are in its"
        assert said in found.describe()
    own = Batches(numbered([30, 30]), 10, 2, augment=[lambda batch, rng: batch])
    assert DeviceBatches(own, card).rows is None


def test_an_error_while_a_batch_is_prepared_is_raised_by_the_step():
    def broken(batch, rng):
        raise DataError("no such segment")

    batches = Batches(numbered([30, 30]), 10, 2, augment=[broken])
    with pytest.raises(DataError, match="no such segment"):
        list(DeviceBatches(batches, torch.device("cpu"), 2).epoch(0))


def test_shards_of_a_batch_make_the_batch():
    batches = Batches(numbered([9, 30, 17]), 5, 4)
    whole = batches[1, 2][0]
    shards = []
    for i in range(2):
        batches.shard = (i, 2)
        shards.append(batches[1, 2][0])
    assert np.array_equal(whole[0::2], shards[0])
    assert np.array_equal(whole[1::2], shards[1])


def test_balanced_batches_meet_every_label_equally_often():
    tracks = numbered([5] * 30)
    targets = np.zeros((30, 2), np.float32)
    targets[:3, 0] = targets[3:, 1] = 1
    tracks = Tracks(tracks.rows, tracks.starts, tracks.stops, targets)
    drawn = Batches(tracks, 5, 10, balance=True)
    share = np.mean([y[:, 0].mean() for i in range(100) for _, y in epoch(drawn, i)])
    assert abs(share - 0.5) < 0.03  # 3000 drawn: a deviation of 0.009 by chance
    plain = Batches(tracks, 5, 10)
    assert np.mean([y[:, 0].mean() for _, y in epoch(plain)]) == pytest.approx(0.1)


def test_what_cannot_be_trained_on_is_refused():
    with pytest.raises(DataError, match="no rows"):
        Batches(numbered([3, 0]), 1, 2)
    bare = numbered([3, 3])
    bare = Tracks(bare.rows, bare.starts, bare.stops, np.zeros((2, 2), np.float32))
    with pytest.raises(ConfigError, match="no train track has a label"):
        Batches(bare, 1, 2, balance=True)
