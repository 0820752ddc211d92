"""Summaries of nets at the input of their publications: size, operations, receptive fields."""

from dataclasses import asdict, dataclass
from typing import Any

from mcls.features.filters import mel_frequencies
from mcls.nets.describe import describe_net
from mcls.nets.receptive_field import ReceptiveField, receptive_fields
from mcls.registry import Entry


@dataclass(frozen=True)
class PhysicalField:
    """The receptive field of a hidden layer, in time and frequency too.

    Parameters
    ----------
    field : ReceptiveField
        The field in frames and dimensions.
    milliseconds : float or None
        Length of its frames; None where no hop was published.
    hertz : float or None
        Distance from the lower edge of its lowest mel band to the upper edge of its highest, for
        the unit in the middle of the axis; None where the input has no bands.
    """

    field: ReceptiveField
    milliseconds: float | None
    hertz: float | None


@dataclass(frozen=True)
class NetSummary:
    """A net at its defaults.

    Parameters
    ----------
    name, source : str
        Its name and its publication.
    n_frames, n_dims, n_labels : int
        Sizes of the input and the output in the publication.
    seconds : float or None
        Length of a segment.
    n_parameters, flops : int
        Totals over the layers; see `describe_net`.
    layers : list of PhysicalField
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
    layers: list[PhysicalField]

    @property
    def first(self) -> PhysicalField:
        """The first hidden layer."""
        return self.layers[0]

    @property
    def last_over_time(self) -> PhysicalField:
        """The last hidden layer that still has frames; the last one, if none has."""
        return next((one for one in self.layers[::-1] if one.field.over_time), self.layers[-1])

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON can hold it."""
        layers = [
            {**asdict(one.field), "milliseconds": one.milliseconds, "hertz": one.hertz}
            for one in self.layers
        ]
        return {**asdict(self), "layers": layers}


def summarise(entry: Entry) -> NetSummary:
    """Summarise a net for the input of its publication, without computing its weights.

    Parameters
    ----------
    entry : Entry
        An entry of the family ``nets``. If it has the facts ``sr`` and ``hop`` (Hz, and samples
        from frame to frame), lengths are given in time too, and in Hz for Slaney's mel bands up to
        half the sample rate.
    """
    facts = entry.facts
    n_frames, n_dims, n_labels = (facts[key] for key in ("frames", "dims", "labels"))
    layers = describe_net(entry.name, {}, n_frames, n_dims, n_labels)
    sr, hop = facts.get("sr"), facts.get("hop")
    frame = None if sr is None or hop is None else hop / sr
    fields = [
        PhysicalField(
            field,
            None if frame is None else 1000 * frame * field.frames,
            None if sr is None or n_dims == 1 else _bandwidth(field, n_dims, sr),
        )
        for field in receptive_fields(entry.name, {}, n_frames, n_dims)
    ]
    return NetSummary(
        entry.name,
        facts["source"],
        n_frames,
        n_dims,
        n_labels,
        None if frame is None else frame * n_frames,
        sum(layer.n_parameters for layer in layers),
        sum(layer.flops for layer in layers),
        fields,
    )


def _bandwidth(field: ReceptiveField, n_dims: int, sr: int) -> float:
    """Return the bandwidth in Hz of the mel bands in a receptive field."""
    edges = mel_frequencies(n_dims + 2, fmin=0.0, fmax=sr / 2, htk=False)
    return float(edges[field.first_dim + field.dims + 1] - edges[field.first_dim])
