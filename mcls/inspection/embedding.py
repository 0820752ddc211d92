"""Plot the last rows of runs in a plane: the tracks as a classifier sees them."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mcls.chain.last_rows import last_rows_chain, mean_row
from mcls.chain.match import encoded_track, rows_for_run
from mcls.disk.run import Run, open_run
from mcls.errors import ConfigError, DataError, suggest
from mcls.inspection.run_parts import open_run_store
from mcls.inspection.several_runs import run_names
from mcls.judging.evaluate import open_part
from mcls.plots.embedding import MOST_LABELS, MOST_PANELS, EmbeddingPanel, draw_embedding
from mcls.plots.page import Figure, shortened
from mcls.tables.predictions import Predictions

#: Tracks of a plot, at most, and the fewest.
_MOST, _FEWEST = 2000, 3

#: Perplexity of t-SNE, and the principal components that it starts from, at most.
_PERPLEXITY, _COMPONENTS = 30.0, 50


def plot_embedding(
    paths: Sequence[Path],
    *,
    embedding: str,
    part: str | None = None,
    label: str | None = None,
    store: Path | None = None,
) -> tuple[Figure, str]:
    """Plot the tracks of a part as points, near each other if their last rows are.

    The last rows are what a classifier is given, and of a net its last hidden layer; the mean over
    the rows of a track, each dimension standardised over the tracks that are shown.

    Parameters
    ----------
    paths : sequence of Path
        Run folders, at most four.
    embedding : {'pca', 'tsne'}
        Principal components, or t-SNE [1]_ (scikit-learn's, seed 0, perplexity 30 or less).
    part : str or None
        See `mcls.judging.evaluate.open_part`. Of more than 2,000 tracks as many are drawn.
    label : str or None
        The only label to colour; None: all, or with several labels per track the one that divides
        the tracks most evenly.
    store : Path or None
        The store; None: those that the runs were trained on.

    Returns
    -------
    page : Figure
    shows : str

    Raises
    ------
    ConfigError
        If a path is a cross-validation, numbers are predicted, or there is no such label.
    DataError
        If there is no store, or it lacks a track.

    References
    ----------
    .. [1] L. van der Maaten, G. Hinton, "Visualizing data using t-SNE", Journal of Machine Learning
       Research 9, 2008.
    """
    if len(paths) > MOST_PANELS:
        raise ConfigError(f"--embedding of {len(paths)} runs; {MOST_PANELS} at most")
    panels, said = [], []
    for name, path in zip(run_names(paths), paths, strict=True):
        run = _run(path)
        chosen, _ = open_part(path, part)
        if chosen.regression:
            raise ConfigError(f"{path}: numbers are predicted, so there are no labels to colour")
        rows, kept = _last_rows(run, chosen, store)
        groups = _groups(path, chosen, kept, label)
        points, axes = _plane(path, rows, embedding)
        some = f"{len(kept)} of {len(chosen)} drawn" if len(kept) < len(chosen) else f"{len(kept)}"
        parts = "+".join(dict.fromkeys(filter(None, chosen.parts)))
        said.append(f"{some} {parts + ' ' if parts else ''}tracks")
        panels.append(
            EmbeddingPanel(
                f"{shortened(name, 36)}: {rows.shape[1]} dimensions", *axes, points, groups
            )
        )
    counts = ", ".join(dict.fromkeys(said))
    word = {"pca": "principal components", "tsne": "t-SNE"}[embedding]
    names = ", ".join(shortened(str(path), 40) for path in paths)
    one = chosen.multi_label or len(panels[0].groups) == 1
    coloured = label or (panels[0].groups[0][0] if one else "label")
    title = f"{word} of the last rows, {counts}, coloured by {coloured}"
    return draw_embedding(panels, title=title), f"{word} of {names}, {counts}"


def _run(path: Path) -> Run:
    if not (path / "run.toml").is_file():
        inside = sorted(path.glob("fold-*/run.toml")) if path.is_dir() else []
        if inside:
            raise ConfigError(
                f"{path}: --embedding needs one model, but each fold has its own; give a run such "
                f"as {inside[0].parent}"
            )
        raise ConfigError(f"{path}: --embedding needs the model of a run; this is a table")
    return open_run(path)


def _last_rows(run: Run, chosen: Predictions, store: Path | None) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean last row of each track that is shown, and their places in the part."""
    kept = np.arange(len(chosen))
    if len(kept) > _MOST:
        kept = np.sort(np.random.default_rng(0).choice(kept, _MOST, replace=False))
    opened, chain = open_run_store(run.path, run.about, store), last_rows_chain(run)
    steps = rows_for_run(opened, chain)
    found = [encoded_track(steps, chain, opened.index_of(chosen.track_ids[i]))[0] for i in kept]
    return np.array([mean_row(rows) for rows in found]), kept


def _groups(
    path: Path, chosen: Predictions, kept: np.ndarray, label: str | None
) -> list[tuple[str, np.ndarray]]:
    """Return the labels to colour and the tracks with each."""
    truth = chosen.truth[kept]
    if label is not None and label not in chosen.names:
        raise ConfigError(f"{path}: --label {label}: {suggest(label, chosen.names)}")
    support = truth.sum(axis=0)
    if label is not None:
        columns = [chosen.names.index(label)]
    elif chosen.multi_label:
        columns = [int(np.minimum(support, len(kept) - support).argmax())]
    else:
        most = np.argsort(-support, kind="stable")[:MOST_LABELS]
        columns = sorted(int(j) for j in most if support[j])
    groups = [(chosen.names[j], truth[:, j]) for j in columns]
    if chosen.unknown is not None:  # one label is coloured
        groups.append(("unknown", chosen.unknown[kept][:, columns[0]]))
    return groups


def _plane(path: Path, rows: np.ndarray, embedding: str) -> tuple[np.ndarray, tuple[str, str]]:
    """Return points ``(n_tracks, 2)`` and the labels of both axes."""
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE
    from threadpoolctl import threadpool_limits

    spread = rows.std(axis=0)
    rows = (rows - rows.mean(axis=0))[:, spread > 0] / spread[spread > 0]
    if min(rows.shape) < _FEWEST - 1 or len(rows) < _FEWEST:
        raise DataError(
            f"{path}: {len(rows)} tracks whose rows differ in {rows.shape[1]} dimensions; expected "
            f"{_FEWEST} tracks and 2 dimensions or more"
        )
    n_components = 2 if embedding == "pca" else min(_COMPONENTS, *rows.shape)
    pca = PCA(n_components, svd_solver="full")
    components = pca.fit_transform(rows)
    if embedding == "pca":
        first, second = pca.explained_variance_ratio_
        return components, (
            f"component 1 ({100 * first:.0f} % of the variance)",
            f"component 2 ({100 * second:.0f} %)",
        )
    perplexity = min(_PERPLEXITY, (len(rows) - 1) / 3)
    with threadpool_limits(1):  # threads that wait for each other are slower where cores are busy
        model = TSNE(init="pca", perplexity=perplexity, random_state=0)
        points = model.fit_transform(components)
    return points, (f"t-SNE, perplexity {perplexity:.3g}", "")
