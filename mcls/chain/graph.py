"""The chain and the classifier of a run as one torch module; see `Kind.graph`."""

from typing import TYPE_CHECKING, Any

from mcls.chain.step import kind_of
from mcls.disk.chain import Chain
from mcls.disk.run import Run
from mcls.errors import ConfigError
from mcls.evaluation.calibration import Calibration

if TYPE_CHECKING:
    from mcls.export.track_graph import TrackGraph


def audio_settings(run: Run, chain: Chain) -> dict[str, Any]:
    """Return the sampling rate and the excerpt of the audio that a chain reads.

    Raises
    ------
    ConfigError
        If its features read different audio, or none.
    """
    rate = run.about.get("sample_rate")
    features = [step.settings for step in chain if step.kind == "feature"]
    read = [{"sr": one["sr"] or rate, "excerpt": one["excerpt"]} for one in features]
    if not read:
        raise ConfigError(
            f"{run.path} reads {chain[0].name}, rows that another program made, so it cannot be "
            "exported as a file that reads audio"
        )
    if any(one != read[0] for one in read):
        raise ConfigError(
            f"the features of {run.path} read audio at different rates, or different excerpts, so "
            "it cannot be exported as one file"
        )
    return read[0]


def track_graph(run: Run, chain: Chain, calibration: Calibration | None) -> "TrackGraph":
    """Return the module of a run of a classifier, from the audio of a track to its scores.

    Raises
    ------
    ConfigError
        If one of its parts cannot be exported; the message names it.
    """
    from mcls.export.classifier_graph import ClassifierGraph
    from mcls.export.track_graph import TrackGraph

    name, how = run.settings["train"]["model"], run.about["aggregate"]
    classifier = ClassifierGraph(run.model(), name, len(run.labels), how, calibration)
    sr = audio_settings(run, chain)["sr"]
    steps = [kind_of(step).graph(step, sr) for step in chain]
    return TrackGraph(steps, [step.inputs for step in chain], classifier)
