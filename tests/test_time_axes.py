"""Rows of every kind of step stand at their times: an onset is seen where it is heard."""

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner

from mcls.chain.scores import scores_step
from mcls.chain.step import axes_of
from mcls.cli.main import cli
from mcls.disk.run import open_run
from mcls.inspection.store import plot_track
from mcls.inspection.track import track_panels
from mcls.registry import entries
from mcls.stores.store import Store

SR, ONSET, SECONDS = 8000, 3.0, 4.0
FEATURES = ["chroma", "cqt:fmin=200,n_bins=36", "mel", "mfcc", "onset", "spectrogram", "tempogram"]


def run(*words: object) -> None:
    result = CliRunner().invoke(cli, [str(word) for word in words])
    assert result.exit_code == 0, result.output


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Stores of a tone that begins after 3 s of a faint one, a dictionary and runs of nets."""
    folder = tmp_path_factory.mktemp("onsets")
    lines = ["path,labels,split"]
    for i in range(4):
        y = 0.01 * np.sin(2 * np.pi * 1000 * np.arange(int(SECONDS * SR)) / SR)
        t = np.arange(int((SECONDS - ONSET) * SR)) / SR
        y[int(ONSET * SR) :] += 0.5 * np.sin(2 * np.pi * (400 + 300 * (i % 2)) * t)
        soundfile.write(folder / f"{i}.wav", y, SR)
        lines.append(f"{i}.wav,{'ab'[i % 2]},train")
    (folder / "tracks.csv").write_text("\n".join(lines) + "\n")
    for name in FEATURES:
        feature = name.partition(":")[0]
        more = ["waveform"] if feature == "mel" else []
        words = [word for one in [name, *more] for word in ("--feature", one)]
        run("extract", folder / "tracks.csv", folder / f"{feature}.h5", "--sr", SR, *words)
    mel = [folder / "mel.h5", "--feature", "mel"]
    run("learn-dict", mel[0], folder / "vq.h5", *mel[1:], "--size", 8, "--context", 5)
    run("learn-dict", mel[0], folder / "few.h5", *mel[1:], "--size", 4, "--context", 5)
    net = ["--model", "mlp", "-p", "layers=8x6", "--epochs", 2]
    run("train", mel[0], folder / "frames", *mel[1:], *net, "--frames", 1)
    run("train", mel[0], folder / "segments", *mel[1:], *net, "--segment", 0.6, "--overlap", 0.75)
    run("train", mel[0], folder / "samples", "--feature", "waveform", *net, "--segment", 0.1)
    run("train", mel[0], folder / "knn", *mel[1:], "--model", "knn")
    return folder


def seen_onset(panel) -> float:
    """The time of the first row that is nearer to the last rows than to the first."""
    rows = np.asarray(panel.rows, float)
    n = max(1, len(rows) // 8)
    before, after = rows[n : 3 * n].mean(axis=0), rows[-2 * n : -n].mean(axis=0)
    assert np.abs(after - before).max() > 1e-3
    nearer = ((rows - after) ** 2).sum(axis=1) < ((rows - before) ** 2).sum(axis=1)
    first = np.flatnonzero(nearer[n:])[0] + n
    return panel.start + panel.hop * (first - 0.5)


@pytest.mark.parametrize("name", [one.partition(":")[0] for one in FEATURES if "temp" not in one])
def test_features(made, name):
    [*_, panel], _ = track_panels(Store(made / f"{name}.h5"), "0", features=[name])
    if name == "onset":
        assert panel.start + panel.hop * panel.rows[:, 0].argmax() == pytest.approx(ONSET, abs=0.1)
    else:
        assert seen_onset(panel) == pytest.approx(ONSET, abs=0.15)
    assert panel.start + panel.hop * len(panel.rows) == pytest.approx(SECONDS, abs=0.15)


@pytest.mark.parametrize(
    ("dicts", "pool", "within"),
    [
        (["vq.h5"], [], 0.25),
        (["vq.h5"], ["mean@0.25s"], 0.3),
        (["frames"], [], 0.15),
        (["segments"], [], 0.4),
        (["samples"], [], 0.15),
        (["segments"], ["mean@0.3s"], 0.6),
        (["vq.h5", "few.h5"], [], 0.25),
    ],
)
def test_codes_hidden_layers_pools_and_concatenations(made, dicts, pool, within):
    paths = [made / one for one in dicts]
    panels, _ = track_panels(Store(made / "mel.h5"), "0", dicts=paths, pool=pool)
    assert len(panels) >= 2
    for panel in panels[1:]:
        assert seen_onset(panel) == pytest.approx(ONSET, abs=within), panel.title
        assert panel.start + panel.hop * len(panel.rows) > SECONDS - 0.6


@pytest.mark.parametrize("name", ["frames", "segments", "samples"])
def test_a_store_of_hidden_layers(made, tmp_path, name):
    feature = "waveform" if name == "samples" else "mel"
    out = tmp_path / "h.h5"
    with_net = ["--feature", feature, "--with", made / name, "--layer", "all"]
    run("encode", made / "mel.h5", out, *with_net)
    [panel], _ = track_panels(Store(out), "0")
    assert seen_onset(panel) == pytest.approx(ONSET, abs=0.4)
    page, _ = plot_track(Store(out).path, track="0")
    [image] = [image for ax in page.axes[:1] for image in ax.images]
    left, right = image.get_extent()[:2]
    assert left <= 0.3
    assert right >= SECONDS - 0.3
    assert page.axes[0].get_xlim() == (0, pytest.approx(SECONDS))


def test_a_row_of_the_whole_track_has_no_time(made):
    panels, _ = track_panels(Store(made / "mel.h5"), "0", features=["mel"], pool=["mean"])
    assert panels[-1].hop is None
    chain = (*Store(made / "mel.h5").feature("mel").chain, scores_step(open_run(made / "knn")))
    assert axes_of(chain, SR).hop is None


def test_every_kind_of_step_is_here():
    kinds = {"feature", "dictionary", "pool", "net", "concat", "scores", "states", "imported"}
    assert {*entries("steps")} == kinds
