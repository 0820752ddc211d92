"""The kinds of steps: what each makes of rows, and a new kind as one new file."""

import gc
import importlib
import weakref
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import mcls
from mcls import registry, source_text
from mcls.chain.leaks import refuse_leaks
from mcls.chain.step import apply_chain, axes_of, kind_of
from mcls.data.parts import Parts
from mcls.disk.chain import Chain, Step, concatenate, extend, spell_chain
from mcls.errors import ConfigError, DataError
from mcls.inspection.info import info
from mcls.inspection.store import plot_track
from mcls.registry import entries
from mcls.stores.store import NewRows, StoreContents, write_store
from mcls.tables.predictions import read_predictions

MEL = Step("feature", "mel", {"sr": 22050, "excerpt": None, "dtype": "float32", "n_mels": 4})
RATE = 22050 / 512

TOY = '''"""Smoothing steps, in a package of their own."""
from dataclasses import replace

from mcls.chain.step import Kind
from mcls.registry import register


@register("steps", "smoothing")
class SmoothingKind(Kind):
    """Scales rows by a learnt number."""

    noun = "smoothing"

    def apply(self, step, inputs):
        rows, rate = inputs[0]
        return rows * step.arrays["factor"], rate

    def axes(self, step, inputs, sr):
        return replace(inputs[0], unit="smoothed")
'''


def pooled(chain: Chain, name: str = "mean", window: float | None = None) -> Chain:
    return extend(chain, Step("pool", name, {"window": window, "hop": window, "norm": "none"}))


@pytest.fixture
def smoothing(tmp_path, monkeypatch):
    """A kind of step that an installed package adds with one file."""
    site = tmp_path / "site"
    (site / "smooth-1.dist-info").mkdir(parents=True)
    (site / "smooth-1.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: smooth\n")
    lines = "[mcls.steps]\nsmooth = smoothing_step\n"
    (site / "smooth-1.dist-info" / "entry_points.txt").write_text(lines)
    (site / "smoothing_step.py").write_text(TOY)
    caches = [registry._read, registry._entry_points, source_text._file_of]
    monkeypatch.syspath_prepend(site)
    importlib.invalidate_caches()
    for cached in caches:
        cached.cache_clear()
    yield Step("smoothing", "halve", {}, (0,), {"factor": np.float32(0.5)}, ("t1", "t2"))
    monkeypatch.undo()
    for cached in caches:
        cached.cache_clear()


def test_the_kinds_of_steps() -> None:
    kinds = entries("steps")
    learnt = ["net", "pool", "scores", "states"]
    assert list(kinds) == ["concat", "dictionary", "feature", "imported", *learnt]
    for name, entry in kinds.items():
        assert entry.module == f"mcls.chain.{name}"  # one file, named after the kind
        assert entry.load()().noun


def test_a_new_kind_of_step_is_one_new_file(smoothing, tmp_path: Path, rng) -> None:
    """It is written, read, applied, plotted, described, guarded and scored like the others."""
    n = 12
    labels = [("rock", "jazz")[i % 2] for i in range(n)]
    rows = [rng.normal(i % 2, 1, (30, 4)).astype(np.float32) for i in range(n)]
    contents = StoreContents(
        {
            "track_id": [f"t{i}" for i in range(n)],
            "path": [f"t{i}.wav" for i in range(n)],
            "labels": labels,
            "split": ["train"] * 8 + ["test"] * 4,
        }
    )
    mel, chain = tmp_path / "mel.h5", extend((MEL,), smoothing)
    write_store(mel, contents, [NewRows("mel", (MEL,), RATE, 4, [30] * n, rows)])
    smoothed = [apply_chain(chain, {0: (one, RATE)})[0] for one in rows]
    np.testing.assert_array_equal(smoothed[0], rows[0] * np.float32(0.5))
    new = NewRows("smooth", chain, RATE, 4, [30] * n, smoothed)
    write_store(tmp_path / "smooth.h5", contents, [new])
    described = info(tmp_path / "smooth.h5")["features"]["smooth"]["chain"]
    assert [(one["kind"], one["name"]) for one in described][1] == ("smoothing", "halve")
    page, _ = plot_track(tmp_path / "smooth.h5", track="t1")
    assert page.axes[0].get_title() == "halve, 4 dimensions"
    assert axes_of(chain).unit == "smoothed"
    run = mcls.train(tmp_path / "smooth.h5", tmp_path / "run", pool=["mean"], model="knn").path
    scored = mcls.predict(run, [mel]).tracks
    kept = read_predictions(run / "predictions.csv")
    found = [next(one.scores for one in scored if one.name == name) for name in kept.track_ids]
    np.testing.assert_allclose(found, kept.scores)
    with pytest.raises(DataError, match="the smoothing 'halve' was learnt from 2 tracks"):
        refuse_leaks(chain, Parts(["test"] * n, "0" * 16, "split"), contents.tracks["track_id"])


def test_an_unknown_kind_is_refused_by_name() -> None:
    with pytest.raises(ConfigError, match="there is no 'smoothing' among the steps; there are: c"):
        kind_of(Step("smoothing", "halve", {}))


def test_rows_of_a_feature_have_to_be_given() -> None:
    with pytest.raises(DataError, match="the rows of the feature 'mel' were not given"):
        apply_chain(pooled((MEL,)), {})


def test_branches_are_concatenated_and_must_have_the_same_number_of_rows(rng) -> None:
    rows = rng.normal(size=(100, 4)).astype(np.float32)
    both = concatenate([pooled((MEL,), "mean"), pooled((MEL,), "max")])
    found, rate = apply_chain(both, {0: (rows, RATE)})
    np.testing.assert_allclose(found, [[*rows.mean(axis=0), *rows.max(axis=0)]], rtol=1e-5)
    assert rate is None
    assert spell_chain(both) == "mel > mean + mel > max"
    uneven = concatenate([pooled((MEL,)), pooled((MEL,), window=0.5)])
    with pytest.raises(DataError, match=r"cannot be concatenated: they have \[1, 5\] rows"):
        apply_chain(uneven, {0: (rows, RATE)})


def test_rows_known_later_in_the_chain_are_not_computed_again() -> None:
    known = np.ones((3, 2), np.float32)
    found, rate = apply_chain(pooled(pooled((MEL,), window=1.0), "max"), {1: (2 * known, 1.0)})
    assert found.tolist() == [[2, 2]]
    assert rate is None


def test_axes_through_windows() -> None:
    rows, windows = axes_of((MEL,)), axes_of(pooled((MEL,), window=0.5))
    length = round(0.5 * RATE)
    assert windows.hop == pytest.approx(length * rows.hop)
    assert windows.start == pytest.approx((length - 1) / 2 * rows.hop)
    assert axes_of(pooled((MEL,))).hop is None
    assert axes_of((replace(MEL, settings={**MEL.settings, "sr": None}),)).hop is None
    assert axes_of((replace(MEL, settings={**MEL.settings, "sr": None}),), 22050).hop == rows.hop


def test_rows_of_a_track_go_as_soon_as_they_are_used() -> None:
    """Not only when the garbage collector looks for circles, which may be many tracks later."""
    rows = np.ones((4, 4), np.float32)
    gone = weakref.ref(rows)
    gc.disable()
    try:
        apply_chain(pooled((MEL,)), {0: (rows, RATE)})
        del rows
        assert gone() is None
    finally:
        gc.enable()
