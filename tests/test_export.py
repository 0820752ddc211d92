"""mcls export: what onnxruntime computes is what torch, predict and librosa compute."""

import importlib.util
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner

import mcls
from mcls.audio.files import read_audio
from mcls.chain.model_cache import fitted_model
from mcls.cli.main import cli
from mcls.disk.run import open_run
from mcls.errors import ConfigError, MclsError
from mcls.export.files import METADATA, compare_onnx
from mcls.export.graph import AudioGraph, SegmentGraph
from mcls.export.mel_graph import MelGraph
from mcls.features.mel import Mel
from mcls.nets import build_net, smallest_input
from mcls.registry import entries, find
from mcls.stages.export import Exported, export
from mcls.stages.predict import predict
from mcls.stores.store import Store
from mcls.training.model import NetSpec, TrainedNet
from mcls.training.segments import grid
from mcls.training.standardise import Standardise

SR, N_MELS, N_FRAMES = 8000, 24, 24
NETS = {
    "mlp": ["layers=16"],
    "cnn1d": ["width=0.05", "padding=same"],
    "fcn4": ["width=0.05"],
    "crnn": ["width=0.25"],
}
has_onnx = all(importlib.util.find_spec(one) for one in ("onnx", "onnxscript", "onnxruntime"))
needs_onnx = pytest.mark.skipif(not has_onnx, reason="needs the extra: pip install 'mcls[export]'")


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(n_threads)


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """A synthetic set, its mel spectra, and a folder of runs."""
    folder = tmp_path_factory.mktemp("export")
    made = CliRunner().invoke(
        cli, ["data", "synth", str(folder / "toy"), "--tracks", "24", "--seconds", "2.3"]
    )
    assert made.exit_code == 0, made.output
    spec = f"mel:n_fft=512,hop_length=256,n_mels={N_MELS}"
    words = ["extract", str(folder / "toy/manifest.csv"), str(folder / "mel.h5"), "--sr", str(SR)]
    made = CliRunner().invoke(cli, [*words, "--feature", spec, "--feature", "mfcc"])
    assert made.exit_code == 0, made.output
    return folder


@pytest.fixture(scope="module")
def trained(place):
    """``trained("mlp")`` gives a run of a net, trained once."""
    known: dict[str, Path] = {}

    def run(net: str, **options) -> Path:
        key = net + "".join(map(str, options.values()))
        if key not in known:
            given = {"feature": "mel", "epochs": 1, "batch_size": 8, "device": "cpu", **options}
            if net in NETS:
                given = {"settings": NETS[net], "frames": N_FRAMES, **given}
            else:
                given = {"feature": "mel", "pool": ["mean"]}
            known[key] = mcls.train(place / "mel.h5", place / key, model=net, **given).path
        return known[key]

    return run


@pytest.fixture(scope="module")
def exported(trained, place):
    """``exported("mlp")`` gives its ONNX file, written once."""
    known: dict[str, Exported] = {}

    def file(net: str) -> Exported:
        if net not in known:
            known[net] = export(trained(net), place / f"{net}.onnx")
        return known[net]

    return file


def session(path: Path):
    import onnxruntime

    return onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])


def segments_of(rows: np.ndarray, n_frames: int) -> np.ndarray:
    return np.stack([rows[start : start + n_frames] for start in grid(len(rows), n_frames)])


@needs_onnx
@pytest.mark.parametrize(
    "net",
    ["mlp", "cnn1d", *(pytest.param(one, marks=pytest.mark.slow) for one in ("fcn4", "crnn"))],
)
def test_the_file_scores_as_the_run_does(net, trained, exported, place) -> None:
    run, done = trained(net), exported(net)
    assert done.difference < 1e-4
    model = fitted_model(open_run(run))
    made = session(done.path)
    rng = np.random.default_rng(3)
    for batch in (1, 5):
        x = rng.normal(-30, 15, (batch, N_FRAMES, N_MELS)).astype(np.float32)
        logits, scores = made.run(None, {"segments": x})
        expected = np.stack([model.logits(one)[0].numpy() for one in x])
        assert np.abs(logits - expected).max() < 1e-4
        assert (
            np.abs(scores - np.exp(expected) / np.exp(expected).sum(1, keepdims=True)).max() < 1e-5
        )
    store = Store(place / "mel.h5")
    expected = predict(run, [place / "mel.h5"], feature="mel").tracks
    for i, track in enumerate(expected):
        x = segments_of(store.feature("mel").track(i), N_FRAMES)
        scores = made.run(["scores"], {"segments": x})[0].mean(axis=0)
        assert np.abs(scores - track.scores).max() < 1e-5, track.name
    any_length = net in ("cnn1d", "fcn4", "crnn")
    assert done.inputs["segments"] == ["batch", "frames" if any_length else N_FRAMES, N_MELS]
    if any_length:
        x = rng.normal(-30, 15, (2, 277, N_MELS)).astype(np.float32)
        found = made.run(["logits"], {"segments": x})[0]
        net_input = model.standardise(torch.from_numpy(x[:, None]))
        with torch.no_grad():
            assert np.abs(found - model.net.eval()(net_input).numpy()).max() < 1e-4


def narrow(net: str) -> dict[str, Any]:
    """Settings that make a net small."""
    size = {"layers": (12, 8)} if net == "mlp" else {"width": 0.1}
    shallow = {"samplecnn": {"modules": 2}, "waveform-frontend": {"midend": "dense"}}
    return size | shallow.get(net, {})


def untrained(net: str, settings: dict[str, Any], n_frames: int, n_dims: int) -> TrainedNet:
    before = Standardise(torch.full((n_dims,), -3.0), torch.full((n_dims,), 2.0))
    made = build_net(net, settings, n_frames, n_dims, 6, seed=1)
    spec = NetSpec(
        net, settings, n_frames, n_dims, tuple(range(6)), (), False, "cross-entropy", "loop", ()
    )
    return TrainedNet(spec, made, before)


#: Nets, and settings that change what they are made of, which `make test` exports too.
QUICK = {"pons-frequency", "pons-timbre"}
CASES: list[tuple[str, dict[str, Any]]] = [
    (name, {}) for name, net in entries("nets").items() if net.facts.get("outputs") != "states"
]
CASES += [("musicnn", {"backend": one}) for one in ("rnn", "attention", "autopool")]
CASES += [("crnn", {"input_norm": "frames"})]


@needs_onnx
@pytest.mark.parametrize(
    ("net", "settings"),
    [
        pytest.param(
            net,
            more,
            id="-".join([net, *more.values()]),
            marks=() if net in QUICK else pytest.mark.slow,
        )
        for net, more in CASES
    ],
)
def test_every_net_is_a_file_of_either_kind(net, settings, trained, tmp_path, monkeypatch) -> None:
    settings = narrow(net) | settings
    n_frames, n_dims = smallest_input(net, settings)
    samples = find("nets", net).facts["dims"] == 1
    n_frames, n_dims = n_frames + 37, 1 if samples else n_dims + 21
    model = untrained(net, settings, n_frames, n_dims)
    monkeypatch.setattr("mcls.stages.export.net_of_labels", lambda run: model)
    one_length = not find("nets", net).facts.get("any_length") or "input_norm" in settings
    for suffix in (".pt2", ".onnx"):
        done = export(trained("mlp"), tmp_path / f"net{suffix}")
        frames = n_frames if one_length else "frames"
        assert done.inputs == {"segments": ["batch", frames, n_dims]}, suffix
    made = session(done.path)
    graph = SegmentGraph(model, 6).eval()
    for length in (n_frames,) if one_length else (n_frames, n_frames + 1, 3 * n_frames + 50):
        x = torch.randn(2, length, n_dims)
        with torch.no_grad():
            expected = graph(x)[0].numpy()
        assert np.abs(made.run(["logits"], {"segments": x.numpy()})[0] - expected).max() < 1e-4


@needs_onnx
def test_from_the_audio_of_a_track_to_the_scores_of_predict(trained, place, tmp_path) -> None:
    run = trained("mlp")
    export(run, tmp_path / "whole.onnx", with_mel=True)
    done = export(run, tmp_path / "whole.onnx", with_mel=True, overwrite=True)
    made = session(done.path)
    store = Store(place / "mel.h5")
    files = [place / "toy" / name for name in store.tracks["path"][:6]]
    for i, (file, track) in enumerate(zip(files, predict(run, files).tracks, strict=True)):
        y, _ = read_audio(file, sr=SR)
        mel, logits, scores = made.run(None, {"audio": y})
        rows = store.feature("mel").track(i)
        assert mel.shape == rows.shape
        assert np.abs(mel - rows).max() < 1e-4 * np.abs(rows).max()  # a share of the range in dB
        assert len(logits) == len(scores) == len(grid(len(rows), N_FRAMES))
        assert np.abs(scores.mean(axis=0) - track.scores).max() < 1e-4
    short = np.random.default_rng(0).normal(0, 0.1, 700).astype(np.float32)
    assert made.run(["scores"], {"audio": short})[0].shape == (1, 6)  # looped
    assert "mono audio of a whole track at 8000 Hz" in done.notes[0]


def test_the_graph_from_audio_cuts_as_scoring_does(trained, place) -> None:
    model = fitted_model(open_run(trained("cnn1d", short="pad")))
    feature = Mel(SR, n_fft=512, hop_length=256, n_mels=N_MELS)
    graph = AudioGraph(MelGraph(feature), SegmentGraph(model, 6), model).eval()
    rng = np.random.default_rng(1)
    for n_rows in (3, 23, 24, 25, 47, 48, 49, 100):
        y = rng.normal(0, 0.1, (n_rows - 1) * 256).astype(np.float32)
        with torch.no_grad():
            rows, logits, _ = graph(torch.from_numpy(y))
        assert len(rows) == n_rows
        assert np.abs(logits.numpy() - model.logits(rows.numpy()).numpy()).max() < 1e-4, n_rows


def test_torch_reads_what_is_written_for_it(trained, tmp_path) -> None:
    run = trained("cnn1d")
    export(run, tmp_path / "net.pt2")
    done = export(run, tmp_path / "net.pt2", overwrite=True)
    assert done.difference < 1e-5
    extra = {f"{METADATA}.json": ""}
    program = torch.export.load(tmp_path / "net.pt2", extra_files=extra).module()
    model = fitted_model(open_run(run))
    for batch in (1, 5):
        x = torch.randn(batch, N_FRAMES, N_MELS)
        expected = np.stack([model.logits(one.numpy())[0].numpy() for one in x])
        assert np.abs(program(x)[0].detach().numpy() - expected).max() < 1e-5
    assert json.loads(extra[f"{METADATA}.json"])["labels"] == open_run(run).labels


@needs_onnx
def test_the_file_says_what_it_is(trained, exported) -> None:
    made = session(exported("mlp").path)
    said = json.loads(made.get_modelmeta().custom_metadata_map[METADATA])
    about = open_run(trained("mlp")).about
    assert said["labels"] == about["labels"]
    assert said["chain"][0]["name"] == "mel"
    assert said["chain"][0]["settings"]["hop_length"] == 256
    assert said["segment"]["n_frames"] == N_FRAMES
    assert said["segment"]["seconds"] == pytest.approx(N_FRAMES * 256 / SR)
    assert (said["sample_rate"], said["aggregate"], said["net"]) == (SR, "mean", "mlp")


@needs_onnx
def test_a_file_that_computes_something_else_is_refused(trained, exported) -> None:
    path = exported("mlp").path
    model = fitted_model(open_run(trained("mlp")))
    with torch.no_grad():
        model.net.output.bias += 0.01
    graph = SegmentGraph(model, 6).eval()
    with pytest.raises(MclsError, match="differ from torch's by 0"):
        compare_onnx(path, graph, [torch.zeros(1, N_FRAMES, N_MELS)])


def test_the_same_export_again_does_nothing(trained, tmp_path) -> None:
    """As after a kill that came when the file was there."""
    out = tmp_path / "net.pt2"
    assert export(trained("mlp"), out).computed
    before = out.read_bytes()
    assert not export(trained("mlp"), out).computed
    assert out.read_bytes() == before


def test_what_cannot_be_exported_is_refused(trained, place, tmp_path, monkeypatch) -> None:
    with pytest.raises(ConfigError, match="the model is knn, which cannot be exported"):
        export(trained("knn"), tmp_path / "x.pt2")
    run = trained("mlp")
    with pytest.raises(ConfigError, match=r"suffix is '.h5'; expected .onnx or .pt2"):
        export(run, tmp_path / "x.h5")
    (tmp_path / "there.pt2").write_text("mine")
    with pytest.raises(ConfigError, match="is not an exported net that mcls wrote"):
        export(run, tmp_path / "there.pt2", overwrite=True)
    with pytest.raises(ConfigError, match=r"is not this net; .* pass --overwrite to replace it"):
        export(run, tmp_path / "there.pt2")
    assert (tmp_path / "there.pt2").read_text() == "mine"
    with pytest.raises(ConfigError, match=r"--with-mel needs a net that reads a mel .* reads mfcc"):
        export(trained("mlp", feature="mfcc"), tmp_path / "x.pt2", with_mel=True)
    with pytest.raises(ConfigError, match=r"gain control \(agc\) cannot be exported"):
        MelGraph(Mel(SR, agc=True, top_db=None))
    with pytest.raises(ConfigError, match=r"deltas \(delta=1\) cannot be exported"):
        MelGraph(Mel(SR, delta=1))
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"needs onnx and onnxscript and .*mcls\[export\]"):
        export(run, tmp_path / "x.onnx")
    assert [path.name for path in tmp_path.iterdir()] == ["there.pt2"]


def test_the_command_prints_inputs_and_outputs(trained, tmp_path) -> None:
    out = tmp_path / "net.pt2"
    done = CliRunner().invoke(cli, ["export", str(trained("mlp")), str(out), "--torch"])
    assert done.exit_code == 0, done.output
    assert done.stdout.splitlines() == [
        f"input segments: batch x {N_FRAMES} x {N_MELS}",
        "output logits: batch x 6",
        "output scores: batch x 6",
        "note: the input is segments of rows of mel, which the file does not compute",
    ]
    assert f"wrote {out}: " in done.stderr
    wrong = CliRunner().invoke(cli, ["export", str(trained("mlp")), "x.onnx", "--torch"])
    assert wrong.exit_code == 2
    assert "--torch writes a .pt2 file" in wrong.output
