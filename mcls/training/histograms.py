"""Histograms of the gradients and the activations of each layer, once per epoch.

Gradients differ by orders of magnitude from layer to layer, so their histograms are of log10 of the
absolute values; activations are taken as they are. Values of exactly 0 are counted apart.
"""

import math

import torch
from torch import nn

#: Bins of a histogram, and values that are counted at most, evenly spaced among all.
BINS, _MOST = 40, 20_000

#: A line of histograms.csv: layer, quantity, low, high, zeros, and the share of values per bin.
HistogramRow = dict[str, float | str]


def histogram(*values: torch.Tensor, logarithmic: bool) -> dict[str, float]:
    """Return a histogram of the values of some tensors.

    Parameters
    ----------
    *values : torch.Tensor
        Of any shape, finite or not; what is not finite is left out.
    logarithmic : bool
        Count log10 of the absolute values.

    Returns
    -------
    dict of str to float
        ``low`` and ``high``, the smallest and the largest value; ``zeros``, the share of values
        that are 0; ``bin1`` and so on, the shares of the others in bins of equal width between
        them, which are 0 if there are no others.
    """
    step = sum(map(torch.numel, values)) // _MOST | 1  # odd, so not in step with maps of a layer
    flat = torch.cat([one.detach().reshape(-1)[::step] for one in values]).float()
    flat = flat[flat.isfinite()]
    others = flat[flat != 0]
    if logarithmic:
        others = others.abs().log10()
    found = {"low": math.nan, "high": math.nan, "zeros": 1 - len(others) / max(1, len(flat))}
    shares = torch.zeros(BINS)
    if len(others):
        low, high = (float(end) for end in others.aminmax())
        found |= {"low": low, "high": high}
        shares = torch.histc(others, BINS, low, high).cpu() / len(flat)
    return found | {f"bin{i}": float(share) for i, share in enumerate(shares, 1)}


def gradient_histograms(net: nn.Module) -> list[HistogramRow]:
    """Return a histogram of the gradients of each child of the net."""
    rows: list[HistogramRow] = []
    for name, child in net.named_children():
        gradients = [p.grad for p in child.parameters() if p.grad is not None]
        if gradients:
            found = histogram(*gradients, logarithmic=True)
            rows.append({"layer": name, "quantity": "gradient", **found})
    return rows


def activation_histogram(layer: str, outputs: torch.Tensor) -> HistogramRow:
    """Return a histogram of the outputs of a hidden layer."""
    found = histogram(outputs, logarithmic=False)
    return {"layer": layer, "quantity": "activation", **found}
