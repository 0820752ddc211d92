"""Merging stores, selecting and removing tracks, and extracting onto a store."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner

import mcls
from mcls.cli.main import cli
from mcls.errors import ConfigError
from mcls.extraction.store_tracks import merge, remove, select
from mcls.stores.store import Store

SR = 8000


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    """Two folders of class folders, and both together."""
    folder, rng = tmp_path_factory.mktemp("data"), np.random.default_rng(0)
    for part, names in (("one", "ab"), ("two", "bc")):
        for name in names:
            for i in range(3):
                path = folder / part / name / f"{part}{i}.wav"
                path.parent.mkdir(parents=True, exist_ok=True)
                soundfile.write(path, rng.normal(0, 0.1, SR // 2), SR)
                both = folder / "both" / name / path.name
                both.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(path, both)
    for part in ("one", "two", "both"):
        mcls.extract(folder / part, folder / f"{part}.h5", features=["mfcc"], sr=SR)
    return folder


def rows(store: Path) -> dict[str, bytes]:
    """Return the rows of every track."""
    opened = Store(store)
    return {i: opened.feature().track(n).tobytes() for n, i in enumerate(opened.track_ids)}


def run(*arguments: object) -> tuple[int, str]:
    result = CliRunner().invoke(cli, [str(argument) for argument in arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return result.exit_code, result.stderr


def test_a_merged_store_has_the_rows_of_a_store_of_all_tracks(data, tmp_path):
    out = tmp_path / "all.h5"
    code, said = run("store", "merge", data / "one.h5", data / "two.h5", out)
    assert code == 0
    assert f"merged from {data / 'one.h5'} (6 tracks) and {data / 'two.h5'} (6 tracks)" in said
    assert rows(out) == rows(data / "both.h5")
    merged, both = Store(out), Store(data / "both.h5")
    assert dict(zip(merged.track_ids, merged.column("labels"), strict=True)) == dict(
        zip(both.track_ids, both.column("labels"), strict=True)
    )
    assert merged.settings == both.settings
    before = out.read_bytes()
    assert "nothing to do" in run("store", "merge", data / "one.h5", data / "two.h5", out)[1]
    assert out.read_bytes() == before


def test_a_store_of_other_features_is_refused_by_name(data, tmp_path):
    mcls.extract(data / "two", tmp_path / "13.h5", features=["mfcc:n_mfcc=13"], sr=SR)
    with pytest.raises(ConfigError, match=r"n_mfcc is 20 in .*one\.h5 but 13 in .*13\.h5"):
        merge([data / "one.h5", tmp_path / "13.h5"], tmp_path / "all.h5")
    mcls.extract(data / "two", tmp_path / "mel.h5", features=["mel"], sr=SR)
    with pytest.raises(ConfigError, match=r"one\.h5 has the features mfcc, but .* has mel"):
        merge([data / "one.h5", tmp_path / "mel.h5"], tmp_path / "all.h5")


def test_tracks_in_both_stores_are_refused(data, tmp_path):
    with pytest.raises(ConfigError, match=r"6 tracks are in several of the stores, such as 'a/one"):
        merge([data / "one.h5", data / "both.h5"], tmp_path / "all.h5")
    with pytest.raises(ConfigError, match="is read and cannot be the output"):
        select(data / "one.h5", data / "one.h5", where=["labels=a"], overwrite=True)


def test_selected_and_removed_tracks_are_complements(data, tmp_path):
    listed = tmp_path / "list.txt"
    listed.write_text("a/one0\nb/one2\nb/two1\n")
    for name, options in (
        ("where", {"where": ["labels=a", "labels=c"]}),
        ("list", {"tracks": listed}),
        ("all", {"where": ["labels=b"], "tracks": listed}),
    ):
        select(data / "both.h5", tmp_path / f"{name}.h5", **options)
        remove(data / "both.h5", tmp_path / f"not {name}.h5", **options)
        chosen, others = rows(tmp_path / f"{name}.h5"), rows(tmp_path / f"not {name}.h5")
        assert not chosen.keys() & others.keys()
        assert chosen | others == rows(data / "both.h5")
    assert len(rows(tmp_path / "where.h5")) == 6
    assert sorted(rows(tmp_path / "all.h5")) == ["b/one2", "b/two1"]
    note = f"selected 6 of 12 tracks of {data / 'both.h5'} (labels=a, labels=c)"
    assert note in Store(tmp_path / "where.h5").notes


def test_a_feature_is_selected(data, tmp_path):
    mcls.extract(data / "one", tmp_path / "two features.h5", features=["mfcc", "mel"], sr=SR)
    select(tmp_path / "two features.h5", tmp_path / "mfcc.h5", features=["mfcc"])
    assert list(Store(tmp_path / "mfcc.h5").features) == ["mfcc"]
    assert rows(tmp_path / "mfcc.h5") == rows(data / "one.h5")
    assert Store(tmp_path / "mfcc.h5").settings == Store(data / "one.h5").settings


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ([], "say what to select"),
        (["--where", "labels=z"], "no track has 'z' in column 'labels'; there are: a, b"),
        (["--where", "label=a"], "there is no column 'label'; did you mean 'labels'"),
        (["--where", "labels"], "'labels' is no condition; expected COLUMN=VALUE"),
        (["--where", "labels=a", "--where", "track_id=b/one0"], "no track fits all conditions"),
        (["--feature", "mfc"], "there is no feature 'mfc'; did you mean 'mfcc'"),
    ],
)
def test_what_cannot_be_selected_is_refused(data, tmp_path, options, said):
    code, error = run("store", "select", data / "one.h5", tmp_path / "out.h5", *options)
    assert code
    assert said in error
    assert not (tmp_path / "out.h5").exists()


def test_another_store_is_replaced_only_on_request(data, tmp_path):
    out = Path(shutil.copy(data / "two.h5", tmp_path / "out.h5"))
    with pytest.raises(ConfigError, match="--overwrite"):
        select(data / "one.h5", out, where=["labels=a"])
    assert select(data / "one.h5", out, where=["labels=a"], overwrite=True).n_tracks == 3
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.h5"]


def test_add_keeps_the_tracks_of_the_store(data, tmp_path):
    out = Path(shutil.copy(data / "one.h5", tmp_path / "all.h5"))
    code, said = run("extract", data / "two", out, "--sr", SR)
    assert code == 2
    assert "--add" in said
    code, said = run("extract", data / "two", out, "--sr", SR, "--add")
    assert code == 0
    assert "12 tracks" in said
    assert "6 computed" in said
    assert rows(out) == rows(data / "both.h5")
    before = out.read_bytes()
    for part in ("one", "two"):
        assert "nothing to do" in run("extract", data / part, out, "--sr", SR, "--add")[1]
        if part == "two":
            assert out.read_bytes() == before


def test_native_rates_are_not_mixed(data, tmp_path):
    soundfile.write(tmp_path / "x.wav", np.zeros(4000), 16000)
    for i, sr in ((0, SR), (1, 16000)):
        folder = tmp_path / str(i) / "a"
        folder.mkdir(parents=True)
        soundfile.write(folder / f"{i}.wav", np.random.default_rng(i).normal(0, 0.1, sr), sr)
        mcls.extract(folder.parent, tmp_path / f"{i}.h5", features=["mfcc"], sr=None)
    with pytest.raises(ConfigError, match="8000 and 16000 Hz"):
        merge([tmp_path / "0.h5", tmp_path / "1.h5"], tmp_path / "all.h5")
    with pytest.raises(ConfigError, match="8000 and 16000 Hz"):
        mcls.extract(tmp_path / "1", tmp_path / "0.h5", features=["mfcc"], sr=None, add=True)
