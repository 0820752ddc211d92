"""Look-alikes of the folders of known datasets: the published layout, with few or empty files."""

from collections.abc import Iterable, Mapping
from pathlib import Path

GENRES = ["blues", "classical", "country", "disco", "hiphop"]
GENRES += ["jazz", "metal", "pop", "reggae", "rock"]


def touch(root: Path, *names: str, content: bytes = b"") -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)


def write(path: Path, lines: Iterable[str]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


def make_esc10(root: Path) -> None:
    for label in range(10):
        folder = f"{label + 1:03d} - Sound {label}"
        for fold in range(1, 6):
            touch(
                root,
                *(f"{folder}/{fold}-{label}{fold}{n // 2}-{'AB'[n % 2]}.ogg" for n in range(8)),
            )


def make_gtzan(root: Path) -> None:
    names = [f"genres/{genre}/{genre}.{n:05d}.wav" for genre in GENRES for n in range(100)]
    touch(root, *names, content=b"RIFF")


def make_class_folders(root: Path, n_tracks: Mapping[str, int], name: str = "{i}-{i}.mp3") -> None:
    """Make n files in each folder; `name` may hold {folder} and {i}."""
    for folder, n in n_tracks.items():
        touch(root, *(f"{folder}/{name.format(folder=folder, i=i)}" for i in range(n)))


def make_esc50(root: Path, *, per_cell: int = 8) -> None:
    """Make 50 classes in 5 folds of `per_cell` tracks each; 8 are the whole dataset."""
    lines = ["filename,fold,target,category,esc10,src_file,take"]
    for target in range(50):
        for fold in range(1, 6):
            for n in range(per_cell):
                source = 1000 * target + 10 * fold + n
                file = f"{fold}-{source}-A-{target}.wav"
                lines.append(f"{file},{fold},{target},sound {target},{target < 10},{source},A")
                touch(root, f"audio/{file}")
    write(root / "meta/esc50.csv", lines)


def make_urbansound8k(root: Path, n_tracks: int) -> None:
    lines = ["slice_file_name,fsID,start,end,salience,fold,classID,class"]
    for n in range(n_tracks):
        file, fold = f"{n // 2}-{n % 10}-0-{n}.wav", n % 10 + 1
        lines.append(f"{file},{n // 2},0.0,0.5,{n % 2 + 1},{fold},{n % 10},class {n % 10}")
        touch(root, f"audio/fold{fold}/{file}")
    write(root / "metadata/UrbanSound8K.csv", lines)


def make_cal500(root: Path, n_songs: int = 502, n_tags: int = 174) -> None:
    names = [f"artist_{n}-song" for n in range(n_songs)]
    tables = root / "CAL500_noAudioFeatures"
    write(tables / "songNames.txt", names)
    write(tables / "vocab.txt", [f"Emotion-{n}_/_x" for n in range(n_tags)])
    rows = ([str(int((n + tag) % 9 == 0)) for tag in range(n_tags)] for n in range(n_songs))
    write(tables / "hardAnnotations.txt", map(",".join, rows))
    touch(root, *(f"CAL500_32kps/{name}.mp3" for name in names))


def make_giantsteps_key(root: Path, n_tracks: int = 604) -> None:
    tonics = ["C", "Db", "D", "Eb", "E", "F", "Gb", "G", "Ab", "A", "Bb", "B"]
    for n in range(n_tracks):
        key = f"{tonics[n % 12]} {('minor', 'major')[n // 12 % 2]}"
        write(root / f"annotations/key/{1000 + n}.LOFI.key", [key])
        write(root / f"annotations/genre/{1000 + n}.LOFI.genre", ["techno"])
        touch(root, f"audio/{1000 + n}.LOFI.mp3")


def make_ismir04(root: Path, n_each: int = 729) -> None:
    for part in ("training", "development", "evaluation"):
        rows = []
        for n in range(n_each):
            genre = ("classical", "electronic", "jazz_blues", "metal_punk", "world")[n % 5]
            file = f"./artist_{n // 9}/album_{n // 3}/{n:04d}.mp3"
            rows.append(f'"{genre}","artist_{n // 9}","album, {n // 3}","track","{n % 3}","{file}"')
            folder = "" if part == "development" else f"{genre}/"
            rows[-1] = rows[-1].replace("./", f"./{folder}")
            touch(root, f"audio/{part}/{folder}{file[2:]}")
        write(root / "metadata" / part / "tracklist.csv", rows)


def make_fma(root: Path, tracks: Mapping[int, tuple[str, str, str, str, str]]) -> None:
    """Make a folder of tracks, each with subset, split, top genre, all genres and artist."""
    groups = ["", "album", "artist", "set", "set", "track", "track"]
    names = ["", "title", "id", "split", "subset", "genre_top", "genres_all"]
    lines = [",".join(groups), ",".join(names), "track_id,,,,,,"]
    for track, (subset, split, top, genres, artist) in tracks.items():
        lines.append(f'{track},"An, album",{artist},{split},{subset},{top},"{genres}"')
        touch(root, f"fma_{subset}/{track // 1000:03d}/{track:06d}.mp3")
    write(root / "fma_metadata/tracks.csv", lines)
    titles = [
        "genre_id,#tracks,parent,title,top_level",
        "2,9,0,International,2",
        "21,9,0,Hip-Hop,21",
    ]
    write(root / "fma_metadata/genres.csv", titles)


def make_magnatagatune(root: Path, clips: Mapping[str, list[str]], tags: list[str]) -> None:
    """Make both tables and an empty file per clip, from its path without suffix and its tags."""
    head = ['"clip_id"', *(f'"{tag}"' for tag in tags), '"mp3_path"']
    lines = ["\t".join(head)]
    info = ['"clip_id"\t"track_number"\t"title"\t"artist"\t"album"\t"mp3_path"']
    for n, (clip, given) in enumerate(clips.items()):
        cells = [f'"{int(tag in given)}"' for tag in tags]
        lines.append("\t".join([f'"{n}"', *cells, f'"{clip}.mp3"']))
        artist, album = clip[2:].split("-")[:2]
        info.append(f'"{n}"\t"1"\t"title"\t"{artist}"\t"{album}"\t"{clip}.mp3"')
        touch(root, f"mp3/{clip}.mp3")
    write(root / "annotations_final.csv", lines)
    write(root / "clip_info_final.csv", info)


def make_mtg_jamendo_list(file: Path, tracks: Mapping[str, tuple[str, str, list[str]]]) -> None:
    """Write a list of tracks, each with artist, path and tags."""
    lines = ["TRACK_ID\tARTIST_ID\tALBUM_ID\tPATH\tDURATION\tTAGS"]
    for track, (artist, path, tags) in tracks.items():
        lines.append("\t".join([track, artist, "album_1", path, "31.0", *tags]))
    write(file, lines)
