"""A linear layer of the family: y = g * (W x) + lora_scaling * B (A x) + shift, VeRA's term in LoRA's place.

W is a frozen map from the seed (a buffer that no checkpoint holds) or a learned parameter. Everything learned is a
float32 master and carries the name that the file gives it. The owner, `artifact.model.gpt`, fills the frozen maps.
"""

from collections.abc import Sequence
from typing import Final

import torch
from jaxtyping import Float, Float32
from torch import Tensor, nn
from torch.nn import functional

from artifact.format.architecture import Adapter, Base, Gain, LinearSpec
from artifact.model.lora import low_rank_linear

MAX_STACKED_RANK: Final = 64
"""Query, key and value at 2,048 tokens on one core of an AMD EPYC (November 2026), as one against apart: ranks of 24 in
sum 1.2 times as fast, 48 equal in float32 and 1.4 times in bfloat16, 96 slower in float32."""


class Linear(nn.Module):
    """One linear layer; what its spec does not have is None.

    Attributes:
        weight: [out, in], a buffer with a random base and a parameter with a learned one.
        gain: [1] or [out].
        shift: [out].
        lora_a, lora_b: [R, in] and [out, R].
        vera_a, vera_b: frozen [R, in] and [out, R]; `vera_d` [R] and `vera_g` [out] are learned.
    """

    weight: Float32[Tensor, "O I"]
    vera_a: Float32[Tensor, "R I"]
    vera_b: Float32[Tensor, "O R"]

    def __init__(self, spec: LinearSpec, shape: tuple[int, int], *, device: torch.device) -> None:
        super().__init__()
        self.spec = spec
        self.lora_scaling = spec.lora_scaling or 1.0  # absent but with lora
        rows, cols = shape
        rank = spec.lora_rank or 0

        def learned(wanted: bool, *size: int) -> nn.Parameter | None:
            return nn.Parameter(torch.zeros(size, device=device)) if wanted else None

        if spec.base is Base.LEARNED:
            self.weight = nn.Parameter(torch.zeros(shape, device=device))
        else:
            self._add_frozen("weight", shape, device)
        self.gain = learned(spec.gain is not Gain.NONE, 1 if spec.gain is Gain.MATRIX else rows)
        self.shift = learned(spec.adapter is Adapter.SHIFT, rows)
        self.lora_a = learned(spec.adapter is Adapter.LORA, rank, cols)
        self.lora_b = learned(spec.adapter is Adapter.LORA, rows, rank)
        self.vera_d = learned(spec.adapter is Adapter.VERA, rank)
        self.vera_g = learned(spec.adapter is Adapter.VERA, rows)
        if spec.adapter is Adapter.VERA:
            self._add_frozen("vera_a", (rank, cols), device)
            self._add_frozen("vera_b", (rows, rank), device)

    def _add_frozen(self, name: str, shape: tuple[int, int], device: torch.device) -> None:
        self.register_buffer(name, torch.empty(shape, device=device), persistent=False)

    def forward(self, x: Float[Tensor, "... I"]) -> Float[Tensor, "... O"]:
        """Apply the layer; under autocast in its type, float32 masters either way."""
        factors = self.low_rank_factors()
        if factors is not None and self.gain is None:
            return low_rank_linear(x, self.weight, *factors)
        y = functional.linear(x, self.weight)
        if self.gain is not None:
            y = (y * self.gain).type_as(y)  # a gain's gradient needs W x, so a gain keeps the low-rank path apart
        if factors is not None:
            lora_a, lora_b = factors
            y = y + functional.linear(functional.linear(x, lora_a), lora_b)
        return y if self.shift is None else (y + self.shift).type_as(y)

    def low_rank_factors(self) -> tuple[Float32[Tensor, "R I"], Float32[Tensor, "O R"]] | None:
        """The adapter as A and B of y += B (A x), its scaling or diagonals included; None without one."""
        if self.lora_a is not None and self.lora_b is not None:
            return self.lora_a, self.lora_scaling * self.lora_b
        if self.vera_d is not None and self.vera_g is not None:
            return self.vera_d[:, None] * self.vera_a, self.vera_g[:, None] * self.vera_b
        return None

    @torch.no_grad()
    def merged_weight(self) -> Float32[Tensor, "O I"]:
        """The one matrix that the layer amounts to, in the order that the format fixes: gain, then adapter."""
        weight = self.weight if self.gain is None else self.gain[:, None] * self.weight
        if self.lora_a is not None and self.lora_b is not None:
            return weight + self.lora_scaling * (self.lora_b @ self.lora_a)
        if self.vera_d is not None and self.vera_g is not None:
            return weight + self.vera_g[:, None] * (self.vera_b @ (self.vera_d[:, None] * self.vera_a))
        return weight


def apply_together(linears: Sequence[Linear], x: Float[Tensor, "... I"]) -> list[Tensor]:
    """What each of `linears` makes of the same input, as one product where that is cheaper.

    Learned weights are stacked. Low-rank layers become one with A stacked and B block-diagonal: its products with zeros
    cost nothing as long as skinny products wait for memory, and `x` is read once instead of three times.
    """
    if len(linears) > 1 and all(linear.spec.base is Base.LEARNED and linear.weight.requires_grad for linear in linears):
        y = functional.linear(x, torch.cat([linear.weight for linear in linears]))
    elif len(linears) > 1 and (stacked := _stack_low_rank(linears)) is not None:
        y = low_rank_linear(x, *stacked)
    else:
        return [linear(x) for linear in linears]
    return list(torch.split(y, [len(linear.weight) for linear in linears], dim=-1))


def _stack_low_rank(linears: Sequence[Linear]) -> tuple[Tensor, Tensor, Tensor] | None:
    """Weight, A and B of the one layer that `linears` amount to; None where one is of another kind or ranks are high.

    Gained layers are of another kind, see `Linear.forward`.
    """
    factors = [linear.low_rank_factors() for linear in linears if linear.gain is None]
    pairs = [pair for pair in factors if pair is not None]
    if len(pairs) < len(linears) or sum(len(lora_a) for lora_a, _ in pairs) > MAX_STACKED_RANK:
        return None
    lora_b = torch.block_diag(*[lora_b for _, lora_b in pairs])  # type: ignore[no-untyped-call]  # torch types it not
    return torch.cat([linear.weight for linear in linears]), torch.cat([lora_a for lora_a, _ in pairs]), lora_b
