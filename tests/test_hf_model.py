"""Hidden layers of small transformers models, made here with random weights, as features."""

import shutil
import socket

import numpy as np
import pytest
import torch
from test_onnx_model import SR, make_data

import mcls
from mcls.errors import ConfigError
from mcls.features import compute, make
from mcls.stores.store import Store

transformers = pytest.importorskip("transformers", reason="mcls[hf] is not installed")


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Folders of a tiny wav2vec 2.0 and a tiny audio spectrogram transformer."""
    from transformers import (
        ASTConfig,
        ASTFeatureExtractor,
        ASTModel,
        Wav2Vec2Config,
        Wav2Vec2FeatureExtractor,
        Wav2Vec2Model,
    )

    folder = tmp_path_factory.mktemp("models")
    torch.manual_seed(0)
    tiny = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
    tiny["intermediate_size"] = 32
    convolutions = {"conv_dim": (8, 8), "conv_stride": (5, 4), "conv_kernel": (10, 8)}
    position = {"num_conv_pos_embeddings": 16, "num_conv_pos_embedding_groups": 2}
    config = Wav2Vec2Config(**tiny, **convolutions, num_feat_extract_layers=2, **position)
    Wav2Vec2Model(config).save_pretrained(folder / "wav2vec2")
    Wav2Vec2FeatureExtractor(sampling_rate=SR).save_pretrained(folder / "wav2vec2")
    ASTModel(ASTConfig(**tiny, max_length=64, num_mel_bins=32)).save_pretrained(folder / "ast")
    extractor = ASTFeatureExtractor(sampling_rate=16000, num_mel_bins=32, max_length=64)
    extractor.save_pretrained(folder / "ast")
    return folder


@pytest.fixture
def offline(monkeypatch):
    def refuse(*_):
        raise AssertionError("a connection was opened")

    monkeypatch.setattr(socket.socket, "connect", refuse)


@pytest.mark.parametrize("layer", [None, 0, 1, -1])
def test_rows_are_the_means_of_a_layer(models, rng, offline, layer):
    from transformers import Wav2Vec2FeatureExtractor, Wav2Vec2Model

    path = models / "wav2vec2"
    y = rng.normal(size=SR).astype(np.float32)
    settings = {} if layer is None else {"layer": layer}
    rows = compute("hf", y, sr=SR, path=str(path), window=0.25, **settings)
    model = Wav2Vec2Model.from_pretrained(path).eval()
    prepare = Wav2Vec2FeatureExtractor.from_pretrained(path)
    given = prepare(list(y.reshape(4, -1)), sampling_rate=SR, return_tensors="pt")
    with torch.no_grad():
        found = model(**given, output_hidden_states=True)
    expected = found.last_hidden_state if layer is None else found.hidden_states[layer]
    np.testing.assert_allclose(rows, expected.mean(1), atol=1e-5)


def test_a_model_that_pads_has_its_own_window(models, rng):
    from transformers import ASTFeatureExtractor, ASTModel

    path = models / "ast"
    feature = make("hf", 16000, path=str(path), output="pooler_output")
    assert feature.n_samples == 0.64 * 16000
    assert feature.notes == []
    y = rng.normal(size=16000).astype(np.float32)
    prepare, model = ASTFeatureExtractor.from_pretrained(path), ASTModel.from_pretrained(path)
    given = prepare(y[:10240], sampling_rate=16000, return_tensors="pt")
    with torch.no_grad():
        expected = model.eval()(**given).pooler_output
    np.testing.assert_allclose(feature.rows(y)[:1], expected, atol=1e-5)
    short = make("hf", 16000, path=str(path), window=0.3)
    assert "pads the windows of 0.3 s to 0.64 s" in short.notes[0]
    with pytest.raises(ConfigError, match=r"reads at most 0.64 s at once, and window is 1 s"):
        make("hf", 16000, path=str(path), window=1.0)


def test_a_store_names_the_model_and_runs_refuse_another(models, tmp_path, rng):
    source = make_data(tmp_path, rng)
    path, store, run = tmp_path / "model", tmp_path / "s.h5", tmp_path / "run"
    shutil.copytree(models / "wav2vec2", path)
    mcls.extract(source, store, features=f"emb=hf:path={path},window=0.5,layer=1", sr=SR, jobs=1)
    assert len(Store(store).feature("emb").chain[0].settings["sha256"]) == 64
    mcls.train(store, run, pool="mean")
    [found] = mcls.predict(run, [tmp_path / "2.wav"]).tracks
    of_store = {one.name: one for one in mcls.predict(run, [store]).tracks}["2"]
    np.testing.assert_allclose(found.scores, of_store.scores, atol=1e-5)
    (path / "config.json").write_text((path / "config.json").read_text() + "\n")
    with pytest.raises(ConfigError, match="not the model that the rows were made with"):
        mcls.predict(run, [tmp_path / "2.wav"])


def test_what_cannot_be_is_refused(models, tmp_path, offline):
    path = str(models / "wav2vec2")
    pickled, lacking, code = tmp_path / "pickled", tmp_path / "lacking", tmp_path / "code"
    for folder in (pickled, lacking, code):
        shutil.copytree(path, folder)
    (pickled / "model.safetensors").rename(pickled / "pytorch_model.bin")
    config = (code / "config.json").read_text()
    (code / "config.json").write_text(config.replace('"wav2vec2"', '"my_model"', 1))
    from safetensors.torch import load_file, save_file

    weights = load_file(lacking / "model.safetensors")
    del weights["encoder.layer_norm.weight"]
    save_file(weights, lacking / "model.safetensors", {"format": "pt"})
    for sr, settings, what in (
        (SR, {}, "must name a folder of a transformers model"),
        (SR, {"path": "facebook/wav2vec2-base"}, "models are not downloaded"),
        (SR, {"path": path}, "give window=SECONDS"),
        (16000, {"path": path, "window": 1.0}, "extract with --sr 8000"),
        (SR, {"path": path, "window": 1.0, "layer": 3}, "has the layers 0 to 2, not 3"),
        (SR, {"path": path, "window": 1.0, "output": "pooled"}, "has no output 'pooled'"),
        (SR, {"path": path, "window": 1.0, "output": "x", "layer": 1}, "give one of them"),
        (SR, {"path": path, "window": 0.001}, "cannot be run"),
        (SR, {"path": str(pickled), "window": 1.0}, "has no weights in safetensors"),
        (SR, {"path": str(lacking), "window": 1.0}, "lacks 1 of the weights, encoder.layer_norm"),
        (SR, {"path": str(code), "window": 1.0}, "transformers cannot open"),
    ):
        with pytest.raises(ConfigError, match=what):
            make("hf", sr, **settings)
