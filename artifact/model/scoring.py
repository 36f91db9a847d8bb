"""A network merged for scoring: every linear one matrix, queries, keys and values one product, no autograd.

Float32 is canonical. Bfloat16 runs the layers' products and the MLP's activations in bfloat16 and keeps attention,
residual stream, head and softcap in float32 (verification.md V-24; within 5e-4 bits per byte, V-15).

Law: on a CPU, from 16 channels up, a window's logits have the same bits in every batch and for every number of threads.
"""

from typing import Final

import torch
from jaxtyping import Float32, Int64
from torch import Tensor, nn
from torch.nn.functional import pad

from artifact.model.attention import Attention, MergedAttention
from artifact.model.decoder import Decoder, Layer
from artifact.model.gpt import GPT
from artifact.model.mlp import MergedMlp, Mlp

SCORING_DTYPES: Final = (torch.float32, torch.bfloat16)
PAD_TOKENS: Final = 32
"""Windows are padded to a multiple: then every window, and attention's scratch of every thread, starts on a cache line,
and products never choose another kernel for a batch's last rows. Padding follows the window, so no logit sees it."""


class Scorer(Decoder):
    """A decoder of merged layers; none of its tensors needs a gradient. Two to four windows a batch are fastest."""

    def logits(self, tokens: Int64[Tensor, "B T"]) -> Float32[Tensor, "B T V"]:
        """See `Decoder.logits`."""
        T = tokens.shape[1]
        return super().logits(pad(tokens, (0, -T % PAD_TOKENS)))[:, :T]


def for_scoring(gpt: GPT, *, dtype: torch.dtype = torch.float32) -> Scorer:
    """The function that `gpt` computes, for evaluation.

    Linears are copied; embedding, head and gates share memory with `gpt`. So do not score with it after `gpt` was
    trained on or loaded anew: merge again. Which routine multiplies float32 matrices is a setting of the process; make
    it before merging.

    Args:
        gpt: what to score, on any device.
        dtype: float32 or bfloat16, the type of the layers' products.

    Raises:
        ValueError: another dtype.
    """
    if dtype not in SCORING_DTYPES:
        raise ValueError(f"dtype: expected torch.float32 or torch.bfloat16, got {dtype}")
    layers = [_merged(gpt, layer, dtype) for layer in gpt.layers]
    merged = Scorer(gpt.model, layers, device=gpt.device)
    for name, _ in list(merged.named_parameters()):
        owner, _, leaf = name.rpartition(".")
        shared = nn.Parameter(gpt.get_parameter(name).detach(), requires_grad=False)
        merged.get_submodule(owner).register_parameter(leaf, shared)
    return merged.eval()


def _merged(gpt: GPT, layer: nn.Module, dtype: torch.dtype) -> Layer:
    assert isinstance(layer, Layer)
    assert isinstance(layer.attn, Attention)
    assert isinstance(layer.mlp, Mlp)
    attn, mlp = MergedAttention(layer.attn, dtype=dtype), MergedMlp(layer.mlp, dtype=dtype)
    return Layer(gpt.model, attn=attn, mlp=mlp, device=gpt.device)
