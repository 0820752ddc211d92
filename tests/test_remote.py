"""URLs: copies in the bounded cache, outputs that are uploaded, credentials, and S3 for real."""

import json
import os
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest
from click.testing import CliRunner
from s3_server import SECRET, s3_server

import mcls
from mcls.audio.digests import file_sha1
from mcls.audio.write import write_wav
from mcls.cli.main import cli
from mcls.cli.options import OUT
from mcls.disk.audit_file import read_findings
from mcls.disk.workspace import Workspace
from mcls.errors import ConfigError, DataError
from mcls.judging.scored_columns import track_columns
from mcls.remote import objects
from mcls.remote.outputs import destination, send
from mcls.remote.places import local_copy
from mcls.remote.urls import url_of
from mcls.stores.store import Store
from mcls.tables.class_folders import audio_below, scan_class_folders
from mcls.tables.manifest import read_manifest, write_manifest

fsspec = pytest.importorskip("fsspec")


@pytest.fixture
def memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The file system of memory://, empty, and an empty cache."""
    monkeypatch.setenv("MCLS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(objects, "_WAITS", ())
    fs = fsspec.filesystem("memory")
    fs.store.clear()
    yield fs
    fs.store.clear()


@pytest.fixture
def music(tmp_path: Path) -> Path:
    """A folder of three classes with four short tones each."""
    rng = np.random.default_rng(0)
    for c, name in enumerate(("high", "low", "noise")):
        (tmp_path / "music" / name).mkdir(parents=True)
        for i in range(4):
            t = np.arange(4000) / 8000
            y = np.sin(2 * np.pi * (200 + 900 * c) * t) + 0.1 * rng.standard_normal(4000)
            write_wav(tmp_path / "music" / name / f"{i}.wav", (y / 2).astype(np.float32), 8000)
    return tmp_path / "music"


def mcls_(*words: object, code: int = 0) -> str:
    result = CliRunner().invoke(cli, [*map(str, words)], catch_exceptions=False)
    assert result.exit_code == code, result.output
    return result.output


def copied(tmp_path: Path) -> list[str]:
    return sorted(path.name for path in (tmp_path / "cache/copies").rglob("*") if path.is_file())


@pytest.mark.parametrize(
    "url",
    [
        f"s3://key:{SECRET}@bucket/x.h5",
        f"https://{SECRET.replace('/', '-')}@host/x.wav",
        f"https://host/x.wav?X-Amz-Signature={SECRET}&X-Amz-Expires=60",
        f"https://host/x.wav?download=1&token={SECRET}",
        f"sftp://user:{SECRET}@host/x.wav",
    ],
)
def test_credentials_in_a_url_are_refused_and_never_shown(url: str, tmp_path: Path) -> None:
    for form in (url, Path(url)):
        with pytest.raises(ConfigError) as caught:
            url_of(form)
        assert SECRET[:20] not in str(caught.value)
    for words in (["info", url], ["extract", url, tmp_path / "x.h5"], ["predict", "run", url]):
        assert SECRET[:20] not in mcls_(*words, code=2)
    table = tmp_path / "tracks.csv"
    table.write_text(f"path,labels\na.wav,x\n{url},y\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"tracks.csv:3: the URL of .* holds") as error:
        read_manifest(table)
    assert SECRET[:20] not in str(error.value)


def test_what_is_no_credential_stays() -> None:
    for url in ("https://host/a.wav?download=1", "s3://b/what? yes.wav", "abfs://c@account/x.h5"):
        assert url_of(url) == url
    assert url_of("C:/music/a.wav") is None
    with pytest.raises(ConfigError, match="'::'"):
        url_of("zip://a.wav::s3://bucket/x.zip")


def test_a_changed_object_is_read_anew_and_the_old_copy_stays_valid(
    memory: Any, tmp_path: Path
) -> None:
    memory.pipe("/b/one.wav", b"first")
    with local_copy("memory://b/one.wav") as old:
        memory.pipe("/b/one.wav", b"other")
        with local_copy("memory://b/one.wav") as new:
            assert (old.read_bytes(), new.read_bytes()) == (b"first", b"other")
    assert new.name == "one.wav"
    assert file_sha1("memory://b/one.wav") == file_sha1(new)


def test_the_cache_keeps_its_bound_and_what_is_in_use(
    memory: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MCLS_CACHE_SIZE", "1kB")
    for i in range(50):
        memory.pipe(f"/b/{i}.wav", bytes(300))
    with local_copy("memory://b/0.wav") as first:
        for i in range(1, 50):
            with local_copy(f"memory://b/{i}.wav") as path:
                there = list((tmp_path / "cache/copies").rglob("*.wav"))
                assert sum(one.stat().st_size for one in there) <= 1000
                assert path in there
                assert first in there
    assert [name for name in copied(tmp_path) if name.endswith(".wav")] == [
        "0.wav",
        "48.wav",
        "49.wav",
    ]


def test_an_object_larger_than_the_bound_is_read_alone(
    memory: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MCLS_CACHE_SIZE", "1kB")
    memory.pipe("/b/small.wav", bytes(300))
    memory.pipe("/b/large.wav", bytes(5000))
    for name in ("small", "large"):
        with local_copy(f"memory://b/{name}.wav") as path:
            assert path.stat().st_size == (300 if name == "small" else 5000)
    assert [name for name in copied(tmp_path) if name.endswith("wav")] == ["large.wav"]


def test_many_at_once_download_once_and_see_whole_files(
    memory: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory.pipe("/b/one.wav", bytes(100_000))
    calls = []
    get = type(memory).get_file

    def counted(self: object, *args: object, **words: object) -> object:
        calls.append(args)
        return get(self, *args, **words)

    monkeypatch.setattr(type(memory), "get_file", counted)
    sizes = []

    def read() -> None:
        with local_copy("memory://b/one.wav") as path:
            sizes.append(path.stat().st_size)

    threads = [threading.Thread(target=read) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (sizes, len(calls)) == ([100_000] * 8, 1)


def test_a_download_that_fails_leaves_nothing(
    memory: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory.pipe("/b/one.wav", bytes(100))

    def broken(self: object, source: str, to: str, **_: object) -> None:
        Path(to).write_bytes(b"half")

    monkeypatch.setattr(type(memory), "get_file", broken)
    with pytest.raises(DataError, match="cannot be read"), local_copy("memory://b/one.wav"):
        pass
    assert copied(tmp_path) == ["total"]


def test_a_folder_at_a_url_is_listed_as_a_local_one(memory: Any, music: Path) -> None:
    (music / "low" / "deeper").mkdir()
    (music / "low" / "deeper" / "a.wav").write_bytes(b"a")
    (music / "low" / "notes.txt").write_bytes(b"a")
    (music / ".hidden").mkdir()
    memory.put(str(music), "/b/music", recursive=True)
    assert scan_class_folders(Path("memory://b/music")) == scan_class_folders(music)
    both = Counter[str](), Counter[str]()
    listed = [
        list(audio_below(p, c))
        for p, c in zip((music, Path("memory://b/music")), both, strict=True)
    ]
    assert listed[0] == listed[1]
    assert both[0] == both[1]


@pytest.fixture
def web(music: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of the folder of `music` on a web server, and an empty cache."""
    pytest.importorskip("aiohttp")
    monkeypatch.setenv("MCLS_CACHE", str(music.parent / "cache"))
    quiet = {"log_message": lambda *_: None}
    handler = partial(type("Quiet", (SimpleHTTPRequestHandler,), quiet), directory=str(music))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_a_store_from_urls_equals_the_local_one(web: str, music: Path, tmp_path: Path) -> None:
    rows = [f"{path.relative_to(music)},{path.parent.name}" for path in music.rglob("*.wav")]
    (music / "tracks.csv").write_text("\n".join(["path,labels", *sorted(rows)]), encoding="utf-8")
    local = mcls.extract(music / "tracks.csv", tmp_path / "local.h5", features=["mfcc"], sr=8000)
    said = mcls_(
        "extract", f"{web}/tracks.csv", tmp_path / "web.h5", "--feature", "mfcc", "--sr", 8000
    )
    assert f"wrote {tmp_path}/web.h5: 12 tracks" in said
    assert (tmp_path / "web.h5").read_bytes() == local.path.read_bytes()
    again = mcls.extract(f"{web}/tracks.csv", tmp_path / "web.h5", features=["mfcc"], sr=8000)
    assert again.n_computed == 0
    with pytest.raises(ConfigError, match="cannot write"):
        mcls.extract(music, f"{web}/x.h5")


def test_what_is_missing_or_corrupt_fails_alone(web: str, music: Path, tmp_path: Path) -> None:
    (music / "low/3.wav").write_bytes(b"no audio")
    table = f"path,labels\nhigh/0.wav,h\n{web}/low/1.wav,l\nlow/3.wav,l\ngone.wav,l\n"
    (music / "tracks.csv").write_text(table, encoding="utf-8")
    out = tmp_path / "x.h5"
    said = mcls_("extract", f"{web}/tracks.csv", out, "--sr", 8000, code=1)
    store = Store(out)
    assert store.tracks["path"] == ["high/0.wav", f"{web}/low/1.wav"]
    assert store.tracks["track_id"] == ["high/0", f"{web}/low/1"]
    assert store.tracks["sha1"] == [file_sha1(music / name) for name in ("high/0.wav", "low/1.wav")]
    reasons = {row["path"]: row["reason"] for row in store.failed}
    assert reasons["gone.wav"] == "there is no such object"
    assert list(reasons) == ["low/3.wav", "gone.wav"]
    for text in (said.encode(), out.read_bytes()):
        assert str(tmp_path / "cache").encode() not in text
    moved = read_manifest(f"{web}/tracks.csv", audio_root=web)
    write_manifest(moved, tmp_path / "moved.csv")
    assert read_manifest(tmp_path / "moved.csv").paths() == moved.paths()


@pytest.mark.slow
def test_outputs_are_uploaded_whole_and_read_again(memory: Any, music: Path) -> None:
    local = mcls.extract(music, music.parent / "m.h5", features=["mfcc"], sr=8000).path
    memory.put(str(local), "/b/m.h5")
    mcls_("learn-dict", "memory://b/m.h5", "memory://b/vq.h5", "--size", 4)
    words = ["memory://b/m.h5", "memory://b/run", "--dict", "memory://b/vq.h5", "--model", "knn"]
    mcls_("train", *words, "--pool", "histogram")
    assert "holds another run" in mcls_("train", *words, "--pool", "histogram", "--seed", 3, code=2)
    again = mcls.evaluate("memory://b/run", ["accuracy"])["accuracy"].macro
    mcls_("learn-dict", local, music.parent / "vq.h5", "--size", 4)
    here = ["--dict", music.parent / "vq.h5", "--model", "knn", "--pool", "histogram"]
    mcls_("train", local, music.parent / "run", *here)
    assert again == mcls.evaluate(music.parent / "run", ["accuracy"])["accuracy"].macro
    about = json.loads(memory.cat("/b/run/about.json"))
    assert about["store"] == "memory://b/m.h5"
    assert 'dict = ["memory://b/vq.h5"]' in memory.cat("/b/run/run.toml").decode()
    said = mcls_("predict", "memory://b/run", music / "low", "-o", "memory://b/p.csv")
    assert "memory://b/p.csv: 4 files scored" in said
    assert "memory://b/p.csv: 0 files" in mcls_(
        "predict", "memory://b/run", music / "low", "-o", "memory://b/p.csv"
    )
    for path in memory.find("/b"):
        assert str(music.parent / "cache").encode() not in memory.cat(path), path
    assert not list((music.parent / "cache/outputs").iterdir())


def test_an_upload_that_fails_is_finished_by_the_next_command(
    memory: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def make(text: str) -> None:
        with destination("memory://b/run") as out, Workspace(out) as work, work.output() as new:
            new.mkdir()
            (new / "run.toml").write_text(text)
            (new / "model").write_text(text)
            (new / "run.sha256").write_text(text)

    make("first")
    put = type(memory).put_file

    def broken(self: object, source: str, to: str, **words: object) -> None:
        if to.endswith("run.toml"):
            raise OSError("the network is gone")
        put(self, source, to, **words)

    monkeypatch.setattr(type(memory), "put_file", broken)
    with pytest.raises(DataError, match=r"run\.toml: it cannot"):
        make("second")
    assert memory.find("/b") == ["/b/run/model", "/b/run/run.sha256"]
    monkeypatch.setattr(type(memory), "put_file", put)
    with destination("memory://b/run") as out:
        assert (out / "run.toml").read_text() == "second"
    for name in ("run.toml", "model", "run.sha256"):
        assert memory.cat(f"/b/run/{name}") == b"second"


def test_what_another_program_wrote_meanwhile_is_not_replaced(memory: Any) -> None:
    memory.pipe("/b/x.csv", b"old")
    with (
        pytest.raises(DataError, match="changed by another program"),
        destination("memory://b/x.csv") as out,
    ):
        assert out.read_text() == "old"
        out.write_text("new")
        memory.pipe("/b/x.csv", b"theirs")
        send(out)
    assert memory.cat("/b/x.csv") == b"theirs"
    with destination("memory://b/x.csv") as out:
        assert out.read_text() == "theirs"


def test_a_command_that_fails_uploads_nothing_and_is_continued(memory: Any) -> None:
    with (
        pytest.raises(KeyboardInterrupt),
        destination("memory://b/x.csv") as out,
        Workspace(out) as w,
    ):
        (w.pieces / "one").write_text("piece")
        raise KeyboardInterrupt
    assert memory.find("/b") == []
    with destination("memory://b/x.csv") as out, Workspace(out) as w:
        assert (w.pieces / "one").read_text() == "piece"


def test_nothing_is_written_to_a_local_folder_named_like_a_url(
    memory: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    rows = [f"{i}.wav,{'xy'[i % 2]}" for i in range(20)]
    memory.pipe("/b/tracks.csv", "\n".join(["path,labels", *rows]).encode())
    with pytest.raises(ConfigError, match=r"b/x\.csv: mcls does not write"):
        Workspace("memory://b/x.csv")
    said = mcls_("data", "split", "memory://b/tracks.csv", code=2)
    assert "memory://b/tracks.csv: mcls does not write beside" in said
    assert [path.name for path in tmp_path.iterdir()] == ["cache"]


def test_findings_beside_a_store_at_a_url_are_seen(memory: Any) -> None:
    head = '[[finding]]\nid = "group-7ea38cec"\n'
    finding = head + 'kind = "group"\ntracks = ["a", "b"]\n'
    memory.pipe("/b/m.h5.audit.toml", finding.encode())
    assert [one.tracks for one in read_findings("memory://b/m.h5")] == [("a", "b")]
    assert read_findings("memory://b/other.h5") == []


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "s3fs", None)
    monkeypatch.delitem(sys.modules["fsspec.registry"]._registry, "s3", raising=False)
    assert "s3:// needs s3fs: pip install 'mcls[s3]'" in mcls_("info", "s3://b/x.h5", code=2)
    assert "no kind of URL mp3://" in mcls_("info", "mp3://b/x.h5", code=2)


@pytest.mark.slow
def test_s3_with_a_real_server(music: Path, tmp_path: Path) -> None:
    pytest.importorskip("s3fs")
    pytest.importorskip("moto.server")
    with s3_server() as environment:
        environment |= {"MCLS_CACHE": str(tmp_path / "cache"), "MCLS_CACHE_SIZE": "20kB"}

        def run(*words: object, code: int = 0, **more: str) -> str:
            done = subprocess.run(
                [sys.executable, "-m", "mcls", *map(str, words)],
                env={**os.environ, **environment, **more},
                cwd=tmp_path,
                capture_output=True,
                text=True,
            )
            assert done.returncode == code, done.stderr
            return done.stdout + done.stderr

        def bucket(code: str) -> str:
            program = f"import fsspec; fs = fsspec.filesystem('s3'); print({code})"
            return subprocess.run(
                [sys.executable, "-c", program],
                env={**os.environ, **environment},
                capture_output=True,
                text=True,
                check=True,
            ).stdout

        bucket(f"fs.put({str(music)!r}, 'music/all', recursive=True)")
        how = ["--feature", "mfcc", "--sr", 8000]
        run("extract", music, "local.h5", *how)
        said = run("extract", "s3://music/all", "s3://music/m.h5", *how, "--jobs", 2)
        assert "wrote s3://music/m.h5: 12 tracks" in said
        assert "up to date" in run("extract", "s3://music/all", "s3://music/m.h5", *how)
        bucket(f"fs.get('music/m.h5', {str(tmp_path / 'back.h5')!r})")
        assert (tmp_path / "back.h5").read_bytes() == (tmp_path / "local.h5").read_bytes()
        wavs = [path.stat().st_size for path in (tmp_path / "cache/copies").rglob("*.wav")]
        assert 0 < sum(wavs) <= 20_000  # of 12 files with 8 kB each
        run("train", "s3://music/m.h5", "s3://music/run", "--pool", "meanstd", "--model", "knn")
        assert "s3://music/run" in run("eval", "s3://music/run", "--metric", "accuracy")
        run("predict", "s3://music/run", "s3://music/all/low/1.wav", "s3://music/all/high")
        bucket(f"fs.get('music/', {str(tmp_path / 'all')!r}, recursive=True)")
        nowhere = {"AWS_ENDPOINT_URL": "http://127.0.0.1:1"}
        said = run("info", "s3://music/m.h5", code=1, **nowhere)
        assert said == "error: s3://music/m.h5: the server cannot be reached\n"
        for path in tmp_path.rglob("*"):
            if path.is_file():
                assert SECRET.encode() not in path.read_bytes(), path


@pytest.mark.slow
def test_a_run_at_a_url_finds_its_store_and_its_audio(
    memory: Any, web: str, music: Path, tmp_path: Path
) -> None:
    rows = [f"{path.relative_to(music)},{path.parent.name}" for path in music.rglob("*.wav")]
    (music / "tracks.csv").write_text("\n".join(["path,labels", *sorted(rows)]), encoding="utf-8")
    assert "12 tracks" in mcls_("data", "check", f"{web}/tracks.csv", "--decode")
    assert "12 tracks" in mcls_("data", "check", f"{web}/tracks.csv")
    (tmp_path / "moved.csv").write_bytes((music / "tracks.csv").read_bytes())
    assert "missing" not in mcls_(
        "data", "check", tmp_path / "moved.csv", "--audio-root", f"{web}/"
    )
    store = mcls.extract(music, tmp_path / "m.h5", features=["mfcc"], sr=8000).path
    memory.put(str(store), "/b/m.h5")
    mcls.train("memory://b/m.h5", tmp_path / "run", pool=["meanstd"], model="knn")
    assert json.loads((tmp_path / "run/about.json").read_text())["store"] == "memory://b/m.h5"
    found = mcls.evaluate(tmp_path / "run", ["accuracy"], by="labels")
    assert found["accuracy"].macro is not None
    run = track_columns({"store": "memory://b/m.h5"}, None)
    assert len(run["track_id"]) == 12
    memory.rm("/b/m.h5")
    with pytest.raises(DataError, match="there is no such object"):
        track_columns({"store": "memory://b/m.h5"}, None)


@pytest.mark.slow
def test_a_folder_of_shards_is_uploaded_with_its_index_last(memory: Any, music: Path) -> None:
    mcls_("extract", music, "memory://b/shards", "--feature", "mfcc", "--sr", 8000, "--no-pack")
    local = mcls.extract(music, music.parent / "m.h5", features=["mfcc"], sr=8000).path
    assert "/b/shards/index.h5" in memory.find("/b")
    mcls_("store", "pack", "memory://b/shards", "memory://b/m.h5")
    assert memory.cat("/b/m.h5") == local.read_bytes()
    assert Store("memory://b/shards").track_ids == Store(local).track_ids


def test_what_a_killed_download_left_is_replaced(memory: Any, tmp_path: Path) -> None:
    memory.pipe("/b/one.wav", b"whole")
    with local_copy("memory://b/one.wav") as path:
        key = path.parent
    key.rename(key.with_name(f"{key.name}.new"))
    (key.with_name(f"{key.name}.new") / "one.wav").write_bytes(b"ha")
    with local_copy("memory://b/one.wav") as path:
        assert path.read_bytes() == b"whole"
    assert not key.with_name(f"{key.name}.new").exists()


def all_commands(group: click.Group, *words: str) -> Iterator[tuple[list[str], click.Command]]:
    ctx = click.Context(group)
    for name in group.list_commands(ctx):
        command = group.get_command(ctx, name)
        assert command is not None
        if isinstance(command, click.Group):
            yield from all_commands(command, *words, name)
        else:
            yield [*words, name], command


COMMANDS = {" ".join(words): command for words, command in all_commands(cli)}
del COMMANDS["data synth"]  # which writes to a URL, as it reads nothing


@pytest.mark.parametrize("name", COMMANDS)
def test_no_command_takes_a_url_for_a_local_path(
    name: str, memory: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = [
        one
        for one in COMMANDS[name].params
        if isinstance(one, click.Argument) and one.type.name not in ("choice", "integer")
    ]
    words = [*name.split(), *("memory://none/x.h5" for one in given)]
    for one in COMMANDS[name].params:
        if isinstance(one, click.Option) and (one.required or one.name in ("out", "html")):
            words += [
                one.opts[-1],
                "memory://none/y.png" if isinstance(one.type, click.Path) else "1",
            ]
    if len(words) == len(name.split()):
        return
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    result = CliRunner().invoke(cli, words)
    assert isinstance(result.exception, SystemExit), result.output
    assert result.exit_code in (1, 2), result.output
    assert result.output.strip()
    assert not list((tmp_path / "here").iterdir())
    assert memory.find("/none") == []


def test_only_the_first_process_of_torchrun_makes_an_output(
    memory: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with click.Context(cli) as ctx:
        monkeypatch.setenv("RANK", "0")
        first = OUT.convert("memory://b/x.h5", None, ctx)
        monkeypatch.setenv("RANK", "1")
        second = OUT.convert("memory://b/x.h5", None, ctx)
    assert first.is_absolute()
    assert second == Path("memory://b/x.h5")  # which a workspace refuses
