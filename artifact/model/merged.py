"""Linear layers merged for scoring: one matrix, its adapters inside, several layers of one input stacked."""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Float32
from torch import Tensor, nn
from torch.nn import functional

from artifact.model.linear import Linear


class MergedLinear(nn.Module):
    """`linears` as one product without autograd: their outputs stand side by side on the last axis.

    Attributes:
        weight: [sum of out, in] in the type of the product; merged in float32, rounded once.
        shift: [sum of out] float32, or None where no layer has one.
    """

    weight: Float[Tensor, "O I"]
    shift: Float32[Tensor, " O"] | None

    def __init__(self, linears: Sequence[Linear], *, dtype: torch.dtype) -> None:
        super().__init__()
        self.out_dims = [len(linear.weight) for linear in linears]
        weight = torch.cat([linear.merged_weight() for linear in linears]).detach()
        self.register_buffer("weight", weight.to(dtype), persistent=False)
        shifts = [torch.zeros_like(linear.weight[:, 0]) if linear.shift is None else linear.shift for linear in linears]
        any_shift = any(linear.shift is not None for linear in linears)
        self.register_buffer("shift", torch.cat(shifts).detach() if any_shift else None, persistent=False)

    def forward(self, x: Float[Tensor, "... I"]) -> list[Tensor]:
        """What every layer makes of `x`, in the type of the product."""
        y = functional.linear(x.to(self.weight.dtype), self.weight)
        if self.shift is not None:
            y = y.add_(self.shift)
        return list(torch.split(y, self.out_dims, dim=-1))
