"""mcls plot: what is where on the pictures, and that they are written as they should be."""

import json
import subprocess
import sys
from pathlib import Path

import h5py
import librosa
import matplotlib
import numpy as np
import pytest
from click.testing import CliRunner, Result
from sklearn.metrics import confusion_matrix, r2_score, roc_auc_score

from mcls.cli.main import cli
from mcls.dictionaries.preprocessing import Preprocessing
from mcls.disk.chain import Step
from mcls.disk.dictionary import write_dictionary
from mcls.errors import ConfigError, DataError, FormatError
from mcls.inspection.dictionary import plot_dictionary
from mcls.inspection.plot import plot
from mcls.inspection.run import plot_run, read_history
from mcls.inspection.store import plot_overview, plot_track
from mcls.inspection.track import track_panels
from mcls.plots.atom_space import atoms_in
from mcls.plots.axes import centre, feature_axis
from mcls.plots.colours import ROWS, SIGNED
from mcls.plots.dictionary import draw_dictionary
from mcls.plots.page import save, style
from mcls.plots.track import thinned
from mcls.stages.encode import encode
from mcls.stores.store import NewRows, Store, StoreContents, write_store
from mcls.tables.predictions import Predictions, write_predictions

N_MELS = 16
MEL = {"sr": 22050, "excerpt": None, "dtype": "float32", "n_mels": N_MELS, "hop_length": 512}
RATE = 22050 / 512


def run(*words: object) -> Result:
    return CliRunner().invoke(cli, list(map(str, words)), prog_name="mcls")


def feature_step(name: str = "mel", **settings: object) -> Step:
    return Step("feature", name, {**MEL, **settings} if name == "mel" else settings)


def dictionary_step(atoms: np.ndarray, context: int = 1, **arrays: np.ndarray) -> Step:
    settings = {"context": context, "encoder": "hard", "encoder_settings": {}}
    return Step("dictionary", "kmeans", settings, (0,), {"atoms": atoms, **arrays})


def write_dict(path: Path, atoms: np.ndarray, *, context: int = 1, feature=None, **report) -> Path:
    chain = (feature or feature_step(), dictionary_step(atoms.astype(np.float32), context))
    write_dictionary(path, chain, report, "0" * 16)
    return path


@pytest.fixture
def bands(tmp_path: Path) -> Path:
    """A dictionary of four atoms, each one band in two frames; the third is used most."""
    atoms = np.zeros((4, 2, N_MELS))
    atoms[[0, 1, 2, 3], :, [9, 3, 14, 6]] = [[1, 2], [3, 4], [5, 6], [7, 8]]
    return write_dict(
        tmp_path / "bands.h5",
        atoms.reshape(4, -1),
        context=2,
        usage=[0.2, 0.1, 0.6, 0.1],
        history=[{"distance": 2.0}, {"distance": 1.0}],
    )


@pytest.fixture
def store(tmp_path: Path, rng) -> Path:
    lengths = [100, 40, 2]
    columns = {
        "track_id": ["one", "cost $5, $6 音", "three"],
        "path": ["1.wav", "2.wav", "3.wav"],
        "labels": ["jazz|live", "rock", "jazz"],
        "split": ["train", "train", "test"],
        "seconds": [n / RATE for n in lengths],
        "sample_rate": [22050] * 3,
    }
    rows = rng.normal(size=(sum(lengths), N_MELS)).astype(np.float32)
    new = NewRows("mel", (feature_step(),), RATE, N_MELS, lengths, [rows])
    write_store(tmp_path / "mel.h5", StoreContents(columns), [new])
    return tmp_path / "mel.h5"


def write_run(folder: Path, truth: np.ndarray, scores: np.ndarray, *, multi_label: bool) -> Path:
    folder.mkdir()
    n, n_labels = truth.shape
    names = [f"label{j}" for j in range(n_labels)]
    ids = [f"t{i}" for i in range(n)]
    made = Predictions(ids, ["test"] * n, [""] * n, names, truth, scores, multi_label)
    write_predictions(folder / "predictions.csv", made)
    return folder


def test_deltas_of_a_track_have_a_panel_of_their_own(tmp_path: Path, rng) -> None:
    step = feature_step(delta=2)
    rows = rng.normal(size=(20, 3 * N_MELS)).astype(np.float32)
    new = NewRows("mel", (step,), RATE, 3 * N_MELS, [20], [rows])
    contents = StoreContents({"track_id": ["one"], "path": ["1.wav"]})
    write_store(tmp_path / "s.h5", contents, [new])
    layers, _ = track_panels(Store(tmp_path / "s.h5"), "one")
    assert [layer.title for layer in layers] == [
        "mel, 16 dimensions",
        "delta 1 of mel",
        "delta 2 of mel",
    ]
    assert [layer.signed for layer in layers] == [False, True, True]
    np.testing.assert_array_equal(np.concatenate([layer.rows for layer in layers], axis=1), rows)
    page, _ = plot_track(tmp_path / "s.h5", track="one")
    maps = [ax.images[0].get_cmap() for ax in page.axes if ax.images]
    assert maps == [ROWS, SIGNED, SIGNED]


# Atoms


def test_atoms_come_in_order_of_use_then_of_frequency(bands: Path) -> None:
    seen = {}
    for sort in ("use", "frequency", "none"):
        page, _ = plot_dictionary(bands, sort=sort)
        picture = page.subfigs[0].axes[0].images[0].get_array()
        # Two by two patches; the image's origin is below, the first patch on top.
        rows, width = 2 * N_MELS, picture.shape[1] // 2
        cells = [picture[N_MELS:, :width], picture[N_MELS:, width:]]
        cells += [picture[:N_MELS, :width], picture[:N_MELS, width:]]
        assert picture.shape[0] == rows
        seen[sort] = [int(np.abs(cell).sum(axis=1).argmax()) for cell in cells]
    assert seen["use"] == [14, 9, 3, 6]
    assert seen["frequency"] == [3, 6, 9, 14]
    assert seen["none"] == [9, 3, 14, 6]
    page, shows = plot_dictionary(bands, top=2, sort="frequency")
    assert shows == "2 of 4 atoms, by centre frequency"


def test_patches_have_time_to_the_right_and_frequency_upwards(bands: Path) -> None:
    page, _ = plot_dictionary(bands, top=1)
    ax = page.subfigs[0].axes[0]
    picture = np.asarray(ax.images[0].get_array())
    early, late = picture[14, 0], picture[14, -1]
    assert late == 1
    assert early == pytest.approx(5 / 6)
    assert ax.get_ylim() == (-0.5, N_MELS - 0.5)
    assert f"{1000 * 2 / RATE:.0f} ms" in ax.get_xlabel()
    assert ax.get_ylabel() == "frequency (Hz)"


def test_a_dictionary_without_use_is_shown_by_frequency(tmp_path: Path) -> None:
    path = write_dict(tmp_path / "d.h5", np.eye(N_MELS)[::-1])
    page, shows = plot_dictionary(path)
    assert shows == "16 atoms, by centre frequency"
    np.testing.assert_array_equal(page.axes[0].images[0].get_array(), np.eye(N_MELS))


def test_the_inverse_of_whitening_gives_back_rows_without_their_mean(rng) -> None:
    rows = (rng.normal(size=(300, 6)) @ rng.normal(size=(6, 6)) + 5).astype(np.float32)
    prepared = Preprocessing(standardize=True, whiten=1.0, eps=0.0).fit_batches(lambda: [rows])
    whole = prepared.arrays() | {"atoms": prepared.transform(rows)}
    centred = rows - rows.mean(axis=0)
    np.testing.assert_allclose(atoms_in("raw", whole), centred, atol=2e-3)
    np.testing.assert_allclose(
        atoms_in("standardized", whole), centred / rows.std(axis=0), atol=2e-3
    )
    np.testing.assert_array_equal(atoms_in("preprocessed", whole), whole["atoms"])


def test_a_filter_gives_the_response_of_its_atom_to_raw_rows(rng) -> None:
    rows = (rng.normal(size=(300, 6)) @ rng.normal(size=(6, 6)) + 5).astype(np.float32)
    prepared = Preprocessing(standardize=True, whiten=0.9).fit_batches(lambda: [rows])
    inside = prepared.transform(rows)
    atoms = rng.normal(size=(4, inside.shape[1])).astype(np.float32)
    filters = atoms_in("filter", prepared.arrays() | {"atoms": atoms})
    expected = inside @ atoms.T
    np.testing.assert_allclose((rows - rows.mean(axis=0)) @ filters.T, expected, atol=2e-3)
    weights = atoms_in("filter", {"atoms": atoms, "weights": 2 * atoms})
    np.testing.assert_allclose(weights, 2 * atoms)


def test_whitened_atoms_left_as_they_are_have_components_for_an_axis(tmp_path: Path, rng) -> None:
    atoms = rng.normal(size=(5, 3)).astype(np.float32)
    whitening = rng.normal(size=(2 * N_MELS, 3)).astype(np.float32)
    chain = (feature_step(), dictionary_step(atoms, 2, whitening=whitening))
    write_dictionary(tmp_path / "d.h5", chain, {}, "0" * 16)
    page, _ = plot_dictionary(tmp_path / "d.h5", space="preprocessed", sort="none")
    assert page.axes[0].get_ylabel() == "principal component"
    np.testing.assert_allclose(page.axes[0].images[0].get_array(), atoms.T)


@pytest.mark.parametrize(("n_atoms", "context", "value"), [(1, 1, 0), (1, 3, 1), (2, 3, 0)])
def test_constant_atoms_and_a_single_one_are_drawn(
    tmp_path: Path, n_atoms: int, context: int, value: int
) -> None:
    report = {"usage": [1.0] + [0.0] * (n_atoms - 1), "history": [{"distance": 0.0}]}
    atoms = np.full((n_atoms, context * N_MELS), value)
    path = write_dict(tmp_path / "d.h5", atoms, context=context, **report)
    plot(path, tmp_path / "x.png")
    assert (tmp_path / "x.png").stat().st_size > 5000


def test_axes_fall_back_to_counting_where_the_rate_is_unknown(tmp_path: Path) -> None:
    path = write_dict(tmp_path / "d.h5", np.eye(N_MELS), feature=feature_step(sr=None))
    page, _ = plot_dictionary(path)
    assert page.axes[0].get_ylabel() == "mel dimension"


# Curves and use


def test_use_is_sorted_and_its_title_says_the_perplexity(bands: Path) -> None:
    page, _ = plot_dictionary(bands)
    ax, curve = page.subfigs[1].axes
    shares = np.array([0.6, 0.2, 0.1, 0.1])
    assert ax.patches[0].get_data().values.tolist() == shares.tolist()
    perplexity = np.exp(-np.sum(shares * np.log(shares)))
    assert ax.get_title() == f"usage: perplexity {perplexity:.3g} of 4 atoms"
    assert ax.get_yscale() == "log"
    assert curve.lines[0].get_xydata().tolist() == [[1, 2], [2, 1]]


def test_atoms_without_use_are_counted(tmp_path: Path) -> None:
    path = write_dict(tmp_path / "d.h5", np.eye(N_MELS), usage=[0.5, 0.5] + [0.0] * 14)
    page, _ = plot_dictionary(path)
    assert page.subfigs[1].axes[0].get_title() == "usage: perplexity 2 of 16 atoms, 14 unused"


# Tracks


def test_layers_of_a_track_stand_at_their_times(store: Path, tmp_path: Path, rng) -> None:
    atoms = rng.normal(size=(5, 3 * N_MELS))
    made = write_dict(tmp_path / "d.h5", atoms, context=3)
    opened = Store(store)
    layers, place = track_panels(opened, "one", dicts=[made], pool=["max@0.5s", "mean"])
    rows, codes, windows, whole = layers
    assert place == 0
    times = librosa.frames_to_time(np.arange(100), sr=22050, hop_length=512)
    np.testing.assert_allclose(rows.start + rows.hop * np.arange(100), times)
    np.testing.assert_array_equal(rows.rows, opened.feature().track(0))
    # A code of three frames stands on the middle one; a window of half a second on its middle.
    assert codes.start == pytest.approx(times[1])
    length = round(0.5 * RATE)
    assert windows.hop == pytest.approx(length / RATE)
    assert windows.start == pytest.approx(times[1] + (length - 1) / 2 / RATE)
    assert (whole.hop, whole.rows.shape) == (None, (1, 5))
    # Codes are sorted by the centre frequency of their atoms; one is at work in each row.
    order = np.argsort(centre(atoms.reshape(5, 3, N_MELS), rows.axis), kind="stable")
    joined = np.lib.stride_tricks.sliding_window_view(rows.rows, (3, N_MELS))[:, 0]
    distances = ((joined.reshape(-1, 1, 3 * N_MELS) - atoms[order]) ** 2).sum(axis=2)
    np.testing.assert_array_equal(codes.rows.argmax(axis=1), distances.argmin(axis=1))
    np.testing.assert_allclose(whole.rows[0], windows.rows.mean(axis=0), rtol=1e-6)


def test_panels_share_the_time_axis_and_end_with_the_track(store: Path, bands: Path) -> None:
    page, shows = plot_track(store, track="one", dicts=(bands,), pool=("mean",))
    assert shows == "track one, 3 panels"
    images = [ax for ax in page.axes if ax.images and not ax.get_label().startswith("<color")]
    assert [ax.get_xlim() for ax in images] == [(0, pytest.approx(100 / RATE))] * 2
    left, right, *_ = images[0].images[0].get_extent()
    assert (left, right) == (pytest.approx(-0.5 / RATE), pytest.approx(99.5 / RATE))


@pytest.mark.parametrize("track", ["three", "cost $5, $6 音"])
def test_short_tracks_and_strange_names_are_drawn(
    store: Path, bands: Path, tmp_path: Path, track: str
) -> None:
    plot(store, tmp_path / "x.png", track=track, dicts=(bands,), pool=("meanstd",))
    assert (tmp_path / "x.png").stat().st_size > 5000


def test_rows_of_whole_tracks_are_drawn_as_bars(store: Path, tmp_path: Path) -> None:
    encode(store, tmp_path / "v.h5", pool=["mean"])
    page, _ = plot_track(tmp_path / "v.h5", track="one")
    assert not page.axes[0].images
    mean = Store(store).feature().track(0).mean(axis=0)
    np.testing.assert_allclose(page.axes[0].patches[0].get_data().values, mean, rtol=1e-5)
    assert page.axes[0].get_xlabel() == "frequency (Hz)"


def test_thinning_keeps_peaks_of_codes(rng) -> None:
    rows = np.zeros((1000, 2))
    rows[[17, 500], [0, 1]] = 5, -7
    thin = thinned(rows, 100, peaks=True)
    assert thin.shape == (100, 2)
    assert (thin.max(), thin.min()) == (5, -7)
    smooth = rng.normal(size=(1000, 2))
    np.testing.assert_allclose(
        thinned(smooth, 100), smooth.reshape(100, 10, 2).mean(axis=1), atol=1e-12
    )


def test_the_overview_counts_labels_by_part(store: Path) -> None:
    page, shows = plot_overview(store)
    assert shows == "3 tracks, mel"
    ax = page.axes[0]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["jazz", "live", "rock"]
    assert [bar.get_width() for bar in ax.patches] == [1, 1, 1, 1, 0, 0]
    band = page.axes[2]
    rows = np.asarray(Store(store).feature().rows)
    np.testing.assert_allclose(band.lines[0].get_ydata(), rows.mean(axis=0), atol=1e-6)


# Runs


def test_confusion_is_that_of_scikit_learn(tmp_path: Path, rng) -> None:
    labels = np.arange(60) % 3
    scores = rng.random((60, 3)) + 0.5 * np.eye(3)[labels]
    folder = write_run(tmp_path / "r", np.eye(3, dtype=bool)[labels], scores, multi_label=False)
    page, shows = plot_run(folder)
    assert shows == "confusion matrix of 3 labels, 60 test tracks"
    expected = confusion_matrix(labels, scores.argmax(axis=1))
    shares = page.axes[0].images[0].get_array()
    np.testing.assert_allclose(shares, expected / expected.sum(axis=1, keepdims=True))
    numbers = [int(text.get_text()) for text in page.axes[0].texts]
    assert numbers == expected[expected > 0].tolist()


def test_auc_per_label_is_that_of_scikit_learn(tmp_path: Path, rng) -> None:
    truth = rng.random((80, 4)) < 0.4
    scores = rng.random((80, 4)) + truth * [0.1, 0.3, 0.6, 0.9]
    folder = write_run(tmp_path / "r", truth, scores, multi_label=True)
    page, _ = plot_run(folder)
    expected = roc_auc_score(truth, scores, average=None)
    points = [line for line in page.axes[0].lines if line.get_marker() == "o"]
    order = np.argsort(-expected)
    np.testing.assert_allclose([line.get_xdata()[0] for line in points], expected[order])
    names = [label.get_text() for label in page.axes[0].get_yticklabels()]
    assert names == [f"label{j} ({truth[:, j].sum()})" for j in order]


def test_numbers_of_a_regression_are_drawn_as_they_are(tmp_path: Path, rng) -> None:
    """True and residual against predicted; R² as scikit-learn's, to the digits shown."""
    truth = rng.normal(60, 10, (70, 2))
    predicted = truth + rng.normal(0, [5, 20], (70, 2))
    folder = write_run(tmp_path / "r", truth, predicted, multi_label=False)
    page, shows = plot_run(folder)
    assert shows == "true and predicted numbers of 2 targets, 70 test tracks"
    for j in range(2):
        above, below = page.axes[j], page.axes[2 + j]
        np.testing.assert_allclose(above.lines[0].get_xdata(), predicted[:, j])
        np.testing.assert_allclose(above.lines[0].get_ydata(), truth[:, j])
        np.testing.assert_allclose(below.lines[0].get_ydata(), (truth - predicted)[:, j])
        value = r2_score(truth[:, j], predicted[:, j])
        assert above.get_title().startswith(f"label{j}: R² {value:.3f} [")
    many = rng.normal(size=(20, 40))
    folder = write_run(tmp_path / "many", many, many + 0.1, multi_label=False)
    page, shows = plot_run(folder)
    assert shows.endswith("40 targets, 20 test tracks, the first 6 of 40 targets")
    assert len(page.axes) == 12


def test_the_history_of_a_run_is_drawn_with_the_kept_epoch(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "r", np.eye(2, dtype=bool), np.eye(2), multi_label=False)
    (folder / "history.csv").write_text(
        "epoch,train_loss,valid_loss,note\n1,2,3,a\n2,1,2.5,\n3,0.5,2.75,c\n"
    )
    (folder / "about.json").write_text(json.dumps({"kept_epoch": 2}))
    page, _ = plot_run(folder)
    (loss,) = page.subfigs[1].axes
    train, valid, kept = loss.lines
    assert train.get_xydata().tolist() == [[1, 2], [2, 1], [3, 0.5]]
    assert valid.get_ydata().tolist() == [3, 2.5, 2.75]
    assert kept.get_xdata() == [2, 2]
    (folder / "about.json").write_text("no JSON")
    with pytest.raises(FormatError, match=r"history\.csv or about\.json is corrupt"):
        read_history(folder)


def test_many_labels_stay_on_the_page(tmp_path: Path, rng) -> None:
    truth = rng.random((200, 188)) < 0.3
    folder = write_run(tmp_path / "r", truth, rng.random((200, 188)), multi_label=True)
    page, _ = plot_run(folder)
    assert page.get_size_inches()[1] <= 9.6
    assert len(page.axes) == 3


# Files


@pytest.mark.parametrize(
    ("suffix", "head"), [(".png", b"\x89PNG"), (".svg", b"<?xml"), (".pdf", b"%PDF")]
)
def test_every_format_is_written_the_same_twice(
    bands: Path, tmp_path: Path, suffix: str, head: bytes
) -> None:
    one, two = tmp_path / f"one{suffix}", tmp_path / f"two{suffix.upper()}"
    plot(bands, one)
    plot(bands, two)
    made = one.read_bytes()
    assert made.startswith(head)
    assert len(made) > 5000
    assert made == two.read_bytes()
    for word in (b"CreationDate", b"dc:date", b"Matplotlib v"):
        assert word not in made
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "bands.h5",
        f"one{suffix}",
        f"two{suffix.upper()}",
    ]


def test_the_style_is_gone_afterwards_and_a_users_own_does_not_matter(
    bands: Path, tmp_path: Path
) -> None:
    plot(bands, tmp_path / "plain.png")
    with matplotlib.rc_context({"font.size": 20, "axes.facecolor": "red"}):
        before = dict(matplotlib.rcParams)
        plot(bands, tmp_path / "styled.png")
        assert dict(matplotlib.rcParams) == before
    assert (tmp_path / "plain.png").read_bytes() == (tmp_path / "styled.png").read_bytes()


def test_neither_pyplot_nor_torch_is_loaded(bands: Path, tmp_path: Path) -> None:
    program = (
        "import sys\nfrom mcls.inspection.plot import plot\n"
        f"plot({str(bands)!r}, {str(tmp_path / 'x.png')!r})\n"
        "print(sorted({'matplotlib.pyplot', 'torch', 'librosa'} & set(sys.modules)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=120
    )
    assert done.stdout.strip() == "[]"


def test_a_page_drawn_from_arrays_alone(tmp_path: Path, rng) -> None:
    axis = feature_axis("cqt", 24, librosa.cqt_frequencies(24, fmin=55))
    with style():
        page = draw_dictionary(np.abs(rng.normal(size=(7, 4, 24))), axis, frame_seconds=0.02)
        save(page, tmp_path / "x.pdf")
    assert (tmp_path / "x.pdf").stat().st_size > 5000
    assert page.axes[0].images[0].get_cmap() is ROWS


# The command


def test_the_command_says_what_it_wrote(bands: Path, tmp_path: Path) -> None:
    out = tmp_path / "new" / "x.svg"
    result = run("plot", bands, "-o", out, "--top", 2, "--sort", "frequency", "--space", "filter")
    assert result.exit_code == 0, result.output
    assert result.stdout == ""
    assert result.stderr.startswith(f"wrote {out}: 2 of 4 atoms, by centre frequency in ")
    assert out.is_file()


def error(*words: object, exit_code: int = 2) -> str:
    result = run("plot", *words)
    assert result.exit_code == exit_code, result.output
    assert not result.stdout
    return result.stderr


def test_errors_say_what_to_do(bands: Path, store: Path, tmp_path: Path) -> None:
    out = tmp_path / "x.png"
    assert "use a name that ends in one of .png, .svg, .pdf" in error(
        bands, "-o", tmp_path / "x.gif"
    )
    assert "there is nothing at" in error(tmp_path / "none.h5", "-o", out, exit_code=1)
    assert "takes no option --track; it applies to a store" in error(
        bands, "-o", out, "--track", "a"
    )
    assert "takes no option --dict; it" in error(bands, "-o", out, "--dict", bands)
    assert "takes no option --top; it applies to a dictionary" in error(
        store, "-o", out, "--top", 3
    )
    assert "--pool goes with --track" in error(store, "-o", out, "--pool", "max")
    assert "no track 'onee'; did you mean 'one'?" in error(
        store, "-o", out, "--track", "onee", exit_code=1
    )
    assert "did you mean 'mel'?" in error(store, "-o", out, "--feature", "mle")
    assert "needs a dictionary" in error(
        store, "-o", out, "--track", "one", "--encoder", "triangle"
    )
    empty = tmp_path / "empty"
    empty.mkdir()
    assert "there is no predictions.csv in it" in error(empty, "-o", out, exit_code=1)
    text = tmp_path / "x.txt"
    text.write_text("hello")
    assert "cannot be plotted; expected a dictionary" in error(text, "-o", out, exit_code=1)
    h5py.File(tmp_path / "other.h5", "w").close()
    assert "expected a store or a dictionary" in error(
        tmp_path / "other.h5", "-o", out, exit_code=1
    )
    assert not out.exists()


def test_settings_out_of_range_are_refused(bands: Path, store: Path, tmp_path: Path) -> None:
    plain = Step("feature", "mfcc", {"sr": 22050, "n_mfcc": 4, "excerpt": None, "dtype": "float32"})
    mfcc = write_dict(tmp_path / "m.h5", np.eye(4), feature=plain)
    with pytest.raises(ConfigError, match="mfcc dimensions, which have no frequency to sort by"):
        plot_dictionary(mfcc, sort="frequency")
    with pytest.raises(ConfigError, match="sort='usage'; expected frequency, none or use"):
        plot_dictionary(bands, sort="usage")
    with pytest.raises(ConfigError, match="there is no space 'rwa'; did you mean 'raw'"):
        plot_dictionary(bands, space="rwa")
    with pytest.raises(ConfigError, match="top=0; expected 1 or more"):
        plot_dictionary(bands, top=0)
    with pytest.raises(ConfigError, match="there is no such option"):
        plot(bands, tmp_path / "x.png", colour="red")
    alike = write_run(
        tmp_path / "r", np.ones((3, 2), dtype=bool), np.zeros((3, 2)), multi_label=True
    )
    with pytest.raises(DataError, match="no label is on some of the tracks"):
        plot_run(alike)
    with pytest.raises(DataError, match="no track in part 'valid'"):
        plot_run(alike, part="valid")
    deltas = write_dict(tmp_path / "x.h5", np.eye(2 * N_MELS), feature=feature_step(delta=1))
    page, _ = plot_dictionary(deltas)
    assert page.axes[0].get_ylabel() == "frequency (Hz), then deltas"
    page, _ = plot_dictionary(mfcc)
    assert page.axes[0].get_ylabel() == "mfcc dimension"


@pytest.mark.slow
def test_plot_on_real_recordings(real_data: Path, tmp_path: Path) -> None:
    def done(*words: object) -> None:
        result = run(*words)
        assert result.exit_code == 0, result.output

    tracks, rows, atoms = tmp_path / "e.csv", tmp_path / "f.h5", tmp_path / "d.h5"
    done("data", "prepare", "esc10", real_data / "esc10", tracks)
    done("extract", tracks, rows, "--feature", "mel", "--excerpt", "1")
    shape = ("--size", 64, "--context", 4, "--whiten", 0.9, "--rows", 8000)
    done("learn-dict", rows, atoms, *shape)
    done("train", rows, tmp_path / "run", "--dict", atoms, "--pool", "histogram", "--model", "knn")
    track = ("--track", "001 - Dog bark/1-100032-A", "--dict", atoms, "--pool", "max@0.5s")
    done("plot", atoms, "-o", tmp_path / "d.png")
    done("plot", rows, "-o", tmp_path / "f.pdf")
    done("plot", rows, "-o", tmp_path / "t.svg", *track, "--pool", "mean")
    done("plot", tmp_path / "run", "-o", tmp_path / "r.png")
    for name in ("d.png", "f.pdf", "t.svg", "r.png"):
        assert (tmp_path / name).stat().st_size > 5000
