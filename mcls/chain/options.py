"""The options that decide how the rows of a store are encoded."""

from dataclasses import dataclass

from mcls.options import option


@dataclass(frozen=True)
class Representation:
    """What becomes of the rows of a store before a model reads them."""

    feature: str | None = option(
        None, "Feature to use, if the store has several.", section="Representation"
    )
    dicts: tuple[str, ...] = option(
        (),
        "Dictionary, or run of a net, to encode with; repeatable.",
        section="Representation",
        word="dict",
        metavar="DICT|RUN",
        path=True,
        in_key=False,
    )
    encoder: str | None = option(
        None,
        "Encoder (default: the one that the dictionary was learnt with).",
        section="Representation",
        registry=("encoders",),
    )
    pool: tuple[str, ...] = option(
        (),
        "Pooler, such as max@1s; repeatable, applied in order.",
        section="Representation",
        registry=("poolers",),
    )
