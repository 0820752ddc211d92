import hashlib

import numpy as np
import pytest
import soundfile

from mcls.data.splits import find_leaks
from mcls.data.synthetic import INSTRUMENTS, SR, STYLES, is_made, make_instrument, make_synth, play
from mcls.errors import ConfigError, DataError
from mcls.tables.manifest import open_source, read_manifest


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    folder = tmp_path_factory.mktemp("toy")
    return make_synth(folder, seed=5, n_tracks=40, seconds=1.5)


def sums(folder):
    files = sorted(folder.rglob("*.*"))
    return {
        str(file.relative_to(folder)): hashlib.sha1(file.read_bytes()).hexdigest() for file in files
    }


def test_manifest(toy):
    written = read_manifest(toy.root / "manifest.csv")
    assert written.columns == toy.columns
    assert len(written) == 40
    assert set(written.column("labels")) == set(STYLES)
    assert written.labels("tags").multi_label
    assert len(set(written.column("group"))) == 18
    assert not find_leaks(written.column("split"), written.column("group"))
    for part in ("train", "valid", "test"):
        labels = zip(written.column("labels"), written.column("split"), strict=True)
        assert {label for label, of in labels if of == part} == set(STYLES)
    assert open_source(toy.root / "audio").track_ids == sorted(toy.track_ids)


def test_audio(toy):
    for path in toy.paths():
        info = soundfile.info(path)
        assert (info.samplerate, info.channels, info.subtype) == (SR, 1, "PCM_16")
        y, _ = soundfile.read(path)
        assert len(y) == int(1.5 * SR)
        assert 0.2 < np.abs(y).max() < 1
        assert np.isfinite(y).all()
        assert abs(y.mean()) < 0.01


def test_same_seed_same_bytes(toy, tmp_path):
    make_synth(tmp_path / "again", seed=5, n_tracks=40, seconds=1.5)
    assert sums(tmp_path / "again") == sums(toy.root)
    make_synth(tmp_path / "other", seed=6, n_tracks=40, seconds=1.5)
    ours, theirs = sums(toy.root), sums(tmp_path / "other")
    assert all(ours[name] != theirs[name] for name in ours if name.endswith(".wav"))


def test_a_folder_is_not_overwritten_by_chance(toy, tmp_path):
    settings = {"n_tracks": 18, "seconds": 1.0}
    make_synth(tmp_path / "a", **settings)
    assert is_made(tmp_path / "a", **settings)
    assert not is_made(tmp_path / "a", seed=1, **settings)
    with pytest.raises(DataError, match="with other settings; pass --overwrite to replace"):
        make_synth(tmp_path / "a", seed=1, **settings)
    make_synth(tmp_path / "a", seed=1, overwrite=True, **settings)
    assert is_made(tmp_path / "a", seed=1, **settings)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("dear")
    with pytest.raises(DataError, match="is not a synthetic dataset"):
        make_synth(tmp_path / "mine", overwrite=True, **settings)
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "dear"


def test_a_set_cut_short_is_made_again(toy, tmp_path):
    def stop(done, total, seconds):
        if done == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make_synth(tmp_path / "s", n_tracks=18, seconds=1.0, progress=stop)
    assert not is_made(tmp_path / "s", n_tracks=18, seconds=1.0)
    make_synth(tmp_path / "s", n_tracks=18, seconds=1.0)
    assert is_made(tmp_path / "s", n_tracks=18, seconds=1.0)


def test_bad_settings(tmp_path):
    with pytest.raises(ConfigError, match="n_tracks=17; expected 18 or more"):
        make_synth(tmp_path / "s", n_tracks=17)
    with pytest.raises(ConfigError, match=r"seconds=0\.5; expected 1 or more"):
        make_synth(tmp_path / "s", seconds=0.5)
    assert not (tmp_path / "s").exists()


@pytest.mark.parametrize("name", INSTRUMENTS)
def test_notes_have_the_pitch_asked_for(name, rng):
    y = play(make_instrument(name, rng), 69, 0.8)
    spectrum = np.abs(np.fft.rfft(y[: SR // 2] * np.hanning(SR // 2)))
    near = [
        spectrum[110 * k - 8 : 110 * k + 8].max() for k in (1, 2, 3, 4, 5)
    ]  # 220 k Hz; 2 Hz a bin
    assert max(near[1], near[3]) > 20 * max(near[0], near[2], near[4])  # 440 and 880 Hz only


def test_it_goes_on_where_a_kill_left_nothing_but_a_workspace(tmp_path):
    (tmp_path / "set" / ".synth.json.work").mkdir(parents=True)
    make_synth(tmp_path / "set", n_tracks=18, seconds=1)
    (tmp_path / "set" / ".manifest.csv.work").mkdir()
    assert is_made(tmp_path / "set", n_tracks=18, seconds=1)
    assert not list((tmp_path / "set").glob(".*"))
