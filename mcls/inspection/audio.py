"""Plot an audio file: its features over time."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from mcls.chain.step import axes_of
from mcls.errors import DataError
from mcls.features.extractor import Extractor
from mcls.features.specs import parse_features
from mcls.inspection.track import panels_of_step
from mcls.plots.axes import DimensionAxis
from mcls.plots.page import Figure, shortened
from mcls.plots.track import draw_track
from mcls.registry import entries

#: Height in inches of an image and of a curve, and of the page at most.
_IMAGE, _CURVE, _PAGE = 1.35, 0.95, 40.0


def plot_audio(path: Path, *, features: Sequence[str] = ()) -> tuple[Figure, str]:
    """Plot features of an audio file, one above the other.

    Parameters
    ----------
    path : Path
        An audio file.
    features : sequence of str
        Specs of features, such as ``mel:n_mels=40``; none: every feature with its defaults, curves
        first. As in `extract` the audio is resampled to 22,050 Hz.

    Returns
    -------
    page : Figure
    shows : str

    Raises
    ------
    ConfigError
        If there is no such feature or setting.
    DataError
        If the file cannot be used.
    """
    known = entries("features").items()
    ready = [name for name, entry in known if not entry.facts.get("needs")]
    extractor = Extractor(parse_features(features or ready))
    try:
        track = extractor.track(path)
    except DataError as error:
        raise DataError(f"{path}: {error}") from error
    assert extractor.sr is not None
    made, steps = extractor.features(extractor.sr), extractor.steps()
    names = list(steps)
    if not features:
        names.sort(key=lambda name: (made[name].n_static > 1, -made[name].frame_rate))
    panels = []
    for name in names:
        for panel in panels_of_step(steps[name], track.rows(name), axes_of((steps[name],))):
            low = panel.rows.shape[1] == 1
            axis = panel.axis if panel.axis.frequencies is not None else _unnamed(panel.axis)
            panels.append(replace(panel, axis=axis, height=_CURVE if low else _IMAGE))
    said = f"{track.seconds:.3g} s at {track.sample_rate} Hz"
    if track.sample_rate != extractor.sr:
        said += f", resampled to {extractor.sr} Hz"
    faults = "; ".join(f"{name}: {value}" for name, value in track.faults.items())
    title = f"{shortened(path.name, 60)}: {said}" + (f" ({faults})" if faults else "")
    page = draw_track(panels, title=title, seconds=track.seconds, highest=_PAGE)
    return page, f"{', '.join(names)} of {path.name}, {said}" + (f" ({faults})" if faults else "")


def _unnamed(axis: DimensionAxis) -> DimensionAxis:
    """Return an axis without the name of the feature, which stands in the title of the panel."""
    return replace(axis, name="" if axis.names else "dimension")
