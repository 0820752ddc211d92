"""The options that decide how a dictionary is learnt."""

from dataclasses import dataclass
from typing import Literal

from mcls.options import option


@dataclass(frozen=True)
class Learning:
    """Which rows a dictionary is learnt from, by which method, after which preprocessing.

    `sampling` draws rows from all of a track, or from those with the strongest onset in each
    segment. For standardize, min_max, whiten and whiten_eps see
    `mcls.dictionaries.preprocessing.Preprocessing`.
    """

    feature: str | None = option(None, "Feature to use, if the store has several.", section="Rows")
    method: str = option(
        "kmeans", "Method that learns the dictionary.", section="Method", registry=("dictionaries",)
    )
    size: int = option(
        256, "Number of atoms; a dbn has its layers instead.", section="Method", min=1
    )
    settings: tuple[str, ...] = option(
        (),
        "Setting of the method; repeatable.",
        section="Method",
        word="param",
        metavar="KEY=VALUE",
    )
    device: str = option(
        "cpu",
        "Device of methods that use torch: cpu, cuda or cuda:1.",
        section="Method",
        metavar="DEVICE",
    )
    rows: int | None = option(
        500_000,
        "Number of rows to draw, equally from every track; or all.",
        section="Rows",
        min=1,
        none="all",
    )
    memory: str | None = option(
        None,
        "Memory for learning, as 4GB (default: half of the machine's).",
        section="Rows",
        metavar="SIZE",
    )
    sampling: Literal["random", "onset"] = option(
        "random", "Draw rows at random, or at the strongest onset per segment.", section="Rows"
    )
    segment: float = option(
        1.0,
        "Segment length in seconds for onset sampling.",
        section="Rows",
        metavar="SECONDS",
        min=0,
        min_open=True,
    )
    context: int = option(
        1, "Number of successive frames joined to one row.", section="Rows", min=1
    )
    standardize: bool = option(
        True, "Standardise every dimension of the rows.", section="Preprocessing"
    )
    min_max: bool = option(
        False,
        "Scale every dimension to 0 to 1 instead, as binary visible units need.",
        section="Preprocessing",
    )
    whiten: float | None = option(
        None,
        "Whiten with PCA and keep this share of the variance.",
        section="Preprocessing",
        metavar="SHARE",
    )
    whiten_eps: float = option(
        0.01, "Value added to the eigenvalues before whitening.", section="Preprocessing"
    )
