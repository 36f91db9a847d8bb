"""Where training starts: a network that writes nothing to its residual stream, and in which every gradient can flow.

A branch starts at zero through exactly one of its factors, so the factor next to it still gets a gradient:

    attn.out / mlp.down learned                 its weight is zero, the layer's gate one
    attn.out / mlp.down random with a gain      the gain is zero, the gate one
    attn.out / mlp.down random without a gain   the gate (attn_scale / mlp_scale) is zero

LoRA's B and VeRA's g start at zero everywhere, so every adapter starts as nothing (Hu et al. 2021; Kopiczko et al.
2023).
"""

from typing import Final

import torch
from torch import Tensor, nn

from artifact.format.architecture import Base, Gain, Role
from artifact.model.decoder import Layer
from artifact.model.gpt import GPT
from artifact.model.linear import Linear

EMBED_STD: Final = 0.005
"""The challenge's baseline. A tied embedding is the head, too: logits start near std * sqrt(D), the loss near ln V."""
MAX_OWN_LOGIT: Final = 2.5
"""A token's logit for itself starts at std * D, where a wide model would put all its belief."""
VERA_D: Final = 0.1
QK_NORM_Q_GAIN: Final = 1.5
"""Normalised queries and keys give attention scores of deviation 1; the challenge's baseline starts them at 1.5."""
WRITERS: Final = (Role.ATTN_OUT, Role.MLP_DOWN)


@torch.no_grad()
def initialise(gpt: GPT, generator: torch.Generator) -> None:
    """Set every learned parameter of `gpt` to its start.

    Args:
        gpt: the network, on any device.
        generator: a CPU generator; the numbers are drawn there, so they do not depend on the device.
    """
    embed_std = min(EMBED_STD, MAX_OWN_LOGIT / gpt.model.model_dim)
    _gaussian(gpt.embed.weight, embed_std, generator)
    if gpt.head is not None:
        _gaussian(gpt.head.weight, embed_std, generator)
    for _, role, linear in gpt.linears():
        _initialise_linear(linear, role, generator)
    for layer in gpt.layers:
        assert isinstance(layer, Layer)
        _initialise_controls(layer, qk_norm=gpt.model.qk_norm)
    for skip in gpt.skips:
        nn.init.ones_(skip)


def _initialise_linear(linear: Linear, role: Role, generator: torch.Generator) -> None:
    fan_in = linear.weight.shape[1]
    writes = role in WRITERS
    if linear.spec.base is Base.LEARNED:
        _gaussian(linear.weight, 0.0 if writes else fan_in**-0.5, generator)
    if linear.gain is not None:
        nn.init.constant_(linear.gain, 0.0 if writes else 1.0)
    if linear.lora_a is not None:
        _gaussian(linear.lora_a, fan_in**-0.5, generator)
    if linear.vera_d is not None:
        nn.init.constant_(linear.vera_d, VERA_D)
    for parameter in (linear.shift, linear.lora_b, linear.vera_g):
        if parameter is not None:
            nn.init.zeros_(parameter)


def _initialise_controls(layer: Layer, *, qk_norm: bool) -> None:
    nn.init.constant_(layer.attn.q_gain, QK_NORM_Q_GAIN if qk_norm else 1.0)
    nn.init.constant_(layer.attn_scale, _gate(layer.attn.out))
    nn.init.constant_(layer.mlp_scale, _gate(layer.mlp.down))
    if layer.resid_mix is not None:
        nn.init.ones_(layer.resid_mix[0])
        nn.init.zeros_(layer.resid_mix[1])


def _gate(writer: nn.Module) -> float:
    """Where the gate behind a branch starts: zero if nothing else in the branch does."""
    assert isinstance(writer, Linear)
    return 0.0 if writer.spec.base is Base.RANDOM and writer.spec.gain is Gain.NONE else 1.0


def _gaussian(parameter: Tensor, std: float, generator: torch.Generator) -> None:
    parameter.copy_(torch.randn(parameter.shape, generator=generator) * std)
