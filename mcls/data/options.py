"""The options that decide which track is in which part."""

from dataclasses import dataclass

from mcls.options import option


@dataclass(frozen=True)
class Split:
    """Which columns name the labels and the parts, and how a valid part is drawn.

    The part column holds ``train``, ``valid`` and ``test``; a fold column holds names of folds, of
    which one is held out as the test part. See `mcls.data.parts.resolve_parts`.
    """

    labels: str = option("labels", "Column of labels, or of annotated events.", section="Data")
    regression: bool = option(
        False, "Predict the numbers of the label column (regression).", section="Data"
    )
    split: str = option(
        "split", "Column of parts (train, valid, test) or of folds.", section="Data"
    )
    fold: str | None = option(None, "Fold to hold out as the test part.", section="Data")
    valid: float = option(
        0.1,
        "Fraction of the other folds drawn as the valid part, with --fold.",
        section="Data",
        min=0,
        max=1,
        max_open=True,
    )
    group: str | None = option(
        "group", "Column whose groups (artist, speaker) stay within one part.", section="Data"
    )
    seed: int = option(0, "Random seed.", section="Data")
