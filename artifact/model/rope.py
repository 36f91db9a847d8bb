"""Rotary position embedding over the first `rope_dims` dimensions of a head, as two halves (Su et al. 2021)."""

import numpy as np
import torch
from jaxtyping import Float, Float32
from torch import Tensor, nn


class Rope(nn.Module):
    """Rotates pairs (x1[i], x2[i]) by -t * rope_base^(-2 i / rope_dims) at position t; the other dimensions pass.

    The tables are computed in float64 on the CPU and rounded once, so every device has the same ones.
    """

    cos: Float32[Tensor, "T P"]
    sin: Float32[Tensor, "T P"]

    def __init__(self, *, rope_base: float, rope_dims: int, seq_len: int, device: torch.device) -> None:
        super().__init__()
        self.rope_base, self.rope_dims = rope_base, rope_dims
        self._fill_tables(seq_len, device)

    def forward(self, x: Float[Tensor, "B T N K"]) -> Float[Tensor, "B T N K"]:
        """Rotate every head of `x`; a window longer than the tables lengthens them first."""
        T, half = x.shape[1], self.rope_dims // 2
        if len(self.cos) < T:
            self._fill_tables(T, self.cos.device)
        cos, sin = self.cos[:T, None, :], self.sin[:T, None, :]  # (T, 1, half): the same for every head
        x1, x2, rest = torch.split(x, [half, half, x.shape[3] - self.rope_dims], dim=3)
        return torch.cat([x1 * cos + x2 * sin, x2 * cos - x1 * sin, rest], dim=3)

    def _fill_tables(self, seq_len: int, device: torch.device) -> None:
        frequencies = self.rope_base ** (-np.arange(0, self.rope_dims, 2) / self.rope_dims)  # (half,)
        angles = np.outer(np.arange(seq_len), frequencies)  # (T, half), float64
        for name, table in (("cos", np.cos(angles)), ("sin", np.sin(angles))):
            values = torch.from_numpy(table.astype(np.float32)).to(device)
            self.register_buffer(name, values, persistent=False)
