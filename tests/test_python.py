"""What is convenient in Python: imports, dicts of settings, scikit-learn's tools."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.svm import LinearSVC

import mcls
from mcls.disk.run import open_run
from mcls.disk.store import Store
from mcls.errors import ConfigError
from mcls.registry import entries


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


def test_types_are_shipped():
    assert (Path(mcls.__file__).parent / "py.typed").is_file()
