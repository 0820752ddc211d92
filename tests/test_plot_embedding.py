"""mcls plot --embedding: points from the rows that the classifier sees, and refusals."""

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from sklearn.decomposition import PCA

import mcls
from mcls.cli.main import cli
from mcls.data.synthetic import make_synth
from mcls.errors import ConfigError, DataError
from mcls.inspection import embedding
from mcls.inspection.embedding import plot_embedding
from mcls.inspection.plot import plot
from mcls.plots.page import style


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("embedding")
    make_synth(folder / "toy", n_tracks=24, seconds=1.0)
    mcls.extract(folder / "toy" / "manifest.csv", folder / "mfcc.h5", features=["mfcc"])
    mcls.train(folder / "mfcc.h5", folder / "classic", pool=["meanstd"], model="logistic")
    mcls.train(
        folder / "mfcc.h5",
        folder / "net",
        model="mlp",
        settings=["layers=8x6"],
        epochs=1,
        frames=20,
        standardize="dims",
    )
    return folder


def points(page, panel: int = 0) -> np.ndarray:
    return np.concatenate([one.get_offsets() for one in page.axes[panel].collections])


def drawn(paths, **options):
    with style():
        return plot_embedding(paths, **options)


def test_components_are_those_of_the_pooled_rows(folder: Path) -> None:
    page, shows = drawn([folder / "classic"], embedding="pca")
    store = mcls.Store(folder / "mfcc.h5")
    tracks = [i for i, part in enumerate(store.column("split")) if part == "test"]
    rows = [store.feature().track(i) for i in tracks]
    pooled = np.array([np.concatenate([one.mean(0), one.std(0)]) for one in rows], np.float64)
    expected = PCA(2).fit_transform((pooled - pooled.mean(0)) / pooled.std(0))
    found = points(page)
    for axis in (0, 1):  # the sign of a component is free
        mine, theirs = np.sort(found[:, axis]), np.sort(expected[:, axis])
        assert np.allclose(mine, theirs, atol=1e-3) or np.allclose(mine, -theirs[::-1], atol=1e-3)
    assert shows.endswith(f"{len(tracks)} test tracks")
    texts = page.legends[0].get_texts()
    assert [one.get_text() for one in texts] == sorted(set(store.column("labels")))


def test_runs_stand_side_by_side_and_big_parts_are_drawn_from(folder, monkeypatch) -> None:
    monkeypatch.setattr(embedding, "_MOST", 4)
    runs = [folder / "classic", folder / "net"]
    page, shows = drawn(runs, embedding="tsne")
    assert [ax.get_title(loc="left") for ax in page.axes] == [
        "classic: 40 dimensions",
        "net: 6 dimensions",
    ]
    assert len(points(page, 0)) == len(points(page, 1)) == 4
    assert "4 of " in shows
    again, _ = drawn(runs, embedding="tsne")
    np.testing.assert_array_equal(points(page, 1), points(again, 1))


def test_one_label_is_shown_against_the_others(folder: Path) -> None:
    label = mcls.Store(folder / "mfcc.h5").column("labels")[0]
    page, _ = drawn([folder / "classic"], embedding="pca", label=label)
    assert [text.get_text() for text in page.legends[0].get_texts()] == [label, "others"]


def test_what_cannot_be_embedded_is_refused(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "x.png"
    with pytest.raises(ConfigError, match="--label nothing: "):
        plot(folder / "net", out, embedding="pca", label="nothing")
    with pytest.raises(DataError, match="name it with --store"):
        plot(folder / "net", out, embedding="pca", store=tmp_path / "gone.h5")
    with pytest.raises(ConfigError, match="this is a table"):
        plot(folder / "net" / "predictions.csv", out, embedding="pca")
    (tmp_path / "cv" / "fold-a").mkdir(parents=True)
    (tmp_path / "cv" / "fold-a" / "run.toml").write_text("")
    table = (folder / "net" / "predictions.csv").read_text()
    (tmp_path / "cv" / "predictions.csv").write_text(table)
    with pytest.raises(ConfigError, match=r"each fold has its own; give a run such as .*fold-a"):
        plot(tmp_path / "cv", out, embedding="pca")
    words = ["plot", str(folder / "classic"), "-o", str(out), "--embedding", "umap"]
    assert "is not one of 'pca', 'tsne'" in CliRunner().invoke(cli, words).output
    assert not out.exists()
