"""Builds artifact files from parts without the writer's checks, so that a test can break one thing and nothing else.

It shares no code with the reader: the inner file comes from the safetensors library, the JSON from the standard one.
"""

import copy
import hashlib
import json
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save

Json = dict[str, Any]
Tensors = dict[str, NDArray[Any]]

MAGIC = b"\x89SGLF\r\n\x1a"
LEARNED: Json = {"base": "learned", "gain": "none", "adapter": "none"}
FROZEN: Json = {"base": "random", "distribution": "g8", "exponent": 6, "gain": "none", "adapter": "none"}
LORA: Json = FROZEN | {"adapter": "lora", "lora_rank": 2, "lora_scaling": 1}
CONFIG = '{"steps":1}'


def plain_json(value: Any) -> bytes:
    """Compact, sorted JSON; canonical whenever the values are."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode("utf-8", "surrogatepass")


def good_manifest() -> Json:
    """The smallest manifest that has a frozen map with LoRA, a learned one, and everything that is always there."""
    frozen_roles = {role: copy.deepcopy(LORA) for role in ("attn.q", "attn.k", "attn.v", "mlp.up")}
    return {
        "format": "seedgolf",
        "version": 1,
        "name": "tiny",
        "model": {
            "vocab_size": 16,
            "num_layers": 1,
            "model_dim": 8,
            "num_heads": 2,
            "num_kv_heads": 1,
            "mlp_hidden_dim": 16,
            "mlp": "relu2",
            "rope_base": 10000,
            "rope_dims": 4,
            "logit_softcap": 30,
            "tie_embeddings": True,
            "qk_norm": True,
            "residual": "plain",
            "residual_mix": False,
            "seq_len": 32,
        },
        "linears": {"roles": frozen_roles | {"attn.out": dict(LEARNED), "mlp.down": dict(LEARNED)}, "overrides": []},
        "backbone": {"algorithm": "frozen-backbone/1", "seed": "7", "codes_sha256": "ab" * 32},
        "quantization": {
            "embedding": {"bits": 8, "scale": "float16"},
            "learned": {"bits": 8, "scale": "float16"},
            "lora_a": {"bits": 8, "scale": "float16"},
            "lora_b": {"bits": 8, "scale": "float32"},
            "control": {"dtype": "float32"},
        },
        "tokenizer": {"name": "toy", "vocab_size": 16, "pieces_sha256": "cd" * 32},
        "eval": {"mode": "plain", "seq_len": 32, "stride": 32},
    }


def good_training() -> Json:
    """A training section whose digest fits its config."""
    return {
        "preset": "smoke",
        "config": CONFIG,
        "config_sha256": hashlib.sha256(CONFIG.encode()).hexdigest(),
        "seed": "18446744073709551615",
        "steps": 1,
        "tokens": 64,
        "train_seconds": 1.5,
        "world_size": 1,
        "device": "2 CPU cores",
        "torch": "2.13.0",
        "train_shards": ["ef" * 32],
        "log_summary": {"step_seconds_median": 0.25, "train_loss": 2.5},
    }


def good_claims() -> Json:
    """A claimed score."""
    return {"val_bpb": 1.25, "val_loss": 2.125, "dtype": "float32", "valset_sha256": "12" * 32}


def shapes(manifest: Json) -> dict[str, tuple[tuple[int, ...], str]]:
    """Name -> (shape, group) of every learned parameter: the payload's rules written a second time, from the page."""
    m = manifest["model"]
    D, vocab = m["model_dim"], m["vocab_size"]
    result: dict[str, tuple[tuple[int, ...], str]] = {"embed.weight": ((vocab, D), "embedding")}
    if not m["tie_embeddings"]:
        result["head.weight"] = ((vocab, D), "embedding")
    for layer in range(m["num_layers"]):
        for role, size in linear_sizes(m).items():
            result |= linear_shapes(f"layers.{layer}.{role}", spec_of(manifest["linears"], layer, role), *size)
        result[f"layers.{layer}.attn.q_gain"] = ((m["num_heads"],), "control")
        result[f"layers.{layer}.attn_scale"] = result[f"layers.{layer}.mlp_scale"] = ((D,), "control")
        if m["residual_mix"]:
            result[f"layers.{layer}.resid_mix"] = ((2, D), "control")
    if m["residual"] == "unet_skip":
        result |= {f"skips.{j}": ((D,), "control") for j in range(m["num_layers"] // 2)}
    return result


def linear_sizes(m: Json) -> dict[str, tuple[int, int]]:
    """Role -> (out, in)."""
    D, F = m["model_dim"], m["mlp_hidden_dim"]
    kv = m["num_kv_heads"] * (D // m["num_heads"])
    sizes = {"attn.q": (D, D), "attn.k": (kv, D), "attn.v": (kv, D), "attn.out": (D, D)}
    return sizes | {"mlp.up": (F, D), "mlp.down": (D, F)} | ({"mlp.gate": (F, D)} if m["mlp"] == "swiglu" else {})


def spec_of(linears: Json, layer: int, role: str) -> Json:
    """The last spec that names this linear."""
    found = [o["linear"] for o in linears["overrides"] if layer in o["layers"] and role in o["roles"]]
    return dict([linears["roles"][role], *found][-1])


def linear_shapes(name: str, spec: Json, rows: int, cols: int) -> dict[str, tuple[tuple[int, ...], str]]:
    """The learned tensors of one linear."""
    rank = spec.get("lora_rank", 0)
    result: dict[str, tuple[tuple[int, ...], str]] = {}
    if spec["base"] == "learned":
        result[f"{name}.weight"] = ((rows, cols), "learned")
    if spec["gain"] != "none":
        result[f"{name}.gain"] = ((1 if spec["gain"] == "matrix" else rows,), "control")
    adapters: dict[str, dict[str, tuple[tuple[int, ...], str]]] = {
        "none": {},
        "shift": {f"{name}.shift": ((rows,), "control")},
        "lora": {f"{name}.lora_a": ((rank, cols), "lora_a"), f"{name}.lora_b": ((rows, rank), "lora_b")},
        "vera": {f"{name}.vera_d": ((rank,), "control"), f"{name}.vera_g": ((rows,), "control")},
    }
    return result | adapters[spec["adapter"]]


def stored_tensors(manifest: Json, *, seed: int = 0) -> Tensors:
    """Arbitrary lawful values for every stored tensor that `manifest` implies."""
    rng = np.random.default_rng(seed)
    tensors: Tensors = {}
    for name, (shape, group) in shapes(manifest).items():
        quantization = manifest["quantization"][group]
        if "dtype" in quantization:
            tensors[name] = rng.normal(size=shape).astype(quantization["dtype"])
            continue
        bound = 2 ** (quantization["bits"] - 1) - 1
        tensors[name] = rng.integers(-bound, bound, size=shape, endpoint=True).astype(np.int8)
        slices = shape[1 if group == "lora_b" else 0]
        tensors[f"{name}.scale"] = rng.uniform(0.001, 0.01, size=slices).astype(quantization["scale"])
    return tensors


@dataclass(kw_only=True)
class Draft:
    """The parts of a file. A part left None is derived from the ones before it, as the format says."""

    manifest: Json = field(default_factory=good_manifest)
    tensors: Tensors | None = None
    inflated: bytes | None = None
    payload_fields: Json = field(default_factory=dict)
    manifest_bytes: Callable[[bytes], bytes] = bytes
    stream: Callable[[bytes], bytes] = zlib.compress
    magic: bytes = MAGIC
    version: int = 1
    flags: int = 0
    manifest_length: int | None = None
    payload_length: int | None = None
    tail: bytes = b""

    def inner(self) -> bytes:
        """What the payload inflates to."""
        if self.inflated is None:
            self.inflated = save(self.tensors if self.tensors is not None else stored_tensors(self.manifest))
        return self.inflated

    def build(self) -> bytes:
        """The bytes of the file."""
        inner = self.inner()
        declared = {"codec": "zlib", "inflated_bytes": len(inner), "sha256": hashlib.sha256(inner).hexdigest()}
        raw = self.manifest_bytes(plain_json(self.manifest | {"payload": declared | self.payload_fields}))
        packed = self.stream(inner)
        lengths = [len(raw) if self.manifest_length is None else self.manifest_length]
        lengths.append(len(packed) if self.payload_length is None else self.payload_length)
        head = self.magic + self.version.to_bytes(2, "little") + self.flags.to_bytes(2, "little")
        first, second = (length.to_bytes(4, "little") for length in lengths)
        return head + first + raw + second + packed + self.tail
