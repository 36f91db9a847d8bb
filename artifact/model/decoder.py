"""From tokens to logits: embedding, residual stream with its skips and mixes, final norm, softcapped head.

It takes attention and MLP as they are, so training (`artifact.model.gpt`) and scoring (`artifact.model.scoring`) run
the same lines. The residual stream stays float32, under autocast too.
"""

from collections.abc import Iterable
from typing import Final

import torch
from jaxtyping import Float, Float32, Int64
from torch import Tensor, nn
from torch.nn import functional

from artifact.format.architecture import Adapter, Base, Gain, LinearSpec, ModelConfig
from artifact.model.attention import Attention, MergedAttention
from artifact.model.linear import Linear
from artifact.model.mlp import MergedMlp, Mlp
from artifact.model.norm import rms_norm
from artifact.model.rope import Rope

LEARNED: Final = LinearSpec(base=Base.LEARNED, gain=Gain.NONE, adapter=Adapter.NONE)


class Layer(nn.Module):
    """One layer: attention and MLP, each on the normalised stream and each behind a learned gate.

    Attributes:
        attn_scale, mlp_scale: the gates, [D].
        resid_mix: [2, D], the shares of stream and embedding at the start of the layer; None without residual_mix.
    """

    def __init__(
        self, model: ModelConfig, *, attn: Attention | MergedAttention, mlp: Mlp | MergedMlp, device: torch.device
    ) -> None:
        super().__init__()
        D = model.model_dim
        self.attn, self.mlp = attn, mlp
        self.attn_scale = nn.Parameter(torch.ones(D, device=device))
        self.mlp_scale = nn.Parameter(torch.ones(D, device=device))
        self.resid_mix = nn.Parameter(torch.zeros(2, D, device=device)) if model.residual_mix else None

    def forward(
        self, x: Float32[Tensor, "B T D"], x0: Float32[Tensor, "B T D"], rope: Rope
    ) -> Float32[Tensor, "B T D"]:
        """The stream after this layer; `x0` is the normalised embedding."""
        if self.resid_mix is not None:
            x = self.resid_mix[0] * x + self.resid_mix[1] * x0
        attended: Tensor = self.attn(rms_norm(x), rope)
        x = x + self.attn_scale * attended
        fed_forward: Tensor = self.mlp(rms_norm(x))
        return x + self.mlp_scale * fed_forward


class Decoder(nn.Module):
    """The network around its layers.

    Attributes:
        model: the shape.
        embed: [V, D].
        head: [V, D], or None where the embedding is the head.
        skips: [D] for every U-net skip.
    """

    def __init__(self, model: ModelConfig, layers: Iterable[Layer], *, device: torch.device) -> None:
        super().__init__()
        size = (model.vocab_size, model.model_dim)
        self.model = model
        table = torch.zeros(size, device=device)
        self.embed: nn.Embedding = nn.Embedding.from_pretrained(table, freeze=False)  # type: ignore[no-untyped-call]  # torch types it not
        self.head = None if model.tie_embeddings else Linear(LEARNED, size, device=device)
        self.layers = nn.ModuleList(layers)
        self.skips = nn.ParameterList(torch.ones(model.model_dim, device=device) for _ in range(model.num_skips))
        self.rope = Rope(rope_base=model.rope_base, rope_dims=model.rope_dims, seq_len=model.seq_len, device=device)

    @property
    def device(self) -> torch.device:
        """Where it computes."""
        device: torch.device = self.embed.weight.device
        return device

    def logits(self, tokens: Int64[Tensor, "B T"]) -> Float32[Tensor, "B T V"]:
        """Row t of the result holds the softcapped logits of the token after input t."""
        x = rms_norm(self._stream(rms_norm(self.embed(tokens))))
        weight = self.embed.weight if self.head is None else self.head.weight
        logits = functional.linear(x, weight).float()  # (B, T, V)
        cap = self.model.logit_softcap
        return cap * torch.tanh(logits / cap) if cap else logits

    def _stream(self, x0: Float[Tensor, "B T D"]) -> Float[Tensor, "B T D"]:
        """Run all layers; the first half pushes its outputs, the last half pops them (U-net skips)."""
        x = x0
        outputs: list[Tensor] = []
        num_layers, num_skips = self.model.num_layers, self.model.num_skips
        for index, layer in enumerate(self.layers):
            skip = index - (num_layers - num_skips)
            if skip >= 0:
                x = x + self.skips[skip] * outputs.pop()
            x = layer(x, x0, self.rope)
            if index < num_skips:
                outputs.append(x)
        return x
