import os
from pathlib import Path

import pytest

from mcls.errors import DataError
from mcls.tables.class_folders import scan_class_folders
from mcls.tables.manifest import (
    Manifest,
    manifest_from_folder,
    open_source,
    read_manifest,
    track_ids_of,
    write_manifest,
)


def write(path: Path, text: str | bytes) -> Path:
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def touch(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")


def test_columns_ids_and_paths(tmp_path):
    file = write(tmp_path / "t.csv", "genre,path\n blues ,b/1.wav\njazz,/far/2.wav\n")
    manifest = read_manifest(file)
    assert list(manifest.columns) == ["track_id", "path", "genre"]
    assert manifest.track_ids == ["b/1", "/far/2"]
    assert manifest.column("genre") == ["blues", "jazz"]
    assert manifest.paths() == [tmp_path / "b/1.wav", Path("/far/2.wav")]
    assert manifest.missing() == [0, 1]
    assert manifest.where(1) == f"{file}:3"


def test_audio_root(tmp_path):
    (tmp_path / "audio").mkdir()
    file = write(tmp_path / "t.csv", "path\n1.wav\n")
    assert read_manifest(file, audio_root=tmp_path / "audio").paths() == [tmp_path / "audio/1.wav"]
    with pytest.raises(DataError, match="nowhere is not a folder"):
        read_manifest(file, audio_root=tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("t.tsv", "path\tlabels\na.wav\tx, y\n"),
        ("t.csv", 'path,labels\na.wav,"x, y"\n'),
        ("t.csv", "path;labels\na.wav;x, y\n"),
        ("t.txt", "path\tlabels\r\na.wav\tx, y\r\n"),
        ("t.csv", b"\xef\xbb\xbfpath\tlabels\na.wav\tx, y\n"),
        ("t.csv", '\n path , labels\n\na.wav,"x, y"\n\n'),
    ],
)
def test_delimiters_byte_order_mark_and_blank_lines(tmp_path, name, text):
    manifest = read_manifest(write(tmp_path / name, text))
    assert manifest.columns == {"track_id": ["a"], "path": ["a.wav"], "labels": ["x, y"]}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", ":1: the file is empty"),
        ("path,labels\n", "a header but no tracks"),
        ("file,labels\na.wav,x\n", r":1: there is no column 'path' in the header \(file, labels\)"),
        ("path,labels\na.wav,x\nb.wav\n", r":3: 1 cells, expected 2 \(path, labels\)"),
        ("path,labels\na.wav,x,y\n", ":2: 3 cells, expected 2"),
        ("path,labels\na.wav,x\n ,y\n", ":3: the path is empty"),
        ("path,track_id\na.wav,x\nb.wav,\n", ":3: the track_id is empty"),
        (
            "path,track_id\na.wav,x\nb.wav,x\n",
            ":3: duplicate track_id 'x'; it .*first at .*:2",
        ),
        ("path\na.wav\na.wav\n", ":3: duplicate track_id 'a.wav'"),
        (",path\n0,a.wav\n", ":1: column 1 has no name .*index=False"),
        ("path,x,x\na.wav,1,2\n", ":1: column 'x' occurs twice"),
        ("path,a/b\na.wav,1\n", ":1: column 'a/b' cannot be stored"),
        ('path,x\n"a.wav,1\nb.wav,2\n', ":2: this is not a line of CSV"),
        (b"path,x\na.wav,ok\nb.wav,\xe9\n", ":3: byte 0xe9 is not UTF-8; save the file as UTF-8"),
        ("path\na.wav\n".encode("utf-16"), ":1: the file is UTF-16; save it as UTF-8"),
        ("path,x\na\0.wav,1\n", ":2: path .* zero byte"),
    ],
)
def test_errors_name_file_and_line(tmp_path, text, message):
    file = write(tmp_path / "tracks.csv", text)
    with pytest.raises(DataError, match=message) as caught:
        read_manifest(file)
    assert str(caught.value).startswith(str(file))


def test_missing_manifest_and_column(tmp_path):
    with pytest.raises(DataError, match=r"no\.csv: the file does not exist"):
        open_source(tmp_path / "no.csv")
    manifest = read_manifest(write(tmp_path / "t.csv", "path,genre\na.wav,x\n"))
    with pytest.raises(
        DataError, match="no column 'labels'; its columns are track_id, path, genre"
    ):
        manifest.column("labels")
    assert manifest.optional_column("labels", default="labels") is None
    assert manifest.optional_column("none", default="labels") is None
    with pytest.raises(DataError, match="no column 'tags'"):
        manifest.optional_column("tags", default="labels")


def test_empty_label_names_the_line(tmp_path):
    manifest = read_manifest(write(tmp_path / "t.csv", "path,labels\na.wav,x\n\nb.wav,|\nc.wav,\n"))
    with pytest.raises(DataError, match=r"t\.csv:4: no label \(and 1 more"):
        manifest.labels()
    assert manifest.labels(allow_empty=True).matrix.sum() == 1


def test_line_numbers_count_lines_within_cells(tmp_path):
    file = write(tmp_path / "t.csv", 'path,x\n"two\nlines.wav",1\nb.wav\n')
    with pytest.raises(DataError, match=":4: 1 cells"):
        read_manifest(file)


def test_clashing_names_keep_their_suffix():
    assert track_ids_of(["a.wav", "a.mp3", "b.wav"]) == ["a.wav", "a.mp3", "b"]
    assert track_ids_of(["jazz.00001", "jazz.00002"]) == ["jazz.00001", "jazz.00002"]


def test_written_manifest_reads_the_same(tmp_path):
    names = ["ä b.wav", 'q"1,2.wav', "two\nlines.wav", " lead.wav", "日本/x.y.wav"]
    columns = {"track_id": list("vwxyz"), "path": names, "labels": list("aabbb")}
    for file in (tmp_path / "t.csv", tmp_path / "t.tsv"):
        write_manifest(Manifest(columns, tmp_path, tmp_path), file)
        assert read_manifest(file).columns == columns


def test_writing_elsewhere_finds_the_same_audio(tmp_path):
    touch(tmp_path / "audio/x/1.wav", tmp_path / "audio/x/2.wav")
    manifest = manifest_from_folder(tmp_path / "audio")
    write_manifest(manifest, tmp_path / "lists/deep/t.csv")
    again = read_manifest(tmp_path / "lists/deep/t.csv")
    assert again.columns["path"] == ["../../audio/x/1.wav", "../../audio/x/2.wav"]
    assert again.track_ids == ["x/1", "x/2"]
    assert again.missing() == []


def test_writing_keeps_the_order_of_columns_and_adds_no_ids(tmp_path):
    file = write(tmp_path / "t.csv", "note,path,labels\n1,a.wav,x\n")
    manifest = read_manifest(file)
    manifest.columns["split"] = ["train"]
    write_manifest(manifest, file)
    assert file.read_text() == "note,path,labels,split\n1,a.wav,x,train\n"


def test_class_folders(tmp_path):
    touch(
        tmp_path / "rock/b.wav",
        tmp_path / "rock/a.WAV",
        tmp_path / "rock/live/deep/c.mp3",
        tmp_path / "jazz & blues/é 1.flac",
        tmp_path / "rock/.hidden.wav",
        tmp_path / ".git/x.wav",
        tmp_path / "rock/notes.txt",
        tmp_path / "rock/cover.jpg",
        tmp_path / "loose.wav",
        tmp_path / "papers/a.pdf",
    )
    manifest = open_source(tmp_path)
    assert manifest.columns == {
        "track_id": ["jazz & blues/é 1", "rock/a", "rock/b", "rock/live/deep/c"],
        "path": ["jazz & blues/é 1.flac", "rock/a.WAV", "rock/b.wav", "rock/live/deep/c.mp3"],
        "labels": ["jazz & blues", "rock", "rock", "rock"],
    }
    assert manifest.notes == [
        "folder 'papers' has no audio and is not a class",
        "1 audio files beside the class folders were ignored",
        "3 other files were ignored (not audio: 1 .jpg, 1 .pdf, 1 .txt)",
    ]
    assert manifest.where(1) == str(tmp_path / "rock/a.WAV")


def test_class_folders_that_are_none(tmp_path):
    with pytest.raises(DataError, match="no class folders; put the audio in one folder per class"):
        open_source(tmp_path)
    touch(tmp_path / "a.wav")
    with pytest.raises(DataError, match="1 audio files but no class folders"):
        open_source(tmp_path)
    touch(tmp_path / "rock/readme.txt")
    with pytest.raises(DataError, match=r"no audio in 1 class folders \(not audio: 1 .txt\)"):
        open_source(tmp_path)
    with pytest.raises(DataError, match="leave out --audio-root"):
        open_source(tmp_path, audio_root=tmp_path)
    touch(tmp_path / "rock|pop/a.wav")
    with pytest.raises(DataError, match=r"'\|' in its name"):
        open_source(tmp_path)


def test_loops_of_links_end(tmp_path):
    touch(tmp_path / "music/rock/sub/a.wav", tmp_path / "elsewhere/b.wav")
    (tmp_path / "music/rock/sub/up").symlink_to(tmp_path / "music/rock")
    (tmp_path / "music/rock/self").symlink_to("self")
    (tmp_path / "music/rock/more").symlink_to(tmp_path / "elsewhere")
    paths, _, _ = scan_class_folders(tmp_path / "music")
    assert paths == ["rock/more/b.wav", "rock/sub/a.wav"]


def test_names_that_are_not_utf8_are_refused(tmp_path):
    (tmp_path / "rock").mkdir()
    try:
        (tmp_path / "rock" / os.fsdecode(b"\xe9.wav")).write_bytes(b"")
    except OSError:
        pytest.skip("the file system has UTF-8 names only")
    with pytest.raises(DataError, match=r"not UTF-8; rename it"):
        open_source(tmp_path)
