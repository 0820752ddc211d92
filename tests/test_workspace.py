"""Outputs appear whole or not at all, one command at a time makes them, and kills lose little."""

import json
import multiprocessing
import os
import subprocess
import sys
from pathlib import Path

import long_commands
import pytest

import mcls
from mcls.disk import workspace
from mcls.disk.workspace import Workspace, clean_workspaces, written_whole
from mcls.errors import ConfigError, DataError
from mcls.stages.predict_files import predict_files


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_the_file_appears_when_the_body_is_done(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "out.txt"
    with written_whole(path) as new:
        new.write_text("new")
        assert not path.exists()
    assert path.read_text() == "new"
    assert names(path.parent) == ["out.txt"]


@pytest.mark.parametrize("stop", [RuntimeError, KeyboardInterrupt])
def test_an_older_file_stays_if_the_body_fails(tmp_path: Path, stop: type[BaseException]) -> None:
    path = tmp_path / "out.txt"
    path.write_text("old")
    with pytest.raises(stop), written_whole(path) as new:
        new.write_text("half")
        raise stop
    assert path.read_text() == "old"
    assert names(tmp_path) == ["out.txt"]


@pytest.mark.parametrize("folder", [False, True])
def test_an_older_output_is_replaced(tmp_path: Path, folder: bool) -> None:
    path = tmp_path / "out"
    for text in ("old", "new"):
        with written_whole(path) as new:
            if folder:
                new.mkdir()
            (new / text if folder else new).write_text(text)
    assert names(tmp_path) == ["out"]
    assert names(path) == ["new"] if folder else path.read_text() == "new"


def test_a_file_and_a_folder_do_not_replace_each_other(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "precious").write_text("")
    with pytest.raises(IsADirectoryError), written_whole(tmp_path / "folder") as new:
        new.write_text("")
    (tmp_path / "file").write_text("")
    with pytest.raises(NotADirectoryError), written_whole(tmp_path / "file") as new:
        new.mkdir()
    assert names(tmp_path) == ["file", "folder"]
    assert names(tmp_path / "folder") == ["precious"]


def test_a_body_that_writes_nothing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), written_whole(tmp_path / "out.txt"):
        pass
    assert names(tmp_path) == []


def test_pieces_stay_until_the_command_is_done(tmp_path: Path) -> None:
    for key in ("a", "b"):
        with pytest.raises(KeyboardInterrupt), Workspace(tmp_path / "out", key) as work:
            (work.pieces / "piece").write_text(key)
            raise KeyboardInterrupt
    with Workspace(tmp_path / "out", "a") as work:
        assert (work.pieces / "piece").read_text() == "a"
        assert [path.name for path in work.other_pieces] == ["b"]
        with written_whole(tmp_path / "out") as new:
            new.write_text("")
    assert names(tmp_path) == ["out"]


def test_a_command_that_finds_its_output_there_leaves_the_pieces_of_others(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), Workspace(tmp_path / "out", "b") as work:
        (work.pieces / "piece").write_text("")
        raise KeyboardInterrupt
    with Workspace(tmp_path / "out", "a") as work:
        (work.pieces / "piece").write_text("")
    assert names(tmp_path / ".out.work") == ["b", "lock"]


def test_who_holds_the_lock_is_named(tmp_path: Path) -> None:
    with Workspace(tmp_path / "out"):
        with pytest.raises(DataError, match=f"process {os.getpid()} on .* is writing .*wait"):
            Workspace(tmp_path / "out", "other").__enter__()
        with pytest.raises(DataError, match="is writing"), Workspace(tmp_path / "out"):
            pass
    assert names(tmp_path) == []


def hold(out: Path, program: str) -> subprocess.Popen[str]:
    """Start a process that holds a workspace, and wait until it does."""
    lines = f"from mcls.disk.workspace import Workspace\nwork = Workspace({str(out)!r})\n{program}"
    process = subprocess.Popen(
        [sys.executable, "-c", lines], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_the_lock_ends_with_its_process(tmp_path: Path) -> None:
    out = tmp_path / "out"
    program = "with work, work.output() as new:\n new.write_text('half'); print('held', flush=True)"
    with hold(out, f"{program}\n input()") as process:
        with pytest.raises(DataError, match=f"process {process.pid} on "), Workspace(out):
            pass
        process.kill()
        process.wait()
        assert names(tmp_path) == [".out.work"]
        with written_whole(out) as new:
            assert names(new.parent) == []
            new.write_text("whole")
    assert names(tmp_path) == ["out"]


def test_a_fork_does_not_keep_the_lock(tmp_path: Path) -> None:
    """A worker that was forked, as those of a DataLoader, may outlive its parent for a moment."""
    context = multiprocessing.get_context("fork")
    stop = context.Event()
    with Workspace(tmp_path / "out"):
        child = context.Process(target=stop.wait)
        child.start()
    with Workspace(tmp_path / "out") as work:
        assert child.is_alive()
        stop.set()
        child.join()
        assert work.is_there
    assert names(tmp_path) == []


@pytest.mark.parametrize("change", ["appears", "is replaced", "loses its workspace"])
def test_the_output_is_looked_at_again_before_it_is_replaced(tmp_path: Path, change: str) -> None:
    out = tmp_path / "out"
    if change != "appears":
        out.write_text("old")
    with pytest.raises(DataError, match="changed by another program"), written_whole(out) as new:
        new.write_text("new")
        if change == "loses its workspace":
            (tmp_path / ".out.work" / "lock").unlink()
        else:
            out.write_text("another's")
    assert out.read_text() == ("old" if change == "loses its workspace" else "another's")


def test_a_kill_between_the_two_renames_of_a_folder_loses_neither(tmp_path: Path) -> None:
    out = tmp_path / "run"
    program = (
        "import os, signal; from pathlib import Path\n"
        "Path.replace = lambda *_: (print('held', flush=True), os.kill(os.getpid(), 9))\n"
        "work.out.mkdir(); (work.out / 'old').write_text('')\n"
        "with work, work.output() as new:\n new.mkdir()\n"
    )
    with hold(out, program):
        pass
    assert not out.exists()
    with Workspace(out):
        assert names(out) == ["old"]
    assert names(tmp_path) == ["run"]


def test_a_folder_that_is_to_be_removed_goes_at_once(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "file").write_text("")
    with Workspace(tmp_path / "out") as work:
        work.remove_output()
        assert not (tmp_path / "out").exists()
    assert names(tmp_path) == []


def test_only_workspaces_of_outputs_that_are_there_are_cleaned(tmp_path: Path) -> None:
    for name in ("there", "missing"):
        (tmp_path / f".{name}.work" / "key").mkdir(parents=True)
        (tmp_path / f".{name}.work" / "key" / "piece").write_text("")
    for name in ("there", "busy", ".foreign", "foreign.work", ".foreign.tmp"):
        (tmp_path / name).write_text("")
    with Workspace(tmp_path / "busy"):
        clean_workspaces(tmp_path)
        assert (tmp_path / ".busy.work").exists()
    foreign = [".foreign", ".foreign.tmp", "foreign.work"]
    assert names(tmp_path) == [*foreign[:2], ".missing.work", "busy", foreign[2], "there"]


def test_a_file_system_that_cannot_lock_is_named(tmp_path: Path, monkeypatch) -> None:
    def flock(*_):
        raise OSError(37, "No locks available")

    monkeypatch.setattr(workspace.fcntl, "flock", flock)
    with pytest.raises(DataError, match=r"cannot lock .*No locks available.*choose"):
        written_whole(tmp_path / "out").__enter__()


def test_an_output_in_a_file_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="file/out cannot be written: "):
        written_whole(tmp_path / "file" / "out").__enter__()


# The five long commands.


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return long_commands.make_store(tmp_path_factory.mktemp("store") / "music")


@pytest.fixture(params=long_commands.COMMANDS)
def command(request):
    return long_commands.COMMANDS[request.param]


@pytest.mark.parametrize("other", [False, True], ids=["same settings", "other settings"])
@pytest.mark.parametrize("overwrite", [False, True])
def test_a_second_command_is_refused_while_the_first_lives(
    store, tmp_path, command, other, overwrite
):
    out, refused = tmp_path / "out", []

    def meanwhile(*_):
        if not refused:
            with pytest.raises(DataError, match=f"is writing {out}; wait for it") as error:
                command(store, out, other=other, overwrite=overwrite)
            refused.append(error)

    command(store, out, progress=meanwhile)
    assert refused
    command(store, tmp_path / "alone")
    assert long_commands.contents(out) == long_commands.contents(tmp_path / "alone")
    assert names(tmp_path) == ["alone", "out"]


@pytest.mark.parametrize("other", [False, True], ids=["same settings", "other settings"])
def test_a_command_looks_at_the_output_once_it_has_the_lock(
    store, tmp_path, command, other, monkeypatch
):
    """The first is done just before the second has the lock: nothing of the first is lost."""
    out, real = tmp_path / "out", Workspace.__enter__

    def late(self):
        if self.out == out:
            monkeypatch.undo()
            command(store, out)
        return real(self)

    monkeypatch.setattr(Workspace, "__enter__", late)
    if other:
        with pytest.raises(ConfigError, match="--overwrite"):
            command(store, out, other=True)
    else:
        command(store, out)
    command(store, tmp_path / "alone")
    assert long_commands.contents(out) == long_commands.contents(tmp_path / "alone")
    assert names(tmp_path) == ["alone", "out"]


@pytest.mark.parametrize(
    ("name", "every"),
    [
        ("encode", 17),
        ("train", 17),
        *(
            pytest.param(name, every, marks=pytest.mark.slow)
            for name, every in (("extract", 17), ("learn_dict", 17), ("cross_validate", 47))
        ),
    ],
)
def test_killed_and_started_again_the_bytes_are_the_same(store, tmp_path, name, every):
    """At some steps; ``MCLS_KILLS_EVERY=1`` for all of them."""
    every = int(os.environ.get("MCLS_KILLS_EVERY", every))
    done = subprocess.run(
        [sys.executable, long_commands.__file__, name, str(store), str(tmp_path), str(every)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    print(name, done.stdout)  # shown by pytest -s


def test_cv_goes_on_where_a_kill_left_a_folder_with_nothing_but_a_workspace(store, tmp_path):
    (tmp_path / "cv" / ".cv.json.work" / "new").mkdir(parents=True)
    (tmp_path / "cv" / ".cv.json.work" / "new" / "cv.json").write_text("{")
    long_commands.cross_validate(store, tmp_path / "cv")
    assert not list(tmp_path.rglob(".*"))
    assert json.loads((tmp_path / "cv" / "cv.json").read_text())["key"]


def test_a_split_cleans_up_after_one_that_was_killed(store, tmp_path):
    from mcls.data.split_column import add_split

    out = tmp_path / "split.csv"
    (tmp_path / ".split.csv.work" / "new").mkdir(parents=True)
    (tmp_path / ".split.csv.work" / "new" / "split.csv").write_text("path,lab")
    add_split(store.with_name("manifest.csv"), out, column="mine", by=None)
    assert ".split.csv.work" not in names(tmp_path)
    assert mcls.Store(store).n_tracks == 8


@pytest.fixture(params=[0o022, 0o027, 0o077], ids=lambda mask: f"umask-{mask:03o}")
def umask(request):
    old = os.umask(request.param)
    yield request.param
    os.umask(old)


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


@pytest.mark.parametrize("folder", [False, True])
def test_files_follow_the_umask_however_a_library_made_them(
    tmp_path: Path, umask: int, folder: bool
) -> None:
    path = tmp_path / "out"
    with written_whole(path) as new:
        if folder:
            new.mkdir()
        file = new / "model" if folder else new
        file.touch(mode=0o600)
    assert mode(path / "model" if folder else path) == 0o666 & ~umask
    if folder:
        assert mode(path) == 0o777 & ~umask


def test_tensors_follow_the_umask(tmp_path: Path, umask: int) -> None:
    import torch

    from mcls.disk.tensors import write_tensors

    write_tensors(tmp_path / "model.safetensors", {"w": torch.zeros(2)}, {})
    assert mode(tmp_path / "model.safetensors") == 0o666 & ~umask


def test_a_replaced_file_keeps_its_mode(tmp_path: Path) -> None:
    path = tmp_path / "out.txt"
    path.touch()
    path.chmod(0o640)
    with written_whole(path) as new:
        new.write_text("new")
    assert (path.read_text(), mode(path)) == ("new", 0o640)


@pytest.mark.parametrize("there", [True, False])
def test_a_link_is_kept_and_what_it_names_is_written(tmp_path: Path, there: bool) -> None:
    (tmp_path / "far").mkdir()
    link, file = tmp_path / "out.txt", tmp_path / "far" / "file.txt"
    if there:
        file.write_text("old")
    link.symlink_to(Path("far", "file.txt"))
    with Workspace(link) as work, written_whole(link) as new:
        assert work.folder == tmp_path / "far" / ".file.txt.work"
        new.write_text("new")
    assert link.is_symlink()
    assert file.read_text() == "new"
    assert (names(tmp_path), names(file.parent)) == (["far", "out.txt"], ["file.txt"])


def test_a_link_to_a_folder_is_kept(tmp_path: Path) -> None:
    link, folder = tmp_path / "run", tmp_path / "far"
    folder.mkdir()
    (folder / "old").touch()
    link.symlink_to(folder)
    with written_whole(link) as new:
        new.mkdir()
        (new / "new").touch()
    assert link.is_symlink()
    assert names(folder) == ["new"]
    assert names(tmp_path) == ["far", "run"]


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_every_command_that_writes_survives_kills(tmp_path):
    """MCLS_KILLS says how many; `make kills` asks for 320."""
    script = Path(__file__).with_name("kill_commands.py")
    done = subprocess.run(
        [sys.executable, str(script), str(tmp_path), os.environ.get("MCLS_KILLS", "64"), "0"],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    print(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_table_of_predictions_without_its_header_begins_anew(store, tmp_path):
    """A kill may come between the record of `predict --out` and the first line of the table."""
    mcls.train(store, tmp_path / "run", model="knn", settings=["n_neighbors=1"], pool=["mean"])
    whole, table = tmp_path / "whole.csv", tmp_path / "table.csv"
    for out in (whole, table):
        predict_files(tmp_path / "run", [store.parent], out)
    for left in (b"", table.read_bytes()[:9]):
        table.write_bytes(left)
        predict_files(tmp_path / "run", [store.parent], table)
        assert table.read_bytes() == whole.read_bytes()
