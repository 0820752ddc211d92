"""Errors where something else was named than the command expects: they say what it is."""

import os
import shutil
import tempfile
from pathlib import Path

import h5py
import pytest
from click.testing import CliRunner

from mcls.cli.main import cli
from mcls.disk.hdf5 import open_hdf5
from mcls.errors import DataError


@pytest.fixture
def error(tmp_path, monkeypatch):
    """Run mcls in a folder with a store, a WAV, a manifest, a run and a cross-validation."""
    monkeypatch.chdir(tmp_path)
    with h5py.File("mfcc.h5", "w") as file:
        file.attrs["kind"] = "features"
    Path("a.wav").write_bytes(b"RIFF\x00\x00\x00\x80WAVE")
    Path("tracks.csv").write_text("path,genre\na.wav,jazz\n")
    Path("folder").mkdir()
    for fold in (1, 2):
        Path(f"cv/fold-{fold}").mkdir(parents=True)
        Path(f"cv/fold-{fold}/run.toml").touch()

    def run(words: str) -> str:
        result = CliRunner().invoke(cli, words.split(), prog_name="mcls")
        assert result.exit_code in (1, 2), result.output
        return result.stderr

    return run


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            "eval mfcc.h5",
            "mfcc.h5 is an HDF5 file, such as a store or a dictionary; expected a run",
        ),
        ("eval a.wav", "a.wav is an audio file; expected a run folder, or a CSV of predictions"),
        (
            "data check mfcc.h5",
            "mfcc.h5 is an HDF5 file, such as a store or a dictionary; expected",
        ),
        ("extract a.wav out.h5", "a.wav is an audio file; expected a manifest (CSV or TSV)"),
        ("train folder out", "folder is a folder; expected a store, a file that `mcls extract`"),
        ("learn-dict folder out.h5", "folder is a folder; expected a store"),
        ("predict cv a.wav", "cv is a cross-validation; name one of its runs, such as cv/fold-1"),
        ("predict mfcc.h5 a.wav", "mfcc.h5 is a file; expected a run folder"),
        ("predict nothing a.wav", "nothing: no such run folder"),
        ("data check tracks.csv", "no column 'labels' (the other columns are genre); name it with"),
        (
            "data prepare fsdd . o -p k=1 -p k=10",
            "setting 'k' is given twice, as 1 and as 10; give",
        ),
    ],
)
def test_the_error_says_what_was_named(error, words: str, said: str) -> None:
    assert said in error(words)


def test_permission_denied_is_said_as_that() -> None:
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    path, user = folder / "store.h5", os.geteuid()
    try:
        h5py.File(path, "w").close()
        path.chmod(0)
        if user == 0:
            os.seteuid(65534)
        with pytest.raises(DataError, match="permission denied"):
            open_hdf5(path, "features", 1)
    finally:
        os.seteuid(user)
        shutil.rmtree(folder)
