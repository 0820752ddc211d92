"""All nets side by side, each for the input of its publication: size, work, what its units see."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from mcls.features.filters import mel_frequencies
from mcls.nets.describe import describe_net
from mcls.nets.receptive_field import Field, receptive_fields
from mcls.registry import Entry


@dataclass(frozen=True)
class Sees:
    """The receptive field of a layer, in units of the publication's input.

    Parameters
    ----------
    field : Field
        In frames and dims.
    milliseconds : float or None
        Frames times hop; None where no hop was published.
    hertz : float or None
        From the lower edge of its lowest mel band to the upper edge of its highest, for the unit in
        the middle of the axis; None where the input has no bands.
    """

    field: Field
    milliseconds: float | None
    hertz: float | None


@dataclass(frozen=True)
class Surveyed:
    """A net at its defaults.

    Parameters
    ----------
    name, source : str
        Its name, and its publication.
    n_frames, n_dims, n_labels : int
        Of the publication.
    seconds : float or None
        Of a segment.
    n_parameters, flops : int
        See `describe_net`.
    layers : list of Sees
        Hidden layers, first to last.
    """

    name: str
    source: str
    n_frames: int
    n_dims: int
    n_labels: int
    seconds: float | None
    n_parameters: int
    flops: int
    layers: list[Sees]

    @property
    def first(self) -> Sees:
        """The first hidden layer."""
        return self.layers[0]

    @property
    def last_over_time(self) -> Sees:
        """The last hidden layer that still has frames; the last one, if none has."""
        return next((one for one in self.layers[::-1] if one.field.over_time), self.layers[-1])

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON can hold it."""
        layers = [
            {**asdict(one.field), "milliseconds": one.milliseconds, "hertz": one.hertz}
            for one in self.layers
        ]
        return {**asdict(self), "layers": layers}


def survey(entry: Entry) -> Surveyed:
    """Describe a net for the input of its publication, without its weights.

    Parameters
    ----------
    entry : Entry
        Of the family ``nets``. With the facts ``sr`` and ``hop`` (Hz, and samples from frame to
        frame) lengths are given in time too, and in Hz: of Slaney's mel bands up to half the rate.
    """
    facts: Mapping[str, Any] = entry.facts
    n_frames, n_dims, n_labels = (facts[key] for key in ("frames", "dims", "labels"))
    layers = describe_net(entry.name, {}, n_frames, n_dims, n_labels)
    sr, hop = facts.get("sr"), facts.get("hop")
    frame = None if sr is None or hop is None else hop / sr
    seen = [
        Sees(
            field,
            None if frame is None else 1000 * frame * field.frames,
            None if sr is None or n_dims == 1 else _width(field, n_dims, sr),
        )
        for field in receptive_fields(entry.name, {}, n_frames, n_dims)
    ]
    return Surveyed(
        entry.name,
        facts["source"],
        n_frames,
        n_dims,
        n_labels,
        None if frame is None else frame * n_frames,
        sum(layer.n_parameters for layer in layers),
        sum(layer.flops for layer in layers),
        seen,
    )


def _width(field: Field, n_dims: int, sr: int) -> float:
    """Return how wide some mel bands are, Hz."""
    edges = mel_frequencies(n_dims + 2, fmin=0.0, fmax=sr / 2, htk=False)
    return float(edges[field.first_dim + field.dims + 1] - edges[field.first_dim])
