"""The options of an extraction, and of the tracks of any new store."""

from dataclasses import dataclass
from typing import Literal

from mcls.options import option
from mcls.tables.options import Reading


@dataclass(frozen=True)
class SplitReading(Reading):
    """The tracks of a new store, and the split that is made if the manifest has none.

    It has 60, 20 and 20 % of the tracks, stratified by the labels; groups stay within one part.
    """

    split: str = option("split", "Column of parts; made if the manifest has none.", section="Data")
    group: str = option(
        "group", "Column whose groups (artist, speaker) stay within one part.", section="Data"
    )
    seed: int = option(0, "Random seed of a new split.", section="Data")


@dataclass(frozen=True)
class Extraction(SplitReading):
    """Which features are computed of which excerpt. Augmented copies are for training only."""

    features: tuple[str, ...] = option(
        ("mfcc",),
        "Feature to compute, as [ALIAS=]NAME[:key=value,...]; repeatable.",
        section="Features",
        word="feature",
        registry=("features",),
    )
    settings: tuple[str, ...] = option(
        (),
        "Setting of the features, for one of them FEATURE.KEY=VALUE; repeatable.",
        section="Features",
        word="param",
        metavar="KEY=VALUE",
    )
    sr: int | None = option(
        22050,
        "Sampling rate in Hz to resample to; or native.",
        section="Features",
        none="native",
        metavar="HZ",
        min=1,
    )
    excerpt: str | None = option(
        None,
        "Use only this excerpt of every track, in seconds.",
        section="Features",
        metavar="S[@S|@center]",
    )
    dtype: Literal["float32", "float16"] = option(
        "float32", "Type of the stored numbers.", section="Features"
    )
    annotations: str | None = option(
        None,
        "Column of annotation files with start, end and label per event.",
        section="Data",
        metavar="NAME",
    )
    background: str | None = option(
        None,
        "Label of the time without an event (default: it is left out).",
        section="Data",
        metavar="LABEL",
    )
    seed: int = option(0, "Random seed of a new split and of augmented copies.", section="Data")
    augmentations: tuple[str, ...] = option(
        (),
        "Augmentation to apply to the copies; repeatable.",
        section="Augmentation",
        word="augment",
        metavar="NAME[=LOW..HIGH]",
    )
    label_rules: tuple[str, ...] = option(
        (),
        "Let the labels of copies follow, such as key:transpose; repeatable.",
        section="Augmentation",
        word="label-rule",
        metavar="COLUMN:RULE",
    )
    copies: int = option(0, "Number of augmented copies per track.", section="Augmentation", min=0)
    keep_label_safe: bool = option(
        False, "Use only label-preserving augmentations.", section="Augmentation"
    )
    strict: bool = option(
        False, "Refuse truncated files instead of using what decodes.", section="Work"
    )
    jobs: int = option(1, "Number of worker processes.", section="Work", min=1)
    time_limit: float = option(
        600.0,
        "Time limit per track in seconds; slower tracks fail.",
        section="Work",
        metavar="SECONDS",
        min=0,
        min_open=True,
    )
