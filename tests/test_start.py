"""What commands import, because imports are most of the time that a short command takes."""

import subprocess
import sys

import numpy as np
import pytest
import soundfile

import mcls

#: Commands, and modules that each must do without; importing one takes from 0.3 to 4 seconds.
LIGHT = {
    "list nets --table": {"torch", "sklearn", "scipy", "numba", "h5py"},
    "predict {data}/svm {data}/0.wav": {"numba", "librosa", "matplotlib"},  # skops needs torch
    "predict {data}/net {data}/0.wav": {"sklearn", "numba", "skops", "librosa", "matplotlib"},
    "train {data}/s.h5 {data}/new --pool mean": {"numba", "librosa", "soundfile"},
    "eval {data}/svm": {"torch", "sklearn", "numba", "skops", "librosa", "matplotlib"},
}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Recordings, their store, an SVM and a net."""
    folder = tmp_path_factory.mktemp("data")
    rng = np.random.default_rng(0)
    lines = ["path,labels,split"]
    for i in range(12):
        tone = np.sin(np.arange(8000) * (0.05 + 0.3 * (i % 2)))
        soundfile.write(folder / f"{i}.wav", 0.3 * tone + 0.01 * rng.normal(size=8000), 8000)
        lines.append(f"{i}.wav,{'ab'[i % 2]},{['train', 'train', 'valid', 'test'][i % 4]}")
    (folder / "tracks.csv").write_text("\n".join(lines))
    store = folder / "s.h5"
    mcls.extract(folder / "tracks.csv", store, features="mel:n_mels=16")
    mcls.train(store, folder / "svm", pool="meanstd", model="svm")
    mcls.train(store, folder / "net", model="mlp", segment="0.5", epochs=1)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("words", LIGHT)
def test_a_short_command_imports_only_what_it_needs(words, data):
    program = (
        "import sys\n"
        "from mcls.cli.main import cli\n"
        "cli(sys.argv[1:], standalone_mode=False)\n"
        f"print(sorted({LIGHT[words]!r} & set(sys.modules)), file=sys.stderr)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *words.format(data=data).split()],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr.splitlines()[-1] == "[]"
