"""The web application: a page at ``/``, JSON from ``POST /predict``, and ``/docs`` about it."""

import tempfile
from collections.abc import Callable
from pathlib import Path
from shutil import copyfileobj
from typing import Any

from fastapi import FastAPI, HTTPException, UploadFile
from fastapi.responses import FileResponse, HTMLResponse, Response
from fastapi_offline import FastAPIOffline

from mcls import __version__
from mcls.disk.run import Run
from mcls.errors import DataError
from mcls.serve.answers import NeighbourAnswer, Prediction, Refusal, RunAnswer, WindowAnswer
from mcls.serve.guards import Guard
from mcls.serve.neighbours import TrainTracks, media_type
from mcls.serve.scoring import BusyError, FileScorer, ScoredFile
from mcls.stages.calibrate import read_calibration, why_not
from mcls.stages.predict import Predicted

_STATIC = Path(__file__).parent / "static"

#: The page takes nothing from elsewhere; a file that was dropped is played from memory.
_POLICY = "default-src 'self'; media-src 'self' blob:; frame-ancestors 'none'; form-action 'self'"

#: Similar train tracks in an answer.
_NEIGHBOURS = 5


def make_app(
    run: Run, scorer: FileScorer, train: TrainTracks | None = None, *, loopback: bool = True
) -> FastAPI:
    """Return the application that scores files with a run.

    Parameters
    ----------
    run : Run
        The run.
    scorer : FileScorer
        What computes; already started.
    train : TrainTracks or None
        The train tracks, to show which resemble a file.
    loopback : bool
        Whether the server listens on the loopback interface only; see `Guard`.
    """
    limits = scorer.limits
    app = FastAPIOffline(
        docs_url="/docs",
        redoc_url=None,
        title=f"mcls serve {run.path.name}",
        version=__version__,
        description="Scores audio files with a trained run.",
    )
    app.add_middleware(Guard, loopback=loopback, max_bytes=limits.max_bytes)
    about = _about(run, scorer, train)

    @app.get("/", include_in_schema=False)
    def page() -> HTMLResponse:
        headers = {"content-security-policy": _POLICY}
        return HTMLResponse((_STATIC / "page.html").read_text(encoding="utf-8"), headers=headers)

    @app.get("/static/{name}", include_in_schema=False)
    def static(name: str) -> FileResponse:
        if name not in ("page.css", "page.js"):
            raise HTTPException(404, "there is no such file")
        return FileResponse(_STATIC / name)

    @app.get("/favicon.ico", include_in_schema=False)
    def icon() -> Response:
        return Response(status_code=204)

    @app.get("/run", summary="Describe the run")
    def run_answer() -> RunAnswer:
        return about

    refusals: dict[int | str, dict[str, Any]] = {
        status: {"model": Refusal, "description": what}
        for status, what in {
            413: "The file is too large.",
            415: "The file is no audio that can be scored, is too long or took too long.",
            503: "Too many files are waiting.",
        }.items()
    }

    @app.post("/predict", summary="Score an audio file", responses=refusals)
    def predict(file: UploadFile) -> Prediction:
        with tempfile.TemporaryDirectory(prefix="mcls-serve-") as folder:
            path = Path(folder) / "audio"  # never the name that the sender chose
            with path.open("wb") as copy:
                copyfileobj(file.file, copy)
            try:
                found = scorer.score(path)
            except BusyError as error:
                raise HTTPException(503, "too many files are waiting; try again soon") from error
            except DataError as error:
                raise HTTPException(415, str(error)) from error
        return _prediction(run, found, train)

    @app.get("/tracks/{index}/audio", include_in_schema=False)
    def track_audio(index: int) -> FileResponse:
        path = None if train is None or not 0 <= index < len(train.paths) else train.paths[index]
        kind = None if path is None else media_type(path)
        if path is None or kind is None:
            raise HTTPException(404, "there is no audio of this track")
        return FileResponse(path, media_type=kind)

    return app


def _about(run: Run, scorer: FileScorer, train: TrainTracks | None) -> RunAnswer:
    unsure = None if run.regression or read_calibration(run) is not None else why_not(run)
    return RunAnswer(
        name=run.path.name,
        labels=run.labels,
        multi_label=run.multi_label,
        regression=run.regression,
        no_probability=unsure,
        has_neighbours=train is not None,
        max_bytes=scorer.limits.max_bytes,
        max_seconds=scorer.limits.max_seconds,
        version=__version__,
    )


def _prediction(run: Run, found: ScoredFile, train: TrainTracks | None) -> Prediction:
    by_label = _by_label(run.labels)
    scored = found.scored
    rule = Predicted.by(run)
    scores = by_label(scored.scores)
    if not run.regression:
        scores = dict(rule.top(scored.scores, len(run.labels)))
    return Prediction(
        seconds=found.seconds,
        labels=[] if run.regression else rule.predicted(scored.scores),
        scores=scores,
        probabilities=None if scored.probabilities is None else by_label(scored.probabilities),
        windows=[
            WindowAnswer(start=one.start, stop=one.stop, scores=by_label(one.scores))
            for one in scored.windows
        ],
        neighbours=[] if train is None else _neighbours(train, found),
        faults=scored.faults,
    )


def _by_label(labels: list[str]) -> Callable[[Any], dict[str, float]]:
    return lambda numbers: dict(zip(labels, map(float, numbers), strict=True))


def _neighbours(train: TrainTracks, found: ScoredFile) -> list[NeighbourAnswer]:
    answers = []
    for one in train.nearest(found.row, _NEIGHBOURS):
        path = train.paths[one.index]
        there = path is not None and media_type(path) is not None
        answers.append(
            NeighbourAnswer(
                track=train.names[one.index],
                labels=train.labels[one.index],
                similarity=one.similarity,
                audio=f"/tracks/{one.index}/audio" if there else None,
            )
        )
    return answers
