"""The plot of the paths of optimizers, on a surface or on a slice of the loss of a run."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np

from mcls.chain.match import encoded_track, rows_for_run
from mcls.chain.model_cache import net_of_labels
from mcls.disk.outputs import check_replaced
from mcls.disk.workspace import written_whole
from mcls.errors import ConfigError, DataError, suggest
from mcls.explain.surfaces import SURFACES, Surface, interpolated
from mcls.explain.trajectories import Trajectory, trajectories
from mcls.inspection.run_parts import open_net_run, open_run_store
from mcls.parallel.progress import Progress
from mcls.settings import function_of
from mcls.tables.events import hold_events
from mcls.tables.labels import parse_labels

#: Segments over which a slice of a loss is computed.
_SEGMENTS = 64

#: Frames of an animation, and frames per second.
_FRAMES, _PER_SECOND = 50, 10

#: The comment by which an animation is recognised as one of mcls.
_COMMENT = b"mcls"


def optimizers(
    surface: str,
    out: Path,
    chosen: Sequence[str] = (),
    *,
    n_steps: int = 100,
    schedule: str = "constant",
    n_starts: int = 1,
    seed: int = 0,
    n_points: int = 21,
    extent: float = 1.0,
    store: Path | None = None,
    progress: Progress | None = None,
) -> list[Trajectory]:
    """Plot the paths of optimizers on a surface.

    Parameters
    ----------
    surface : str
        A name of ``SURFACES``, or the folder of a run of a net, whose loss is sliced.
    out : Path
        An image (``.png``, ``.svg``, ``.pdf``) or an animation (``.gif``, ``.mp4``).
    chosen, n_steps, schedule
        See `trajectories`.
    n_starts : int
        Starts: that of the surface, and random ones.
    seed : int
        Seed of the random starts, and of the directions of a slice.
    n_points, extent
        See `loss_slice`.
    store : Path or None
        The store of the run; None: the one it was trained on.
    progress : callable or None
        Called while a slice is computed.

    Returns
    -------
    list of Trajectory
    """
    from mcls.plots.page import MARKS, check_format, save, style
    from mcls.plots.trajectories import draw_trajectories, frames

    moving = out.suffix.lower() in (".gif", ".mp4")
    if not moving:
        check_format(out)
    check_replaced(out, _COMMENT if moving else MARKS[out.suffix.lower()], "a plot")
    if surface in SURFACES:
        ground = SURFACES[surface]
    elif Path(surface).is_dir():
        ground = _slice_of(Path(surface), store, n_points, extent, seed, progress)
    else:
        raise ConfigError(f"{surface}: there is no such run, and {suggest(surface, SURFACES)}")
    rng = np.random.default_rng(seed)
    starts = [ground.start]
    for _ in range(n_starts - 1):
        starts.append((rng.uniform(*ground.x_range), rng.uniform(*ground.y_range)))
    found = [
        path
        for start in starts
        for path in trajectories(ground, chosen, n_steps=n_steps, schedule=schedule, start=start)
    ]
    with style(), written_whole(out) as temporary:
        if moving:
            _write_animation(list(frames(ground, found, _FRAMES)), temporary, out.suffix.lower())
        else:
            save(draw_trajectories(ground, found), temporary, out.suffix)
    return found


def _slice_of(
    path: Path,
    place: Path | None,
    n_points: int,
    extent: float,
    seed: int,
    progress: Progress | None,
) -> Surface:
    """Return a slice of the loss of a run's net over segments of its train tracks."""
    import torch

    from mcls.explain.loss_slice import loss_slice
    from mcls.training.losses import of_known

    run = open_net_run(path, "weights to slice")
    if n_points < 4:
        raise ConfigError(f"n_points={n_points}; expected 4 or more")
    model, chain = net_of_labels(run), run.chain()
    store = open_run_store(path, run.about, place)
    steps = rows_for_run(store, chain)
    learnt = set(model.spec.learnt_from)
    tracks = [i for i, name in enumerate(store.track_ids) if name in learnt]
    if not tracks:
        raise DataError(f"{store.path}: it has none of the tracks that {path} was trained on")
    tracks = tracks[:: max(1, len(tracks) // _SEGMENTS)][:_SEGMENTS]
    column = str(run.settings["train"]["labels"])
    cells = store.column(column)
    if hold_events(cells):
        raise ConfigError(
            f"{path} learnt from the events of column {column!r}; its loss is sliced only for runs "
            "that learnt from whole tracks"
        )
    segments = []
    for i in tracks:
        rows, _ = encoded_track(steps, chain, i)
        segments.append(next(model.segments(rows))[:1])
    own = [cells[i] for i in tracks]
    table = parse_labels(own, names=run.labels, allow_empty=True, unknown=run.multi_label)
    targets = torch.tensor(table.targets()[:, model.spec.outputs], dtype=torch.float32)
    loss = function_of("losses", run.settings["train"]["loss"])
    if table.unknown is not None:
        loss = partial(of_known, loss)
    loss = partial(loss, targets=targets, share=targets.nanmean(dim=0))
    axis, losses = loss_slice(
        model,
        torch.cat(segments),
        loss,
        n_points=n_points,
        extent=extent,
        seed=seed,
        progress=progress,
    )
    formula = f"of {len(tracks)} train segments, along two filter-normalised directions"
    return interpolated(path.name, formula, axis, losses)


def _write_animation(pictures: list[np.ndarray], path: Path, suffix: str) -> None:
    """Write frames ``(height, width, 3)`` as GIF or MP4, with the comment of mcls."""
    if suffix == ".gif":
        from PIL import Image

        images = [Image.fromarray(picture).quantize(64) for picture in pictures]
        images[0].save(
            path,
            "GIF",
            save_all=True,
            append_images=images[1:],
            duration=1000 // _PER_SECOND,
            loop=0,
            comment=_COMMENT,
        )
        return
    import av

    with av.open(str(path), "w", format="mp4") as file:
        file.metadata["comment"] = _COMMENT.decode()
        stream = file.add_stream("libx264", rate=_PER_SECOND)
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        for picture in [*pictures, pictures[-1]]:
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            for packet in stream.encode(frame):
                file.mux(packet)
        for packet in stream.encode():
            file.mux(packet)
