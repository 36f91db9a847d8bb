"""The network of format.md as one would write it first, on the tensors of a GPT: what bench_score.py compares with.

Base and adapter are two paths, queries, keys and values are apart, nothing is merged or fused. For LoRA on every
linear, squared ReLU, whole-head RoPE and a tied head, which is all that the benchmark has.
"""

import torch
from torch import Tensor
from torch.nn import functional

from artifact.model.attention import Attention
from artifact.model.gpt import GPT
from artifact.model.linear import Linear


class PlainNetwork:
    """Computes what `gpt` computes, the long way; autocast reaches every product, and so the softcap."""

    def __init__(self, gpt: GPT) -> None:
        self.gpt, self.model = gpt, gpt.model

    def logits(self, tokens: Tensor) -> Tensor:
        """Softcapped logits in the type that the head gives: bfloat16 under autocast, as published."""
        gpt, cap = self.gpt, self.model.logit_softcap
        x0 = x = self._norm(functional.embedding(tokens, gpt.embed.weight))
        outputs: list[Tensor] = []
        for index, layer in enumerate(gpt.layers):
            skip = index - (self.model.num_layers - self.model.num_skips)
            if skip >= 0:
                x = x + gpt.skips[skip] * outputs.pop()
            x = layer.resid_mix[0] * x + layer.resid_mix[1] * x0
            x = x + layer.attn_scale * self._attention(layer.attn, self._norm(x))
            x = x + layer.mlp_scale * self._linear(
                layer.mlp.down, self._linear(layer.mlp.up, self._norm(x)).relu().square()
            )
            if index < self.model.num_skips:
                outputs.append(x)
        return cap * torch.tanh(functional.linear(self._norm(x), gpt.embed.weight) / cap)

    def _norm(self, x: Tensor) -> Tensor:
        return functional.rms_norm(x, (x.shape[-1],), eps=2.0**-20)

    def _linear(self, linear: Linear, x: Tensor) -> Tensor:
        return (
            functional.linear(x, linear.weight)
            + functional.linear(functional.linear(x, linear.lora_a), linear.lora_b) * linear.lora_scaling
        )

    def _attention(self, attention: Attention, x: Tensor) -> Tensor:
        B, T, _ = x.shape
        q, k, v = (
            self._linear(part, x).view(B, T, -1, self.model.head_dim)
            for part in (attention.q, attention.k, attention.v)
        )
        q, k = (self._rotated(self._norm(part).transpose(1, 2)) for part in (q, k))
        q = q * attention.q_gain.to(q.dtype)[:, None, None]
        y = functional.scaled_dot_product_attention(q, k, v.transpose(1, 2), is_causal=True, enable_gqa=True)
        return self._linear(attention.out, y.transpose(1, 2).reshape(B, T, -1))

    def _rotated(self, x: Tensor) -> Tensor:
        """RoPE over the whole head."""
        T = x.shape[2]
        cos, sin = (table[:T].to(x.dtype) for table in (self.gpt.rope.cos, self.gpt.rope.sin))
        x1, x2 = x.chunk(2, dim=-1)
        return torch.cat([x1 * cos + x2 * sin, x2 * cos - x1 * sin], dim=-1)
