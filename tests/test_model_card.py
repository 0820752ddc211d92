"""mcls export --hf: a run with a model card, which predict and the hub's own reader accept."""

import json

import numpy as np
import pytest
from click.testing import CliRunner
from test_onnx_model import SR, make_data

import mcls
from mcls.cli.main import cli
from mcls.disk.run import open_run
from mcls.errors import FormatError


@pytest.fixture
def run(tmp_path, rng):
    source = make_data(tmp_path, rng, n=18)
    store = tmp_path / "s.h5"
    mcls.extract(source, store, features="mfcc:n_mfcc=8", sr=SR, jobs=1)
    return mcls.train(store, tmp_path / "run", model="logistic", pool=["meanstd"]).path


def test_the_folder_is_a_run_with_a_card(run, tmp_path):
    out = tmp_path / "my-model"
    done = CliRunner().invoke(cli, ["export", str(run), str(out), "--hf", "--licence", "cc0-1.0"])
    assert done.exit_code == 0, done.output
    assert "note: about.json, predictions.csv and README.md name the tracks" in done.stdout
    expected = mcls.predict(run, [tmp_path / "2.wav"]).tracks[0].scores
    np.testing.assert_array_equal(
        mcls.predict(out, [tmp_path / "2.wav"]).tracks[0].scores, expected
    )
    card = (out / "README.md").read_text()
    one = open_run(run).metrics()["test"]["metrics"]["accuracy"]["micro"]
    row = f"| {one['value']:.3f} | {one['low']:.3f} to {one['high']:.3f} | {one['n_tracks']} |"
    assert f"| test | accuracy (micro) {row}" in card
    assert open_run(run).about["split_id"] in card
    assert "The licence of the model is cc0-1.0." in card
    assert 'pool = ["meanstd"]' in card
    assert "resampled to 8000 Hz" in card
    again = CliRunner().invoke(cli, ["export", str(run), str(out), "--hf"])
    assert again.exit_code == 2
    assert "pass --overwrite" in again.output
    (out / "model.skops").write_bytes(b"another")
    with pytest.raises(FormatError, match=r"model\.skops"):
        mcls.predict(out, [tmp_path / "2.wav"])


def test_the_header_is_that_of_the_hub(run, tmp_path):
    hub = pytest.importorskip("huggingface_hub", reason="mcls[hf] is not installed")
    out = tmp_path / "my-model"
    done = CliRunner().invoke(cli, ["export", str(run), str(out), "--hf", "--json"])
    assert done.exit_code == 0, done.output
    assert "says that the licence is unknown" in json.loads(done.stdout)["notes"][1]
    data = hub.ModelCard.load(out / "README.md").data
    assert data.license == "unknown"
    assert data.library_name == "mcls"
    assert data.model_name == "my-model"
    accuracy = open_run(run).metrics()["test"]["metrics"]["accuracy"]["micro"]["value"]
    found = {one.metric_type: one.metric_value for one in data.eval_results}
    assert found["accuracy"] == pytest.approx(accuracy, abs=1e-6)


def test_options_that_do_not_go_together_are_refused(run, tmp_path):
    for words in (["--licence", "mit"], ["--hf", "--with-mel"], ["--hf", "--torch"]):
        done = CliRunner().invoke(cli, ["export", str(run), str(tmp_path / "x"), *words])
        assert done.exit_code == 2
        assert "--licence is for --hf" in done.output
    done = CliRunner().invoke(cli, ["export", str(run), str(run), "--hf", "--overwrite"])
    assert "is the run itself" in done.output
