"""A trained net: scores that depend on the track alone, and files of strangers."""

import numpy as np
import pytest
import torch

from mcls.chain.net import net_step
from mcls.chain.step import kind_of
from mcls.disk.run import open_run
from mcls.disk.tensors import read_tensors, write_tensors
from mcls.errors import ConfigError, FormatError
from mcls.evaluation.aggregate import score_tracks
from mcls.nets import build_net
from mcls.training import model as model_module
from mcls.training.model import NetSpec, TrainedNet, chosen_layers
from mcls.training.read_net import read_net
from mcls.training.segment_augmentations import move_dims
from mcls.training.standardise import Standardise
from mcls.training.validation import packed_logits

N_DIMS = 8
SETTINGS = {
    "cnn1d": {"width": 0.05, "padding": "same", "batch_norm": True},
    "mlp": {"layers": (16, 12)},
}


def make(net="cnn1d", *, n_frames=30, loss="cross-entropy", **spec) -> TrainedNet:
    settings = SETTINGS[net]
    given = {
        "outputs": (0, 1, 3),
        "always": (),
        "multi_label": False,
        "short": "loop",
        "learnt_from": ("a", "b"),
        **spec,
    }
    made = build_net(net, settings, n_frames, N_DIMS, len(given["outputs"]), seed=1)
    what = NetSpec(net, settings, n_frames, N_DIMS, loss=loss, **given)
    return TrainedNet(
        what, made, Standardise(torch.full((N_DIMS,), -3.0), torch.full((N_DIMS,), 2.0))
    )


@pytest.fixture
def tracks(rng):
    return [rng.normal(-3, 2, (n, N_DIMS)).astype(np.float32) for n in (12, 30, 31, 95, 200)]


@pytest.mark.parametrize("how", ["mean", "vote", "max"])
def test_a_score_depends_on_the_track_alone(tracks, how):
    model = make()
    together = list(score_tracks(model, tracks, n_labels=4, how=how))
    alone = [next(score_tracks(model, [rows], n_labels=4, how=how)) for rows in tracks]
    small = list(score_tracks(model, tracks[::-1], n_labels=4, how=how, block_rows=1))[::-1]
    assert np.array_equal(together, alone)
    assert np.array_equal(together, small)


@pytest.mark.parametrize("net", ["cnn1d", "mlp"])
@pytest.mark.parametrize("at_once", [1, 4, 7, 100])
def test_packed_tracks_have_the_logits_of_each_alone(tracks, net, at_once, monkeypatch):
    monkeypatch.setattr(model_module, "_BLOCK", at_once * 30 * N_DIMS)
    model = make(net)
    alone = [model.logits(rows) for rows in tracks]
    sizes = []
    model.net.register_forward_hook(lambda module, given, output: sizes.append(len(output)))
    together = list(packed_logits(model, iter(tracks)))
    for expected, found in zip(alone, together, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-6)
    assert sum(sizes) == sum(map(len, alone)) == 15
    assert max(sizes) == min(at_once, 15)
    assert len(sizes) == {1: 15, 4: 4, 7: 3, 100: 1}[at_once]


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_packed_tracks_have_the_logits_of_each_alone_on_cuda(tracks):
    model = make().to("cuda")
    alone = [model.logits(rows) for rows in tracks]
    for expected, found in zip(alone, packed_logits(model, tracks), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


def test_scores_are_the_mean_over_the_grid_of_what_torch_computes(tracks):
    model = make()
    rows = tracks[3]  # 95 rows: segments at 0, 30, 60 and 65
    x = np.stack([rows[start : start + 30] for start in (0, 30, 60, 65)])
    model.net.eval()
    with torch.no_grad():
        logits = model.net((torch.from_numpy(x)[:, None] + 3) / 2)
    expected = logits.double().softmax(dim=1).mean(dim=0).numpy()
    (scores,) = score_tracks(model, [rows], n_labels=4)
    np.testing.assert_allclose(scores[[0, 1, 3]], expected, atol=1e-12)
    assert scores[2] == 0  # a label that no train track has


def test_segments_may_overlap_when_a_track_is_scored(tracks):
    model = make(overlap=0.5)
    rows = tracks[3]  # 95 rows: segments at 0, 15, ... 60 and 65
    starts = [0, 15, 30, 45, 60, 65]
    x = np.stack([rows[start : start + 30] for start in starts])
    model.net.eval()
    with torch.no_grad():
        logits = model.net((torch.from_numpy(x)[:, None] + 3) / 2)
    expected = logits.double().softmax(dim=1).mean(dim=0).numpy()
    (scores,) = score_tracks(model, [rows], n_labels=4)
    np.testing.assert_allclose(scores[[0, 1, 3]], expected, atol=1e-12)
    again = read_net(model.tensors(), model.about())
    assert np.array_equal(again.logits(rows), model.logits(rows))
    older = {key: value for key, value in model.about().items() if key != "overlap"}
    assert read_net(model.tensors(), older).spec.overlap == 0
    assert len(read_net(model.tensors(), older).logits(rows)) == 4


def test_a_score_is_the_mean_over_shifts(tracks):
    model = make(test_shift=2)
    rows = tracks[3]
    padded = np.pad(rows, ((0, 0), (2, 2)), mode="edge")
    moved = [padded[:, start : start + rows.shape[1]] for start in range(5)]
    plain = make()
    expected = np.mean([plain.scores_of([x])[0] for x in moved], axis=0)
    assert np.abs(expected - plain.scores_of([rows])[0]).max() > 1e-4
    np.testing.assert_allclose(model.scores_of([rows])[0], expected, atol=1e-12)
    np.testing.assert_array_equal(model.logits(rows), plain.logits(rows))
    again = read_net(model.tensors(), model.about())
    assert np.array_equal(again.scores_of([rows])[0], model.scores_of([rows])[0])
    older = {key: value for key, value in model.about().items() if key != "test_shift"}
    assert read_net(model.tensors(), older).spec.test_shift == 0


def test_the_test_shift_of_a_training_is_kept_with_the_net(train):
    run = open_run(train("moved", test_shift=2, frames=4))
    assert read_net(*read_tensors(run.net_file)).spec.test_shift == 2
    with pytest.raises(ConfigError, match=r"test_shift=-1; expected 0 or more"):
        train("less", test_shift=-1)
    with pytest.raises(ConfigError, match=r"test_shift=500; expected 0 to \d+, as rows have"):
        train("more", test_shift=500)


def test_a_score_is_the_mean_over_five_crops(tracks):
    """The centre and four corners, 2 of 30 rows and 1 of 8 dimensions away, cut by numpy."""
    model, plain, rows = make(five_crop=True, overlap=0.5), make(), tracks[3]
    framed = np.pad(rows, ((0, 0), (1, 1)), mode="edge")

    def score(start: int, later: int, higher: int) -> np.ndarray:
        first = min(max(start + later, 0), 65)
        return plain.scores_of([framed[first : first + 30, 1 - higher : 9 - higher]])[0][0]

    places = [(0, 0), (-2, -1), (-2, 1), (2, -1), (2, 1)]
    starts = (0, 15, 30, 45, 60, 65)
    expected = [np.mean([score(start, *place) for place in places], axis=0) for start in starts]
    found = model.scores_of([rows])[0]
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert np.abs(expected - make(overlap=0.5).scores_of([rows])[0]).max() > 1e-4
    assert np.array_equal(read_net(model.tensors(), model.about()).scores_of([rows])[0], found)
    assert len(make(five_crop=True, test_shift=2).spec.places) == 25


def test_a_track_of_one_segment_is_moved_in_frequency_only(tracks):
    crops = [tracks[1], *(move_dims(tracks[1], by) for by in (1, -1, 1, -1))]
    expected = np.mean([make().scores_of([rows])[0] for rows in crops], axis=0)
    found = make(five_crop=True).scores_of([tracks[1]])[0]
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_the_five_crops_of_a_training_are_kept_with_the_net(train):
    run = open_run(train("cropped", five_crop=True, frames=4))
    assert read_net(*read_tensors(run.net_file)).spec.five_crop


def test_the_overlap_of_a_training_is_kept_with_the_net(train):
    run = open_run(train("overlapping", overlap=0.5, frames=4))
    assert read_net(*read_tensors(run.net_file)).spec.step == 2
    with pytest.raises(ConfigError, match=r"overlap=1\.0; expected 0 or more and below 1"):
        train("too-much", overlap=1.0)


def test_hidden_layers_of_overlapping_segments_come_more_often(tracks):
    model = make(overlap=0.75)
    step = net_step(model.tensors(), model.about(), ["conv4"])
    codes, rate = kind_of(step).apply(step, [(tracks[4], 100.0)])  # 200 rows: 0, 8, ... 168 and 170
    assert len(codes) == 23
    assert rate == 100 / 8  # rows of a step: 7.5, rounded


def test_scores_by_loss(tracks):
    logits = make().logits(tracks[0]).double().numpy()
    sigmoid = make(loss="bce", multi_label=True, always=(2,))
    scores = sigmoid.scores_of(tracks[:1])[0]
    np.testing.assert_allclose(scores[:, [0, 1, 3]], 1 / (1 + np.exp(-logits)), rtol=1e-12)
    assert (scores[:, 2] == 1).all()
    margins = make(loss="hinge")
    assert np.array_equal(margins.scores_of(tracks[:1])[0], logits)
    assert (margins.threshold, margins.lowest) == (0, -1e6)


def test_batch_norm_and_dropout_are_off_and_the_mode_comes_back(tracks):
    model = make()
    model.net.train()
    before = {name: t.clone() for name, t in model.net.state_dict().items()}
    first = model.logits(tracks[2])
    assert torch.equal(first, model.logits(tracks[2]))
    assert model.net.training
    assert all(torch.equal(t, before[name]) for name, t in model.net.state_dict().items())


@pytest.mark.parametrize("dtype", ["float16", "int16", "float64"])
def test_rows_of_any_type_are_scored(tracks, dtype):
    rows = np.round(tracks[1] * 4).astype(dtype)
    model = make()
    assert torch.equal(model.logits(rows), model.logits(rows.astype(np.float32)))


def test_written_and_read_it_is_the_same_net(tracks, tmp_path):
    model = make()
    with torch.no_grad():
        model.net.train()
        model.net(torch.randn(4, 1, 30, N_DIMS))  # so that batch norms have something to keep
    write_tensors(tmp_path / "net", model.tensors(), model.about())
    again = read_net(*read_tensors(tmp_path / "net"))
    assert again.spec.learnt_from == ("a", "b")
    assert np.array_equal(again.classes_, model.classes_)
    for one, other in zip(model.scores_of(tracks), again.scores_of(tracks), strict=True):
        assert np.array_equal(one, other)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"format": 2}, "format 2"),
        ({"net": "nothing"}, "there is no 'nothing'"),
        ({"settings": {**SETTINGS["cnn1d"], "width": 0.1}}, "not a net.*RuntimeError"),
        ({"settings": {"breadth": 1}}, "unknown setting"),
        ({"n_dims": 7}, "rows of 7 dimensions"),
        ({"outputs": [0, 0, 1]}, "labels"),
        ({"outputs": [-1, 0, 1]}, "labels"),
        ({"loss": "none"}, "there is no 'none'"),
        ({"n_frames": 1 << 40}, "segments of"),
        ({"overlap": 1.0}, "overlap by 1.0"),
        ({"test_shift": 5000}, "a test shift of 5000"),
        ({"n_frames": 1 << 20}, "not a net"),
        ({"settings": {"padding": "same", "width": 1e5}}, "not a net"),
    ],
)
def test_what_a_stranger_claims_is_checked_before_memory_is_taken_for_it(change, said):
    model = make()
    if "n_frames" in change:  # a layer as wide as a segment is long
        model = make("mlp", n_frames=2)
    with pytest.raises(FormatError, match=said):
        read_net(model.tensors(), {**model.about(), **change})


def test_damaged_files_are_refused(tmp_path):
    model = make()
    path = tmp_path / "net"
    write_tensors(path, model.tensors(), model.about())
    whole = path.read_bytes()
    for part in (b"", whole[:100], whole[:-9], b"\x80\x04" + whole[2:]):
        path.write_bytes(part)
        with pytest.raises(FormatError, match="corrupt"):
            read_tensors(path)
    from safetensors.torch import save_file

    save_file(model.tensors(), path)
    with pytest.raises(FormatError, match="did not write"):
        read_tensors(path)
    tensors = {name: tensor.half() for name, tensor in model.tensors().items()}
    with pytest.raises(FormatError, match=r"float16; expected torch\.float32"):
        read_net(tensors, model.about())
    with pytest.raises(FormatError):
        read_net({"input.mean": torch.zeros(1)}, model.about())


def test_hidden_layers_are_read_and_maps_are_maximised_over_the_segment(tracks):
    model = make()
    layers = chosen_layers(model.layers, ["all"])
    assert chosen_layers(model.layers, ["1", "conv1", "conv3"]) == ["conv1", "conv3"]
    assert chosen_layers(model.layers, []) == [layers[-1]]
    with pytest.raises(ConfigError, match="no layer 'conv9'"):
        chosen_layers(model.layers, ["conv9"])
    codes = model.hidden(tracks[2], ["conv1", "dense2"])
    x = torch.from_numpy(np.stack([tracks[2][:30], tracks[2][1:31]]))[:, None]
    model.net.eval()
    with torch.no_grad():
        conv1 = model.net.conv1(((x + 3) / 2).squeeze(1).transpose(1, 2))
    n_maps = conv1.shape[1]
    np.testing.assert_allclose(codes[:, :n_maps], conv1.amax(dim=2).numpy(), atol=1e-6)
    assert codes.shape == (2, n_maps + model.net.dense2.linear.out_features)


def test_the_mean_of_maps_is_taken_on_request(tracks):
    model = make()
    layers = chosen_layers(model.layers, ["all:mean", "conv2:max"])
    assert layers == ["conv1:mean", *(f"{n}:mean" for n in model.net.hidden[1:]), "conv2"]
    found = model.hidden(tracks[3], layers)
    x = np.stack([tracks[3][start : start + 30] for start in (0, 30, 60, 65)])
    made = (torch.from_numpy(x)[:, None] + 3) / 2
    model.net.eval()
    expected = []
    with torch.no_grad():
        made = made.squeeze(1).transpose(1, 2)  # (batch, dims, frames)
        for name in ("conv1", "conv2"):
            made = model.net.get_submodule(name)(made)
            expected.append(made.numpy())
    n = expected[0].shape[1]
    np.testing.assert_allclose(found[:, :n], expected[0].mean(axis=2), atol=1e-6)
    n_last = expected[1].shape[1]
    np.testing.assert_allclose(found[:, -n_last:], expected[1].max(axis=2), atol=1e-6)
    with pytest.raises(
        ConfigError, match="layer 'all:sum': cannot reduce maps by 'sum'; expected max or"
    ):
        chosen_layers(model.layers, ["all:sum"])


def test_whitened_and_joined_segments_are_those_of_the_preprocessing(tracks, rng):
    from mcls.dictionaries.preprocessing import Preprocessing, join_frames

    learnt = Preprocessing(whiten=0.9)
    learnt.fit_batches(lambda: iter([join_frames(tracks[4], 3)]))
    tensors = [torch.tensor(a) for a in (learnt.mean_, learnt.scale_, learnt.components_)]
    ours = Standardise(*tensors, joined=True)
    kept = learnt.components_.shape[1]
    assert ours.shape(3, N_DIMS) == (1, kept)
    x = torch.from_numpy(tracks[4][:3].copy())[None, None]
    expected = learnt.transform(join_frames(tracks[4][:3], 3))
    np.testing.assert_allclose(ours(x)[0, 0].numpy(), expected, atol=1e-4)
