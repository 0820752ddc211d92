"""Every option of the training of a net, in one place: the stage, the command and recipes read it.

`takes_training` lets a function that passes ``**training`` on say so in its signature, so that a
recipe's table and ``help()`` know the options by name.
"""

import inspect
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal, TypeVar

from mcls.errors import ConfigError, suggest
from mcls.registry import Setting, find
from mcls.settings import convert, resolve, split_spec

F = TypeVar("F", bound=Callable[..., Any])

#: Options that decide where or how fast a net is trained, not what it becomes.
NOT_DECIDING = ("workers", "device", "devices", "compile", "tensorboard", "log")


@dataclass(frozen=True)
class Training:
    """How a net is trained.

    Parameters
    ----------
    segment : float or None
        Seconds of a segment.
    frames : int or None
        Rows of a segment, instead of seconds. Without either: those the net was published with,
        but no more than half of the train tracks have; 1 where rows have no time.
    short : {'loop', 'pad'}
        What makes a track that is shorter than a segment long enough: itself again, or the mean.
    overlap : float
        Share of a segment that the next one has, too, when a track is scored; in [0, 1).
    test_shift : int
        A segment's score is the mean over itself moved by ``-test_shift``, ..., ``test_shift``
        dims. The figures of the valid part after each epoch are of segments that are not moved.
    crops : int or None
        Random segments that an epoch takes of each track; None: as many as fit into it side by
        side.
    balance : bool
        Draw segments so that every label is met equally often.
    augment : tuple of str
        Augmentations of segments, in order.
    standardize : {'dims', 'global', 'none'}
        Subtract the mean and divide by the deviation of the train rows: of each dim, or of all
        numbers together.
    init : tuple of str
        What to begin with: a dictionary file of dense layers, such as a DBN, or runs of nets, the
        layers of theirs that have the names of layers here. What they do to rows before takes the
        place of `standardize`, and the context of a dictionary that of `frames`.
    epochs : int
        At most.
    batch_size : int
        Segments of a step, over all devices.
    find_batch_size : bool
        Choose `batch_size` by trial: what a CUDA device holds, or what is fastest on a CPU.
    loss : str or None
        None: cross-entropy if a track has one label, binary cross-entropy else.
    optimizer, schedule : str
        How steps are made, and how the rate changes.
    find_lr : bool
        Let a range test choose the optimizer's ``lr``.
    l1 : float
        Of the L1 penalty on all weights.
    clip : float or None
        Longest gradient: longer ones are shortened to it.
    ema : float or None
        Keep a running mean of the weights, this much of it left per step, and use that.
    monitor : str
        What of the valid part decides which epoch is kept: ``loss`` or a metric.
    patience : int or None
        Stop after so many epochs without a better one.
    precision : {'32', 'bf16', '16'}
        Of the computing in training; weights and scores are 32 bits wide.
    workers : int
        Processes that gather batches; 0: the training itself does.
    device : {'auto', 'cpu', 'cuda'}
        Where to compute; auto takes CUDA where there is one.
    devices : int
        How many of them.
    compile : bool
        Compile the net first.
    tensorboard : str or None
        A folder to log to for TensorBoard.
    log : str or None
        Log each epoch's figures to ``tensorboard:DIR``, ``wandb:PROJECT`` or ``mlflow:EXPERIMENT``.
    """

    segment: float | None = None
    frames: int | None = None
    short: Literal["loop", "pad"] = "loop"
    overlap: float = 0.0
    test_shift: int = 0
    crops: int | None = None
    balance: bool = False
    augment: tuple[str, ...] = ()
    standardize: Literal["dims", "global", "none"] = "dims"
    init: tuple[str, ...] = ()
    epochs: int = 50
    batch_size: int = 32
    find_batch_size: bool = False
    loss: str | None = None
    optimizer: str = "adam"
    schedule: str = "constant"
    find_lr: bool = False
    l1: float = 0.0
    clip: float | None = None
    ema: float | None = None
    monitor: str = "loss"
    patience: int | None = None
    precision: Literal["32", "bf16", "16"] = "32"
    workers: int = 0
    device: Literal["auto", "cpu", "cuda"] = "auto"
    devices: int = 1
    compile: bool = False
    tensorboard: str | None = None
    log: str | None = None

    def deciding(self) -> dict[str, Any]:
        """Return the options that decide what the net becomes."""
        return {key: value for key, value in vars(self).items() if key not in NOT_DECIDING}


DEFAULTS = vars(Training())

#: Options that may be given more than once.
_SEVERAL = ("augment", "init")


def training_of(given: Mapping[str, Any], *, multi_label: bool) -> Training:
    """Check options and return them all.

    Parameters
    ----------
    given : mapping of str to value
        As a command line, a recipe or Python gives them.
    multi_label : bool
        Whether a track may have several labels.

    Raises
    ------
    ConfigError
        Names all that is wrong.
    """
    unknown = [f"{key!r}: {suggest(key, DEFAULTS)}" for key in given if key not in DEFAULTS]
    if unknown:
        raise ConfigError("no such option of the training: " + "; ".join(unknown))
    full: dict[str, Any] = {**DEFAULTS}
    bad = []
    for option in fields(Training):
        if option.name not in given or option.name in _SEVERAL:
            continue
        value = given[option.name]
        value = str(value) if isinstance(value, Path) else value
        try:
            full[option.name] = convert(
                value, Setting(option.name, _written(option.type), option.default, "")
            )
        except ValueError as error:
            bad.append(str(error))
    for name in _SEVERAL:
        several = given.get(name) or ()
        several = (several,) if isinstance(several, str | Path) else several
        full[name] = tuple(map(str, several))
    if full["loss"] is None:
        full["loss"] = "bce" if multi_label else "cross-entropy"
    training = Training(**full)
    bad += _out_of_range(training)
    if bad:
        raise ConfigError("; ".join(bad))
    _check_names(training, multi_label)
    return training


def refuse_training(given: Mapping[str, Any], model: str) -> None:
    """Refuse options of the training of nets for a classifier.

    Raises
    ------
    ConfigError
        If one is not at its default.
    """
    options = {
        key: list(value) if isinstance(value, tuple) else value for key, value in given.items()
    }
    plain = {
        key: list(value) if isinstance(value, tuple) else value for key, value in DEFAULTS.items()
    }
    for key, value in options.items():
        if key not in plain:
            raise ConfigError(f"no such option: {key!r}; {suggest(key, plain)}")
        if value != plain[key]:
            raise ConfigError(
                f"{key}={value} is for nets (mcls list nets); {model} is not trained in epochs. "
                "Its settings are given with -p"
            )


def takes_training(function: F) -> F:
    """Show the options of the training in the signature of a function that takes ``**training``."""
    signature = inspect.signature(function)
    own = [p for p in signature.parameters.values() if p.kind is not p.VAR_KEYWORD]
    options = [
        inspect.Parameter(option.name, inspect.Parameter.KEYWORD_ONLY, default=option.default)
        for option in fields(Training)
    ]
    shown = signature.replace(parameters=[*own, *options])
    function.__signature__ = shown  # type: ignore[attr-defined]  # inspect looks for it
    return function


def _written(annotation: Any) -> str:
    """Return a type as it is written in a signature."""
    return inspect.formatannotation(annotation).replace("typing.", "")


def _out_of_range(training: Training) -> list[str]:
    lowest = {"frames": 1, "crops": 1, "epochs": 1, "batch_size": 1, "patience": 1, "devices": 1}
    lowest |= {"workers": 0, "test_shift": 0}
    bad = []
    for name, least in lowest.items():
        value = getattr(training, name)
        if value is not None and value < least:
            bad.append(f"{name}={value}; expected {least} or more")
    if training.segment is not None and not 0 < training.segment < math.inf:
        bad.append(f"segment={training.segment}; expected seconds above 0")
    if training.segment is not None and training.frames is not None:
        bad.append("segment and frames both say how long a segment is; give one")
    if not 0 <= training.overlap < 1:
        bad.append(f"overlap={training.overlap}; expected 0 or more and below 1")
    if not 0 <= training.l1 < math.inf:
        bad.append(f"l1={training.l1}; expected 0 or more")
    if training.clip is not None and not training.clip > 0:
        bad.append(f"clip={training.clip}; expected above 0")
    if training.ema is not None and not 0 < training.ema < 1:
        bad.append(f"ema={training.ema}; expected above 0 and below 1, such as 0.999")
    return bad


def _check_names(training: Training, multi_label: bool) -> None:
    """Refuse names and settings that the registry does not know, or that do not fit the labels."""
    assert training.loss is not None
    specs = {"losses": [training.loss], "optimizers": [training.optimizer]}
    specs |= {"schedules": [training.schedule], "segment-augmentations": list(training.augment)}
    if training.monitor != "loss":
        specs["metrics"] = [training.monitor]
    for family, words in specs.items():
        for spec in words:
            name, given = split_spec(spec)
            entry = find(family, name)
            resolve(entry, given)
            if multi_label and entry.facts.get("single_label_only"):
                raise ConfigError(
                    f"{name} needs exactly one label per track, and these tracks have any number; "
                    + ("use bce, focal or hinge" if family == "losses" else "use auc")
                )
