"""Few long filters along time, by the fast Fourier transform."""

import torch
from torch import nn

#: From how many frames on, and up to how many maps, the transform is the faster way on a CPU.
LONG_FRAMES, FEW_MAPS = 32, 4


class LongFilters(nn.Conv2d):
    """A convolution with few filters of many frames and one dimension, on one map.

    The outputs and gradients are those of `torch.nn.Conv2d` to rounding. On a CPU they come from
    the convolution theorem, which takes ``n log n`` steps for `n` frames, however long the filters
    are; torch's own kernels compute eight filters at once, and waste the others where there are
    fewer. Elsewhere, and in an exported net, torch's convolution is used.
    """

    described_as = "convolution"

    @classmethod
    def suits(cls, n_in: int, n_out: int, shape: tuple[int, int]) -> bool:
        """Return whether filters of this number and shape are faster this way."""
        frames, dims = shape
        return n_in == 1 and dims == 1 and n_out <= FEW_MAPS and frames >= LONG_FRAMES

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """``(batch, 1, n_frames, n_dims)`` to ``(batch, n_out, n_frames - frames + 1, n_dims)``."""
        plain = input.device.type != "cpu" or input.dtype != torch.float32
        if plain or torch.compiler.is_compiling() or torch.onnx.is_in_onnx_export():
            return super().forward(input)
        before, frames = int(self.padding[0]), self.weight.shape[2]
        x = nn.functional.pad(input, (0, 0, before, before)) if before else input
        n = x.shape[2]
        spectrum = torch.fft.rfft(x, dim=2)  # (batch, 1, n // 2 + 1, n_dims)
        # torch's convolution is a correlation: the filters are not turned round
        response = torch.fft.rfft(self.weight[:, 0], n=n, dim=1).conj()  # (n_out, n // 2 + 1, 1)
        y = torch.fft.irfft(spectrum * response, n=n, dim=2)[:, :, : n - frames + 1]
        return y if self.bias is None else y + self.bias[:, None, None]
