"""Outputs of local ONNX models as features: models made here, and files of mcls export."""

import numpy as np
import pytest
import soundfile

import mcls
from mcls.errors import ConfigError, DataError
from mcls.features import compute, make
from mcls.features.onnx_model import OnnxModel
from mcls.stages.export import export
from mcls.stores.store import Store

onnx = pytest.importorskip("onnx", reason="mcls[export] is not installed")
onnxruntime = pytest.importorskip("onnxruntime", reason="mcls[export] is not installed")

SR = 8000


def write_model(path, weights, shape=("batch", None), extra=False):
    """Write a model that multiplies windows by weights and takes the ramp of the result."""
    from onnx import TensorProto, helper, numpy_helper

    size = [weights.shape[0] if one is None else one for one in shape]
    nodes = [
        helper.make_node("MatMul", ["audio", "weights"], ["linear"]),
        helper.make_node("Relu", ["linear"], ["ramp"]),
    ]
    out = [*size[:-1], weights.shape[1]]
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info("audio", TensorProto.FLOAT, size)],
        [
            helper.make_tensor_value_info("ramp", TensorProto.FLOAT, out),
            helper.make_tensor_value_info("linear", TensorProto.FLOAT, out),
        ],
        [numpy_helper.from_array(weights, "weights")],
    )
    opset = helper.make_opsetid("", 17)
    onnx.save(helper.make_model(graph, opset_imports=[opset], ir_version=8), str(path))
    return str(path)


@pytest.fixture
def weights(rng):
    return rng.normal(size=(1600, 5)).astype(np.float32)


@pytest.mark.parametrize("shape", [("batch", None), (1, None), (None,), ("batch", 1, None)])
def test_rows_are_the_outputs_of_windows(tmp_path, rng, weights, shape):
    path = write_model(tmp_path / "m.onnx", weights, shape)
    y = rng.normal(size=8000).astype(np.float32)
    rows = compute("onnx", y, sr=SR, path=path, hop=0.1, output="linear")
    expected = [y[start : start + 1600] @ weights for start in range(0, 8000 - 1600 + 1, 800)]
    np.testing.assert_allclose(rows, expected, rtol=1e-4, atol=1e-3)
    np.testing.assert_allclose(
        compute("onnx", y, sr=SR, path=path),
        np.maximum([y[start : start + 1600] @ weights for start in range(0, 8000, 1600)], 0),
        rtol=1e-4,
        atol=1e-3,
    )
    assert compute("onnx", y[:100], sr=SR, path=path).shape == (1, 5)


def make_data(folder, rng, n=12):
    rows = ["path,labels,split"]
    for i in range(n):
        y = rng.uniform(-0.5, 0.5, 16000) * np.sin(np.arange(16000) * (0.05 + 0.3 * (i % 2)))
        soundfile.write(folder / f"{i}.wav", y, SR)
        rows.append(f"{i}.wav,{'ab'[i % 2]},{['train', 'train', 'test'][i % 3]}")
    (folder / "tracks.csv").write_text("\n".join(rows))
    return folder / "tracks.csv"


def test_a_store_names_the_model_and_runs_refuse_another(tmp_path, rng, weights):
    source = make_data(tmp_path, rng)
    path = write_model(tmp_path / "m.onnx", weights)
    store, run = tmp_path / "s.h5", tmp_path / "run"
    mcls.extract(source, store, features=f"emb=onnx:path={path},hop=0.05", sr=SR, jobs=2)
    step = Store(store).feature("emb").chain[0]
    assert len(step.settings["sha256"]) == 64
    mcls.train(store, run, pool="mean")
    [found] = mcls.predict(run, [tmp_path / "2.wav"]).tracks
    of_store = {one.name: one for one in mcls.predict(run, [store]).tracks}["2"]
    np.testing.assert_allclose(found.scores, of_store.scores, atol=1e-5)
    write_model(tmp_path / "m.onnx", weights + 1)
    with pytest.raises(ConfigError, match="not the model that the rows were made with"):
        mcls.predict(run, [tmp_path / "2.wav"])
    (tmp_path / "m.onnx").unlink()
    with pytest.raises(ConfigError, match="cannot be read"):
        mcls.predict(run, [tmp_path / "2.wav"])


def test_weights_beside_a_large_model_belong_to_it(tmp_path, weights):
    path = tmp_path / "m.onnx"
    write_model(path, weights)
    whole = OnnxModel.sha256_of(str(path))
    model = onnx.load(path)
    onnx.save(model, path, save_as_external_data=True, location="m.onnx.data", size_threshold=0)
    first = OnnxModel.sha256_of(str(path))
    y = np.ones(1600, np.float32)
    np.testing.assert_allclose(
        compute("onnx", y, sr=SR, path=str(path), sha256=first, output="linear")[0],
        weights.sum(axis=0),
        atol=1e-3,
    )
    data = bytearray((tmp_path / "m.onnx.data").read_bytes())
    data[3] ^= 1
    (tmp_path / "m.onnx.data").write_bytes(data)
    assert len({whole, first, OnnxModel.sha256_of(str(path))}) == 3
    with pytest.raises(ConfigError, match="not the model that the rows were made with"):
        make("onnx", SR, path=str(path), sha256=first)


def test_a_net_that_mcls_exported_is_a_feature(tmp_path, rng):
    source = make_data(tmp_path, rng)
    store, run, file = tmp_path / "s.h5", tmp_path / "run", tmp_path / "net.onnx"
    mcls.extract(source, store, features="mel:n_mels=32", sr=SR, jobs=1)
    settings = {"width": 0.1}
    mcls.train(store, run, model="fcn4", settings=settings, frames=32, epochs=1, batch_size=4)
    export(run, file, with_mel=True)
    settings = {"path": file, "window": 2.0, "output": "scores"}
    mcls.extract(source, tmp_path / "net.h5", features="onnx", settings=settings, sr=SR, jobs=1)
    rows = Store(tmp_path / "net.h5").feature()
    assert rows.n_dims == 2
    for track in mcls.predict(run, [store]).tracks:
        row = rows.track(rows_index(tmp_path / "net.h5", track.name))
        np.testing.assert_allclose(row, [track.scores], atol=1e-3)
    # tracks 0, 1, 3, ... are those of the train part
    [step] = rows.chain
    assert step.learnt_from == tuple(sorted(str(i) for i in range(12) if i % 3 < 2))
    mcls.train(tmp_path / "net.h5", tmp_path / "next", pool="mean")
    other = (tmp_path / "tracks.csv").read_text().replace("train", "x").replace("test", "train")
    (tmp_path / "tracks.csv").write_text(other.replace("x", "test"))
    mcls.extract(source, tmp_path / "other.h5", features="onnx", settings=settings, sr=SR, jobs=1)
    with pytest.raises(DataError, match="feature 'onnx' was learnt from 8 tracks that are now"):
        mcls.train(tmp_path / "other.h5", tmp_path / "leak", pool="mean")
    with pytest.raises(ConfigError, match="extract with --sr 8000"):
        make("onnx", 16000, path=str(file), window=2.0)
    export(run, tmp_path / "rows.onnx")
    with pytest.raises(ConfigError, match="--with-mel"):
        make("onnx", SR, path=str(tmp_path / "rows.onnx"))


def rows_index(store, name):
    return Store(store).track_ids.index(name)


def test_what_cannot_be_is_refused(tmp_path, weights):
    path = write_model(tmp_path / "m.onnx", weights)
    free = write_model(tmp_path / "free.onnx", weights, ("batch", "samples"))
    (tmp_path / "no.onnx").write_bytes(b"no model")
    for settings, what in (
        ({}, "must name an .onnx file"),
        ({"path": str(tmp_path / "none.onnx")}, "No such file"),
        ({"path": str(tmp_path / "no.onnx")}, "not an ONNX model"),
        ({"path": path, "output": "lineer"}, "did you mean 'linear'"),
        ({"path": path, "window": 1.0}, "reads 1600 samples, 0.2 s"),
        ({"path": free}, "give window=SECONDS"),
        ({"path": free, "window": 1.0}, "cannot be run"),
    ):
        with pytest.raises(ConfigError, match=what):
            make("onnx", SR, **settings)
