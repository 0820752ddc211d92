"""Summaries of nets at the input of their publications: size, operations, receptive fields.

To measure all nets takes a minute, so the measurements of those of mcls come with it, in
``summaries.json`` (``make docs`` writes it). They count as long as no source file of this package
has changed.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, astuple, dataclass
from functools import cache
from pathlib import Path
from typing import Any

from mcls.features.filters import mel_frequencies
from mcls.nets.field import ReceptiveField
from mcls.registry import Entry

_FOLDER = Path(__file__).parent
#: The measurements of the nets of mcls.
SUMMARIES = _FOLDER / "summaries.json"


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
    sr, hop = facts.get("sr"), facts.get("hop")
    frame = None if sr is None or hop is None else hop / sr
    known = {} if entry.package else _known()
    measured = known.get(entry.name) or measure(entry)
    fields = [
        PhysicalField(
            field,
            None if frame is None else 1000 * frame * field.frames,
            None if sr is None or n_dims == 1 else _bandwidth(field, n_dims, sr),
        )
        for field in (ReceptiveField(*values) for values in measured["fields"])
    ]
    return NetSummary(
        entry.name,
        facts["source"],
        n_frames,
        n_dims,
        n_labels,
        None if frame is None else frame * n_frames,
        measured["n_parameters"],
        measured["flops"],
        fields,
    )


def measure(entry: Entry) -> dict[str, Any]:
    """Return the parameters, operations and receptive fields of a net, as JSON can hold them."""
    from mcls.nets.describe import describe_net
    from mcls.nets.receptive_field import receptive_fields

    n_frames, n_dims, n_labels = (entry.facts[key] for key in ("frames", "dims", "labels"))
    layers = describe_net(entry.name, {}, n_frames, n_dims, n_labels)
    return {
        "n_parameters": sum(layer.n_parameters for layer in layers),
        "flops": sum(layer.flops for layer in layers),
        "fields": [list(astuple(f)) for f in receptive_fields(entry.name, {}, n_frames, n_dims)],
    }


def write_summaries(measured: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the text of summaries.json, from the results of `measure` by the names of nets."""
    lines = [f'"{name}": {json.dumps(one)}' for name, one in measured.items()]
    return f'{{"digest": "{sources_digest()}",\n"nets": {{\n' + ",\n".join(lines) + "\n}}\n"


def sources_digest() -> str:
    """Return a digest of the source files of this package."""
    files = sorted(_FOLDER.rglob("*.py"))
    parts = b"".join(hashlib.sha256(file.read_bytes()).digest() for file in files)
    return hashlib.sha256(parts).hexdigest()[:16]


@cache
def _known() -> dict[str, Any]:
    """Return the measurements that come with mcls, if they are those of the sources."""
    content = json.loads(SUMMARIES.read_text(encoding="utf-8"))
    return dict(content["nets"]) if content["digest"] == sources_digest() else {}


def _bandwidth(field: ReceptiveField, n_dims: int, sr: int) -> float:
    """Return the bandwidth in Hz of the mel bands in a receptive field."""
    edges = mel_frequencies(n_dims + 2, fmin=0.0, fmax=sr / 2, htk=False)
    return float(edges[field.first_dim + field.dims + 1] - edges[field.first_dim])
