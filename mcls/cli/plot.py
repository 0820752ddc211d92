"""``mcls plot``: plot a dictionary, a store, a track, a run, a recipe or audio to an image file."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from mcls.cli.options import AUDIO, FILE, OUT, F, Name, SectionedCommand, SectionedOption
from mcls.cli.progress import done_line


def _option(section: str, *words: str, **facts: Any) -> Callable[[F], F]:
    """Return an option that ``--help`` shows under a heading."""
    return click.option(*words, cls=SectionedOption, section=section, **facts)


_SCORES, _MODEL, _NET = "Scores of a run", "A run over the time of TRACK", "Hidden units of a net"
_STORE, _DICTIONARY, _WHICH = "Track of a store", "Dictionary", "What to show"


@click.command(cls=SectionedCommand)
@click.argument("paths", type=FILE, nargs=-1, required=True, metavar="PATH|RUN...")
@_option(_SCORES, "--roc", is_flag=True, help="Plot the ROC curve of each label.")
@_option(_SCORES, "--pr", is_flag=True, help="Plot the precision-recall curve of each label.")
@_option(
    _SCORES,
    "--calibration",
    is_flag=True,
    help="Plot how often labels of each probability are true.",
)
@_option(
    _SCORES, "--errors", is_flag=True, help="Plot the tracks that are wrong, most confident first."
)
@_option(
    _SCORES,
    "--embedding",
    type=click.Choice(["pca", "tsne"]),
    help="Plot tracks as points, near each other if the run's last rows are.",
)
@_option(
    _MODEL,
    "--saliency",
    metavar="TRACK",
    help="Plot the parts of a track that a net's score comes from.",
)
@_option(_MODEL, "--taggram", metavar="TRACK", help="Plot a run's scores over the time of a track.")
@_option(
    _MODEL,
    "--alignment",
    metavar="TRACK",
    help="Plot the states of an HMM over the time of a track.",
)
@_option(
    _MODEL,
    "--how",
    type=click.Choice(["gradients", "grad-cam"]),
    help="Method of --saliency (default: gradients).",
)
@_option(
    _MODEL,
    "--every",
    type=click.FloatRange(0, min_open=True),
    metavar="SECONDS",
    help="Time between the scores of --taggram.",
)
@_option(
    _NET, "--filters", is_flag=True, help="Plot the filters of a net's first layer, or of --layer."
)
@_option(
    _NET,
    "--histograms",
    is_flag=True,
    help="Plot each layer's gradients and activations over the epochs.",
)
@_option(_NET, "--maximise", is_flag=True, help="Plot the inputs that excite units of a net most.")
@_option(
    _NET,
    "--exciting",
    type=click.IntRange(1),
    metavar="UNIT",
    help="Plot the segments of the store that excite this unit of --layer most.",
)
@_option(
    _NET,
    "--layer",
    metavar="NAME",
    help="Hidden layer (name or number) for --filters, --track, --maximise and others.",
)
@_option(
    _STORE,
    "--track",
    metavar="ID",
    help="Plot the rows of a track; of a net, the feature maps of --layer.",
)
@_option(
    _STORE,
    "--dict",
    "dicts",
    type=FILE,
    multiple=True,
    help="Dictionary whose codes to plot; repeatable.",
)
@_option(
    _STORE,
    "--encoder",
    type=Name("encoders", spec=True),
    help="Encoder (default: the one that the dictionary was learnt with).",
)
@_option(
    _STORE,
    "--pool",
    type=Name("poolers", spec=True),
    multiple=True,
    help="Pooler, such as max@1s; repeatable, applied in order.",
)
@_option(
    _DICTIONARY,
    "--sort",
    type=click.Choice(["use", "frequency", "none"]),
    help="Order of the atoms of a dictionary (default: use).",
)
@_option(
    _DICTIONARY,
    "--space",
    type=click.Choice(["raw", "standardized", "filter", "preprocessed"]),
    help="Space in which the atoms of a dictionary are shown.",
)
@_option(
    _DICTIONARY,
    "--samples",
    type=click.IntRange(min=1),
    help="Plot this many samples drawn from an RBM, a DBN or a vae.",
)
@_option(
    _DICTIONARY,
    "--steps",
    type=click.IntRange(min=1),
    help="Gibbs steps of --samples (default: 1000).",
)
@_option(
    _DICTIONARY,
    "--reconstruct",
    metavar="TRACK|N",
    help="Plot a track, or N rows of --store, beside their reconstruction.",
)
@_option(
    _DICTIONARY,
    "--audio",
    type=OUT,
    metavar="WAV",
    help="WAV file to write with the audio of --samples or --reconstruct.",
)
@_option(_WHICH, "--part", help="Part of a run to plot (default: test).")
@_option(
    _WHICH,
    "--label",
    help="Label for --saliency, --alignment, --embedding or --samples.",
)
@_option(
    _WHICH,
    "--feature",
    "features",
    multiple=True,
    metavar="NAME[:key=value,...]",
    help="Feature of a store, or of an audio file, to plot; repeatable.",
)
@_option(
    _WHICH,
    "--top",
    type=click.IntRange(min=1),
    help="Number of atoms, filters, labels, maps, units or errors to show.",
    show_default=False,
)
@_option(_WHICH, "--store", type=FILE, help="Store that holds TRACK, if it is not an audio file.")
@_option(
    _WHICH,
    "--audio-root",
    type=AUDIO,
    metavar="DIR",
    help="Folder of the audio, to draw --errors, and to write the segments of --exciting.",
)
@click.option(
    "-o",
    "--out",
    type=OUT,
    required=True,
    help="Image file to write: .png, .svg or .pdf; an older plot is replaced.",
)
def command(paths: tuple[Path, ...], out: Path, **options: Any) -> None:
    """Plot a dictionary, a store, a run, a recipe or audio.

    Dictionary: the atoms on the axes of the feature, their usage and the
    learning curves; with --samples what a generative model believes that
    rows look like, or with --reconstruct rows beside what their codes tell
    of them, both as audio with --audio. Store: labels, durations and features, or with --track
    the rows, codes and pooled vector of a track. Run: the confusion
    matrix, the AUC of each label, or the predicted numbers of a regression
    against the true ones; with --filters, --saliency, --taggram or
    --alignment the filters, the saliency, the scores over time or the states
    of its model, where TRACK is an audio file or the id of a track of the
    store; with --track, --maximise or --exciting the units of its --layer.
    With --roc, --pr and --calibration the curves of each label, with
    --embedding the tracks as points, of one run or several; with --errors
    the tracks that are wrong, most confident first. Several runs: their
    learning curves together. Recipe: the learning rate schedule of its
    [train]. Audio file: every feature over time, as extract computes it.

    Atoms are shown in the units of the feature (raw, the default if rows
    are frequencies), in standard deviations (standardized, the default
    otherwise), as weights on raw rows (filter), or as they were learnt
    (preprocessed).

    \b
    Examples:
      mcls plot atoms.h5 -o atoms.png --top 64 --sort frequency
      mcls plot mel.h5 -o x.pdf --track ID --dict d.h5 --pool max@1s --pool mean
      mcls plot dbn.h5 -o dreams.png --samples 16 --audio dreams.wav
      mcls plot vq.h5 -o again.png --reconstruct song.wav --audio again.wav
      mcls plot nmf.h5 -o rows.png --reconstruct 12 --store mel.h5
      mcls plot runs/vq -o confusion.svg
      mcls plot runs/vq runs/stats -o curves.png --roc --pr
      mcls plot runs/fcn4 runs/vq -o points.png --embedding tsne
      mcls plot runs/fcn4 -o wrong.png --errors --audio-root FOLDER
      mcls plot runs/fcn4 -o filters.png --filters
      mcls plot runs/fcn4 -o kernels.png --filters --layer conv2
      mcls plot runs/fcn4 -o why.png --saliency song.wav --label jazz
      mcls plot runs/fcn4 -o where.png --saliency song.wav --how grad-cam
      mcls plot runs/fcn4 -o when.png --taggram song.wav
      mcls plot runs/gmm-hmm -o states.png --alignment digit.wav
      mcls plot runs/fcn4 -o maps.png --track ID --layer conv2
      mcls plot runs/fcn4 -o loudest.png --exciting 3 --layer conv2
      mcls plot runs/relu -o flow.png --histograms
      mcls plot runs/relu runs/sigmoid -o curves.png
      mcls plot fcn4.toml -o schedule.png
      mcls plot song.wav -o song.png --feature waveform --feature mel
    """
    from mcls.inspection.plot import plot

    started = time.monotonic()
    done = plot(paths, out, **options)
    done_line(f"wrote {out}: {done.shows}", started)
