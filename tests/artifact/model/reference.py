"""The network a second time, from the page: float64 numpy, one window, loops where torch has kernels."""

import numpy as np
from numpy.typing import NDArray

from artifact.backbone import weights
from artifact.format.architecture import Mlp, Network, Residual, Role, resolve
from artifact.format.tensors import random_maps

Array = NDArray[np.float64]


def norm(x: Array) -> Array:
    return x / np.sqrt((x * x).mean(axis=-1, keepdims=True) + 2.0**-20)


class Reference:
    """One network with all of its tensors; every method takes and gives [T, channels]."""

    def __init__(self, network: Network, learned: dict[str, NDArray[np.float32]], seed: int) -> None:
        self.model, self.specs = network.model, resolve(network)
        self.t: dict[str, Array] = {name: value.astype(np.float64) for name, value in learned.items()}
        for m in random_maps(network):
            self.t[m.name] = weights(seed, m.name, m.distribution, m.shape, m.exponent).astype(np.float64)

    def logits(self, tokens: NDArray[np.int64]) -> Array:
        model, t = self.model, self.t
        x = x0 = norm(t["embed.weight"][tokens])
        pushed: list[Array] = []
        num_skips = model.num_layers // 2 if model.residual is Residual.UNET_SKIP else 0
        for i in range(model.num_layers):
            if i >= model.num_layers - num_skips:
                x = x + t[f"skips.{i - (model.num_layers - num_skips)}"] * pushed.pop()
            if model.residual_mix:
                x = t[f"layers.{i}.resid_mix"][0] * x + t[f"layers.{i}.resid_mix"][1] * x0
            x = x + t[f"layers.{i}.attn_scale"] * self.attention(i, norm(x))
            x = x + t[f"layers.{i}.mlp_scale"] * self.mlp(i, norm(x))
            if i < num_skips:
                pushed.append(x)
        result = norm(x) @ t["embed.weight" if model.tie_embeddings else "head.weight"].T
        cap = float(model.logit_softcap)
        return cap * np.tanh(result / cap) if cap else result

    def linear(self, layer: int, role: Role, x: Array) -> Array:
        name, t = f"layers.{layer}.{role.value}", self.t
        y = t.get(f"{name}.gain", 1.0) * (x @ t[f"{name}.weight"].T)
        if f"{name}.lora_a" in t:
            scaling = self.specs[layer, role].lora_scaling
            y = y + scaling * (x @ t[f"{name}.lora_a"].T @ t[f"{name}.lora_b"].T)
        if f"{name}.vera_d" in t:
            y = y + t[f"{name}.vera_g"] * ((t[f"{name}.vera_d"] * (x @ t[f"{name}.vera_a"].T)) @ t[f"{name}.vera_b"].T)
        return y + t.get(f"{name}.shift", 0.0)

    def attention(self, layer: int, x: Array) -> Array:
        model, gains = self.model, self.t[f"layers.{layer}.attn.q_gain"]
        q, k, v = (self.linear(layer, role, x) for role in (Role.ATTN_Q, Role.ATTN_K, Role.ATTN_V))
        size, heads = model.model_dim // model.num_heads, []
        for h in range(model.num_heads):
            g = h * model.num_kv_heads // model.num_heads
            qh, kh, vh = q[:, h * size :][:, :size], k[:, g * size :][:, :size], v[:, g * size :][:, :size]
            if model.qk_norm:
                qh, kh = norm(qh), norm(kh)
            scores = gains[h] * self.rotate(qh) @ self.rotate(kh).T / np.sqrt(size)
            shares = np.where(np.tri(len(x), dtype=bool), np.exp(scores - scores.max()), 0.0)
            heads.append(shares / shares.sum(axis=1, keepdims=True) @ vh)
        return self.linear(layer, Role.ATTN_OUT, np.concatenate(heads, axis=1))

    def rotate(self, head: Array) -> Array:
        dims, result = self.model.rope_dims, head.copy()
        for i in range(dims // 2):
            angles = np.arange(len(head)) * float(self.model.rope_base) ** (-2 * i / dims)
            x1, x2 = head[:, i], head[:, dims // 2 + i]
            result[:, i] = x1 * np.cos(angles) + x2 * np.sin(angles)
            result[:, dims // 2 + i] = x2 * np.cos(angles) - x1 * np.sin(angles)
        return result

    def mlp(self, layer: int, x: Array) -> Array:
        up = self.linear(layer, Role.MLP_UP, x)
        if self.model.mlp is Mlp.SWIGLU:
            gate = self.linear(layer, Role.MLP_GATE, x)
            hidden = gate / (1 + np.exp(-gate)) * up
        else:
            slope = {Mlp.RELU2: 0.0, Mlp.LEAKY_RELU2: 0.5}[self.model.mlp]
            hidden = np.where(up > 0, up, slope * up) ** 2
        return self.linear(layer, Role.MLP_DOWN, hidden)
