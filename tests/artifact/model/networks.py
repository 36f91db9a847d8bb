"""Small networks that between them have every value of every enum, and arbitrary learned parameters for them."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from artifact.format.architecture import Network
from artifact.format.manifest import from_json
from artifact.format.tensors import Parameter, learned_parameters
from artifact.model.build import load_parameters
from artifact.model.gpt import GPT

Json = dict[str, Any]

SEED = 2**64 - 5
TOY: Json = {
    "vocab_size": 61,
    "num_layers": 2,
    "model_dim": 32,
    "num_heads": 4,
    "num_kv_heads": 2,
    "mlp_hidden_dim": 48,
    "mlp": "relu2",
    "rope_base": 10000,
    "rope_dims": 8,
    "logit_softcap": 20,
    "tie_embeddings": True,
    "qk_norm": True,
    "residual": "plain",
    "residual_mix": False,
    "seq_len": 24,
}
LEARNED: Json = {"base": "learned", "gain": "none", "adapter": "none"}
LORA: Json = {"adapter": "lora", "lora_rank": 3, "lora_scaling": 0.75}
VERA: Json = {"adapter": "vera", "lora_rank": 5}
SHIFT: Json = {"adapter": "shift"}


def frozen(gain: str = "none", adapter: Json | None = None, *, distribution: str = "g8", exponent: int = 7) -> Json:
    """The spec of a random map."""
    spec = {"base": "random", "distribution": distribution, "exponent": exponent, "gain": gain, "adapter": "none"}
    return spec | (adapter or {})


def network(default: Json, roles: Json | None = None, overrides: list[Json] | None = None, **model: Any) -> Network:
    """`default` for every role that `roles` does not name; `model` replaces fields of TOY."""
    shape = TOY | model
    names = ["attn.q", "attn.k", "attn.v", "attn.out", "mlp.up", "mlp.down"]
    names += ["mlp.gate"] if shape["mlp"] == "swiglu" else []
    table = dict.fromkeys(names, default) | (roles or {})
    return from_json(Network, {"model": shape, "linears": {"roles": table, "overrides": overrides or []}})


NETWORKS = {
    "dense": network(LEARNED),
    "lora": network(frozen(adapter=LORA)),
    "lora with gains": network(
        frozen("channel", LORA), {"mlp.up": frozen("matrix", LORA), "attn.out": frozen("channel", distribution="rad")}
    ),
    "vera, untied, no cap": network(
        frozen(adapter=VERA), {"attn.q": frozen("channel", VERA)}, tie_embeddings=False, logit_softcap=0
    ),
    "scale and shift": network(frozen("channel", SHIFT), {"attn.k": frozen("matrix", SHIFT)}, mlp="leaky_relu2"),
    "shift alone, all frozen": network(frozen(adapter=SHIFT), {"attn.v": frozen()}, num_kv_heads=4),
    "swiglu, partial rope": network(frozen(adapter=LORA), mlp="swiglu", rope_dims=4, qk_norm=False),
    "swiglu of mixed kinds": network(
        LEARNED, {"mlp.gate": frozen("channel"), "attn.v": frozen(adapter=LORA)}, mlp="swiglu", num_kv_heads=1
    ),
    "u-net, even, mixed in": network(frozen(adapter=LORA), num_layers=4, residual="unet_skip", residual_mix=True),
    "u-net, odd": network(LEARNED, num_layers=5, residual="unet_skip", logit_softcap=3),
    "overrides": network(
        LEARNED,
        overrides=[
            {"layers": [0, 2], "roles": ["mlp.up", "attn.q"], "linear": frozen("channel")},
            {"layers": [2], "roles": ["attn.q"], "linear": frozen("matrix", VERA)},
        ],
        num_layers=3,
        residual_mix=True,
    ),
}


def arbitrary_parameters(network: Network, *, seed: int = 0) -> dict[str, NDArray[np.float32]]:
    """Values of natural size for every learned parameter, none of them at its start."""
    rng = np.random.default_rng(seed)
    return {parameter.name: _arbitrary(parameter, rng) for parameter in learned_parameters(network)}


def _arbitrary(parameter: Parameter, rng: np.random.Generator) -> NDArray[np.float32]:
    deviation, mean = (parameter.shape[1] ** -0.5, 0.0) if len(parameter.shape) == 2 else (0.3, 0.5)
    return rng.normal(mean, deviation, parameter.shape).astype(np.float32)


def arbitrary_gpt(network: Network, *, seed: int = 0) -> GPT:
    """A network with arbitrary learned parameters."""
    gpt = GPT(network, backbone_seed=SEED)
    load_parameters(gpt, arbitrary_parameters(network, seed=seed))
    return gpt


def arbitrary_tokens(network: Network, *shape: int, seed: int = 0) -> NDArray[np.int64]:
    """Tokens of the vocabulary."""
    return np.random.default_rng(seed).integers(0, network.model.vocab_size, shape)
