"""What is convenient in Python: imports, dicts of settings, scikit-learn's tools."""

import pickle
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import soundfile
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.svm import LinearSVC
from sklearn.utils.estimator_checks import check_estimator

import mcls
from mcls.disk.run import open_run
from mcls.errors import ConfigError
from mcls.registry import entries, find
from mcls.stores.store import Store


@pytest.mark.parametrize("family", ["features", "dictionaries", "classifiers", "nets"])
def test_every_entry_is_imported_from_its_package(family):
    package = __import__(f"mcls.{family}", fromlist=["x"])
    for entry in entries(family).values():
        assert getattr(package, entry.attribute) is entry.load()
        assert entry.attribute in dir(package)
    with pytest.raises(ImportError):
        exec(f"from mcls.{family} import NoSuchThing")


def test_packages_import_nothing_heavy():
    code = "import sys, mcls.dictionaries, mcls.classifiers; print('torch' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "False"


def test_a_dictionary_stands_in_a_pipeline_and_a_search(rng):
    from mcls.dictionaries import KMeans

    labels = np.arange(60) % 2
    rows = (rng.normal(size=(60, 4)) + 4 * labels[:, None]).astype(np.float32)
    pipeline = make_pipeline(KMeans(n_atoms=4), LinearSVC())
    search = GridSearchCV(pipeline, {"kmeans__n_atoms": [2, 4]}, cv=3).fit(rows, labels)
    assert search.best_score_ > 0.95
    assert search.best_estimator_[0].components_.shape[1] == 4


def test_strings_and_dicts_do_where_a_person_writes_them(tmp_path, rng):
    rows = ["path,labels,split"]
    for i in range(12):
        y = rng.uniform(-0.5, 0.5, 4000) * np.sin(np.arange(4000) * (0.05 + 0.3 * (i % 2)))
        soundfile.write(tmp_path / f"{i}.wav", y, 8000)
        rows.append(f"{i}.wav,{'ab'[i % 2]},{['train', 'train', 'test'][i % 3]}")
    (tmp_path / "tracks.csv").write_text("\n".join(rows))
    mcls.extract(
        tmp_path / "tracks.csv", tmp_path / "s.h5", features="mfcc", settings={"n_mfcc": 13}
    )
    store = Store(tmp_path / "s.h5")
    assert store.feature().n_dims == 13
    settings = {"C": 3, "scale": True, "class_weight": None}
    mcls.train(tmp_path / "s.h5", tmp_path / "run", pool="meanstd", settings=settings)
    asked = open_run(tmp_path / "run").settings["train"]["param"]
    assert {"C=3.0", "scale=true", "class_weight=none"} <= set(asked)
    with pytest.raises(ConfigError, match="unknown setting 'D'"):
        mcls.train(tmp_path / "s.h5", tmp_path / "b", pool="meanstd", settings={"D": 1})


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A store with hostile names, two runs of it, and their predictions."""
    folder = tmp_path_factory.mktemp("made")
    rng = np.random.default_rng(0)
    rows = ["path,labels,split"]
    for i in range(24):
        y = rng.uniform(-0.5, 0.5, 4000) * np.sin(np.arange(4000) * (0.05 + 0.3 * (i % 2)))
        soundfile.write(folder / f"{i}.wav", y, 8000)
        rows.append(f"{i}.wav,{['<b>a', 'b'][i % 2]},{['train', 'test'][i % 4 // 2]}")
    (folder / "tracks.csv").write_text("\n".join(rows))
    mcls.extract(folder / "tracks.csv", folder / "s.h5", features="mfcc:n_mfcc=5")
    trained = [
        mcls.train(folder / "s.h5", folder / model, pool="meanstd", model=model)
        for model in ("svm", "knn")
    ]
    return folder, trained


def results(folder, trained):
    store = mcls.Store(folder / "s.h5")
    return {
        "store": store,
        "rows": store.feature(),
        "trained": trained[0],
        "run": mcls.open_run(folder / "svm"),
        "scores": mcls.read_predictions(folder / "svm" / "predictions.csv"),
        "evaluation": mcls.evaluate(folder / "svm", metrics=["auc"]),
        "compared": mcls.compare([folder / "svm", folder / "knn"]),
        "predicted": mcls.predict(folder / "svm", [folder / "0.wav", folder / "1.wav"]),
    }


def test_results_are_tables_of_pandas_and_polars(made):
    folder, trained = made
    found = results(folder, trained)
    pandas, polars = pytest.importorskip("pandas"), pytest.importorskip("polars")
    for name, one in found.items():
        frame, other = one.to_pandas(), one.to_polars()
        assert frame.shape == other.shape, name
        assert list(frame.columns) == other.columns == list(one.columns()), name
        assert frame.equals(pandas.DataFrame(dict(one.columns()))), name
        assert isinstance(other, polars.DataFrame)
    rows = found["rows"].to_pandas()
    third = rows[rows.track_id == "2"].drop(columns=["track_id", "row"]).to_numpy()
    assert np.array_equal(third, found["rows"].track(2))
    scores = pandas.read_csv(folder / "svm" / "predictions.csv", dtype={"track_id": str})
    ours = found["scores"].to_pandas()
    assert np.allclose(ours["score:b"], scores["score:b"], atol=1e-8)
    assert list(ours["labels"]) == list(scores["labels"])
    auc = found["evaluation"].to_pandas().set_index("over").loc["macro"]
    assert auc.value == found["evaluation"]["auc"].macro.value
    assert list(found["compared"].to_pandas().run) == [
        str(run.path) for run in found["compared"].runs
    ]


def test_results_show_the_beginning_and_escape_what_strangers_wrote(made):
    for name, one in results(*made).items():
        text, html = repr(one), one._repr_html_()
        assert len(text.splitlines()) <= 13, name
        assert text.splitlines()[0] == one.title
        assert html.count("<tr>") <= 11
        assert "<b>a" not in html
        if name in ("store", "scores", "evaluation", "predicted"):
            assert "&lt;b&gt;a" in html, name
            assert "<b>a" in text
    rows = mcls.Store(made[0] / "s.h5").feature()
    assert repr(rows).endswith("... more rows")
    columns = rows.columns(3)
    assert columns["track_id"] == [*columns["track_id"]][:3]
    assert np.array_equal(columns["0"], rows.read(0, 3)[:, 0])


def test_a_result_without_the_package_says_what_to_install(made, monkeypatch):
    monkeypatch.setitem(sys.modules, "polars", None)
    with pytest.raises(ConfigError, match=r"to_polars needs polars: pip install 'mcls\[polars\]'"):
        made[1][0].to_polars()


def test_an_augmentation_without_its_package_says_what_to_install(made, monkeypatch):
    monkeypatch.setitem(sys.modules, "audiomentations", None)
    with pytest.raises(ConfigError, match=r"the augmentation noise .*'mcls\[augment\]'"):
        mcls.extract(
            made[0] / "tracks.csv", made[0] / "n.h5", features="mel", augmentations="noise"
        )
    assert not (made[0] / "n.h5").exists()


def test_windows_is_refused_in_one_sentence():
    code = "import sys; sys.platform = 'win32'; import mcls"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr.splitlines()[-1].startswith("ImportError: mcls does not run on Windows")


def test_types_are_shipped():
    assert (Path(mcls.__file__).parent / "py.typed").is_file()


@pytest.mark.parametrize("name", ["ridge", "svr"])
def test_regressions_are_estimators(name):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        check_estimator(find("classifiers", name).load()(), on_skip=None)


def test_a_dictionary_and_a_classifier_stand_in_a_search_together(rng):
    from mcls.classifiers import SVM
    from mcls.dictionaries import KMeans

    labels = np.repeat(["a", "b"], 30)
    rows = rng.normal(size=(60, 4)) + 4 * (labels == "b")[:, None]
    pipeline = make_pipeline(KMeans(n_atoms=4), SVM(C=1.0))
    search = GridSearchCV(pipeline, {"kmeans__n_atoms": [2, 4], "svm__C": [1.0, 10.0]}, cv=3)
    assert search.fit(rows, labels).best_score_ > 0.95
    again = pickle.loads(pickle.dumps(search.best_estimator_))
    assert np.array_equal(again.predict(rows), search.predict(rows))
