"""The options that decide how the rows of a store are encoded."""

from dataclasses import dataclass

from mcls.options import option


@dataclass(frozen=True)
class Representation:
    """What becomes of the rows of a store before a model reads them."""

    feature: str | None = option(
        None, "Feature to use, if the store has several; or several: a,b.", section="Representation"
    )
    dicts: tuple[str, ...] = option(
        (),
        "Dictionary, or run of a net, to encode with; repeatable.",
        section="Representation",
        word="dict",
        metavar="DICT|RUN",
        path="read",
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


@dataclass(frozen=True)
class Encoding(Representation):
    """What `encode` makes of the rows of a store."""

    dicts: tuple[str, ...] = option(
        (),
        "Dictionary or run to encode with; repeatable.",
        section="Representation",
        word="with",
        metavar="DICT|RUN",
        path="read",
    )
    layers: tuple[str, ...] = option(
        (),
        "Hidden layer of the net (name, number or all), or scores; repeatable.",
        section="Representation",
        word="layer",
        metavar="LAYER",
    )
    name: str | None = option(None, "Name of the new feature.", section="Output")
    jobs: int = option(1, "Number of worker processes.", section="Output", min=1)
