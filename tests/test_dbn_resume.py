"""A DBN that was killed goes on from the layers that have learnt, and becomes the same bytes."""

import os
import pickle
import random
import shutil
import subprocess
import sys
import time

import h5py
import numpy as np
import pytest
import soundfile

import mcls
from mcls.dictionaries.dbn import DBN
from mcls.dictionaries.rbm import RBM
from mcls.disk.layers import LayerFiles
from mcls.errors import DataError
from mcls.stages import learn

UNITS = (9, 7, 5)
SETTINGS = ["layers=9x7x5", "n_epochs=2x1x2", "algorithm=pcd", "sparsity=bias"]


class Killed(BaseException):
    """What a test kills a command with; nothing may catch it."""


def make_store(folder, seed=0, *, seconds=1.0):
    """Return a store of noise; the names of the tracks do not depend on the seed."""
    folder.mkdir()
    rng = np.random.default_rng(seed)
    lines = ["path,labels,split"]
    for i, part in enumerate(["train", "train", "valid", "test"]):
        soundfile.write(folder / f"{i}.wav", 0.1 * rng.normal(size=int(8000 * seconds)), 8000)
        lines.append(f"{i}.wav,a,{part}")
    (folder / "manifest.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    mcls.extract(folder / "manifest.csv", folder / "store.h5", features=["mfcc"], sr=8000)
    return folder / "store.h5"


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return make_store(tmp_path_factory.mktemp("noise") / "music")


@pytest.fixture(scope="module")
def whole(store, tmp_path_factory):
    out = tmp_path_factory.mktemp("whole") / "d.h5"
    learn_dbn(store, out)
    return out


@pytest.fixture
def learns(monkeypatch):
    """The layers that learn, by their units; ``kill[n]`` is raised before one of n units does."""
    real, done, kill = RBM.fit_batches, [], {}

    def fit_batches(self, *args, **kwargs):
        if self.n_atoms in kill:
            raise kill[self.n_atoms]
        done.append(self.n_atoms)
        return real(self, *args, **kwargs)

    monkeypatch.setattr(RBM, "fit_batches", fit_batches)
    return done, kill


def learn_dbn(store, out, settings=SETTINGS, **options):
    return mcls.learn_dict(
        store, out, method="dbn", settings=settings, split="split", context=2, **options
    )


def kill_before(units, store, out, learns, **options):
    done, kill = learns
    kill[units] = Killed()
    with pytest.raises(Killed):
        learn_dbn(store, out, **options)
    kill.clear()
    done.clear()


def beside(out):
    return sorted(path.name for path in out.parent.iterdir())


@pytest.mark.parametrize("units", UNITS)
def test_layers_that_have_learnt_are_not_learnt_again(store, whole, tmp_path, learns, units):
    out = tmp_path / "d.h5"
    kill_before(units, store, out, learns)
    assert not out.exists()
    assert len(list(tmp_path.glob(".d.h5.work/*/layer-*.h5"))) == UNITS.index(units)
    assert learn_dbn(store, out).computed
    assert learns[0] == list(UNITS[UNITS.index(units) :])
    assert out.read_bytes() == whole.read_bytes()
    assert beside(out) == ["d.h5"]


def test_killed_while_the_dictionary_is_written(store, whole, tmp_path, learns, monkeypatch):
    out = tmp_path / "d.h5"
    with monkeypatch.context() as patch:
        patch.setattr(learn, "write_dictionary", lambda *_: (_ for _ in ()).throw(Killed()))
        with pytest.raises(Killed):
            learn_dbn(store, out)
    (tmp_path / ".d.h5.work" / "new").mkdir()
    (tmp_path / ".d.h5.work" / "new" / "d.h5").write_bytes(b"half of a file")
    learns[0].clear()
    learn_dbn(store, out)
    assert learns[0] == []
    assert out.read_bytes() == whole.read_bytes()
    assert beside(out) == ["d.h5"]


def cut(path):
    path.write_bytes(path.read_bytes()[:-100])


def empty(path):
    path.write_bytes(b"")


def turn_a_bit(path):
    """Change a weight's last bit: still a good HDF5 file."""
    with h5py.File(path, "r+") as file:
        weights = file["weights"][()]
        weights.view(np.uint32)[0, 0] ^= 1
        file["weights"][()] = weights


def change_a_number(path):
    with h5py.File(path, "r+") as file:
        file.attrs["numbers"] = file.attrs["numbers"].replace("0.", "1.", 1)


def link_elsewhere(path):
    with h5py.File(path, "r+") as file:
        del file["usage"]
        file["usage"] = h5py.ExternalLink("/tmp/other.h5", "usage")


def take_the_next(path):
    shutil.copy(path.with_name("layer-2.h5"), path)


@pytest.mark.parametrize(
    "damage", [cut, empty, turn_a_bit, change_a_number, link_elsewhere, take_the_next]
)
def test_a_damaged_layer_and_those_above_it_are_learnt_again(
    store, whole, tmp_path, learns, damage
):
    out = tmp_path / "d.h5"
    kill_before(5, store, out, learns)
    (first,) = tmp_path.glob(".d.h5.work/*/layer-1.h5")
    damage(first)
    learn_dbn(store, out)
    assert learns[0] == list(UNITS)
    assert out.read_bytes() == whole.read_bytes()
    assert beside(out) == ["d.h5"]


def test_other_settings_do_not_go_on_from_what_is_there(store, tmp_path, learns):
    out = tmp_path / "d.h5"
    kill_before(5, store, out, learns)
    other = [*SETTINGS, "n_gibbs=2"]
    learn_dbn(store, out, other)
    assert learns[0] == list(UNITS)
    assert beside(out) == ["d.h5"]
    learn_dbn(store, tmp_path / "e.h5", other)
    assert out.read_bytes() == (tmp_path / "e.h5").read_bytes()


def test_another_store_with_the_same_names_does_not_go_on(store, tmp_path, learns):
    other = make_store(tmp_path / "other", seed=1)
    out = tmp_path / "out" / "d.h5"
    kill_before(5, store, out, learns)
    learn_dbn(other, out)
    assert learns[0] == list(UNITS)
    learn_dbn(other, tmp_path / "e.h5")
    assert out.read_bytes() == (tmp_path / "e.h5").read_bytes()


def test_two_commands_do_not_learn_one_dictionary(store, whole, tmp_path):
    out, refused = tmp_path / "d.h5", []

    def meanwhile(*_):
        if list(tmp_path.glob(".d.h5.work/*/layer-1.h5")) and not refused:
            with pytest.raises(DataError, match=f"is writing {out}; wait for it") as error:
                learn_dbn(store, out)
            refused.append(error)

    learn_dbn(store, out, progress=meanwhile)
    assert refused
    assert out.read_bytes() == whole.read_bytes()
    assert beside(out) == ["d.h5"]


def test_a_folder_that_cannot_be_made_is_said(store, tmp_path):
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(DataError, match="cannot be written: "):
        learn_dbn(store, tmp_path / "file" / "d.h5")


@pytest.mark.parametrize("algorithm", ["cd", "pcd"])
def test_a_model_that_went_on_is_the_same_in_all_it_holds(rng, algorithm):
    rows = rng.normal(size=(300, 6)).astype(np.float32)
    valid = rng.normal(size=(50, 6)).astype(np.float32)
    settings = {"layers": UNITS, "n_epochs": (2,), "algorithm": algorithm, "random_state": 0}
    layers = {}
    whole = DBN(**settings).fit_batches(lambda: [rows], lambda: [valid], keep=layers.__setitem__)
    assert list(layers) == [1, 2, 3]
    for n in range(4):
        kept = [layers[i + 1] for i in range(n)]
        told: dict[int, object] = {}
        again = DBN(**settings).fit_batches(
            lambda: [rows], lambda: [valid], kept=kept, keep=told.__setitem__
        )
        assert list(told) == list(range(n + 1, 4))
        assert again.history_ == whole.history_
        assert pickle.dumps(again.arrays()) == pickle.dumps(whole.arrays())
        later, same = (pickle.loads(pickle.dumps(one)) for one in (whole, again))
        later.partial_fit(valid)
        same.partial_fit(valid)
        assert pickle.dumps(same.arrays()) == pickle.dumps(later.arrays())
        assert same.history_ == later.history_


def test_layers_come_back_from_files_as_they_were(tmp_path, rng):
    files = LayerFiles(tmp_path, "key")
    numbers = {"seed": 2**31 - 2, "history": [{"rate": 0.1 + 0.2, "activation": 1e-300}]}
    for i in (1, 2):
        files.write(i, ({"weights": rng.normal(size=(4, 3)).astype(np.float32)}, numbers))
    first, second = files.read()
    assert first[1] == second[1] == numbers
    assert first[0]["weights"].dtype == np.float32
    assert LayerFiles(tmp_path, "another key").read() == []
    (tmp_path / "layer-1.h5").unlink()
    assert files.read() == []


@pytest.mark.slow
def test_kill_9_and_the_same_command_again(tmp_path):
    """``MCLS_KILLS`` dictionaries, each killed three times, at random, and then left alone."""
    store = make_store(tmp_path / "music", seconds=60.0)
    options = ["--method", "dbn", "--split", "split", "--context", "8"]
    options += ["-p", "layers=60x50x40x30", "-p", "n_epochs=40x30x30x30"]

    def started(out):
        return subprocess.Popen(
            [sys.executable, "-m", "mcls", "learn-dict", str(store), str(out), *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )

    def layers(out):
        found = tmp_path.glob(f".{out.name}.work/*/layer-*.h5")
        return {path: path.stat().st_mtime_ns for path in found}

    def let_finish(process):
        said = process.communicate(timeout=300)[1]
        assert process.returncode == 0, said

    let_finish(started(tmp_path / "whole.h5"))
    rng = random.Random(int(os.environ.get("MCLS_KILLS_SEED", "3")))
    kills, kept = 0, 0
    for turn in range(int(os.environ.get("MCLS_KILLS", "3"))):
        out, there = tmp_path / f"{turn}.h5", {}
        for n_layers in sorted(rng.randint(0, 3) for _ in range(3)):
            process = started(out)
            while process.poll() is None and len(layers(out)) < n_layers:
                time.sleep(0.002)
            time.sleep(rng.uniform(0, 0.3))
            process.kill()
            process.communicate()
            kills += process.returncode == -9
            if not out.exists():  # what was there is still the same file
                assert there.items() <= layers(out).items()
            there = layers(out)
            kept += len(there)
        let_finish(started(out))
        assert out.read_bytes() == (tmp_path / "whole.h5").read_bytes()
        assert not list(tmp_path.glob(f".{out.name}.*"))
    assert kills and kept
    print(f"{kills} kills, {kept} times a layer was kept")  # shown by pytest -s
