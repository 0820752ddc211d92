"""Nets: segments in, logits out. One file a net, or a ladder of nets.

A net is a plain ``torch.nn.Module``, made as ``Net(n_frames, n_dims, n_labels, **settings)``. What
all of them keep:

* ``forward(x)`` takes segments ``(batch, 1, n_frames, n_dims)`` float32, time first, standardised,
  and returns logits ``(batch, n_labels)``. The loss, the device and the standardising are the
  trainer's; only a published batch norm of the input is part of a net.
* ``hidden`` names the submodules whose outputs are the hidden layers, first to last. An output is
  ``(batch, units)``, ``(batch, maps, frames)`` or ``(batch, maps, frames, dims)``, after
  nonlinearity and pooling and before dropout.
* ``smallest(**settings)`` returns the fewest frames and dimensions it takes, all settings given.
  Fewer are refused with a `ConfigError`.
* It is registered with the ``frames``, ``dims`` and ``labels`` of its publication.

>>> import torch
>>> net = build_net("dieleman", {}, 187, 96, 50, seed=0)
>>> net(torch.zeros(2, 1, 187, 96)).shape
torch.Size([2, 50])
>>> net.hidden
('conv1', 'conv2', 'dense1')
"""

from mcls.nets.build import build_net, smallest_input

__all__ = ["build_net", "smallest_input"]
