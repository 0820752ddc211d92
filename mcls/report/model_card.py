"""A run as a folder for a model hub: its files, and a model card with a YAML header.

The folder is a run that ``mcls predict`` reads, so nothing is converted and nothing can differ. The
header is that of https://huggingface.co/docs/hub/model-cards.
"""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mcls.disk.run import Run, open_run, written_folder
from mcls.disk.sums import SUMS
from mcls.disk.text_files import read_text
from mcls.errors import ConfigError
from mcls.report.provenance import command_of
from mcls.report.tables import spell, spell_interval

#: The file of the card.
CARD = "README.md"

#: Labels that are listed, at most.
_LABELS = 200


def write_hub_folder(
    run: Path | str, out: Path | str, *, licence: str | None = None, overwrite: bool = False
) -> list[str]:
    """Write a run and its model card to a folder.

    Parameters
    ----------
    run : path
        A run folder.
    out : path
        The folder to write.
    licence : str or None
        Licence of the model, as the hub spells it, such as ``cc-by-4.0``; None: not known.
    overwrite : bool
        Replace a run that is there.

    Returns
    -------
    list of str
        What is to be said of the folder.

    Raises
    ------
    ConfigError
        If `out` is the run itself, or something that must not be replaced.
    FormatError
        If `run` is not a run folder.
    """
    opened, out = open_run(run), Path(out)
    if out.resolve() == opened.path.resolve():
        raise ConfigError(f"{out} is the run itself; choose another folder")
    with written_folder(out, overwrite=overwrite) as folder:
        for file in sorted(opened.path.iterdir()):
            if file.is_file() and file.name not in (SUMS, CARD) and not file.name.startswith("."):
                shutil.copyfile(file, folder / file.name)
        (folder / CARD).write_text(model_card(opened, out.name, licence), encoding="utf-8")
    notes = ["about.json, predictions.csv and README.md name the tracks, the command and the host"]
    if licence is None:
        notes.append(f"{CARD} says that the licence is unknown; give it with --licence")
    return notes


def model_card(run: Run, name: str, licence: str | None) -> str:
    """Return the model card of a run, Markdown with a YAML header.

    Parameters
    ----------
    run : Run
        The run.
    name : str
        Its name on the hub.
    licence : str or None
        Its licence.
    """
    model, labels = run.settings["train"]["model"], run.labels
    first = run.chain()[0]
    sr = first.settings.get("sr") or run.about.get("sample_rate")
    reads = f"audio, resampled to {sr} Hz," if sr else "audio at its own sampling rate"
    if first.kind == "imported":
        reads = f"rows of {first.name}, which another program makes of audio,"
    kind = "predicts numbers" if run.regression else "classifies recordings"
    several = ", of which a track may have several" if run.multi_label else ""
    gives = f"scores of {len(labels)} labels{several}"
    if run.regression:
        gives = f"{len(labels)} numbers"
    weights = "model.safetensors" if run.net_file else "model.skops, which holds no pickle"
    parts = [
        *_header(run, name, licence),
        f"# {name}",
        f"A model of mcls ({model}) that {kind}. It reads {reads} and gives {gives}.",
        "Labels: " + ", ".join(labels[:_LABELS]) + (", ..." if len(labels) > _LABELS else "") + ".",
        "## Use",
        "```console\n$ pip install mcls\n$ mcls predict THIS_FOLDER recording.wav\n```",
        f"The folder is a run of mcls: the weights are in {weights}, the steps from the audio to "
        "the model in chain.h5, and `mcls predict` checks every file against run.sha256.",
        "## Scores",
        *_scores(run),
        "## Data",
        *_data(run),
        "## Recipe",
        "From the audio: " + " > ".join(step.name for step in run.chain()) + f" > {model}.",
        f"```console\n$ {command_of(run)}\n```",
        f"```toml\n{read_text(run.path / 'run.toml').strip()}\n```",
        "## Licence",
        f"The licence of the model is {licence}." if licence else "The licence is not known.",
        "A model learns from recordings. Whether their licences allow this use, and bind those who "
        "use the model, is for you to check.",
    ]
    return "\n\n".join(parts) + "\n"


def _header(run: Run, name: str, licence: str | None) -> Iterator[str]:
    """Yield the YAML header; JSON is YAML."""
    model = run.settings["train"]["model"]
    data = str(run.about.get("split_name") or Path(str(run.about.get("store", "unknown"))).stem)
    metrics = [
        {"type": metric, "name": f"{metric} ({part})", "value": round(one["value"], 6)}
        for part, metric, one, _ in _headlines(run)
        if part == "test"
    ]
    task = {"type": "audio-classification"}
    result = {"task": task, "dataset": {"type": data, "name": data}, "metrics": metrics}
    fields: dict[str, Any] = {
        "library_name": "mcls",
        "pipeline_tag": "audio-classification",
        "license": licence or "unknown",
        "tags": ["audio", "music", "mcls", model],
    }
    if metrics:
        fields["model-index"] = [{"name": name, "results": [result]}]
    lines = [f"{key}: {json.dumps(value, ensure_ascii=False)}" for key, value in fields.items()]
    yield "\n".join(["---", *lines, "---"])


def _headlines(run: Run) -> Iterator[tuple[str, str, dict[str, Any], str]]:
    """Yield each part, metric, its value with its interval, and the kind of mean over labels."""
    for part, found in run.metrics().items():
        for metric, kinds in found["metrics"].items():
            kind = kinds["headline"]
            if kinds.get(kind) is not None and kinds[kind].get("value") is not None:
                yield part, metric, kinds[kind], kind


def _scores(run: Run) -> Iterator[str]:
    rows = [
        f"| {part} | {metric} ({kind}) | {spell(one['value'])} "
        f"| {spell_interval(one.get('low'), one.get('high'))} | {one.get('n_tracks', '')} |"
        for part, metric, one, kind in _headlines(run)
    ]
    if not rows:
        yield "The run has no scores, since it has neither a valid nor a test part."
        return
    head = ["| part | metric | value | 95 % interval | tracks |", "|---|---|---|---|---|"]
    yield "\n".join([*head, *rows])
    yield "Intervals are over the tracks of a part. Another split gives other values."


def _data(run: Run) -> Iterator[str]:
    about = run.about
    summary = about.get("summary") or {}
    lines = [f"* Store: `{about.get('store')}` (digest {about.get('store_digest')})"]
    if about.get("split_name"):
        lines.append(f"* Published split: {about['split_name']}")
    lines.append(f"* Split: {summary.get('split', about.get('split_id'))}")
    lines += [f"* {note}" for note in about.get("notes") or []]
    yield "\n".join(lines)
