"""Manifests: CSV files with a line per track, or folders of class folders.

A manifest is CSV in UTF-8, separated by commas, tabs or semicolons, with or without a byte order
mark. The columns are:

``path`` (or `path_column`)
    The audio file, relative to the manifest or to `audio_root`; or absolute, or a URL.
``track_id``
    The unique name of the track. Without this column it is the path without its suffix and without
    white space around it; if two tracks would have the same name (``a.wav`` and ``a.mp3``), both
    keep their suffix.
any other
    Labels (several are joined by ``|``, or by the characters of `sep`), splits, groups, notes.
    Cells are text; white space around them is removed, except around a path.

Reading a manifest does not check that the audio exists: ``mcls data check`` does, and ``mcls
extract`` reports the files that it cannot open. Every error names the file and the line.
"""

import csv
import io
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

from mcls.disk.outputs import check_suffix
from mcls.disk.text_files import read_regular
from mcls.disk.workspace import written_whole
from mcls.errors import ConfigError, DataError
from mcls.options import takes_options
from mcls.remote.places import folder_of, is_file, is_folder, kept, spelled
from mcls.remote.urls import below, plain, url_of
from mcls.tables.class_folders import scan_audio, scan_class_folders
from mcls.tables.csv_cells import csv_line, other_kind, read_cell
from mcls.tables.labels import SEPARATOR, LabelTable, parse_labels, split_items
from mcls.tables.options import Reading

_DELIMITERS = (",", "\t", ";")


@dataclass
class Manifest:
    """The tracks of a dataset, with their labels and other columns.

    Parameters
    ----------
    columns : dict of str to list of str
        The columns, ``track_id`` and ``path`` first, with one entry per track.
    root : Path
        The folder that relative paths refer to.
    source : Path
        The file or folder that was read.
    lines : list of int or None
        The line of `source` on which each track begins; None for a folder.
    notes : list of str
        Notes for the user about files that were ignored.
    header : list of str
        The columns in the order of the file, so that it can be written in this order again.
    path_column : str
        The name of the column ``path`` in the file.
    sep : str
        The characters that separate the labels of a track in the file.
    """

    columns: dict[str, list[str]]
    root: Path
    source: Path
    lines: list[int] | None = None
    notes: list[str] = field(default_factory=list)
    header: list[str] = field(default_factory=list)
    path_column: str = "path"
    sep: str = SEPARATOR

    def __len__(self) -> int:
        return len(self.columns["path"])

    @property
    def track_ids(self) -> list[str]:
        """The ``track_id`` of every track."""
        return self.columns["track_id"]

    def paths(self) -> list[Path]:
        """Return the audio file of every track, absolute or a URL; it need not exist."""
        return [below(self.root, path) for path in self.columns["path"]]

    def column(self, name: str) -> list[str]:
        """Return a column.

        Raises
        ------
        DataError
            If there is no such column; the message lists the columns.
        """
        if name not in self.columns:
            raise DataError(
                f"{self.source} has no column {name!r}; its columns are {', '.join(self.columns)}"
            )
        return self.columns[name]

    def optional_column(self, name: str | None, *, default: str) -> list[str] | None:
        """Return a column; None if `name` is None, empty or ``none``, or the default and absent.

        Raises
        ------
        DataError
            If a column other than the default is requested and absent.
        """
        if not name or name == "none" or (name == default and name not in self.columns):
            return None
        return self.column(name)

    def where(self, track: int) -> str:
        """Return the line of a track, as ``tracks.csv:7``, or its file in a folder."""
        if self.lines is None:
            return spelled(self.source / self.columns["path"][track])
        return f"{self.source}:{self.lines[track]}"

    def label_cells(self, column: str = "labels") -> list[str]:
        """Return a column with the labels of each track joined by ``|``, whatever `sep` is.

        Raises
        ------
        DataError
            If the column is absent, or a label contains ``|``.
        """
        cells = self.column(column)
        if self.sep == SEPARATOR:
            return cells
        each = [split_items(cell, self.sep) for cell in cells]
        for track, labels in enumerate(each):
            if odd := [label for label in labels if SEPARATOR in label]:
                raise DataError(
                    f"{self.where(track)}: label {odd[0]!r} contains {SEPARATOR!r}; pass --sep "
                    f"'{SEPARATOR}{self.sep}'"
                )
        return [SEPARATOR.join(labels) for labels in each]

    def labels(self, column: str = "labels", *, allow_empty: bool = False) -> LabelTable:
        """Parse a label column; some labels may be unknown.

        Raises
        ------
        DataError
            If the column is absent or a track has no label; the message names file and line.
        """
        values = self.label_cells(column)
        where = [self.where(track) for track in range(len(self))]
        return parse_labels(values, allow_empty=allow_empty, unknown=True, where=where)

    def unlabelled(self, column: str) -> list[int]:
        """Return the indices of the tracks without a label."""
        cells = self.label_cells(column)
        return [track for track, cell in enumerate(cells) if not split_items(cell)]

    def without(self, tracks: Sequence[int]) -> "Manifest":
        """Return the manifest without some of its tracks."""
        left_out = set(tracks)
        kept = [track for track in range(len(self)) if track not in left_out]
        columns = {name: [cells[i] for i in kept] for name, cells in self.columns.items()}
        lines = None if self.lines is None else [self.lines[i] for i in kept]
        return replace(self, columns=columns, lines=lines)

    def missing(self) -> list[int]:
        """Return the indices of the tracks whose audio file does not exist."""
        return [track for track, path in enumerate(self.paths()) if not is_file(path)]


@takes_options
def open_source(path: str | Path, *, reading: Reading) -> Manifest:
    """Read a manifest file, a folder of class folders, or a folder of audio without labels.

    Parameters
    ----------
    path : path
        The manifest or folder. With ``labels="none"`` all audio in the folder is taken.
    reading : Reading
        As keywords: ``audio_root``, ``path_column``, ``labels``, ``sep`` and ``skip_unlabelled``.

    Raises
    ------
    DataError
        If it does not exist or cannot be used.
    """
    path = kept(path)
    if is_folder(path):
        for name in ("audio_root", "path_column", "sep"):
            if getattr(reading, name) != getattr(Reading(), name):
                raise DataError(
                    f"{path} is a folder, not a manifest; leave out --{name.replace('_', '-')}"
                )
        return manifest_from_folder(path, labelled=reading.labels != "none")
    manifest = read_manifest(path, reading=reading)
    if not reading.skip_unlabelled:
        return manifest
    left_out = manifest.unlabelled(reading.labels)
    if len(left_out) == len(manifest):
        raise DataError(f"{path}: no track has a label in column {reading.labels!r}")
    if left_out:
        names = ", ".join(manifest.track_ids[track] for track in left_out[:3])
        more = ", ..." if len(left_out) > 3 else ""
        manifest.notes.append(f"left out {len(left_out)} tracks without a label: {names}{more}")
    return manifest.without(left_out)


@takes_options
def read_manifest(path: str | Path, *, reading: Reading) -> Manifest:
    r"""Read a CSV or TSV manifest.

    Parameters
    ----------
    path : path
        The manifest.
    reading : Reading
        As keywords: ``audio_root`` (None: the folder of the manifest), ``path_column`` and ``sep``.

    Raises
    ------
    DataError
        If the file is missing, not UTF-8, empty, has no ``path`` column, uneven lines, an empty
        path or a duplicate ``track_id``.

    Examples
    --------
    >>> import tempfile
    >>> file = Path(tempfile.mkdtemp(), "tracks.csv")
    >>> _ = file.write_text("path,labels\nblues/1.wav,blues\njazz/7.wav,jazz\n")
    >>> manifest = read_manifest(file)
    >>> len(manifest), manifest.track_ids, manifest.column("labels")
    (2, ['blues/1', 'jazz/7'], ['blues', 'jazz'])
    """
    path, path_column = kept(path), reading.path_column
    if not reading.sep:
        raise ConfigError("sep is empty; expected one or more characters, such as '|,;'")
    lines, header, rows = _parse(path, _read_text(path), path_column)
    columns: dict[str, list[str]] = {"track_id": [], "path": []}
    for name, cells in zip(header, zip(*rows, strict=True), strict=True):
        is_path = name == path_column
        columns["path" if is_path else name] = (
            list(cells) if is_path else [cell.strip() for cell in cells]
        )
    root = plain(folder_of(path) if reading.audio_root is None else reading.audio_root)
    if url_of(root) is None and not root.is_dir():
        raise DataError(f"audio root {root} is not a folder")
    manifest = Manifest(
        columns, root, path, lines, header=header, path_column=path_column, sep=reading.sep
    )
    _check_filled(manifest, "path")
    _check_urls(manifest)
    if "track_id" in header:
        _check_filled(manifest, "track_id")
    else:
        columns["track_id"] = track_ids_of(columns["path"])
    _check_unique(manifest)
    return manifest


def manifest_from_folder(folder: str | Path, *, labelled: bool = True) -> Manifest:
    """Read a folder of class folders; the label of a track is the name of its class folder.

    Parameters
    ----------
    folder : path
        The folder; its subfolders are the classes (see `mcls.tables.class_folders`).
    labelled : bool
        False takes all audio in the folder, without labels.

    Returns
    -------
    Manifest
        Columns ``track_id``, ``path`` (relative to the folder) and ``labels``; sorted by path.

    Raises
    ------
    DataError
        If there are no class folders, none holds audio, or a name is not UTF-8.
    """
    folder = plain(folder)
    if not is_folder(folder):
        raise DataError(f"{folder} is not a folder")
    if labelled:
        paths, labels, notes = scan_class_folders(folder)
        columns = {"track_id": track_ids_of(paths), "path": paths, "labels": labels}
    else:
        paths, notes = scan_audio(folder)
        columns = {"track_id": track_ids_of(paths), "path": paths}
    manifest = Manifest(columns, folder, folder, None, notes)
    _check_unique(manifest)
    return manifest


def write_manifest(manifest: Manifest, path: str | Path) -> None:
    """Write a manifest as CSV, or as TSV if the name ends in ``.tsv``.

    The file appears whole or not at all. Relative paths are rewritten if `path` is in another
    folder than ``manifest.root``, so that the new file refers to the same audio. The column
    ``track_id`` is left out if it would be derived from the paths anyway.

    Raises
    ------
    DataError
        If the columns have different lengths, or `path` is a file but not a manifest.
    """
    path = Path(path)
    check_suffix(path, "a manifest", (".csv", ".tsv", ".txt"))
    text = render_manifest(manifest, path)
    if path.exists():
        try:
            read_manifest(path, reading=Reading(path_column=manifest.path_column))
        except DataError as error:
            raise DataError(f"{path} is not a manifest and is not replaced ({error})") from error
    with written_whole(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="")


def render_manifest(manifest: Manifest, path: str | Path) -> str:
    """Return the text that `write_manifest` would write to `path`."""
    path = Path(path)
    if len({len(cells) for cells in manifest.columns.values()}) > 1:
        sizes = ", ".join(f"{name} {len(cells)}" for name, cells in manifest.columns.items())
        raise DataError(f"{path}: columns have different lengths: {sizes}")
    columns = dict(manifest.columns)
    columns["path"] = _relocated(manifest, path.parent)
    if "track_id" not in manifest.header and columns["track_id"] == track_ids_of(columns["path"]):
        del columns["track_id"]
    if manifest.path_column != "path":
        columns = {manifest.path_column: columns.pop("path"), **columns}
    order = [name for name in manifest.header if name in columns]
    order += [name for name in columns if name not in order]
    rows = zip(*(columns[name] for name in order), strict=True)
    return "".join(csv_line(row, _usual_delimiter(path)) for row in (order, *rows))


def is_written(manifest: Manifest, path: Path) -> bool:
    """Return whether `path` already holds what `write_manifest` would write."""
    return path.is_file() and path.read_bytes() == render_manifest(manifest, path).encode()


def track_ids_of(paths: Sequence[str]) -> list[str]:
    """Return paths without suffixes as names of tracks; names that clash keep their suffix.

    White space around a name is removed, as from the cells of a manifest.

    Examples
    --------
    >>> track_ids_of(["rock/a.wav", "rock/b.wav", "rock/b.mp3", "./rock/c.1.ogg"])
    ['rock/a', 'rock/b.wav', 'rock/b.mp3', 'rock/c.1']
    """
    pure = [PurePosixPath(path) for path in paths]
    whole = [str(path).strip() for path in pure]
    short = [str(path.with_suffix("")).strip() if path.name else "" for path in pure]
    whole, short = ([url_of(path) or path for path in some] for some in (whole, short))
    times = Counter(short)
    return [name if times[name] == 1 else path for name, path in zip(short, whole, strict=True)]


def _read_text(path: Path) -> str:
    raw = read_regular(path)
    if kind := other_kind(raw[:8]):
        raise DataError(f"{path} is {kind}; expected a manifest (CSV or TSV)")
    if raw[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise DataError(f"{path}:1: the file is UTF-16; save it as UTF-8")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise DataError(
            f"{path}:{line}: byte 0x{raw[error.start]:02x} is not UTF-8; save the file as UTF-8"
        ) from None


def _parse(path: Path, text: str, path_column: str) -> tuple[list[int], list[str], list[list[str]]]:
    """Return the line of every row, the header and the rows."""
    delimiter = _delimiter(path, text, path_column)
    records = _records(path, text, delimiter)
    first, header = next(records, (1, []))
    header = [name.strip() for name in header]
    if not header:
        raise DataError(f"{path}:1: the file is empty; expected a header with a path column")
    _check_header(f"{path}:{first}", header, path_column)
    lines, rows = [], []
    for line, row in records:
        if len(row) != len(header):
            raise DataError(
                f"{path}:{line}: {len(row)} cells, expected {len(header)} "
                f"({', '.join(header)}); quote cells that contain {delimiter!r}"
            )
        lines.append(line)
        rows.append(row)
    if not rows:
        raise DataError(f"{path} has a header but no tracks")
    return lines, header, rows


def _delimiter(path: Path, text: str, path_column: str) -> str:
    """Return the delimiter with which the header has the column of paths."""
    usual = _usual_delimiter(path)
    for delimiter in (usual, *_DELIMITERS):
        try:
            _, header = next(_records(path, text, delimiter), (1, []))
        except DataError:
            continue
        if path_column in [name.strip() for name in header] and len(header) > 1:
            return delimiter
    return usual


def _usual_delimiter(path: Path) -> str:
    return "\t" if path.suffix.lower() in (".tsv", ".tab") else ","


def _records(path: Path, text: str, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Yield the first line and the cells of every record that is not blank."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    line = 1
    try:
        for row in reader:
            if row:
                yield line, [read_cell(cell) for cell in row]
            line = reader.line_num + 1
    except csv.Error as error:
        raise DataError(
            f"{path}:{line}: this is not a line of CSV ({error}); is a quotation mark missing?"
        ) from None


def _check_header(where: str, header: list[str], path_column: str) -> None:
    if path_column not in header:
        raise DataError(
            f"{where}: there is no column {path_column!r} in the header ({', '.join(header)}); "
            "name the column with the audio files with --path-column"
        )
    if "path" in header and path_column != "path":
        raise DataError(
            f"{where}: there is a column 'path' beside {path_column!r}; rename it, as mcls keeps "
            "the audio files under this name"
        )
    twice = [name for name, times in Counter(header).items() if times > 1]
    if "" in header:
        raise DataError(
            f"{where}: column {header.index('') + 1} has no name "
            "(in pandas, write the file with to_csv(index=False))"
        )
    if twice:
        raise DataError(f"{where}: column {twice[0]!r} occurs twice")
    odd = [name for name in header if "/" in name or name in (".", "..") or "\0" in name]
    if odd:
        raise DataError(f"{where}: column {odd[0]!r} cannot be stored; rename it without '/'")


def _check_filled(manifest: Manifest, column: str) -> None:
    for track, cell in enumerate(manifest.columns[column]):
        if not cell.strip():
            raise DataError(f"{manifest.where(track)}: the {column} is empty")
        if "\0" in cell:
            raise DataError(f"{manifest.where(track)}: {column} {cell!r} has a zero byte")


def _check_urls(manifest: Manifest) -> None:
    for track, cell in enumerate(manifest.columns["path"]):
        try:
            url_of(cell)
        except ConfigError as error:
            raise DataError(f"{manifest.where(track)}: {error}") from error


def _check_unique(manifest: Manifest) -> None:
    seen: dict[str, int] = {}
    for track, name in enumerate(manifest.track_ids):
        if name in seen:
            raise DataError(
                f"{manifest.where(track)}: duplicate track_id {name!r}; it occurs "
                f"first at {manifest.where(seen[name])}"
            )
        seen[name] = track


def _relocated(manifest: Manifest, folder: Path) -> list[str]:
    """Return the paths relative to `folder`; audio at a URL is named by it."""
    if url_of(manifest.root) is not None:
        return [url_of(path) or str(path) for path in manifest.paths()]
    old, new = manifest.root.resolve(), folder.resolve()
    if old == new:
        return manifest.columns["path"]
    return [
        path
        if below(manifest.root, path) == plain(path)  # absolute, or a URL
        else Path(os.path.relpath(old / path, new)).as_posix()
        for path in manifest.columns["path"]
    ]
