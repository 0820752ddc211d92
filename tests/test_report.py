"""mcls report: what is on the page, and how it behaves in a browser."""

import csv
import json
import os
import re
import shutil
import time
from html import unescape
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import soundfile
from browser import Browser
from click.testing import CliRunner
from sklearn.metrics import average_precision_score, confusion_matrix, roc_auc_score

from mcls.audio.files import read_audio
from mcls.cli.main import cli
from mcls.disk.audit_file import Finding, write_findings
from mcls.judging.compare import compare
from mcls.report.charts import COLOURS
from mcls.report.listed import choose_listed
from mcls.report.listen import encode_opus
from mcls.stores.store import Store
from mcls.tables.predictions import Predictions, read_predictions, write_predictions

pytest.importorskip("vl_convert", reason="mcls[report] is not installed")

#: Labels and names that would be markup if they were not escaped.
LABELS = ("<script>window.hacked = 1</script>", "\"quoted\" & 'b'</title>", "plain")
ODD = "<img src=x onerror='window.hacked = 2'>"

RECIPE = '[train]\nmodel = "logistic"\npool = ["meanstd"]\n'


def mcls(*words: object, code: int = 0) -> str:
    result = CliRunner().invoke(cli, [str(word) for word in words])
    assert result.exit_code == code, result.output
    return result.output


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with audio, stores and runs; labels and track names are markup."""
    root = tmp_path_factory.mktemp("report")
    rng = np.random.default_rng(0)
    rows = [["track_id", "path", "labels", "tags", "tempo", "split", "fold", "group"]]
    for i in range(30):
        seconds = np.arange(12000) / 8000
        y = 0.3 * np.sin(2 * np.pi * (300 + 500 * (i % 3)) * seconds) * (1 + np.sin(9 * seconds))
        y = y * rng.uniform(0.1, 1) + rng.normal(0, 0.5, len(y))
        soundfile.write(root / f"{i}.wav", 0.3 * y, 8000)
        label = LABELS[i % 3] if i % 7 else LABELS[(i + 1) % 3]
        tags = "|".join(LABELS[j] for j in range(3) if i % 3 == j or (i + j) % 4 == 0)
        part = ["train", "train", "test"][i % 10 // 4]
        name = f"{ODD} {i}" if i % 2 else f"track {i}"
        rows.append([name, f"{i}.wav", label, tags, str(i % 3 + i / 99), part, str(i % 2), f"g{i}"])
    with (root / "tracks.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    (root / "r.toml").write_text(RECIPE)
    mcls("extract", root / "tracks.csv", root / "s.h5", "--sr", 8000, "--feature", "mfcc")
    train = ["train", root / "s.h5"]
    mcls(*train, root / "one", "--pool", "meanstd", "--model", "logistic")
    mcls(*train, root / "two", "--pool", "mean", "--model", "knn")
    mcls(*train, root / "tags", "--pool", "meanstd", "--model", "logistic", "--labels", "tags")
    mcls(
        *train, root / "tempo", "--pool", "mean", "--model", "ridge", "--labels", "tempo",
        "--regression",
    )  # fmt: skip
    mcls("learn-dict", root / "s.h5", root / "d.h5", "--size", 4)
    mcls(*train, root / "vq", "--dict", root / "d.h5", "--pool", "histogram", "--model", "svm")
    mcls("cv", root / "r.toml", root / "s.h5", root / "cv", "--split", "fold")
    mcls(
        *train, root / "net", "--model", "mlp", "-p", "layers=8", "--frames", 8,
        "--epochs", 2,
    )  # fmt: skip
    return root


@pytest.fixture(scope="module")
def page(made: Path) -> Path:
    """The report on one run."""
    mcls("report", made / "one", "-o", made / "one.html", "--top", 3)
    return made / "one.html"


def text_of(page: Path) -> str:
    """Return what the page says, without markup, styles and scripts."""
    html = page.read_text("utf-8")
    html = re.sub(r"<(script|style).*?</\1>", "", html, flags=re.DOTALL)
    return unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", html)))


def embedded(page: Path, name: str) -> dict:
    found = re.search(
        rf'<script type="application/json" id="{name}">(.*?)</script>', page.read_text()
    )
    assert found is not None
    return json.loads(found[1])


def opened(browser: Browser, page: Path, width: int = 1440, *, dark: bool = False) -> None:
    """Open a page and wait for its charts; nothing may go wrong, nor leave the page."""
    browser.view(width, dark=dark)
    browser.open(page)
    assert browser.run("return window.mclsReady") is True
    assert browser.errors() == []
    assert browser.requests() == [page.resolve().as_uri()]
    assert browser.overflow() == 0


@pytest.mark.parametrize("width", [390, 1440])
@pytest.mark.parametrize("what", ["one", "one two vq", "cv", "tags", "tempo", "net"])
def test_pages_work_in_a_browser_at_both_widths(
    made: Path, browser: Browser, what: str, width: int
) -> None:
    out = made / f"{what.replace(' ', '-')}-page.html"
    if not out.exists():
        mcls("report", *(made / name for name in what.split()), "-o", out, "--top", 3)
    opened(browser, out, width, dark=width == 390)
    charts = embedded(out, "charts")["specs"]
    assert charts
    assert browser.run("return document.querySelectorAll('[data-chart] svg').length") == len(charts)
    assert browser.run("return window.hacked") is None
    assert out.stat().st_size < 5e6


def test_players_play_and_cells_list_their_tracks(page: Path, browser: Browser) -> None:
    opened(browser, page)
    played = browser.run(
        "const player = document.querySelector('audio'); player.muted = true;"
        "return player.play().then(() => new Promise(done => player.ontimeupdate = () =>"
        "{ if (player.currentTime > 0.2) done([player.currentTime, player.duration]); }))"
    )
    assert played[0] > 0.2
    assert played[1] == pytest.approx(1.5, abs=0.05)
    # by keyboard: focus a cell, press Enter, then follow the link of a track
    browser.run("document.querySelector('.confusion button').focus()")
    browser.driver.switch_to.active_element.send_keys("\n")
    title = browser.run("return document.querySelector('.cell-tracks h5').textContent")
    count = browser.run("return document.querySelector('.confusion button').textContent")
    assert title.startswith(f"{count} tracks of ")
    names = browser.run(
        "return [...document.querySelectorAll('.cell-tracks li > :first-child')]"
        ".map(x => x.textContent)"
    )
    assert len(names) == int(count)
    assert browser.run("return document.activeElement.tagName") == "BUTTON"
    assert browser.run("return window.hacked") is None


def test_a_screen_reader_finds_its_way(page: Path, browser: Browser) -> None:
    opened(browser, page)
    levels = browser.run(
        "return [...document.querySelectorAll('h1, h2, h3, h4, h5')].map(h => +h.tagName[1])"
    )
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(b - a <= 1 for a, b in pairwise(levels))
    unnamed = browser.run(
        "return [...document.querySelectorAll('img:not([alt]), audio:not([aria-label]),"
        "table:not(:has(caption)):not(.card table), [role=img]:not([aria-label])')].length"
    )
    assert unnamed == 0
    described = browser.run(
        "return [...document.querySelectorAll('[data-chart]')].every(chart =>"
        "[chart, ...chart.querySelectorAll('[role=graphics-document]')].some(found =>"
        "(found.getAttribute('aria-label') || '').length > 20))"
    )
    assert described
    assert browser.run("return document.querySelectorAll('main, nav, header, footer').length") == 4
    ids = browser.run("return [...document.querySelectorAll('[id]')].map(x => x.id)")
    assert len(ids) == len(set(ids))
    dead = browser.run(
        "return [...document.querySelectorAll('a[href^=\"#\"]')].map(a => a.hash.slice(1))"
        ".filter(id => !document.getElementById(id))"
    )
    assert dead == []


def test_nothing_of_the_page_is_elsewhere(page: Path) -> None:
    html = re.sub(r"<script.*?</script>", "", page.read_text(), flags=re.DOTALL)
    assert not re.search(r"(src|href)\s*=\s*[\"']?(https?:)?//|@import|url\(", html)


def test_names_are_shown_as_they_are_and_never_run(page: Path) -> None:
    html, said = page.read_text("utf-8"), text_of(page)
    for name in (*LABELS[:2], ODD):
        assert name not in html
        assert name in said
    assert html.count("<script") == 5 + html.count('"<script')


def test_values_are_those_of_scikit_learn(made: Path, page: Path) -> None:
    found = read_predictions(made / "one" / "predictions.csv").only("test")
    said = text_of(page)
    for j, name in enumerate(found.names):
        values = [
            score(found.truth[:, j], found.scores[:, j])
            for score in (roc_auc_score, average_precision_score)
        ]
        interval = r"(?:[\d.]+ to [\d.]+ )?"
        row = re.search(rf"{re.escape(name)} (\d+) ([\d.]+) {interval}([\d.]+) ", said)
        assert row is not None
        assert int(row[1]) == found.truth[:, j].sum()
        assert [float(row[2]), float(row[3])] == pytest.approx(values, abs=6e-4)
    counts = confusion_matrix(found.truth.argmax(1), found.scores.argmax(1))
    cells = embedded(page, "cells")["run1"]["tracks"]
    shown = {tuple(map(int, key.split(":"))): cell["n"] for key, cell in cells.items()}
    assert shown == {(i, j): n for (i, j), n in np.ndenumerate(counts) if n}


def test_the_leaderboard_is_that_of_compare(made: Path) -> None:
    runs = [made / name for name in ("two", "one", "vq")]
    mcls("report", *runs, "-o", made / "several.html", "--no-audio")
    found, said = compare(runs), text_of(made / "several.html")
    for verdict in found.verdicts:
        assert verdict.replace(f"{made}/", "") in said
    order = [said.index(f" {run.path.name} {run.value.value:.3f} ") for run in found.runs]
    assert order == sorted(order)
    for run in found.runs[1:]:
        assert run.difference is not None
        assert f"{run.difference.value:+.3f}" in said


def test_runs_that_cannot_be_compared_are_shown_and_it_is_said(made: Path) -> None:
    output = mcls("report", made / "one", made / "tags", "-o", made / "x.html", "--no-audio")
    assert "the runs are not compared" in output
    assert "The runs are not compared" in text_of(made / "x.html")


def test_what_does_not_apply_is_left_out_and_said(made: Path) -> None:
    for name, sentence in (("tags", "A confusion matrix needs one label"), ("tempo", "no ROC")):
        out = made / f"{name}.html"
        mcls("report", made / name, "-o", out, "--no-audio")
        assert sentence in text_of(out)
        assert embedded(out, "cells") == {}


def test_of_several_seeds_the_first_is_shown_and_it_is_said(made: Path) -> None:
    mcls(
        "cv", made / "r.toml", made / "s.h5", made / "seeds", "--split", "fold", "--seeds", 2
    )  # fmt: skip
    mcls("report", made / "seeds", made / "cv", "-o", made / "seeds.html", "--no-audio")
    said = text_of(made / "seeds.html")
    assert "the leaderboard is over seeds 0, 1; all below is of seed 0" in said
    value = compare([made / "seeds", made / "cv"]).runs[0].value.value
    assert f"{value:.3f}" in said


def test_a_table_of_predictions_is_reported_too(made: Path) -> None:
    shutil.copy(made / "one" / "predictions.csv", made / "other.csv")
    mcls("report", made / "other.csv", "-o", made / "csv.html")
    said = text_of(made / "csv.html")
    assert "no store is known; name it with --store" in said
    assert "The commands are not known" in said
    mcls("report", made / "other.csv", "-o", made / "csv.html", "--store", made / "s.h5")
    assert embedded(made / "csv.html", "audio")


def test_events_are_named_with_their_times(tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text(
        "track_id,time,labels,score:a,score:b\nx,0.5-0.75,a,0,1\nx,0.75-2,b,0,1\ny,0-1,a,1,0\n"
    )
    mcls("report", tmp_path / "p.csv", "-o", tmp_path / "p.html")
    assert "x, 0.5-0.75 s Predicted b with score 1.00" in text_of(tmp_path / "p.html")


def test_audio_is_embedded_up_to_the_budget_and_the_rest_is_said(made: Path) -> None:
    out = made / "budget.html"
    mcls("report", made / "one", "-o", out, "--top", 3)
    sizes = [len(text) for text in embedded(out, "audio").values()]
    assert len(sizes) > 2
    budget = (sizes[0] + sizes[1] + 10) / 1e6
    output = mcls("report", made / "one", "-o", out, "--top", 3, "--audio-budget", budget)
    assert len(embedded(out, "audio")) == 2
    left = len(sizes) - 2
    assert f"{left} of {len(sizes)} listed tracks have no player" in output.replace("\n", " ")
    assert text_of(out).count("Its audio is left out") == left
    again = made / "again.html"
    mcls("report", made / "one", made / "one", made / "two", "-o", again, "--top", 30)
    tracks = len(read_predictions(made / "one" / "predictions.csv").only("test"))
    assert len(embedded(again, "audio")) == tracks  # once for both runs


def test_linked_audio_is_found_from_where_the_page_is(made: Path, browser: Browser) -> None:
    (made / "sub folder").mkdir(exist_ok=True)
    out = made / "sub folder" / "linked.html"
    mcls("report", made / "one", "-o", out, "--link-audio", "--top", 1)
    assert embedded(out, "audio") == {}
    browser.view(1440)
    browser.open(out)
    seconds = browser.run(
        "const player = document.querySelector('audio'); player.preload = 'auto'; player.load();"
        "return new Promise(done => player.oncanplay = () => done(player.duration))"
    )
    assert seconds == pytest.approx(1.5, abs=0.01)


def test_without_audio_nothing_is_read_of_it(made: Path, tmp_path: Path) -> None:
    mcls(
        "report", made / "one", "-o", tmp_path / "x.html", "--no-audio", "--audio-root", tmp_path
    )  # fmt: skip
    html = (tmp_path / "x.html").read_text()
    assert "<audio" not in html
    assert "Mel spectrogram" not in html
    assert 'class="strip"' in html  # scores over time come from the store


def test_missing_and_replaced_audio_is_said_in_place(made: Path, tmp_path: Path) -> None:
    out = tmp_path / "x.html"
    output = mcls("report", made / "one", "-o", out, "--audio-root", tmp_path, "--top", 1)
    assert "have no player" in output
    assert "there is no audio at" in text_of(out)
    for file in made.glob("*.wav"):
        os.link(made / "0.wav", tmp_path / file.name)
    mcls("report", made / "one", "-o", out, "--audio-root", tmp_path, "--top", 2)
    assert "is another file than the one in" in text_of(out)
    assert embedded(out, "audio") == {}


def test_only_pages_of_mcls_are_replaced(made: Path, tmp_path: Path) -> None:
    other = tmp_path / "mine.html"
    other.write_text("<p>mine</p>")
    assert "is not replaced" in mcls("report", made / "one", "-o", other, code=2)
    assert other.read_text() == "<p>mine</p>"
    assert ".html" in mcls("report", made / "one", "-o", tmp_path / "x.png", code=2)
    assert "choose one" in mcls(
        "report", made / "one", "-o", tmp_path / "x.html", "--no-audio", "--link-audio", code=2
    )


def test_a_missing_extra_is_named(made: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "vl_convert", None)
    output = mcls("report", made / "one", "-o", tmp_path / "x.html", code=2)
    assert "pip install 'mcls[report]'" in output


def test_the_same_runs_give_the_same_bytes(made: Path, tmp_path: Path) -> None:
    for name in ("a.html", "b.html"):
        mcls("report", made / "vq", "-o", tmp_path / name, "--top", 2)
        time.sleep(0.01)
    pages = [(tmp_path / name).read_text() for name in ("a.html", "b.html")]
    bodies = [re.sub(r"<footer>.*?</footer>", "", page, flags=re.DOTALL) for page in pages]
    assert bodies[0] == bodies[1]


def test_opus_keeps_length_and_pitch(tmp_path: Path) -> None:
    tone = 0.5 * np.sin(2 * np.pi * 1000 * np.arange(48000) / 48000)
    (tmp_path / "x.webm").write_bytes(encode_opus(tone))
    y, sr = read_audio(tmp_path / "x.webm", sr=None)
    assert len(y) / sr == pytest.approx(1, abs=0.05)
    assert np.abs(np.fft.rfft(y[:sr])).argmax() * sr / len(y[:sr]) == pytest.approx(1000, abs=3)


def test_lists_are_the_worst_and_the_least_sure(rng: np.random.Generator, tmp_path: Path) -> None:
    truth = np.eye(4, dtype=bool)[rng.integers(0, 4, 200)]
    scores = rng.normal(size=truth.shape) + truth
    n = [f"t{i}" for i in range(200)]
    found = Predictions(n, ["test"] * 200, [""] * 200, list("abcd"), truth, scores, False)
    lists = choose_listed(found, None, 5)
    excess = scores.max(axis=1) - scores[truth]
    assert [one.line for one in lists.errors] == np.argsort(-excess)[:5].tolist()
    assert lists.n_errors == (excess > 0).sum()
    ranked = np.sort(scores, axis=1)
    nearest = np.argsort(ranked[:, -1] - ranked[:, -2]).tolist()
    assert [one.line for one in lists.unsure] == [
        i for i in nearest if i not in {one.line for one in lists.errors}
    ][:5]
    write_predictions(tmp_path / "p.csv", found)
    mcls("report", tmp_path / "p.csv", "-o", tmp_path / "p.html", "--top", 5)
    said = text_of(tmp_path / "p.html")
    assert f"{lists.n_errors} of 200 tracks are wrong" in said


def test_many_labels_and_tracks_stay_readable_and_small(
    rng: np.random.Generator, tmp_path: Path, browser: Browser
) -> None:
    n, k = 5000, 60
    true = rng.integers(0, k, n)
    scores = rng.normal(size=(n, k))
    scores[np.arange(n), true] += 2
    names = [f"label {j}" for j in range(k)]
    ids = [f"track {i}" for i in range(n)]
    truth = np.eye(k, dtype=bool)[true]
    found = Predictions(ids, ["test"] * n, [""] * n, names, truth, scores, False)
    write_predictions(tmp_path / "p.csv", found)
    mcls("report", tmp_path / "p.csv", "-o", tmp_path / "p.html", "--top", 1)
    assert "60 labels are too many for a matrix" in text_of(tmp_path / "p.html")
    assert (tmp_path / "p.html").stat().st_size < 3e6
    opened(browser, tmp_path / "p.html", 390)
    counts = confusion_matrix(true, scores.argmax(1))
    np.fill_diagonal(counts, 0)
    first = browser.run("return document.querySelector('[data-cell]').textContent")
    assert int(first) == counts.max()


def test_marks_stand_out_on_light_and_on_dark_pages() -> None:
    def luminance(colour: str) -> float:  # WCAG 2.2
        values = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
        linear = np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)
        return float(linear @ [0.2126, 0.7152, 0.0722])

    style = (Path(__file__).parents[1] / "mcls" / "report" / "page.css").read_text()
    papers = re.findall(r"--paper: (#\w{6});", style)
    assert len(papers) == 2
    for colour in COLOURS:
        for paper in papers:
            low, high = sorted(map(luminance, (colour, paper)))
            assert (high + 0.05) / (low + 0.05) >= 3, (colour, paper)


def test_the_split_shows_its_audit(made: Path, page: Path) -> None:
    assert f"No audit of copies is known: mcls data audit {made / 's.h5'}" in text_of(page)
    store = Store(made / "s.h5")
    parts = store.column("split")
    pair = tuple(store.track_ids[parts.index(part)] for part in ("test", "train"))
    found = Finding("near-copy", pair, acknowledged=True, reason="the same take, kept on purpose")
    write_findings(made / "s.h5", [found])
    try:
        mcls("report", made / "one", "-o", made / "audited.html", "--top", 1, "--no-audio")
    finally:
        write_findings(made / "s.h5", [])
    said = text_of(made / "audited.html")
    assert f"{found.id} is across parts and was acknowledged: the same take" in said
    assert "No audit of copies" not in said
