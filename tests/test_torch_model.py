"""Outputs of local torch models as features, and what an archive from a stranger may not hold."""

import io
import json
import pickle
import warnings
import zipfile

import numpy as np
import pytest
import torch
from test_onnx_model import SR, make_data, rows_index
from torch import nn
from torch.export import Dim, save

import mcls
from mcls.errors import ConfigError, FormatError
from mcls.features import compute, make
from mcls.features.torch_archive import check_archive
from mcls.stages.export import export
from mcls.stores.store import Store


class Small(nn.Module):
    """Mean over time of a convolution, and the convolution."""

    def __init__(self, axes: int = 2) -> None:
        super().__init__()
        self.axes = axes
        self.layer = nn.Conv1d(1, 3, 9, stride=4)

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        if self.axes == 1:
            x = x[None]
        if self.axes < 3:
            x = x.unsqueeze(1)
        hidden = self.layer(x).relu()
        pooled = hidden.mean(2)
        return {"pooled": pooled, "hidden": hidden.transpose(1, 2)}


@pytest.fixture
def small(rng):
    torch.manual_seed(0)
    return Small().eval()


def write_archive(model, path, axes=2, n=800, free=(0, 1)):
    size = {1: (n,), 2: (3, n), 3: (3, 1, n)}[axes]
    shapes = dict.fromkeys(free, Dim.DYNAMIC)
    save(torch.export.export(model, (torch.zeros(size),), dynamic_shapes=(shapes,)), str(path))
    return str(path)


def write_script(model, path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.save(torch.jit.script(model), str(path))
    return str(path)


@pytest.mark.parametrize(
    ("axes", "free"), [(2, (0, 1)), (2, (0,)), (2, ()), (1, ()), (1, (0,)), (3, (0,))]
)
def test_rows_of_an_archive_are_the_outputs_of_windows(tmp_path, rng, axes, free):
    model = Small(axes).eval()
    path = tmp_path / "m.pt2"
    size = {1: (800,), 2: (1, 800) if free == () else (3, 800), 3: (3, 1, 800)}[axes]
    shapes = dict.fromkeys(free, Dim.DYNAMIC)
    save(torch.export.export(model, (torch.zeros(size),), dynamic_shapes=(shapes,)), str(path))
    y = rng.normal(size=4000).astype(np.float32)
    window = {"window": 0.1} if axes - 1 in free else {}
    rows = compute("torch", y, sr=SR, path=str(path), hop=0.05, output="hidden", **window)
    windows = torch.tensor(np.stack([y[i : i + 800] for i in range(0, 3201, 400)]))
    expected = model.layer(windows[:, None]).relu().mean(2).detach()
    np.testing.assert_allclose(rows, expected, atol=1e-6)
    first = compute("torch", y, sr=SR, path=str(path), hop=0.05, **window)
    np.testing.assert_allclose(first, expected, atol=1e-6)


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_rows_of_torchscript_are_those_of_the_model(tmp_path, rng, axes):
    model = Small(axes).eval()
    path = write_script(model, tmp_path / "m.ts")
    y = rng.normal(size=4000).astype(np.float32)
    given = {"window": 0.1, "output": "hidden", **({} if axes == 2 else {"axes": axes})}
    rows = compute("torch", y, sr=SR, path=path, **given)
    expected = model.layer(torch.tensor(y).reshape(5, 1, 800)).relu().mean(2).detach()
    np.testing.assert_allclose(rows, expected, atol=1e-6)


def test_a_net_that_mcls_exported_is_a_feature_and_runs_refuse_another(tmp_path, rng):
    source = make_data(tmp_path, rng)
    store, run, file = tmp_path / "s.h5", tmp_path / "run", tmp_path / "net.pt2"
    mcls.extract(source, store, features="mel:n_mels=32", sr=SR, jobs=1)
    mcls.train(store, run, model="mlp", frames=16, epochs=1, batch_size=4)
    export(run, file, with_mel=True)
    settings = {"path": file, "window": 2.0, "output": "scores"}
    mcls.extract(source, tmp_path / "net.h5", features="torch", settings=settings, sr=SR, jobs=1)
    rows = Store(tmp_path / "net.h5").feature()
    assert len(rows.chain[0].settings["sha256"]) == 64
    for track in mcls.predict(run, [store]).tracks:
        row = rows.track(rows_index(tmp_path / "net.h5", track.name))
        np.testing.assert_allclose(row, [track.scores], atol=1e-3)
    with pytest.raises(ConfigError, match="extract with --sr 8000"):
        make("torch", 16000, path=str(file), window=2.0)
    mcls.train(tmp_path / "net.h5", tmp_path / "next", pool="mean")
    file.write_bytes(file.read_bytes() + b" ")
    with pytest.raises(ConfigError, match="not the model that the rows were made with"):
        mcls.predict(tmp_path / "next", [tmp_path / "2.wav"])


def test_what_cannot_be_is_refused(tmp_path, small):
    free = write_archive(small, tmp_path / "free.pt2")
    fixed = write_archive(small, tmp_path / "fixed.pt2", free=(0,))
    script = write_script(small, tmp_path / "m.ts")
    (tmp_path / "no.pt").write_bytes(b"no model")
    for settings, what in (
        ({}, "must name a .pt2 or TorchScript file"),
        ({"path": str(tmp_path / "none.pt2")}, "No such file"),
        ({"path": str(tmp_path / "no.pt")}, "not a model that torch can open"),
        ({"path": free}, "give window=SECONDS"),
        ({"path": script}, "give window=SECONDS"),
        ({"path": script, "window": 1.0, "axes": 3}, "cannot be run"),
        ({"path": free, "window": 1.0, "axes": 1}, "an input of 2 axes; leave axes out"),
        ({"path": fixed, "window": 1.0}, "reads 800 samples, 0.1 s"),
        ({"path": fixed, "output": "poled"}, "did you mean 'pooled'"),
        ({"path": fixed, "device": "cuda"}, "no CUDA device"),
    ):
        if settings.get("device") == "cuda" and torch.cuda.is_available():
            continue
        with pytest.raises(ConfigError, match=what):
            make("torch", SR, **settings)


def test_pickled_modules_are_not_opened(tmp_path, small):
    torch.save(small, tmp_path / "m.pt")
    with pytest.raises(ConfigError, match="not a model that torch can open"):
        make("torch", SR, path=str(tmp_path / "m.pt"), window=0.1)


class Harm:
    """Writes a file when it is unpickled."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return (exec, (f"open({self.path!r}, 'w').close()",))


def changed(path, out, change):
    """Copy an archive; `change` maps the name and bytes of a file to other files."""
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(out, "w") as new:
        for name in old.namelist():
            for other, data in change(name, old.read(name)):
                new.writestr(other, data)
    return str(out)


def with_graph(change):
    """Return a change of the graph of an archive."""

    def of(name, data):
        if not name.endswith("models/model.json"):
            return [(name, data)]
        graph = json.loads(data)
        change(graph)
        return [(name, json.dumps(graph).encode())]

    return of


def test_an_archive_cannot_run_code(tmp_path, small):
    path = write_archive(small, tmp_path / "m.pt2")
    check_archive(path)
    harm, bad = Harm(tmp_path / "harmed"), tmp_path / "bad.pt2"

    def pickled_inputs(name, data):
        return [(name, pickle.dumps(harm) if "sample_inputs" in name else data)]

    def torch_pickled_inputs(name, data):
        buffer = io.BytesIO()
        torch.save(harm, buffer)
        return [(name, buffer.getvalue() if "sample_inputs" in name else data)]

    def pickled_weights(name, data):
        is_config = name.endswith("weights_config.json")
        return [(name, data.replace(b'"use_pickle": false', b'"use_pickle": true'))] + (
            [(name.replace("model_weights_config.json", "custom_obj_0"), b"")] if is_config else []
        )

    def pickled_object(name, data):
        more = name.replace("model_constants_config.json", "custom_obj_0")
        return [(name, data)] + ([(more, pickle.dumps(harm))] if more != name else [])

    def library(name, data):
        more = name.replace("archive_format", "data/aotinductor/model/x.so")
        return [(name, data)] + ([(more, b"")] if more != name else [])

    def twice(name, data):
        return [(name, data)] + ([(name.upper(), data)] if name.endswith("model.json") else [])

    def guard(graph):
        graph["guards_code"].append(f"exec(\"open({harm.path!r}, 'w')\") or True")

    def size(graph):
        values = graph["graph_module"]["graph"]["tensor_values"]
        sizes = next(one for value in values.values() for one in value["sizes"] if "as_expr" in one)
        sizes["as_expr"]["expr_str"] = f"exec('open({harm.path!r}, w)')"

    def attribute(graph):
        graph["guards_code"].append("L['x'].size.__globals__")

    def call(graph):
        graph["graph_module"]["graph"]["nodes"][0]["target"] = "torch.hub.load"

    for change, what in (
        (pickled_inputs, "pickled objects"),
        (torch_pickled_inputs, "pickled objects"),
        (pickled_weights, "pickled tensors"),
        (pickled_object, "neither a tensor nor a graph"),
        (library, "neither a tensor nor a graph"),
        (twice, "two files of one name"),
        (with_graph(guard), "not arithmetic"),
        (with_graph(size), "not arithmetic"),
        (with_graph(attribute), "not arithmetic"),
        (with_graph(call), "calls torch.hub.load"),
    ):
        with pytest.raises(FormatError, match=what):
            make("torch", SR, path=changed(path, bad, change), window=0.1)
    bad.write_bytes(b"no archive")
    with pytest.raises(FormatError, match=r"not a torch\.export archive"):
        make("torch", SR, path=str(bad), window=0.1)
    assert not (tmp_path / "harmed").exists()
