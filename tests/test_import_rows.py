"""Rows that other programs made: read, stored, learnt from and predicted."""

import csv
import json

import h5py
import numpy as np
import pytest
from click.testing import CliRunner

from mcls.cli.main import cli
from mcls.errors import ConfigError, DataError
from mcls.extraction.import_rows import import_rows
from mcls.stages.predict import predict
from mcls.stores.row_files import checked_rows, open_row_files, read_array_file
from mcls.stores.store import Store

IDS = [f"{genre}/{i}" for genre in ("jazz", "blues") for i in range(12)]


def run_mcls(*args):
    result = CliRunner().invoke(cli, [str(arg) for arg in args])
    return result.exit_code, result.stdout, result.stderr


@pytest.fixture
def rows(rng):
    """Rows of every track; those of the two genres differ."""
    return {
        name: (rng.normal(size=(5 + i % 3, 4)) + 3 * name.startswith("jazz")).astype(np.float32)
        for i, name in enumerate(IDS)
    }


@pytest.fixture
def manifest(tmp_path):
    lines = [["path", "labels", "split"]]
    parts = ["train", "train", "valid", "test"]
    lines += [[f"{name}.mp3", name.split("/")[0], parts[i % 4]] for i, name in enumerate(IDS)]
    with (tmp_path / "tracks.csv").open("w", newline="") as file:
        csv.writer(file).writerows(lines)
    return tmp_path / "tracks.csv"


def write_folder(path, rows):
    for name, some in rows.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        np.save(path / f"{name}.npy", some)


def write_npz(path, rows):
    np.savez(path, **rows)


def write_csv(path, rows):
    with path.open("w", newline="") as file:
        out = csv.writer(file)
        out.writerow(["track_id", *"abcd"])
        for name, some in rows.items():
            out.writerows([name, *map(repr, map(float, row))] for row in some)


def write_hdf5(path, rows):
    with h5py.File(path, "w") as file:
        for name, some in rows.items():
            file.create_dataset(name, data=some, compression="gzip")


WRITERS = {"rows": write_folder, "a.npz": write_npz, "a.csv": write_csv, "a.h5": write_hdf5}


@pytest.mark.parametrize("name", WRITERS)
def test_every_kind_of_file_gives_the_same_rows(tmp_path, manifest, rows, name):
    WRITERS[name](tmp_path / name, rows)
    done = import_rows(tmp_path / name, manifest, tmp_path / "s.h5", name="clap", rate=2.0)
    assert (done.n_tracks, done.n_dims, done.failed) == (24, 4, [])
    store = Store(tmp_path / "s.h5")
    stored = store.feature("clap")
    for i, track in enumerate(store.track_ids):
        np.testing.assert_array_equal(stored.track(i), rows[track])
    assert stored.frame_rate == 2.0
    assert store.tracks["seconds"][:3] == [2.5, 3.0, 3.5]
    assert store.column("labels")[0] == "jazz"


def test_parquet(tmp_path, manifest, rows):
    pa = pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    from pyarrow import parquet

    vectors = {name: some[0] for name, some in rows.items()}
    table = {"id": list(vectors), "embedding": [one.tolist() for one in vectors.values()]}
    parquet.write_table(pa.table(table), tmp_path / "a.parquet")
    import_rows(tmp_path / "a.parquet", manifest, tmp_path / "s.h5", name="clap")
    np.testing.assert_allclose(Store(tmp_path / "s.h5").feature().track(3), [vectors[IDS[3]]])


def test_one_matrix_with_ids(tmp_path, manifest, rows):
    matrix = np.array([some[0] for some in rows.values()])
    np.savez(tmp_path / "a.npz", ids=np.array(IDS), embeddings=matrix)
    import_rows(tmp_path / "a.npz", manifest, tmp_path / "s.h5", name="clap")
    np.testing.assert_array_equal(Store(tmp_path / "s.h5").feature().track(7), matrix[7:8])


def test_file_names_are_enough_where_they_are_unique(tmp_path, manifest, rows):
    flat = {name.replace("/", "-"): some for name, some in rows.items()}
    write_folder(tmp_path / "flat", flat)
    with pytest.raises(DataError, match=r"no track of .* has rows"):
        import_rows(tmp_path / "flat", manifest, tmp_path / "s.h5", name="x", rate=1.0)
    text = manifest.read_text().replace("jazz/", "j/jazz-").replace("blues/", "b/blues-")
    manifest.write_text(text)
    done = import_rows(tmp_path / "flat", manifest, tmp_path / "s.h5", name="x", rate=1.0)
    assert done.n_tracks == 24


def test_what_is_missing_or_wrong_is_named(tmp_path, manifest, rows):
    rows["blues/0"][0, 0] = np.nan
    rows["blues/1"] = np.zeros((3, 7), np.float32)
    rows["blues/2"] = np.zeros((0, 4), np.float32)
    del rows["blues/3"]
    rows["spare"] = np.zeros((1, 4), np.float32)
    write_folder(tmp_path / "rows", rows)
    (tmp_path / "rows" / "blues" / "4.npy").write_bytes(b"no array")
    np.save(tmp_path / "rows" / "blues" / "5.npy", np.array([{}], dtype=object))
    asked = ["import", tmp_path / "rows", manifest, tmp_path / "s.h5", "--name", "x", "--rate", 1]
    code, out, err = run_mcls(*asked, "--json")
    assert code == 1
    reasons = {one["track_id"]: one["reason"] for one in json.loads(out)["failed"]}
    assert set(reasons) == {f"blues/{i}" for i in range(6)}
    assert "NaN" in reasons["blues/0"]
    assert "7 dimensions, those of most tracks 4" in reasons["blues/1"]
    assert "there are no rows" in reasons["blues/2"]
    assert "there are no rows of it" in reasons["blues/3"]
    assert "cannot be read" in reasons["blues/4"]
    assert "cannot be read" in reasons["blues/5"]  # never unpickled
    assert "1 arrays" in err
    assert "spare" in err
    assert Store(tmp_path / "s.h5").n_tracks == 18
    assert run_mcls(*asked, "--skip-errors")[0] == 0


def test_runs_predict_files_of_rows_and_refuse_audio(tmp_path, manifest, rows):
    write_folder(tmp_path / "rows", rows)
    store, run = tmp_path / "s.h5", tmp_path / "run"
    asked = ["--name", "clap", "--rate", 1, "-p", "version=630k"]
    assert run_mcls("import", tmp_path / "rows", manifest, store, *asked)[0] == 0
    assert run_mcls("train", store, run, "--pool", "mean")[0] == 0
    assert run_mcls("eval", run)[0] == 0
    found = predict(run, [tmp_path / "rows"])
    assert len(found.tracks) == 24
    of_store = {track.name: track.scores for track in predict(run, [store]).tracks}
    for track in found.tracks:
        name = track.name.removeprefix(f"{tmp_path}/rows/").removesuffix(".npy")
        np.testing.assert_array_equal(track.scores, of_store[name])
    (tmp_path / "a.wav").write_bytes(b"RIFF")
    failed = predict(run, [tmp_path / "a.wav"]).failed
    assert "'clap', rows that another program made, and not audio" in failed[0][1]
    np.save(tmp_path / "wide.npy", np.zeros((2, 9)))
    assert "(rows, 4)" in predict(run, [tmp_path / "wide.npy"]).failed[0][1]
    other = tmp_path / "other.h5"
    run_mcls("import", tmp_path / "rows", manifest, other, *asked[:4], "-p", "version=1")
    code, _, err = run_mcls("predict", run, other)
    assert code == 1
    assert "version is 1 in the store but 630k in the run" in err


def test_wrong_settings_are_refused(tmp_path, manifest, rows):
    write_folder(tmp_path / "rows", rows)
    base = ["import", tmp_path / "rows", manifest, tmp_path / "s.h5", "--name", "x"]
    for more in ([], ["--rate", 1, "--per-track"], ["--rate", 0]):
        assert run_mcls(*base, *more)[0] == 2
    code, _, err = run_mcls(*base, "--per-track")
    assert code == 1
    assert "expected one, or a rate" in err
    with pytest.raises(ConfigError, match="n_dims"):
        import_rows(tmp_path / "rows", manifest, tmp_path / "s.h5", name="x", settings=["n_dims=4"])
    with pytest.raises(ConfigError, match=r"\.npy"):
        open_row_files(manifest.rename(tmp_path / "x.mp3"))
    for name, some in rows.items():
        np.save(tmp_path / "rows" / f"{name}.npy", some.T)
    (tmp_path / "x.mp3").rename(manifest)
    done = import_rows(
        tmp_path / "rows", manifest, tmp_path / "t.h5", name="x", rate=1.0, transpose=True
    )
    assert done.n_dims == 4


def test_arrays_are_checked(tmp_path):
    with pytest.raises(DataError, match="expected numbers"):
        checked_rows(np.array(["a"]))
    with pytest.raises(DataError, match=r"\(1, 2, 3\)"):
        checked_rows(np.zeros((1, 2, 3)))
    with pytest.raises(DataError, match="float32"):
        checked_rows(np.array([1e300]))
    assert checked_rows(np.arange(3)).shape == (1, 3)
    np.savez(tmp_path / "two.npz", a=np.zeros(1), b=np.zeros(1))
    with pytest.raises(DataError, match="2 arrays"):
        read_array_file(tmp_path / "two.npz")
