"""A straightforward two-path LoRA network: what a good script would write, and what bench_train.py compares with.

y = W x + B (A x) per linear by plain autograd, float32 masters, the same shape and the same operations as the package's
network (GQA, qk norm, RoPE, squared ReLU, U-net skips, residual mixing, tied and softcapped head). Only for timing.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from artifact.format.architecture import ModelConfig


def norm(x: Tensor) -> Tensor:
    """RMSNorm without a weight."""
    return functional.rms_norm(x, (x.size(-1),), eps=2.0**-20)


class LoraLinear(nn.Module):
    """A frozen matrix and a low-rank path beside it."""

    def __init__(self, rows: int, cols: int, rank: int) -> None:
        super().__init__()
        self.register_buffer("weight", torch.randn(rows, cols) * cols**-0.5)
        self.lora_a = nn.Parameter(torch.randn(rank, cols) * cols**-0.5)
        self.lora_b = nn.Parameter(torch.zeros(rows, rank))

    def forward(self, x: Tensor) -> Tensor:
        """Both paths."""
        low = functional.linear(functional.linear(x, self.lora_a.to(x.dtype)), self.lora_b.to(x.dtype))
        return functional.linear(x, self.weight.to(x.dtype)) + low


class Block(nn.Module):
    """Attention and MLP with their gates."""

    def __init__(self, model: ModelConfig, rank: int) -> None:
        super().__init__()
        D, F, kv = model.model_dim, model.mlp_hidden_dim, model.kv_dim
        self.model = model
        self.q, self.k, self.v = LoraLinear(D, D, rank), LoraLinear(kv, D, rank), LoraLinear(kv, D, rank)
        self.out, self.up, self.down = LoraLinear(D, D, rank), LoraLinear(F, D, rank), LoraLinear(D, F, rank)
        self.q_gain = nn.Parameter(torch.ones(model.num_heads))
        self.attn_scale, self.mlp_scale = nn.Parameter(torch.ones(D)), nn.Parameter(torch.ones(D))
        self.resid_mix = nn.Parameter(torch.stack([torch.ones(D), torch.zeros(D)]))

    def forward(self, x: Tensor, x0: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        """One layer."""
        x = self.resid_mix[0] * x + self.resid_mix[1] * x0
        x = x + self.attn_scale * self.attend(norm(x), cos, sin)
        return x + self.mlp_scale * self.down(functional.relu(self.up(norm(x))).square())

    def attend(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        """Causal attention with normalised, rotated and gained heads."""
        B, T, _ = x.shape
        H, G, K = self.model.num_heads, self.model.num_kv_heads, self.model.head_dim
        q = self.q(x).view(B, T, H, K).transpose(1, 2)
        k = self.k(x).view(B, T, G, K).transpose(1, 2)
        v = self.v(x).view(B, T, G, K).transpose(1, 2)
        q, k = rotate(norm(q), cos, sin), rotate(norm(k), cos, sin)
        q = q * self.q_gain.to(q.dtype)[:, None, None]
        y = functional.scaled_dot_product_attention(q.to(v.dtype), k.to(v.dtype), v, is_causal=True, enable_gqa=H != G)
        return self.out(y.transpose(1, 2).reshape(B, T, H * K))


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """RoPE over the whole head."""
    x1, x2 = x.chunk(2, dim=-1)
    return torch.cat([x1 * cos + x2 * sin, x2 * cos - x1 * sin], dim=-1).to(x.dtype)


class TwoPathGPT(nn.Module):
    """The whole network; `forward` is the mean loss."""

    def __init__(self, model: ModelConfig, rank: int) -> None:
        super().__init__()
        self.model = model
        self.embed = nn.Embedding(model.vocab_size, model.model_dim)
        nn.init.normal_(self.embed.weight, std=0.005)
        self.blocks = nn.ModuleList(Block(model, rank) for _ in range(model.num_layers))
        self.skips = nn.Parameter(torch.ones(model.num_layers // 2, model.model_dim))
        half = model.head_dim // 2
        angles = torch.outer(torch.arange(model.seq_len), model.rope_base ** (-torch.arange(half) / half))
        self.register_buffer("cos", angles.cos())
        self.register_buffer("sin", angles.sin())

    def forward(self, tokens: Tensor, targets: Tensor) -> Tensor:
        """Mean nats per target."""
        x = x0 = norm(self.embed(tokens))
        half, outputs = len(self.blocks) // 2, []
        for index, block in enumerate(self.blocks):
            if index >= len(self.blocks) - half:
                x = x + self.skips[index - len(self.blocks) + half] * outputs.pop()
            x = block(x, x0, self.cos, self.sin)
            if index < half:
                outputs.append(x)
        logits = functional.linear(norm(x), self.embed.weight.to(x.dtype)).float()
        logits = self.model.logit_softcap * torch.tanh(logits / self.model.logit_softcap)
        return functional.cross_entropy(logits.flatten(0, 1), targets.flatten())
