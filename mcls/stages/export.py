"""Export of a run to one file for other programs: of a net, or of all of a classic system."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mcls import __version__
from mcls.chain.model_cache import net_of_labels
from mcls.disk.chain import Chain
from mcls.disk.outputs import check_replaced, holds
from mcls.disk.run import Run, open_run
from mcls.disk.sums import file_sha256
from mcls.disk.workspace import written_whole
from mcls.errors import ConfigError, MclsError
from mcls.remote.functions import takes_urls
from mcls.settings import digest
from mcls.stages.export_graphs import GraphToWrite, from_audio, from_rows, from_track

if TYPE_CHECKING:
    from mcls.training.model import TrainedNet

#: Suffixes of the formats.
SUFFIXES = (".onnx", ".pt2")


@dataclass(frozen=True)
class Exported:
    """The result of `export`.

    Parameters
    ----------
    path : Path
        The file.
    inputs, outputs : dict of str to list
        Sizes of the inputs and outputs; a name stands for any length.
    difference : float
        Largest difference between the outputs of the file and of the net.
    metadata : dict
        Metadata in the file.
    notes : list of str
        Remarks on the use of the file.
    computed : bool
        False if the file was there already; its sizes and metadata are not read then.
    """

    path: Path
    inputs: dict[str, list[int | str]]
    outputs: dict[str, list[int | str]]
    difference: float
    metadata: dict[str, Any]
    notes: list[str]
    computed: bool = True


@takes_urls(reads=("run",), writes=("out",))
def export(
    run: Path | str, out: Path | str, *, with_mel: bool = False, overwrite: bool = False
) -> Exported:
    """Write a run to one file: standardisation, net and scores; or all of a classic system.

    Parameters
    ----------
    run : path
        A run folder of a net, or of a classifier whose steps can all be exported.
    out : path
        The file: ``.onnx`` (compared with torch in onnxruntime) or ``.pt2`` (torch.export).
    with_mel : bool
        Include the mel spectrogram and the cutting into segments, so that the input is the audio of
        a track instead of segments of rows. The file of a classifier always reads audio.
    overwrite : bool
        Replace an existing file.

    Returns
    -------
    Exported

    Raises
    ------
    ConfigError
        If a part of the run cannot be exported, which the message names, a package is missing, the
        suffix is unknown, the file exists, or `with_mel` is given for rows other than mel spectra.
    FormatError
        If `run` is not a run folder.
    MclsError
        If the outputs of the file differ from those of the net; it is not written then.
    """
    out = Path(out)
    if out.suffix.lower() not in SUFFIXES:
        raise ConfigError(f"{out}: the suffix is {out.suffix!r}; expected {' or '.join(SUFFIXES)}")
    opened = open_run(run)
    key = _key(opened, with_mel)
    if not overwrite and holds(out, f'"made_from": "{key}"'.encode()):
        return Exported(out, {}, {}, 0.0, {}, [], computed=False)
    if out.exists() and not overwrite:
        raise ConfigError(
            f"{out} exists and is not this net; choose another output, or pass --overwrite to "
            "replace it"
        )
    check_replaced(out, b'{"mcls": ', "an exported net")
    onnx = out.suffix.lower() == ".onnx"
    if onnx:
        from mcls.export.files import check_installed

        check_installed()
    chain = opened.chain()
    if opened.net_file is None:
        made = from_track(opened, chain)
        about = _about_classifier(opened)
    else:
        model = net_of_labels(opened)
        made = from_audio(opened, chain, model) if with_mel else from_rows(opened, model)
        about = _about_net(chain, opened, model)
    metadata = {**_metadata(opened, chain, made), **about, "made_from": key}
    difference = _write(made, out, metadata, onnx)
    notes = []
    if made.name != "audio":
        steps = " > ".join(step.name for step in chain)
        notes.append(f"the input is segments of rows of {steps}, which the file does not compute")
    return Exported(
        out, {made.name: made.inputs}, made.outputs, difference, metadata, notes + made.notes
    )


def _key(run: Run, with_mel: bool) -> str:
    """Return a digest of what a file is made from."""
    model = run.net_file or run.path / "model.skops"
    parts = [__version__, file_sha256(model), with_mel]
    return digest(parts if run.net_file else [*parts, run.calibration()])


def _write(made: GraphToWrite, out: Path, metadata: dict[str, Any], onnx: bool) -> float:
    """Write a graph, or its fallback if the length of an axis turns out to be fixed."""
    from mcls.export.files import compare_onnx, compare_torch, trace, write_onnx, write_torch

    try:
        program = trace(made.graph, made.example, made.free)
        with written_whole(out) as temporary:
            if not onnx:
                write_torch(program, temporary, metadata)
                return compare_torch(program, made.graph, made.examples)
            write_onnx(program, temporary, metadata, inputs=[made.name], outputs=list(made.outputs))
            return compare_onnx(temporary, made.graph, made.examples)
    except Exception as error:  # the exporters raise errors of many types
        if made.fallback is not None:
            fixed, made.fallback = made.fallback, None
            made.example, made.examples = fixed.example, fixed.examples
            made.inputs[:] = fixed.inputs  # in place, because the metadata shares it
            return _write(made, out, metadata, onnx)
        if isinstance(error, MclsError | OSError):
            raise
        said = str(error).strip().partition("\n")[0]
        raise MclsError(f"{out}: torch cannot export this net ({said})") from error


def _metadata(run: Run, chain: Chain, made: GraphToWrite) -> dict[str, Any]:
    """Return what a program needs to know to use the file, as a JSON object."""
    chain_ids = [track_id for step in chain for track_id in step.learnt_from]
    return {
        "mcls": __version__,
        "learnt_from": sorted({*run.learnt_from(), *chain_ids}),
        "labels": run.labels,
        "multi_label": run.multi_label,
        "regression": run.regression,
        "threshold": run.about["threshold"],
        "thresholds": run.thresholds,
        "aggregate": run.about["aggregate"],
        "input": {"name": made.name, "shape": made.inputs},
        "output": made.outputs,
        "chain": [
            {
                "kind": one.kind,
                "name": one.name,
                "settings": one.settings,
                "inputs": list(one.inputs),
            }
            for one in chain
        ],
        "sample_rate": chain[0].settings.get("sr") or run.about.get("sample_rate"),
    }


def _about_classifier(run: Run) -> dict[str, Any]:
    train = run.settings["train"]
    return {"classifier": train["model"], "classifier_settings": train.get("param", [])}


def _about_net(chain: Chain, run: Run, model: "TrainedNet") -> dict[str, Any]:
    from mcls.chain.step import axes_of

    spec = model.spec
    step = axes_of(chain, run.about.get("sample_rate")).hop
    return {
        "net": spec.net,
        "net_settings": spec.settings,
        "scores": model.kind,
        "outputs": list(spec.outputs),
        "segment": {
            "n_frames": spec.n_frames,
            "n_dims": spec.n_dims,
            "seconds": None if step is None else step * spec.n_frames,
            "short": spec.short,
            "overlap": spec.overlap,
            "test_shift": spec.test_shift,
            "five_crop": spec.five_crop,
        },
    }
