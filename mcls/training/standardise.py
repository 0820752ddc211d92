"""The standardisation of a net's input."""

import torch
from torch import nn

from mcls.errors import ConfigError


class Standardise(nn.Module):
    """The standardisation of a net's input, with optional whitening.

    Parameters
    ----------
    mean, scale : torch.Tensor, shape (1,), (n_dims,) or (n_frames * n_dims,)
        Mean and standard deviation, of all values, of each dimension or of each value of a segment.
    whitening : torch.Tensor, shape (n_frames * n_dims, n_kept), or None
        Matrix by which the standardised values are multiplied.
    limits : torch.Tensor, shape (2,), or None
        Smallest and largest standardised value; what is beyond is clipped.
    joined : bool
        Whether the frames of a segment are joined to one long row first.
    """

    mean: torch.Tensor
    scale: torch.Tensor
    whitening: torch.Tensor | None
    limits: torch.Tensor | None

    def __init__(
        self,
        mean: torch.Tensor,
        scale: torch.Tensor,
        whitening: torch.Tensor | None = None,
        limits: torch.Tensor | None = None,
        *,
        joined: bool = False,
    ) -> None:
        super().__init__()
        self.register_buffer("mean", mean)
        self.register_buffer("scale", scale)
        self.register_buffer("whitening", whitening)
        self.register_buffer("limits", limits)
        self.joined = joined

    def shape(self, n_frames: int, n_dims: int) -> tuple[int, int]:
        """Return the frames and dimensions of the output.

        Raises
        ------
        ConfigError
            If the segments do not fit the statistics.
        """
        if self.joined:
            n_frames, n_dims = 1, n_frames * n_dims
        sizes = (1, n_dims)
        kept = n_dims if self.whitening is None else self.whitening.shape[1]
        if (
            self.mean.ndim != 1
            or self.mean.shape != self.scale.shape
            or len(self.mean) not in sizes
            or (self.whitening is not None and len(self.whitening) != n_dims)
        ):
            raise ConfigError(
                f"rows of {n_dims} dimensions do not fit a standardisation of {len(self.mean)}"
            )
        return n_frames, kept

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Standardise segments ``(batch, 1, n_frames, n_dims)`` of any type; float32."""
        x = x.float()
        if self.joined:
            x = x.flatten(2).unsqueeze(2)  # (batch, 1, 1, n_frames * n_dims)
        x = (x - self.mean).div_(self.scale)
        if self.limits is not None:
            x = x.clamp(self.limits[0], self.limits[1])
        return x if self.whitening is None else x @ self.whitening
