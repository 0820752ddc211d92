"""Which rows a dictionary is learnt from: equal shares of tracks, and onsets."""

import librosa
import numpy as np
import pytest
import soundfile

import mcls
from mcls.data.onsets import Onsets, onset_rows
from mcls.data.sampling import Sample, equal_shares
from mcls.disk.chain import Step
from mcls.disk.dictionary import read_dictionary
from mcls.errors import ConfigError, DataError
from mcls.stores.store import NewRows, Store, StoreContents, write_store

SR, HOP, LATE = 22050, 512, 1
NAM = "onset:n_fft=1024,n_mels=40,compress=log1p,power=1"
#: Seconds at which a burst of noise begins, per track.
BURSTS = {"a": [0.35, 1.2, 2.8], "b": [0.1, 1.9], "c": []}


def bursts(rng, times: list[float], seconds: float = 3.1) -> np.ndarray:
    y = 1e-5 * rng.normal(size=int(seconds * SR))
    for time in times:
        start = int(time * SR)
        decay = np.exp(-np.arange(len(y) - start) / (0.05 * SR))
        y[start:] += 0.2 * decay * rng.normal(size=len(y) - start)
    return y if times else 0 * y


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Three tracks of bursts, one of them silence, and a manifest."""
    folder, rng = tmp_path_factory.mktemp("bursts"), np.random.default_rng(2)
    lines = ["path,labels,split"]
    for name, times in BURSTS.items():
        soundfile.write(folder / f"{name}.wav", bursts(rng, times), SR, subtype="FLOAT")
        lines.append(f"{name}.wav,{name},train")
    (folder / "manifest.csv").write_text("\n".join(lines) + "\n")
    return folder


@pytest.fixture(scope="module")
def store(folder):
    out = folder / "store.h5"
    features = ["mel:n_fft=1024,compress=log1p,power=1", NAM, "slow=mel:hop_length=1024"]
    mcls.extract(folder / "manifest.csv", out, features=features)
    return Store(out)


def starts(store: Store, track: str, seconds: float = 1.0, context: int = 8) -> list[int]:
    mel, i = store.feature("mel"), store.track_ids.index(track)
    n = int(mel.offsets[i + 1] - mel.offsets[i]) - context + 1
    return Onsets(store, mel, seconds)(i, n).tolist()


def test_rows_begin_where_the_bursts_do(store):
    """A frame reaches n_fft / 2 = 512 samples to each side: it hears a burst a frame before."""
    for track, times in BURSTS.items():
        found = np.array(starts(store, track, seconds=0.1))
        for time in times:
            if time < 2.8:  # later, no eight frames are left
                assert np.abs(found - time * SR / HOP).min() <= 1
    assert starts(store, "c") == []


def test_they_are_nams(store, folder):
    for track in ("a", "b"):
        y, _ = librosa.load(folder / f"{track}.wav", sr=SR)
        mel = librosa.feature.melspectrogram(y=y, sr=SR, n_fft=1024, n_mels=40, power=1)
        rise = np.maximum(np.diff(np.log10(1 + 100 * mel), axis=1), 0).mean(axis=0)
        strength = np.concatenate([[0], rise])  # (n_frames,)
        n = len(strength) - 7
        wanted = [
            first + int(strength[first : min(first + 43, n)].argmax())
            for first in range(0, n, 43)
            if min(first + 43, n) - first >= 21.5
        ]
        assert starts(store, track) == wanted


@pytest.mark.parametrize(
    ("strength", "n", "length", "wanted"),
    [
        ([0, 1, 0, 2, 0, 0], 6, 3, [1, 3]),
        ([0, 1, 0, 0, 0, 0], 6, 3, [1]),  # nothing rises in the second
        ([0, 1, 0, 0, 2], 5, 3, [1, 4]),  # two of three frames are a segment
        ([0, 1, 0, 9], 4, 3, [1]),  # one of three is none
        ([0, 3], 2, 9, [1]),  # unless there is no other
        ([1, 1, 1, 1], 4, 2, [0, 2]),  # the first of equals
        ([1, 2], 4, 2, [1]),  # the onsets end early
        ([0, 1, 5], 2, 2, [1]),  # and one that ends late
    ],
)
def test_one_row_a_segment(strength, n, length, wanted):
    assert onset_rows(np.array(strength, float), n, length).tolist() == wanted


def test_the_sample_is_what_begins_at_the_onsets(store):
    mel = store.feature("mel")
    onsets = Onsets(store, mel, 1.0)
    sample = Sample(mel, np.arange(3), n_rows=None, context=8, seed=0, onsets=onsets)
    wanted = [
        mel.track(i)[start : start + 8].ravel()
        for i, name in enumerate(store.track_ids)
        for start in starts(store, name)
    ]
    (found,) = sample.raw()
    assert len(sample) == len(wanted) == 6
    by_bytes = sorted(row.tobytes() for row in found)
    assert by_bytes == sorted(row.astype(np.float32).tobytes() for row in wanted)
    assert len(Sample(mel, np.arange(3), n_rows=4, context=8, seed=0, onsets=onsets)) == 4


def test_shares_are_equal():
    assert equal_shares(np.array([5, 0, 5]), 99).tolist() == [5, 0, 5]
    assert equal_shares(np.array([1, 9, 9, 9]), 10).tolist() == [1, 3, 3, 3]
    assert equal_shares(np.array([4, 4, 4]), 8).tolist() == [3, 3, 2]


def test_a_dictionary_from_onsets(store, tmp_path):
    options = {"feature": "mel", "size": 4, "context": 8, "split": "split"}
    learnt = mcls.learn_dict(store.path, tmp_path / "d.h5", sampling="onset", **options)
    assert learnt.report["rows"] == 6
    assert learnt.report["sampling"] == "onset"
    assert read_dictionary(tmp_path / "d.h5").step.settings["context"] == 8
    again = {"sampling": "onset", "segment": 0.5, "overwrite": False, **options}
    with pytest.raises(ConfigError, match="is a dictionary with other settings"):
        mcls.learn_dict(store.path, tmp_path / "d.h5", **again)
    with pytest.raises(DataError, match="a shorter --segment"):
        mcls.learn_dict(store.path, tmp_path / "e.h5", sampling="onset", **{**options, "size": 100})


def test_without_onsets_it_says_what_to_extract(store, tmp_path):
    with pytest.raises(ConfigError, match="extract it too, with --feature onset:hop_length=1024"):
        Onsets(store, store.feature("slow"), 1.0)
    with pytest.raises(ConfigError, match="segment length is 0 s"):
        Onsets(store, store.feature("mel"), 0.0)
    with pytest.raises(ConfigError, match="sampling=peaks is not one of random, onset"):
        mcls.learn_dict(store.path, tmp_path / "d.h5", feature="mel", sampling="peaks")


def test_whole_tracks_and_two_onset_features_are_refused(tmp_path):
    def rows(name, feature, rate):
        step = Step("feature", feature, {"n_fft": 1024, "hop_length": 512, "of": name})
        return NewRows(name, (step,), rate, 1, [2], [np.zeros((2, 1), np.float32)])

    tracks = {"track_id": ["t"], "path": ["t.wav"]}
    features = [rows("mel", "mel", 43.0), rows("x", "onset", 43.0), rows("y", "onset", 43.0)]
    write_store(tmp_path / "s.h5", StoreContents(tracks), [*features, rows("v", "mel", None)])
    store = Store(tmp_path / "s.h5")
    with pytest.raises(ConfigError, match=r"several onset features at 43 rows/s \(x, y\)"):
        Onsets(store, store.feature("mel"), 1.0)
    with pytest.raises(ConfigError, match="a row of 'v' is a whole track"):
        Onsets(store, store.feature("v"), 1.0)
