"""Plot rows beside what a dictionary reconstructs of them from their codes."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from mcls.audio.write import check_wav
from mcls.chain.build import rows_for_dictionary, with_encoder
from mcls.chain.dictionary import patches_of, reconstruct_rows
from mcls.chain.feature import FeatureReader
from mcls.chain.step import RowAxes, apply_chain, axes_of
from mcls.data.sampling import Sample
from mcls.dictionaries.preprocessing import part_frames
from mcls.disk.chain import spell_chain
from mcls.disk.dictionary import DictionaryFile, read_dictionary
from mcls.errors import ConfigError, DataError
from mcls.inspection.row_audio import audible, write_rows
from mcls.plots.axes import DimensionAxis
from mcls.plots.page import Figure, shortened
from mcls.plots.reconstruction import draw_pairs
from mcls.plots.track import Panel, draw_track
from mcls.stores.store import Store, StoredRows


def plot_reconstruction(
    path: Path,
    *,
    reconstruct: str,
    store: Path | None = None,
    encoder: str | None = None,
    audio: Path | None = None,
) -> tuple[Figure, str]:
    """Plot rows beside their reconstruction, in the units of the feature.

    Parameters
    ----------
    path : Path
        A dictionary.
    reconstruct : str
        An audio file, the ``track_id`` of a track of the store, or a number of rows, which are
        drawn from all tracks of the store (seed 0).
    store : Path or None
        The store.
    encoder : str or None
        Encoder of the codes, with its settings; None: the one the dictionary was learnt with.
    audio : Path or None
        A WAV file to write the reconstruction to.

    Returns
    -------
    page : Figure
        For a track its rows, their reconstruction and the error of each row. Frames that several
        joined rows hold are the mean of their reconstructions. For a number, each row beside its
        reconstruction.
    shows : str

    Raises
    ------
    ConfigError
        If codes of the encoder cannot be decoded, the store does not fit, or rows cannot be turned
        back into audio.
    DataError
        If there is no such track.
    """
    kept = read_dictionary(path)
    step = with_encoder(kept.step, encoder)
    found = _rows_of(kept, reconstruct, store)
    feature = None
    if audio is not None:
        check_wav(audio)
        feature = audible(kept.chain[:-1], found.sr)
    axes = axes_of(kept.chain[:-1], found.sr, found.tracks[0].shape[1])
    if found.name is None:
        again = np.concatenate([reconstruct_rows(rows, step) for rows in found.tracks])
        patches = patches_of(again, step)
        page, shows = _plot_rows(found, patches, axes)
    else:
        rows = found.tracks[0]
        own = part_frames(reconstruct_rows(rows, step), step.settings["context"], len(rows))
        patches = own[None]
        page, shows = _plot_track(found.name, rows, own, axes)
    page.suptitle(f"{shows}, {spell_chain((*kept.chain[:-1], step))}", x=0.01, ha="left")
    if audio is not None and feature is not None:
        shows += f"; {write_rows(audio, feature, [*patches])}"
    return page, shows


@dataclass(frozen=True)
class _Rows:
    """Rows to reconstruct: those of one track with its name, or the frames of single rows."""

    tracks: list[np.ndarray]
    name: str | None
    sr: int | None


def _rows_of(kept: DictionaryFile, wanted: str, place: Path | None) -> _Rows:
    """Return the rows of an audio file or of a track, or some rows of a store."""
    chain = kept.chain[:-1]
    if place is None:
        if not Path(wanted).is_file():
            raise DataError(
                f"there is no audio file {wanted}; for a track or rows of a store, name the store "
                "with --store"
            )
        known, _, _ = FeatureReader(chain).read(Path(wanted))
        return _Rows([apply_chain(chain, known)[0]], Path(wanted).name, None)
    store = Store(place)
    stored = rows_for_dictionary(store, kept)
    rates = store.tracks.get("sample_rate")
    sr = None if rates is None else int(rates[0])
    if wanted.isdecimal() and wanted not in store.track_ids:
        return _Rows(_some(stored, int(wanted), kept.step.settings["context"]), None, sr)
    i = store.index_of(wanted)
    rows = stored.track(i)
    if not len(rows):
        raise DataError(f"{place}: track {wanted!r} has no rows")
    return _Rows([rows], wanted, None if rates is None else int(rates[i]))


def _some(stored: StoredRows, n: int, context: int) -> list[np.ndarray]:
    """Return the frames of `n` joined rows, from as many tracks as there are."""
    if n < 1:
        raise ConfigError(f"--reconstruct {n}; expected a track, or a number of rows of 1 or more")
    tracks = np.arange(len(stored.offsets) - 1)
    joined = np.concatenate([*Sample(stored, tracks, n_rows=n, context=context, seed=0).raw()])
    if len(joined) < n:
        raise DataError(f"--reconstruct {n}: the store has {len(joined)} rows in all")
    return [*joined.reshape(n, context, -1)]


def _plot_rows(found: _Rows, again: np.ndarray, axes: RowAxes) -> tuple[Figure, str]:
    rows = np.stack(found.tracks)
    errors = np.sqrt(np.mean(np.square(again - rows), axis=(1, 2)))
    n, context, _ = rows.shape
    page = draw_pairs(
        rows,
        again,
        [f"RMS error {error:.3g} {_unit(axes)}" for error in errors],
        axes.dimensions,
        seconds=None if axes.hop is None else context * axes.hop,
        unit=axes.unit,
        title="",
        signed=axes.dimensions.frequencies is None,
    )
    return page, f"{n} row{'s' * (n > 1)} and their reconstruction: {_summary(rows, again, axes)}"


def _plot_track(
    name: str, rows: np.ndarray, again: np.ndarray, axes: RowAxes
) -> tuple[Figure, str]:
    hop = axes.hop or 1.0
    signed = axes.codes or axes.dimensions.frequencies is None
    original = Panel(
        "original", rows, axes.dimensions, hop, axes.start, axes.unit, axes.codes, signed=signed
    )
    errors = np.sqrt(np.mean(np.square(again - rows), axis=1, keepdims=True))
    panels = [
        original,
        replace(original, title="reconstruction", rows=again),
        Panel("RMS error", errors, DimensionAxis("RMS error", 1), hop, axes.start, axes.unit),
    ]
    seconds = max(hop, axes.start + hop * (len(rows) - 0.5))
    page = draw_track(panels, title="", seconds=seconds)
    return page, f"{shortened(name, 40)} and its reconstruction: {_summary(rows, again, axes)}"


def _summary(rows: np.ndarray, again: np.ndarray, axes: RowAxes) -> str:
    """Return the error over all rows, and the share of their variance that is explained."""
    flat = rows.reshape(-1, rows.shape[-1]).astype(np.float64)
    gap = again.reshape(flat.shape) - flat
    spread = np.square(flat - flat.mean(axis=0)).sum()
    error = f"RMS error {np.sqrt(np.mean(gap**2)):.3g} {_unit(axes)}".rstrip()
    if not spread > 0:
        return error
    return f"{error}, {100 * (1 - np.square(gap).sum() / spread):.1f} % of the variance explained"


def _unit(axes: RowAxes) -> str:
    return axes.unit if axes.unit == "dB" else ""
