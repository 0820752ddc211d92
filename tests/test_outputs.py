"""Only files that mcls wrote are replaced."""

import json
from pathlib import Path

import h5py
import numpy as np
import pytest

from mcls.data.split_column import add_split
from mcls.disk.chain import Step
from mcls.disk.outputs import check_replaced, check_suffix
from mcls.errors import ConfigError, DataError
from mcls.extraction.extract import extract
from mcls.inspection.plot import plot
from mcls.plots.page import MARKS, figure, save, style
from mcls.stages.encode import encode
from mcls.stages.learn import learn_dict
from mcls.stores.store import NewRows, Store, StoreContents, write_store


@pytest.fixture
def store(tmp_path: Path) -> Path:
    ids = [f"t{i}" for i in range(6)]
    tracks = {"track_id": ids, "path": ids, "labels": list("ababab"), "split": ["train"] * 6}
    rows = np.arange(36, dtype="float32").reshape(12, 3)
    chain = (
        Step("feature", "mel", {"n_mels": 3, "sr": 22050, "excerpt": None, "dtype": "float32"}),
    )
    new = NewRows("mel", chain, 43.0, 3, [2] * 6, [rows])
    write_store(tmp_path / "s.h5", StoreContents(tracks), [new])
    return tmp_path / "s.h5"


def foreign(folder: Path) -> list[Path]:
    """Return files that mcls did not write: text, an empty file, HDF5 of another program."""
    folder.mkdir()
    (folder / "text").write_text("precious")
    (folder / "empty").write_bytes(b"")
    with h5py.File(folder / "data", "w") as file:
        file["x"] = [1, 2]
    return sorted(folder.iterdir())


def test_only_a_store_is_replaced_by_a_store(store, tmp_path):
    (tmp_path / "list.csv").write_text("path\nx.wav\n")
    for path in foreign(tmp_path / "mine"):
        before = path.read_bytes()
        with pytest.raises(ConfigError, match=f"{path.name} is not a store that mcls wrote"):
            extract(tmp_path / "list.csv", path, overwrite=True)
        with pytest.raises(ConfigError, match=f"{path.name} is not a store that mcls wrote"):
            encode(store, path, pool=("mean",), overwrite=True)
        assert path.read_bytes() == before
    encode(store, tmp_path / "mean.h5", pool=("mean",))
    encode(store, tmp_path / "mean.h5", pool=("max",), overwrite=True)
    assert Store(tmp_path / "mean.h5").feature().chain[-1].name == "max"


@pytest.mark.parametrize("name", ["song.mp3", "song.WAV", "tracks.csv", "run.toml", "net.onnx"])
def test_a_store_is_not_called_like_another_file(store, tmp_path, name):
    (tmp_path / "list.csv").write_text("path\nx.wav\n")
    message = "must not be called .*; use a name that ends in .h5"
    for overwrite in (False, True):
        with pytest.raises(ConfigError, match=message):
            extract(tmp_path / "list.csv", tmp_path / name, overwrite=overwrite)
        with pytest.raises(ConfigError, match=message):
            encode(store, tmp_path / name, pool=("mean",), overwrite=overwrite)
        with pytest.raises(ConfigError, match=message):
            learn_dict(store, tmp_path / name, overwrite=overwrite)
    assert not (tmp_path / name).exists()


def test_other_names_are_accepted():
    for name in ("s.h5", "s.hdf5", "s", "mel-0.5"):
        check_suffix(Path(name), "a store")


@pytest.mark.parametrize("link", ["itself", "symlink", "hard link"])
def test_a_store_is_not_encoded_onto_itself(store, tmp_path, link):
    out, before = tmp_path / "out.h5", store.read_bytes()
    if link == "itself":
        out = store
    elif link == "symlink":
        out.symlink_to(store)
    else:
        out.hardlink_to(store)
    with pytest.raises(ConfigError, match="is the store to encode; choose another"):
        encode(store, out, pool=("mean",), overwrite=True)
    assert store.read_bytes() == before


@pytest.mark.parametrize("suffix", [".png", ".svg", ".pdf"])
def test_only_a_plot_is_replaced_by_a_plot(store, tmp_path, suffix):
    mine = tmp_path / f"photo{suffix}"
    mine.write_bytes(b"precious")
    with pytest.raises(ConfigError, match="is not a plot that mcls wrote and is not replaced"):
        plot(store, mine)
    assert mine.read_bytes() == b"precious"
    out = tmp_path / f"plot{suffix}"
    with style():
        save(figure(1), out)
    check_replaced(out, MARKS[suffix], "a plot")
    before = out.read_bytes()
    plot(store, out)
    assert out.read_bytes() != before


def test_an_exported_net_is_recognised(tmp_path):
    (tmp_path / "mine.onnx").write_bytes(b"another")
    with pytest.raises(ConfigError, match="is not an exported net that mcls wrote"):
        check_replaced(tmp_path / "mine.onnx", b'{"mcls": ', "an exported net")
    (tmp_path / "net.onnx").write_bytes(b"\0" + json.dumps({"mcls": "1", "net": "x"}).encode())
    check_replaced(tmp_path / "net.onnx", b'{"mcls": ', "an exported net")


def test_only_a_manifest_is_replaced_by_a_manifest(tmp_path):
    tracks = tmp_path / "tracks.csv"
    tracks.write_text("path,labels\n" + "".join(f"{i}.wav,{'ab'[i % 2]}\n" for i in range(10)))
    (tmp_path / "data.csv").write_text("a,b\n1,2\n")
    with pytest.raises(DataError, match=r"data.csv is not a manifest and is not replaced"):
        add_split(tracks, out=tmp_path / "data.csv", overwrite=True)
    assert (tmp_path / "data.csv").read_text() == "a,b\n1,2\n"
    with pytest.raises(ConfigError, match=r"a manifest must not be called .mp3"):
        add_split(tracks, out=tmp_path / "song.mp3", overwrite=True)
    (tmp_path / "old.csv").write_text("path\nx.wav\n")
    add_split(tracks, out=tmp_path / "old.csv", overwrite=True)
    assert "split" in (tmp_path / "old.csv").read_text()


def changed(store: Path, **columns: list[str]) -> None:
    """Write a store again with other columns, and other rows."""
    old = Store(store)
    first = old.feature()
    new = NewRows("mel", first.chain, 43.0, 3, [2] * old.n_tracks, [first.rows + 1])
    write_store(store, StoreContents(old.tracks | columns), [new])


@pytest.mark.parametrize("column", ["sha1", "labels"])
def test_codes_follow_the_store_they_were_made_from(store, tmp_path, column):
    encode(store, tmp_path / "mean.h5", pool=("mean",))
    assert not encode(store, tmp_path / "mean.h5", pool=("mean",)).computed
    changed(store, **{column: list("uvwxyz")})
    assert encode(store, tmp_path / "mean.h5", pool=("mean",)).computed
    encode(store, tmp_path / "at once.h5", pool=("mean",))
    assert (tmp_path / "mean.h5").read_bytes() == (tmp_path / "at once.h5").read_bytes()


def test_tracks_finished_before_the_audio_was_replaced_are_encoded_again(store, tmp_path):
    changed(store, sha1=list("abcdef"))

    def stop(*_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        encode(store, tmp_path / "mean.h5", pool=("mean",), progress=stop)
    assert list(tmp_path.glob(".mean.h5.work/*/[0-9]*.h5"))
    changed(store, sha1=list("uvwxyz"))
    encode(store, tmp_path / "mean.h5", pool=("mean",))
    encode(store, tmp_path / "at once.h5", pool=("mean",))
    assert (tmp_path / "mean.h5").read_bytes() == (tmp_path / "at once.h5").read_bytes()


def test_codes_of_other_tracks_are_not_dropped(store, tmp_path):
    encode(store, tmp_path / "mean.h5", pool=("mean",))
    changed(store, track_id=[f"other {i}" for i in range(6)])
    with pytest.raises(ConfigError, match=r"6 tracks that are not in .* \(t0, t1, t2, t3, t4\)"):
        encode(store, tmp_path / "mean.h5", pool=("mean",))
