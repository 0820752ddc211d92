"""Dictionaries that decode their codes, and the plots and the audio of what they decode."""

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner
from scipy.special import expit

import mcls
from mcls.cli.main import cli
from mcls.dictionaries.decoders import decode
from mcls.dictionaries.preprocessing import Preprocessing, join_frames, part_frames
from mcls.disk.chain import Step, extend
from mcls.disk.dictionary import write_dictionary
from mcls.errors import ConfigError
from mcls.registry import entries, find
from mcls.stores.store import Store

SR = 8000
METHODS = sorted(entries("dictionaries"))


@pytest.fixture(scope="module")
def rows() -> np.ndarray:
    """200 non-negative rows, of which 3 patterns are the cause."""
    rng = np.random.default_rng(440)
    return (rng.random((200, 3)) @ rng.random((3, 8)) / 3).astype(np.float32)


@pytest.mark.parametrize("name", METHODS)
def test_every_method_decodes_or_refuses(rows, name) -> None:
    entry = find("dictionaries", name)
    small = {"n_atoms": 6, "n_epochs": 2, "layers": (6, 4)}
    settings = {key: value for key, value in small.items() if key in entry.settings}
    model = entry.load()(**settings, random_state=0).fit(rows)
    codes = model.transform(rows)
    if "decoder" not in find("encoders", entry.facts["encoder"]).facts:
        with pytest.raises(ConfigError, match="choose another encoder"):
            model.inverse_transform(codes)
        return
    again = model.inverse_transform(codes)
    assert again.shape == rows.shape
    assert again.dtype == np.float32


def test_linear_codes_weight_the_atoms(rows) -> None:
    """Split signs are joined; a hard code gives its centre, as scikit-learn's predict does."""
    from sklearn.cluster import KMeans

    theirs = KMeans(5, n_init=1, random_state=0).fit(rows)
    atoms = theirs.cluster_centers_
    codes = find("encoders", "hard").load()(rows, {"atoms": atoms})
    given = {"settings": {}, "method": {}}
    assert np.allclose(
        decode(codes, {"atoms": atoms}, encoder="hard", **given), atoms[theirs.labels_]
    )
    whole, basis = np.random.default_rng(0).normal(size=(4, 8)), np.eye(8)
    apart = np.hstack([np.maximum(whole, 0), np.maximum(-whole, 0)])
    said = {"settings": {"split_signs": True}, "method": {}}
    assert np.allclose(decode(apart, {"atoms": basis}, encoder="lasso", **said), whole)


@pytest.mark.parametrize("visible", ["gaussian", "binary"])
def test_a_boltzmann_machine_gives_the_means_of_its_visible_units(rows, visible) -> None:
    """RBM and DBN by the equations, to 1e-6."""
    function = expit if visible == "binary" else lambda x: x
    rbm = find("dictionaries", "rbm").load()(n_atoms=6, visible=visible, n_epochs=2).fit(rows)
    hidden = rbm.transform(rows)
    expected = function(hidden @ rbm.components_ + rbm.visible_biases_)
    assert np.allclose(rbm.inverse_transform(hidden), expected, atol=1e-6)
    dbn = find("dictionaries", "dbn").load()(layers=(6, 4), visible=visible).fit(rows)
    low, high = dbn.rbms_
    between = expit(dbn.transform(rows) @ high.components_ + high.visible_biases_)
    expected = function(between @ low.components_ + low.visible_biases_)
    assert np.allclose(dbn.inverse_transform(dbn.transform(rows)), expected, atol=1e-6)


@pytest.mark.parametrize("layer", [1, 2, "all", "last"])
def test_a_dbn_is_decoded_from_any_layer(rows, layer) -> None:
    dbn = find("dictionaries", "dbn").load()(layers=(6, 4), n_epochs=(3,)).fit(rows)
    codes = find("encoders", "dbn").load()(rows, dbn.arrays(), layer=layer)
    again = decode(
        codes, dbn.arrays(), encoder="dbn", settings={"layer": layer}, method=dbn.get_params()
    )
    units = codes if layer == 1 else codes[:, -4:]
    if layer != 1:
        units = expit(units @ dbn.rbms_[1].components_ + dbn.rbms_[1].visible_biases_)
    first = dbn.rbms_[0]
    assert np.allclose(again, units @ first.components_ + first.visible_biases_, atol=1e-6)


def test_frames_are_parted(rng) -> None:
    rows = rng.normal(size=(9, 2))
    assert np.allclose(part_frames(join_frames(rows, 4), 4, 9), rows, atol=1e-6)
    assert part_frames(join_frames(rows[:2], 4), 4, 2).shape == (2, 2)


@pytest.fixture(scope="module")
def tones(tmp_path_factory):
    """A store of mel rows of three tones with vibrato, and their audio."""
    folder = tmp_path_factory.mktemp("tones")
    rng = np.random.default_rng(440)
    t = np.arange(SR) / SR
    for i, f in enumerate((220.0, 400.0, 700.0)):
        phase = 2 * np.pi * f * t + 3 * np.sin(2 * np.pi * 5 * t)
        y = sum(0.3 / k * np.sin(k * phase) for k in (1, 2, 3)) + 0.01 * rng.standard_normal(SR)
        (folder / "audio" / f"c{i}").mkdir(parents=True)
        soundfile.write(folder / "audio" / f"c{i}" / "a.wav", y, SR)
    lines = [f"audio/c{i}/a.wav,c{i}/a,c{i},train" for i in range(3)]
    (folder / "tones.csv").write_text("\n".join(["path,track_id,labels,split", *lines]))
    mel = "mel:n_fft=512,hop_length=128,n_mels=32"
    mcls.extract(folder / "tones.csv", folder / "mel.h5", features=[mel], sr=SR)
    return folder


def identity(folder, name: str, **fitted):
    """Write a linear auto-encoder that passes whitened rows on, and return its path."""
    stored = Store(folder / "mel.h5").feature("mel")
    context = 3
    preprocessing = Preprocessing(whiten=1.0, eps=1e-3, **fitted)
    joined = np.concatenate([join_frames(stored.track(i), context) for i in range(3)])
    preprocessing.fit_batches(lambda: [joined])
    n = preprocessing.arrays()["whitening"].shape[1]
    eye, zeros = np.eye(n, dtype=np.float32), np.zeros(n, np.float32)
    arrays = {"atoms": eye, "weights": eye, "biases": zeros, "offsets": zeros}
    settings = {
        "method": {},
        "context": context,
        "encoder": "feed-forward",
        "encoder_settings": {"nonlinearity": "linear"},
    }
    step = Step("dictionary", "autoencoder", settings, arrays={**preprocessing.arrays(), **arrays})
    write_dictionary(folder / name, extend(stored.chain, step), {}, "0" * 16)
    return folder / name


def plot(*words):
    return CliRunner().invoke(cli, ["plot", *map(str, words)], prog_name="mcls")


def test_an_invertible_chain_gives_the_track_back(tones, tmp_path) -> None:
    """Whitening with all components and context: the rows to 1e-5 of their range, and audio."""
    from mcls.chain.dictionary import reconstruct_rows
    from mcls.disk.dictionary import read_dictionary

    path = identity(tones, "identity.h5")
    rows = Store(tones / "mel.h5").feature("mel").track(1)
    step = read_dictionary(path).step
    again = part_frames(reconstruct_rows(rows, step), 3, len(rows))
    assert np.abs(again - rows).max() < 1e-5 * np.ptp(rows)
    image, wav = tmp_path / "a.png", tmp_path / "a.wav"
    done = plot(
        path, "-o", image, "--reconstruct", "c1/a", "--store", tones / "mel.h5", "--audio", wav
    )
    assert done.exit_code == 0, done.output
    assert "100.0 % of the variance explained" in done.output
    assert image.stat().st_size > 1000
    audio, sr = soundfile.read(wav, dtype="float32")
    assert sr == SR
    assert len(audio) == 128 * (len(rows) - 1)
    feature = find("features", "mel").load()(SR, n_fft=512, hop_length=128, n_mels=32)
    assert np.corrcoef(feature.rows(audio).ravel(), rows.ravel())[0, 1] > 0.9


def test_rows_and_samples_on_the_command_line(tones, tmp_path) -> None:
    store, image = tones / "mel.h5", tmp_path / "a.png"
    path = identity(tones, "rows.h5")
    done = plot(path, "-o", image, "--reconstruct", 5, "--store", store)
    assert done.exit_code == 0, done.output
    assert "5 rows and their reconstruction: RMS error" in done.output
    done = plot(path, "-o", image, "--reconstruct", tones / "audio" / "c0" / "a.wav")
    assert done.exit_code == 0, done.output
    refused = {
        "--reconstruct c1/a": "no audio file c1/a",
        f"--reconstruct 0 --store {store}": "a number of rows of 1 or more",
        f"--reconstruct 5 --store {store} --encoder triangle": "the encoder triangle cannot be",
        f"--reconstruct c1/a --store {store} --top 3": "--reconstruct does not take --top",
        "--encoder omp": "--encoder goes with --reconstruct",
        "--audio a.wav": "--audio goes with one of --samples, --reconstruct",
        "--samples 3": "cannot be drawn from",
        f"--reconstruct c1/a --store {store} --audio a.mp3": "ends in .wav",
    }
    for words, said in refused.items():
        failed = plot(path, "-o", tmp_path / "b.png", *words.split())
        assert failed.exit_code in (1, 2)
        assert said in failed.output, failed.output


def test_samples_of_a_vae(tones, tmp_path) -> None:
    """Drawn from the prior and decoded: the mean of many is near that of the rows."""
    table = (tones / "mel.h5", tones / "vae.h5")
    mcls.learn_dict(*table, method="vae", size=4, context=2, rows=None, settings=["n_epochs=3"])
    wav = tmp_path / "a.wav"
    done = plot(tones / "vae.h5", "-o", tmp_path / "a.png", "--samples", 6, "--audio", wav)
    assert done.exit_code == 0, done.output
    assert "6 samples of the latent variables, decoded" in done.output
    audio, sr = soundfile.read(wav)
    assert (len(audio), sr) == (6 * 128 + 5 * round(0.2 * SR), SR)
    failed = plot(tones / "vae.h5", "-o", tmp_path / "b.png", "--samples", 6, "--steps", 3)
    assert "--steps is for Gibbs chains" in failed.output
