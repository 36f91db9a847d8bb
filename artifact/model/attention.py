"""Causal self-attention: grouped queries, optional RMSNorm on queries and keys, RoPE, a learned gain per query head."""

import torch
from jaxtyping import Float, Float32
from torch import Tensor, nn
from torch.nn import functional

from artifact.format.architecture import ModelConfig
from artifact.model.linear import Linear, apply_together
from artifact.model.merged import MergedLinear
from artifact.model.norm import rms_norm
from artifact.model.rope import Rope


class Attention(nn.Module):
    """Attention for training; `q_gain` [H] follows RoPE."""

    def __init__(self, model: ModelConfig, *, q: Linear, k: Linear, v: Linear, out: Linear) -> None:
        super().__init__()
        self.model = model
        self.q, self.k, self.v, self.out = q, k, v, out
        self.q_gain = nn.Parameter(torch.ones(model.num_heads, device=out.weight.device))

    def forward(self, x: Float[Tensor, "B T D"], rope: Rope) -> Float[Tensor, "B T D"]:
        """Mix every position with those before it."""
        q, k, v = apply_together((self.q, self.k, self.v), x)
        y: Tensor = self.out(attend(self.model, rope, self.q_gain, q, k, v))
        return y


class MergedAttention(nn.Module):
    """The same for scoring: two products with merged matrices, attention between them in float32."""

    q_gain: Float32[Tensor, " H"]

    def __init__(self, attention: Attention, *, dtype: torch.dtype) -> None:
        super().__init__()
        self.model = attention.model
        self.qkv = MergedLinear((attention.q, attention.k, attention.v), dtype=dtype)
        self.out = MergedLinear((attention.out,), dtype=dtype)
        self.register_buffer("q_gain", attention.q_gain.detach(), persistent=False)

    def forward(self, x: Float[Tensor, "B T D"], rope: Rope) -> Float[Tensor, "B T D"]:
        """See `Attention.forward`."""
        q, k, v = (part.float() for part in self.qkv(x))
        y: Tensor = self.out(attend(self.model, rope, self.q_gain, q, k, v))[0]
        return y


def attend(
    model: ModelConfig,
    rope: Rope,
    q_gain: Float32[Tensor, " H"],
    q: Float[Tensor, "B T D"],
    k: Float[Tensor, "B T GK"],
    v: Float[Tensor, "B T GK"],
) -> Float[Tensor, "B T D"]:
    """Softmax attention over heads of `head_dim` with scale 1/sqrt(head_dim); norm, RoPE and gain in float32."""
    B, T, _ = q.shape
    q = q.view(B, T, model.num_heads, model.head_dim)  # (B, T, H, K)
    k, v = (part.view(B, T, model.num_kv_heads, model.head_dim) for part in (k, v))  # (B, T, G, K)
    if model.qk_norm:
        q, k = rms_norm(q), rms_norm(k)
    q = rope(q) * q_gain[:, None]
    q, k, v = (part.to(v.dtype).transpose(1, 2) for part in (q, rope(k), v))  # (B, H, T, K), (B, G, T, K) twice
    grouped = model.num_kv_heads != model.num_heads
    if grouped and q.is_cuda and q.dtype is torch.float32:  # CUDA's float32 kernels know no groups: T x T memory else
        k, v = (part.repeat_interleave(model.num_heads // model.num_kv_heads, dim=1) for part in (k, v))
        grouped = False
    y = functional.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=grouped)
    return y.transpose(1, 2).flatten(2)  # (B, T, D)
