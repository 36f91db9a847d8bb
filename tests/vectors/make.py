"""Makes the vector kit of format version 1: one scenario a file, one visible mutation a scenario.

`make golden` runs this. A vector file is lines of `key: value`, an empty line, then the bytes of an artifact.
`expect` is `accepted` or the code that a reader must give. Vectors of a released version are never edited; new ones
may be added.
"""

import hashlib
import json
import struct
import sys
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from tests.forge import (  # noqa: E402
    FROZEN,
    LEARNED,
    LORA,
    Draft,
    Json,
    good_claims,
    good_manifest,
    good_training,
    stored_tensors,
)

FOLDER = Path(__file__).parent / "v1"
ACCEPTED = "accepted"


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """One vector: its name, the verdict a reader must give, and the file."""

    name: str
    expect: str
    build: Callable[[], bytes]
    cap: str = "67108864"
    """The caller's cap on the file, in bytes; `size-1` is one byte less than this file."""

    def to_bytes(self) -> bytes:
        """The vector file."""
        data = self.build()
        max_bytes = len(data) - 1 if self.cap == "size-1" else int(self.cap)
        fields = {"expect": self.expect, "max_bytes": str(max_bytes)}
        return "".join(f"{key}: {value}\n" for key, value in fields.items()).encode() + b"\n" + data


def parse(data: bytes) -> tuple[dict[str, str], bytes]:
    """`(fields, artifact bytes)` of a vector file."""
    head, body = data.split(b"\n\n", 1)
    return dict(line.split(": ", 1) for line in head.decode().splitlines()), body


def edited(*path: str | int, to: Any = None, drop: bool = False) -> Json:
    """The good manifest, all optional parts present, with the value at `path` set or dropped."""
    manifest = good_manifest() | {"training": good_training(), "claims": good_claims(), "author": "A", "license": "MIT"}
    place: Any = manifest
    for step in path[:-1]:
        place = place[step]
    if drop:
        del place[path[-1]]
    else:
        place[path[-1]] = to
    return manifest


def with_model(**fields: Any) -> Json:
    """The good manifest with fields of its model replaced."""
    manifest = good_manifest()
    manifest["model"] |= fields
    return manifest


def with_role(role: str, **fields: Any) -> Json:
    """The good manifest with one role's spec replaced."""
    manifest = good_manifest()
    manifest["linears"]["roles"][role] = fields
    return manifest


def everywhere(**fields: Any) -> Json:
    """A 64-channel manifest in which every linear has the same spec."""
    manifest = with_model(model_dim=64, num_heads=2, num_kv_heads=2, mlp_hidden_dim=128, rope_dims=32)
    manifest["linears"]["roles"] = {role: dict(fields) for role in [*manifest["linears"]["roles"]]}
    return manifest


def file(manifest: Json | None = None, **parts: Any) -> Callable[[], bytes]:
    """A file of `manifest` and of parts that replace derived ones."""
    return lambda: Draft(manifest=manifest or good_manifest(), **parts).build()


def accepted() -> Iterator[Scenario]:
    """Good files that together use every word of every closed set."""
    gated = with_model(mlp="swiglu")
    gated["linears"]["roles"]["mlp.gate"] = dict(FROZEN)
    skips = with_model(num_layers=3, residual="unet_skip", residual_mix=True)
    overridden = with_model(num_layers=2)
    overridden["linears"]["overrides"] = [
        {"layers": [0, 1], "roles": ["mlp.up", "attn.q"], "linear": LORA | {"lora_rank": 3, "lora_scaling": 0.5}},
        {"layers": [1], "roles": ["attn.q"], "linear": dict(LEARNED)},
    ]
    manifests = {
        "smallest": good_manifest(),
        "all-optional-parts": edited("name", to="tiny, 'quoted' \"names\" \\ and ünïcode 模型"),
        "leaky-relu2-untied": with_model(mlp="leaky_relu2", tie_embeddings=False),
        "swiglu": gated,
        "unet-skip-residual-mix": skips,
        "no-softcap-no-qk-norm": with_model(logit_softcap=0, qk_norm=False),
        "full-rope-real-base": with_model(rope_dims=2, rope_base=500.25),
        "overrides-in-order": overridden,
        "gain-matrix-shift": with_role("mlp.up", **FROZEN | {"gain": "matrix", "adapter": "shift"}),
        "gain-channel": with_role("mlp.up", **FROZEN | {"gain": "channel"}),
        "vera": with_role("mlp.up", **FROZEN | {"adapter": "vera", "lora_rank": 4}),
        "sliding": edited("eval", to={"mode": "sliding", "seq_len": 64, "stride": 16}),
        "claims-bfloat16": edited("claims", "dtype", to="bfloat16"),
        "exponent-bounds": with_role("mlp.up", **FROZEN | {"exponent": 24}),
        "largest-seed": edited("backbone", "seed", to="18446744073709551615"),
    }
    for distribution in ("rad", "u8", "toep", "hada", "ortho", *(f"tern{m}" for m in range(1, 8))):
        manifests[f"distribution-{distribution}"] = everywhere(**FROZEN | {"distribution": distribution})
    for bits in (4, 5, 6, 7):
        manifests[f"bits-{bits}"] = edited("quantization", "learned", to={"bits": bits, "scale": "float32"})
    floats = good_manifest()
    floats["quantization"] = {
        group: {"dtype": "float16" if group == "control" else "float32"} for group in floats["quantization"]
    }
    manifests["nothing-quantised"] = floats
    manifests["control-quantised"] = edited("quantization", "control", to={"bits": 8, "scale": "float32"})
    for name, manifest in manifests.items():
        yield Scenario(name=f"ok-{name}", expect=ACCEPTED, build=file(manifest))
    yield Scenario(name="ok-stored-blocks", expect=ACCEPTED, build=file(stream=stored_blocks))


def stored_blocks(data: bytes) -> bytes:
    """A zlib stream without compression."""
    return zlib.compress(data, level=0)


def container() -> Iterator[Scenario]:
    """Faults of the head and of the lengths."""
    good = file()()

    def cut(size: int) -> Callable[[], bytes]:
        return lambda: good[:size]

    cases = [
        ("magic-text-mode", "bad-magic", file(magic=b"\x89SGLF\n\x1a\x1a")),
        ("magic-png", "bad-magic", file(magic=b"\x89PNG\r\n\x1a\n")),
        ("magic-zip-before", "bad-magic", lambda: b"PK\x03\x04" + good),
        ("empty", "bad-magic", cut(0)),
        ("cut-in-magic", "bad-magic", cut(7)),
        ("version-0", "unsupported-version", file(version=0)),
        ("version-2", "unsupported-version", file(version=2)),
        ("cut-in-version", "unsupported-version", cut(9)),
        ("flags-1", "bad-flags", file(flags=1)),
        ("flags-high-bit", "bad-flags", file(flags=0x8000)),
        ("cut-in-flags", "bad-flags", cut(11)),
        ("manifest-length-0", "bad-manifest-length", file(manifest_length=0)),
        ("manifest-length-1", "bad-manifest-length", file(manifest_length=1)),
        ("manifest-length-over-cap", "bad-manifest-length", file(manifest_length=65_537)),
        ("manifest-length-past-end", "bad-manifest-length", file(manifest_length=65_536)),
        ("cut-in-manifest-length", "bad-manifest-length", cut(15)),
        ("cut-in-manifest", "bad-manifest-length", cut(100)),
        ("payload-length-one-less", "bad-payload-length", lambda: shift_payload_length(good, -1)),
        ("payload-length-one-more", "bad-payload-length", lambda: shift_payload_length(good, 1)),
        ("payload-length-missing", "bad-payload-length", lambda: good[: payload_offset(good) + 3]),
        ("trailing-byte", "bad-payload-length", file(tail=b"\0")),
        ("trailing-zip", "bad-payload-length", file(tail=b"PK\x05\x06" + bytes(18))),
        ("cut-one-byte", "bad-payload-length", lambda: good[:-1]),
    ]
    yield Scenario(name="file-over-cap", expect="file-too-large", build=lambda: good, cap="size-1")
    for name, expect, build in cases:
        yield Scenario(name=name, expect=expect, build=build)


def payload_offset(data: bytes) -> int:
    """Where the payload's length stands."""
    return 16 + int.from_bytes(data[12:16], "little")


def shift_payload_length(data: bytes, by: int) -> bytes:
    """`data` with another payload length."""
    at = payload_offset(data)
    length = int.from_bytes(data[at : at + 4], "little") + by
    return data[:at] + length.to_bytes(4, "little") + data[at + 4 :]


def replaced(old: bytes, new: bytes) -> Callable[[bytes], bytes]:
    """An edit of the manifest's bytes; refuses to do nothing."""

    def edit(raw: bytes) -> bytes:
        if old not in raw:
            raise ValueError(f"{old!r} is not in the manifest")
        return raw.replace(old, new, 1)

    return edit


def canonical_json() -> Iterator[Scenario]:
    """Other spellings of the same manifest, and JSON outside the domain."""
    edits = {
        "bom": lambda raw: b"\xef\xbb\xbf" + raw,
        "invalid-utf8": replaced(b'"tiny"', b'"t\xffny"'),
        "not-json": lambda raw: raw[:-1] + b"]",
        "space": replaced(b":", b": "),
        "final-newline": lambda raw: raw + b"\n",
        "pretty": lambda raw: json.dumps(json.loads(raw), indent=1, sort_keys=True).encode(),
        "keys-unsorted": lambda raw: plain_unsorted(json.loads(raw)),
        "escaped-letter": replaced(b'"tiny"', b'"t\\u0069ny"'),
        "escaped-slash": replaced(b'"tiny"', b'"t\\/iny"'),
        "integer-as-real": replaced(b'"logit_softcap":30', b'"logit_softcap":30.0'),
        "exponent": replaced(b'"logit_softcap":30', b'"logit_softcap":3e1'),
        "negative-zero": replaced(b'"logit_softcap":30', b'"logit_softcap":-0'),
        "longer-real": replaced(b'"logit_softcap":30', b'"logit_softcap":30.50'),
        "tiny-real": replaced(b'"logit_softcap":30', b'"logit_softcap":0.00001'),
        "huge-integer": replaced(b'"logit_softcap":30', b'"logit_softcap":9007199254740992'),
        "thousand-digits": replaced(b'"logit_softcap":30', b'"logit_softcap":1' + b"0" * 999),
        "nan": replaced(b'"logit_softcap":30', b'"logit_softcap":NaN'),
        "infinity": replaced(b'"logit_softcap":30', b'"logit_softcap":Infinity'),
        "null": replaced(b'"logit_softcap":30', b'"logit_softcap":null'),
        "surrogate-escape": replaced(b'"tiny"', b'"t\\ud800ny"'),
        "surrogate-pair-escape": replaced(b'"tiny"', b'"\\ud83d\\ude00"'),
        "nul-escape": replaced(b'"tiny"', b'"t\\u0000ny"'),
        "control-escape": replaced(b'"tiny"', b'"t\\nny"'),
        "c1-control": replaced(b'"tiny"', '"t\x85ny"'.encode()),
        "bidi-override": replaced(b'"tiny"', '"t\u202eny"'.encode()),
        "bidi-isolate": replaced(b'"tiny"', '"t\u2066ny"'.encode()),
        "nesting-9": replaced(b'"overrides":[]', b'"overrides":[[[[[[[]]]]]]]'),
        "nesting-30000": lambda raw: b"[" * 30_000,
    }
    for name, edit in edits.items():
        build = file(manifest_bytes=edit)
        yield Scenario(name=f"json-{name}", expect="manifest-not-canonical", build=build)
    twice = {
        "name": replaced(b'"name":"tiny"', b'"name":"tiny","name":"tiny"'),
        "nested-seed": replaced(b'"seed":"7"', b'"seed":"7","seed":"8"'),
    }
    for name, edit in twice.items():
        build = file(manifest_bytes=edit)
        yield Scenario(name=f"json-duplicate-{name}", expect="duplicate-key", build=build)


def plain_unsorted(value: Any) -> bytes:
    """Compact JSON with the first two keys exchanged."""
    first, second, *rest = value.items()
    return json.dumps(dict([second, first, *rest]), separators=(",", ":"), ensure_ascii=False).encode()


def schema() -> Iterator[Scenario]:
    """Manifests in canonical form that say what version 1 does not allow."""
    unknown = [("pickle",), ("model", "module"), ("linears", "roles", "attn.q", "path"), ("claims", "url")]
    for path in unknown:
        yield _schema(f"unknown-{path[-1]}", "unknown-field", edited(*path, to="os.system"))
    yield _schema("unknown-second-seed", "unknown-field", edited("backbone", "second_seed", to="7"))
    words: list[tuple[tuple[str | int, ...], Any]] = [
        (("format",), "sgolf"),
        (("version",), 2),
        (("model", "mlp"), "gelu"),
        (("model", "residual"), "dense"),
        (("linears", "roles", "attn.q", "base"), "pickle"),
        (("linears", "roles", "attn.q", "distribution"), "g16"),
        (("linears", "roles", "attn.q", "gain"), "row"),
        (("linears", "roles", "attn.q", "adapter"), "dora"),
        (("backbone", "algorithm"), "frozen-backbone/2"),
        (("quantization", "learned", "bits"), 3),
        (("quantization", "learned", "scale"), "bfloat16"),
        (("quantization", "control", "dtype"), "float64"),
        (("eval", "mode"), "strided"),
        (("claims", "dtype"), "float16"),
    ]
    for path, word in words:
        yield _schema("-".join(["enum", *(str(step) for step in path[-2:])]), "invalid-enum", edited(*path, to=word))
    roles = good_manifest()
    roles["linears"]["roles"]["attn.qkv"] = dict(FROZEN)
    yield _schema("enum-role", "invalid-enum", roles)
    for name, seed in {
        "number": 7, "empty": "", "leading-zero": "07", "sign": "-1", "space": " 7", "hex": "0x7",
        "too-large": "18446744073709551616", "other-digits": "٧", "underscore": "1_0",
    }.items():  # fmt: skip
        yield _schema(f"seed-{name}", "invalid-seed", edited("backbone", "seed", to=seed))
    yield _schema("training-seed-number", "invalid-seed", edited("training", "seed", to=7))
    yield from _values()
    for name, fields in {"hada": {"distribution": "hada"}, "ortho": {"distribution": "ortho"}}.items():
        manifest = with_model(model_dim=36, num_heads=2, num_kv_heads=2, rope_dims=2, mlp_hidden_dim=50)
        manifest["linears"]["roles"]["mlp.up"] = FROZEN | fields
        yield _schema(f"no-construction-{name}", "no-construction", manifest)


def _schema(name: str, expect: str, manifest: Json) -> Scenario:
    inner = Draft().inner()
    return Scenario(name=f"schema-{name}", expect=expect, build=file(manifest, inflated=inner))


def _values() -> Iterator[Scenario]:
    """Fields that are missing, of the wrong type or range, or contradict each other."""
    at_bound: list[tuple[str, Json]] = [
        ("missing-name", edited("name", drop=True)),
        ("missing-overrides", edited("linears", "overrides", drop=True)),
        ("missing-quantization-group", edited("quantization", "lora_a", drop=True)),
        ("empty-name", edited("name", to="")),
        ("long-name", edited("name", to="x" * 201)),
        ("name-number", edited("name", to=1)),
        ("bool-as-int", with_model(num_layers=True)),
        ("version-true", edited("version", to=True)),
        ("real-as-int", with_model(num_layers=1.5)),
        ("int-as-bool", with_model(qk_norm=1)),
        ("zero-layers", with_model(num_layers=0)),
        ("layers-over-cap", with_model(num_layers=257)),
        ("dim-over-cap", with_model(model_dim=16_386)),
        ("vocab-over-cap", with_model(vocab_size=2**17 + 1)),
        ("seq-len-over-cap", with_model(seq_len=65_537)),
        ("hidden-over-cap", with_model(mlp_hidden_dim=65_537)),
        ("heads-do-not-divide", with_model(num_heads=3, num_kv_heads=3)),
        ("odd-head-dim", with_model(num_heads=8, num_kv_heads=8)),
        ("kv-heads-do-not-divide", with_model(num_heads=4, num_kv_heads=3, rope_dims=2)),
        ("rope-dims-odd", with_model(rope_dims=3)),
        ("rope-dims-over-head", with_model(rope_dims=6)),
        ("rope-base-below-one", with_model(rope_base=0.5)),
        ("softcap-negative", with_model(logit_softcap=-1)),
        ("vocabulary-differs", edited("tokenizer", "vocab_size", to=17)),
        ("digest-upper-case", edited("tokenizer", "pieces_sha256", to="CD" * 32)),
        ("digest-short", edited("tokenizer", "pieces_sha256", to="cd" * 31)),
        ("stride-over-window", edited("eval", to={"mode": "sliding", "seq_len": 16, "stride": 17})),
        ("plain-with-stride", edited("eval", to={"mode": "plain", "seq_len": 16, "stride": 8})),
        ("exponent-25", with_role("attn.q", **FROZEN | {"exponent": 25})),
        ("exponent-missing", with_role("attn.q", **{k: v for k, v in FROZEN.items() if k != "exponent"})),
        ("learned-with-gain", with_role("attn.q", **LEARNED | {"gain": "matrix"})),
        ("learned-with-lora", with_role("attn.q", **LEARNED | {"adapter": "lora", "lora_rank": 2, "lora_scaling": 1})),
        ("learned-with-distribution", with_role("attn.q", **LEARNED | {"distribution": "g8", "exponent": 6})),
        ("lora-without-rank", with_role("attn.q", **FROZEN | {"adapter": "lora", "lora_scaling": 1})),
        ("lora-without-scaling", with_role("attn.q", **FROZEN | {"adapter": "lora", "lora_rank": 2})),
        ("lora-scaling-zero", with_role("attn.q", **LORA | {"lora_scaling": 0})),
        ("vera-with-scaling", with_role("attn.q", **LORA | {"adapter": "vera"})),
        ("rank-zero", with_role("attn.q", **LORA | {"lora_rank": 0})),
        ("gate-without-swiglu", with_role("mlp.gate", **FROZEN)),
        ("swiglu-without-gate", with_model(mlp="swiglu")),
        ("override-past-last-layer", _override(layers=[1])),
        ("override-layers-unsorted", _override(layers=[0, 0])),
        ("override-role-twice", _override(roles=["attn.q", "attn.q"])),
        ("override-no-layers", _override(layers=[])),
        ("override-foreign-role", _override(roles=["mlp.gate"])),
        ("config-digest", edited("training", "config_sha256", to="00" * 32)),
        ("config-too-long", _long_config()),
        ("train-seconds-negative", edited("training", "train_seconds", to=-1)),
        ("tensors-over-cap", with_model(num_layers=256)),
        ("parameters-over-cap", _huge_network()),
    ]
    for name, manifest in at_bound:
        yield _schema(name, "invalid-value", manifest)
    codec = file(payload_fields={"codec": "zstd"})
    yield Scenario(name="schema-enum-codec", expect="invalid-enum", build=codec)
    too_big = file(payload_fields={"inflated_bytes": 256 * 1024 * 1024 + 1})
    yield Scenario(name="schema-inflated-over-cap", expect="invalid-value", build=too_big)


def _override(**fields: Any) -> Json:
    manifest = good_manifest()
    manifest["linears"]["overrides"] = [{"layers": [0], "roles": ["attn.q"], "linear": dict(LEARNED)} | fields]
    return manifest


def _long_config() -> Json:
    config = '"' + "x" * 16_383 + '"'
    manifest = edited("training", "config", to=config)
    manifest["training"]["config_sha256"] = hashlib.sha256(config.encode()).hexdigest()
    return manifest


def _huge_network() -> Json:
    manifest = with_model(num_layers=4, model_dim=16_384, num_heads=128, num_kv_heads=128, mlp_hidden_dim=32_768)
    manifest["model"]["rope_dims"] = 128
    manifest["linears"]["roles"] = {role: dict(FROZEN) for role in manifest["linears"]["roles"]}
    return manifest


def payloads() -> Iterator[Scenario]:
    """Faults of the zlib stream, its size and its digest."""
    size = len(Draft().inner())
    streams: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
        "empty": ("inflate-error", lambda data: b""),
        "not-zlib": ("inflate-error", lambda data: b"\0" * 64),
        "gzip": ("inflate-error", gzip_stream),
        "raw-deflate": ("inflate-error", lambda data: zlib.compress(data)[2:-4]),
        "preset-dictionary": ("inflate-error", with_dictionary),
        "adler": ("inflate-error", lambda data: flip(zlib.compress(data), -1)),
        "cut": ("inflate-error", lambda data: zlib.compress(data)[:-1]),
        "byte-after-stream": ("inflate-error", lambda data: zlib.compress(data) + b"\0"),
        "stream-after-stream": ("inflate-error", lambda data: zlib.compress(data) * 2),
        "inflates-to-one-more": ("inflated-size-mismatch", lambda data: zlib.compress(data + b"\0")),
        "inflates-to-one-less": ("inflated-size-mismatch", lambda data: zlib.compress(data[:-1])),
        "inflates-to-nothing": ("inflated-size-mismatch", lambda data: zlib.compress(b"")),
        "bomb": ("inflated-size-mismatch", lambda data: zlib.compress(data + bytes(1_000_000))),
        "other-bytes": ("payload-digest-mismatch", lambda data: zlib.compress(flip(data, -1))),
    }
    for name, (expect, stream) in streams.items():
        yield Scenario(name=f"payload-{name}", expect=expect, build=file(stream=stream))
    for name, declared in {"one-less": size - 1, "one-more": size + 1, "largest": 256 * 1024 * 1024}.items():
        build = file(payload_fields={"inflated_bytes": declared})
        yield Scenario(name=f"payload-declares-{name}", expect="inflated-size-mismatch", build=build)
    build = file(payload_fields={"sha256": "00" * 32})
    yield Scenario(name="payload-digest", expect="payload-digest-mismatch", build=build)


def gzip_stream(data: bytes) -> bytes:
    """A gzip stream, which is no zlib stream."""
    encoder = zlib.compressobj(wbits=31)
    return encoder.compress(data) + encoder.flush()


def with_dictionary(data: bytes) -> bytes:
    """A zlib stream that needs a preset dictionary."""
    encoder = zlib.compressobj(zdict=b"layers.0.attn")
    return encoder.compress(data) + encoder.flush()


def flip(data: bytes, index: int) -> bytes:
    """`data` with the lowest bit of one byte flipped."""
    changed = bytearray(data)
    changed[index] ^= 1
    return bytes(changed)


def split(inner: bytes) -> tuple[bytes, bytes]:
    """`(header, data)` of a safetensors file."""
    length = struct.unpack("<Q", inner[:8])[0]
    return inner[8 : 8 + length], inner[8 + length :]


def joined(head: bytes, data: bytes) -> bytes:
    """A safetensors file."""
    return struct.pack("<Q", len(head)) + head + data


def reheaded(edit: Callable[[bytes], bytes]) -> Callable[[], bytes]:
    """A good file whose inner header was edited; padding and data make up for its length, so the total is the same."""

    def build() -> bytes:
        head, data = split(Draft().inner())
        changed = edit(head.rstrip())
        if changed == head.rstrip():
            raise ValueError("the edit must change the header")
        changed += b" " * (-len(changed) % 8)
        size = len(head) + len(data) - len(changed)
        return Draft(inflated=joined(changed, data.ljust(size, b"\0")[:size])).build()

    return build


def swap_entries(head: bytes) -> bytes:
    """The header with two of its entries exchanged."""
    entries = list(json.loads(head).items())
    entries[-1], entries[-2] = entries[-2], entries[-1]
    return json.dumps(dict(entries), separators=(",", ":")).encode()


def headers() -> Iterator[Scenario]:
    """Faults of the inner safetensors header, and headers of other tensors."""
    head, data = split(Draft().inner())
    bad: dict[str, Callable[[], bytes]] = {
        "length-past-end": lambda: Draft(inflated=struct.pack("<Q", 2**40) + head + data).build(),
        "length-zero": lambda: Draft(inflated=struct.pack("<Q", 0) + head + data).build(),
        "length-not-of-8": lambda: Draft(inflated=struct.pack("<Q", len(head) - 1) + head + data).build(),
        "not-json": reheaded(lambda h: b"[" + h[1:]),
        "metadata": reheaded(lambda h: b'{"__metadata__":{"format":"pt"},' + h[1:]),
        "keys-in-other-order": reheaded(
            lambda h: h.replace(b'"dtype":"F32","shape":[8]', b'"shape":[8],"dtype":"F32"', 1)
        ),
        "space": reheaded(lambda h: h.replace(b",", b", ", 1)),
        "unknown-dtype": reheaded(lambda h: h.replace(b'"I8"', b'"U8"', 1)),
        "overlap": reheaded(lambda h: h.replace(b'"data_offsets":[8,', b'"data_offsets":[0,', 1)),
        "gap": reheaded(lambda h: h.replace(b'"data_offsets":[0,', b'"data_offsets":[8,', 1)),
        "entries-swapped": reheaded(swap_entries),
        "entry-twice": reheaded(lambda h: h[:-1] + b"," + h[h.rindex(b',"') + 1 :]),
        "leading-zero": reheaded(lambda h: h.replace(b'"shape":[16,8]', b'"shape":[016,8]', 1)),
        "huge-dims": reheaded(lambda h: h.replace(b'"shape":[16,8]', b'"shape":[4294967296,4294967296]', 1)),
        "data-after-the-last-tensor": reheaded(lambda h: h[: h.rindex(b',"')] + b"}"),
        "padding-of-8": reheaded(lambda h: h + b" " * (8 + -len(h) % 8)),
    }
    for name, build in bad.items():
        yield Scenario(name=f"header-{name}", expect="bad-tensor-header", build=build)
    other: dict[str, Callable[[], bytes]] = {
        "renamed": reheaded(lambda h: h.replace(b'"embed.weight"', b'"embed.weighs"', 1)),
        "swapped-shape": reheaded(lambda h: h.replace(b'"shape":[2,8]', b'"shape":[8,2]', 1)),
        "flat-shape": reheaded(lambda h: h.replace(b'"shape":[2,8]', b'"shape":[16]', 1)),
        "missing": _missing_tensor,
    }
    for name, build in other.items():
        yield Scenario(name=f"tensors-{name}", expect="tensor-set-mismatch", build=build)


def _missing_tensor() -> bytes:
    """One tensor left out, another longer by its bytes, the total unchanged."""
    manifest = good_manifest()
    target = len(Draft().inner())
    tensors = stored_tensors(manifest)
    del tensors["layers.0.attn.q.lora_a"]
    lacking = target - len(Draft(manifest=manifest, tensors=tensors).inner())
    for extra in range(lacking + 64):
        longer = np.zeros(tensors["embed.weight"].size + extra, np.int8)
        inner = Draft(manifest=manifest, tensors=tensors | {"embed.weight": longer}).inner()
        if len(inner) == target:
            return Draft(manifest=manifest, inflated=inner).build()
    raise ValueError("no size fits")


def values() -> Iterator[Scenario]:
    """Numbers that no reader may compute with."""

    def changed(name: str, value: float, manifest: Json | None = None) -> Callable[[], bytes]:
        def build() -> bytes:
            body = manifest or good_manifest()
            tensors = stored_tensors(body)
            tensors[name].reshape(-1)[-1] = value
            return Draft(manifest=body, tensors=tensors).build()

        return build

    scale, wide, control = "embed.weight.scale", "layers.0.attn.q.lora_b.scale", "layers.0.attn_scale"
    for name, value in {"nan": np.nan, "inf": np.inf, "zero": 0.0, "negative": -0.001, "subnormal": 2.0**-15}.items():
        yield Scenario(name=f"scale-{name}", expect="bad-scale", build=changed(scale, value))
    build = changed(wide, 1e-40)
    yield Scenario(name="scale-subnormal-float32", expect="bad-scale", build=build)
    for name, value in {"nan": np.nan, "inf": np.inf, "minus-inf": -np.inf}.items():
        yield Scenario(name=f"float-{name}", expect="non-finite", build=changed(control, value))
    half = edited("quantization", "control", to={"dtype": "float16"})
    yield Scenario(name="float16-nan", expect="non-finite", build=changed(control, np.nan, half))
    yield Scenario(name="code-minus-128", expect="code-out-of-range", build=changed("embed.weight", -128))
    for bits in (7, 6, 5, 4):
        manifest = edited("quantization", "learned", to={"bits": bits, "scale": "float16"})
        for sign in (1, -1):
            build = changed("layers.0.attn.out.weight", sign * 2 ** (bits - 1), manifest)
            name = f"code-{bits}-bits-{'high' if sign > 0 else 'low'}"
            yield Scenario(name=name, expect="code-out-of-range", build=build)


def scenarios() -> Iterator[Scenario]:
    """The whole kit."""
    for group in (accepted, container, canonical_json, schema, payloads, headers, values):
        yield from group()


def main() -> None:
    """Write the kit, and remove the vectors of scenarios that are gone."""
    FOLDER.mkdir(exist_ok=True)
    wanted = {f"{scenario.name}.vector": scenario for scenario in scenarios()}
    for path in FOLDER.glob("*.vector"):
        if path.name not in wanted:
            path.unlink()
    for name, scenario in wanted.items():
        (FOLDER / name).write_bytes(scenario.to_bytes())
    print(f"{len(wanted)} vectors in {FOLDER.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
