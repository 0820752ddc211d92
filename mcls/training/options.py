"""The options that decide how a net is trained."""

from dataclasses import dataclass, fields, replace
from typing import Literal

from mcls.errors import ConfigError
from mcls.options import option
from mcls.registry import find
from mcls.settings import resolve, split_spec


@dataclass(frozen=True)
class Training:
    """How a net is trained; see docs/training.md."""

    segment: float | None = option(
        None,
        "Segment length in seconds (default: the length published with the net).",
        section="Segments",
        metavar="SECONDS",
        min=0,
        min_open=True,
    )
    frames: int | None = option(
        None, "Segment length in rows, instead of seconds.", section="Segments", min=1
    )
    short: Literal["loop", "pad"] = option(
        "loop", "Loop tracks shorter than a segment, or pad them with the mean.", section="Segments"
    )
    overlap: float = option(
        0.0,
        "Fraction by which successive segments overlap when a track is scored.",
        section="Segments",
        min=0,
        max=1,
        max_open=True,
    )
    test_shift: int = option(
        0,
        "Test-time augmentation: average scores over shifts of up to N bands.",
        section="Segments",
        metavar="N",
        min=0,
    )
    five_crop: bool = option(
        False,
        "Test-time augmentation: average scores over four corner crops and the centre.",
        section="Segments",
    )
    crops: int | None = option(
        None, "Segments per track and epoch (default: as many as fit).", section="Segments", min=1
    )
    balance: bool = option(
        False, "Draw segments so that all labels occur equally often.", section="Segments"
    )
    standardize: Literal["dims", "global", "none"] = option(
        "dims",
        "Standardise the input per dimension, globally, or not at all.",
        section="Segments",
    )
    init: tuple[str, ...] = option(
        (),
        "Initialise layers from a dictionary or from runs of nets; repeatable.",
        section="Optimisation",
        metavar="DICT|RUN",
        path="read",
        in_key=False,
    )
    epochs: int = option(50, "Maximum number of epochs.", section="Optimisation", min=1)
    batch_size: int = option(
        32, "Segments per optimiser step, over all devices.", section="Optimisation", min=1
    )
    find_batch_size: bool = option(
        False, "Choose the batch size by timing steps before the training.", section="Optimisation"
    )
    loss: str | None = option(
        None,
        "Loss function (default: cross-entropy; bce with several labels per track).",
        section="Optimisation",
        registry=("losses",),
    )
    optimizer: str = option(
        "adam",
        "Optimiser with its settings, such as adam:lr=1e-4.",
        section="Optimisation",
        registry=("optimizers",),
    )
    schedule: str = option(
        "constant",
        "Learning-rate schedule, such as step:every=30.",
        section="Optimisation",
        registry=("schedules",),
    )
    find_lr: bool = option(
        False, "Choose the learning rate by a learning-rate range test.", section="Optimisation"
    )
    augment: tuple[str, ...] = option(
        (),
        "Augmentation of training segments; repeatable, applied in order.",
        section="Regularisation",
        registry=("segment-augmentations",),
    )
    label_rules: tuple[str, ...] = option(
        (),
        "Let labels follow an augmentation, such as labels:transpose.",
        section="Regularisation",
        word="label-rule",
        metavar="COLUMN:RULE",
    )
    adversary: str | None = option(
        None,
        "Column that the features are trained not to tell, by gradient reversal.",
        section="Regularisation",
        metavar="COLUMN",
    )
    adversary_weight: float = option(
        1.0,
        "Largest weight of the adversary's reversed gradient.",
        section="Regularisation",
        min=0,
    )
    l1: float = option(
        0.0, "Weight of the L1 penalty on all weights.", section="Regularisation", min=0
    )
    clip: float | None = option(
        None,
        "Clip the gradient norm to this value.",
        section="Regularisation",
        min=0,
        min_open=True,
    )
    ema: float | None = option(
        None,
        "Use an exponential moving average of the weights with this decay (0.999).",
        section="Regularisation",
        metavar="DECAY",
        min=0,
        max=1,
        min_open=True,
        max_open=True,
    )
    monitor: str = option(
        "loss",
        "Validation metric (or loss) that selects the best epoch.",
        section="Regularisation",
        metavar="loss|METRIC",
    )
    patience: int | None = option(
        None,
        "Stop early after this many epochs without improvement.",
        section="Regularisation",
        min=1,
    )
    precision: Literal["32", "tf32", "bf16", "16"] = option(
        "32",
        "Numeric precision of the training: 32, tf32, or bf16 or 16 (mixed).",
        section="Hardware",
    )
    workers: int = option(
        0,
        "Threads that prepare batches beside the training; 0 has none on a CPU.",
        section="Hardware",
        in_key=False,
        min=0,
    )
    device: Literal["auto", "cpu", "cuda"] = option(
        "auto", "Device to train on; auto takes CUDA where there is one.", section="Hardware",
        in_key=False,
    )  # fmt: skip
    devices: int = option(
        1, "Number of devices to train on.", section="Hardware", in_key=False, min=1
    )
    compile: bool | None = option(
        None,
        "Compile the net with torch.compile (default: on CUDA, if it pays).",
        section="Hardware",
        in_key=False,
    )
    histograms: bool = option(
        False,
        "Record histograms of each layer's gradients and activations per epoch.",
        section="Output",
    )
    tensorboard: str | None = option(
        None,
        "Folder for TensorBoard logs.",
        section="Output",
        metavar="DIR",
        path="written",
        in_key=False,
    )

    log: str | None = option(
        None,
        "Log figures to tensorboard:DIR, wandb:PROJECT or mlflow:EXPERIMENT.",
        section="Output",
        metavar="TRACKER:WHERE",
        in_key=False,
    )

    def __post_init__(self) -> None:
        if self.segment is not None and self.frames is not None:
            raise ConfigError("segment and frames both set the segment length; give one of them")
        if self.adversary is None and self.adversary_weight != 1.0:
            raise ConfigError(
                f"adversary_weight={self.adversary_weight:g} needs an adversary; name its column "
                "with --adversary"
            )
        if self.adversary is not None and self.compile:
            raise ConfigError("--adversary and --compile do not go together; leave --compile out")

    def segment_rows(self, frame_rate: float | None, published: int, typical: int) -> int:
        """Return the rows of a segment: as asked for, or as published with the net.

        Parameters
        ----------
        frame_rate : float or None
            Rows per second; None where a row is a whole track.
        published : int
            Rows of the segments that the net was published with.
        typical : int
            Rows of a typical track, which a segment does not exceed unless asked for.

        Raises
        ------
        ConfigError
            If seconds are asked for, but rows have no duration.
        """
        if self.frames is not None:
            return self.frames
        if self.segment is not None:
            if frame_rate is None:
                raise ConfigError(
                    f"--segment {self.segment:g}: a row is a whole track here and has no duration "
                    "in seconds; leave --segment out, or give a number of rows with --frames"
                )
            return max(1, round(self.segment * frame_rate))
        return 1 if frame_rate is None else max(1, min(published, typical))

    def for_labels(self, *, multi_label: bool, regression: bool = False) -> "Training":
        """Return the options with the loss that fits the labels, all names checked.

        Parameters
        ----------
        multi_label : bool
            Whether a track may have several labels.
        regression : bool
            Whether numbers are predicted in place of labels.

        Raises
        ------
        ConfigError
            If the registry has no such name or setting, or one does not fit the labels.
        """
        usual = "bce" if multi_label else "cross-entropy"
        loss = self.loss or ("mse" if regression else usual)
        for key in ("balance", "label_rules"):
            if regression and getattr(self, key):
                said = key.replace("_", "-").removesuffix("s")
                raise ConfigError(f"--{said} is for labels; leave it out with --regression")
        specs = [("losses", loss), ("optimizers", self.optimizer), ("schedules", self.schedule)]
        specs += [("segment-augmentations", spec) for spec in self.augment]
        if self.monitor != "loss":
            specs.append(("metrics", self.monitor))
        for family, spec in specs:
            name, given = split_spec(spec)
            entry = find(family, name)
            resolve(entry, given)
            linear = entry.facts.get("scores") == "linear" or entry.facts.get("regression", False)
            if family in ("losses", "metrics") and linear != regression:
                raise ConfigError(
                    f"{name} is for numbers; pass --regression if the label column holds numbers"
                    if linear
                    else f"{name} is for labels; with --regression use mse"
                )
            if multi_label and entry.facts.get("single_label_only"):
                raise ConfigError(
                    f"{name} needs exactly one label per track, but these tracks have several; "
                    + ("use bce, focal or hinge" if family == "losses" else "use auc")
                )
        return replace(self, loss=loss)

    def changed(self) -> dict[str, object]:
        """Return the options that are not at their defaults."""
        default = Training()
        return {
            one.name: value
            for one in fields(self)
            if (value := getattr(self, one.name)) != getattr(default, one.name)
        }
