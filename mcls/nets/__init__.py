"""Nets, which turn segments into logits: one file for each net, or for a few that are alike.

A net is a plain ``torch.nn.Module``, made as ``Net(n_frames, n_dims, n_labels, **settings)``. All
of them keep this contract:

* ``forward(x)`` takes segments ``(batch, 1, n_frames, n_dims)`` float32, time first, standardised,
  and returns logits ``(batch, n_labels)``; in training, auxiliary logits may follow in a tuple.
  The trainer owns the loss, the device and the standardisation; only a published batch norm of
  the input is part of a net.
* ``hidden`` names the submodules whose outputs are the hidden layers, first to last. An output is
  ``(batch, units)``, ``(batch, maps, frames)`` or ``(batch, maps, frames, dims)``, after
  nonlinearity and pooling and before dropout.
* ``smallest(**settings)`` returns the fewest frames and dimensions it takes, all settings given.
  Fewer are refused with a `ConfigError`.
* It is registered with the ``source``, ``frames``, ``dims`` and ``labels`` of its publication, and
  with ``any_length=True`` if it takes longer segments than it was built for.
* It is a `mcls.nets.base.Net`, whose docstring documents the settings that nets share.

>>> import torch
>>> net = build_net("dieleman", {}, 187, 96, 50, seed=0)
>>> net(torch.zeros(2, 1, 187, 96)).shape
torch.Size([2, 50])
>>> net.hidden
('conv1', 'conv2', 'dense1')
"""

from typing import Any

from mcls.nets.build import build_net, smallest_input
from mcls.registry import entries, imported

__all__ = ["build_net", "smallest_input"]


def __getattr__(name: str) -> Any:
    return imported("nets", name, __name__)


def __dir__() -> list[str]:
    return sorted({*globals(), *(entry.attribute for entry in entries("nets").values())})
