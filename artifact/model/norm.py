"""RMSNorm without a learned weight, always in float32 (docs/format.md, "The network")."""

from typing import Final

from jaxtyping import Float, Float32
from torch import Tensor
from torch.nn import functional

EPS: Final = 2.0**-20


def rms_norm(x: Float[Tensor, "... C"]) -> Float32[Tensor, "... C"]:
    """`x / sqrt(mean(x^2) + 2^-20)` over the last axis (Zhang and Sennrich 2019, without the weight)."""
    return functional.rms_norm(x.float(), (x.shape[-1],), eps=EPS)
