"""Write a report on one or several runs."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mcls import __version__
from mcls.disk.outputs import check_replaced, check_suffix
from mcls.disk.workspace import written_whole
from mcls.errors import ConfigError
from mcls.evaluation.errors import amounts
from mcls.parallel.progress import Progress
from mcls.report.cards import Card, CardMaker
from mcls.report.charts import Chart
from mcls.report.confusion import confusion_of
from mcls.report.leaderboard import leaderboard
from mcls.report.listed import ListedTrack, Lists, choose_listed
from mcls.report.listen import Audio, Listening
from mcls.report.page import MARK, check_extra, page
from mcls.report.pictures import pictures_of
from mcls.report.provenance import provenance_of
from mcls.report.results import history_charts, result_charts
from mcls.report.runs import ReportedRun, read_runs
from mcls.report.split import report_split


@dataclass(frozen=True)
class Reported:
    """The result of `report`.

    Parameters
    ----------
    path : Path
        The page.
    n_runs, n_tracks, n_players : int
        Runs, listed tracks, and those of them that can be played.
    n_bytes : int
        The size of the page.
    notes : list of str
        What is not in the page, and why; the page says so, too.
    """

    path: Path
    n_runs: int
    n_tracks: int
    n_players: int
    n_bytes: int
    notes: list[str]


def report(
    paths: Sequence[Path | str],
    out: Path | str,
    *,
    metric: str | None = None,
    part: str | None = None,
    baseline: Path | None = None,
    stores: Sequence[Path] = (),
    audio_root: Path | None = None,
    audio: Audio = "embed",
    audio_budget: float = 4.0,
    most: int = 10,
    command: str = "",
    progress: Progress | None = None,
) -> Reported:
    """Write a page on runs: which is better, where they fail, and how they were made.

    Parameters
    ----------
    paths : sequence of paths
        Run folders, cross-validations or CSVs of predictions.
    out : path
        The page (.html); an older page of mcls is replaced.
    metric, part, baseline
        See `mcls.judging.compare.compare`.
    stores : sequence of Path
        Stores of the runs, if they have moved, or of CSVs.
    audio_root : Path or None
        Folder that the paths in the stores are relative to; None: the folder of each store.
    audio : {'embed', 'link', 'none'}
        Embed the audio of listed tracks as Opus, link the files, or leave audio and spectrograms
        out.
    audio_budget : float
        Megabytes of embedded audio.
    most : int
        Length of each list of tracks.
    command : str
        The command line, which the page shows.
    progress : callable or None
        Called with the number of listed tracks done, of all, and 0.

    Raises
    ------
    ConfigError
        If jinja2 or vl-convert-python is missing, or `out` is something else.
    DataError, FormatError
        If a run cannot be read.
    """
    check_extra()
    out = Path(out)
    check_suffix(out, "a report", (".html", ".htm"))
    check_replaced(out, MARK, "a page")
    runs = read_runs([Path(path) for path in paths], part)
    if not runs:
        raise ConfigError("name one run or several")
    board = leaderboard(runs, metric, part=part, baseline=baseline)
    listening = Listening(audio, out, audio_budget * 1e6)
    lists = [choose_listed(run.predictions, run.threshold, most) for run in runs]
    sections = [
        _Section(run, f"run{number}", found, stores, audio_root, listening)
        for number, (run, found) in enumerate(zip(runs, lists, strict=True), 1)
    ]
    total, done = sum(len(one.errors) + len(one.unsure) for one in lists), 0
    cards: list[Card] = []
    for section in sections:
        for card in section.make_cards():
            cards.append(card)
            done += 1
            if progress is not None:
                progress(done, total, 0.0)
    notes = [f"the runs are not compared: {board.refused}"] if board.refused else []
    unheard = _audio_notes(cards, listening)
    contents = [section.content() for section in sections]
    specs = {key: chart.whole() for section in sections for key, chart in section.charts.items()}
    if board.chart is not None:
        specs["leaderboard"] = board.chart.whole()
    names = ", ".join(run.name for run in runs)
    text = page(
        {
            "title": f"Report: {names}" if len(runs) < 4 else f"Report on {len(runs)} runs",
            "about": "Intervals are at 95 %, over tracks.",
            "notes": [note[0].upper() + note[1:] + "." for note in unheard],
            "board": board,
            "runs": contents,
            "version": __version__,
            "command": command,
        },
        specs=specs,
        cells={section.key: section.cells for section in sections if section.cells},
        audio=listening.embedded,
    )
    data = text.encode("utf-8", "backslashreplace")
    with written_whole(out) as temporary:
        temporary.write_bytes(data)
    players = sum(bool(card.player.key or card.player.link) for card in cards)
    return Reported(out, len(runs), len(cards), players, len(data), notes + unheard)


def _audio_notes(cards: Sequence[Card], listening: Listening) -> list[str]:
    """Say of how many listed tracks there is no audio, and why."""
    if listening.how == "none":
        return []
    notes = []
    if listening.n_left_out:
        notes.append(
            f"{listening.n_left_out} of {len(cards)} listed tracks have no player, as the audio of "
            f"the others takes {listening.budget / 1e6:g} MB; raise --audio-budget"
        )
    silent = [card for card in cards if card.missing and not card.player.said]
    without = [card for card in silent if not (card.player.key or card.player.link)]
    if without:
        notes.append(
            f"{len(without)} of {len(cards)} listed tracks have no player, such as "
            f"{without[0].title}: {without[0].missing[0].rstrip('.')}"
        )
    return notes


class _Section:
    """The section of a run: its content for the page, and its charts."""

    def __init__(
        self,
        run: ReportedRun,
        key: str,
        lists: Lists,
        stores: Sequence[Path],
        audio_root: Path | None,
        listening: Listening,
    ) -> None:
        self.run, self.key, self.lists = run, key, lists
        self.charts: dict[str, Chart] = {}
        self.cells: dict[str, Any] = {}
        self._maker = CardMaker(run, key, stores=stores, audio_root=audio_root, listening=listening)
        self._cards: dict[int, Card] = {}

    def make_cards(self) -> Iterator[Card]:
        """Yield the cards of the listed tracks as they are made."""
        for listed in [*self.lists.errors, *self.lists.unsure]:
            self._cards[listed.line] = self._maker.card(listed)
            yield self._cards[listed.line]

    def content(self) -> dict[str, Any]:
        """Return what the page shows of the run."""
        run, lists = self.run, self.lists
        charts, missing = result_charts(run)
        one_label = not run.predictions.multi_label and not run.predictions.regression
        confusion = None
        if one_label:
            confusion, self.cells = confusion_of(run, {i: c.key for i, c in self._cards.items()})
        pictures, failed = pictures_of(run.runs[0]) if run.runs else ([], [])
        stores = {fold: self._maker.store_of_fold(fold) for fold in run.folders}
        return {
            "key": self.key,
            "name": run.name,
            "about": _about_run(run),
            "notes": list(dict.fromkeys(_notes(run))),
            "charts": self._keyed("c", charts),
            "missing": missing,
            "confusion": confusion,
            "lists": lists,
            "errors": self._of(lists.errors),
            "unsure": self._of(lists.unsure),
            "errors_said": _errors_said(run, lists),
            "unsure_said": _unsure_said(run),
            "history": self._keyed("h", history_charts(run)),
            "pictures": pictures,
            "pictures_missing": failed,
            "pictures_of": f" of {run.runs[0].path.name}" if len(run.runs) > 1 else "",
            "split": report_split(run, stores),
            "made": provenance_of(run),
        }

    def _of(self, listed: Sequence[ListedTrack]) -> list[Card]:
        return [self._cards[one.line] for one in listed]

    def _keyed(self, kind: str, charts: Sequence[Chart]) -> list[tuple[str, Chart]]:
        keyed = [(f"{self.key}-{kind}{i}", chart) for i, chart in enumerate(charts)]
        self.charts |= dict(keyed)
        return keyed


def _about_run(run: ReportedRun) -> str:
    said = [f"{len(run.predictions):,} {run.noun} of part {run.found.overall.part}"]
    if run.runs:
        settings = run.runs[0].settings.get("train", {})
        features = [step.name for step in run.runs[0].chain()]
        said.insert(0, f"{settings.get('model')} on {' → '.join(features)}")
    if len(run.runs) > 1:
        said.append(f"{len(run.runs)} folds")
    return ", ".join(said) + "."


def _notes(run: ReportedRun) -> list[str]:
    own = [str(note) for one in run.runs for note in one.about.get("notes") or []]
    if run.seeds:
        said = f"the leaderboard is over seeds {', '.join(run.seeds)}; all below is of seed"
        own.insert(0, f"{said} {run.seeds[0]}")
    return [*run.found.notes, *own]


def _errors_said(run: ReportedRun, lists: Lists) -> str:
    n, shown = len(run.predictions), len(lists.errors)
    if run.predictions.regression:
        return (
            f"The {shown} of {n:,} tracks whose predicted numbers are furthest from the true ones."
        )
    if not lists.n_errors:
        return f"All {n:,} {run.noun} are right." if not lists.missing else ""
    amount = amounts(run.predictions)[1]
    if run.predictions.multi_label:
        said = f"{lists.n_errors:,} of {n:,} {run.noun} have a wrong label or lack a true one"
        return f"{said}; listed are the {shown} with the score furthest from its threshold."
    order = f"of which the {amount} of the predicted label exceeds that of the true one most"
    return f"{lists.n_errors:,} of {n:,} {run.noun} are wrong; listed are the {shown} {order}."


def _unsure_said(run: ReportedRun) -> str:
    where = "a threshold" if run.predictions.multi_label else "each other"
    what = "some score is" if run.predictions.multi_label else "the two highest values are"
    said = f"{run.noun.capitalize()} that are right or wrong, of which {what} closest to {where}"
    return f"{said}; not those above."
