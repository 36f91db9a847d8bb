"""What a stored manifest declares, as rows for people. Opens no artifact and inflates nothing."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from artifact.format.errors import ArtifactError
from artifact.format.manifest import Manifest, from_json
from artifact.format.tensors import StoredTensor, count_frozen, count_learned, expected_tensors
from verifier.report import SizeRecord

Row = tuple[str, str]


def read(manifest: Mapping[str, Any] | None) -> Manifest | None:
    """The manifest as a value; None where there is none, or where another version of the format wrote it."""
    if manifest is None:
        return None
    try:
        return from_json(Manifest, dict(manifest))
    except ArtifactError:
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorRow:
    """A stored tensor; its share of the compressed payload is None where no report says it."""

    spec: StoredTensor
    packed_bytes: int | None


def tensors(manifest: Manifest | None, size: SizeRecord | None) -> tuple[TensorRow, ...]:
    """Every stored tensor, in the order of the payload, with what a report measured of it."""
    packed = {tensor.name: tensor.compressed_bytes for tensor in size.tensors} if size else {}
    specs = expected_tensors(manifest) if manifest else ()
    return tuple(TensorRow(spec=spec, packed_bytes=packed.get(spec.name)) for spec in specs)


def facts(manifest: Manifest) -> Iterator[Row]:
    """The declaration in a few lines; a submitter's words are among them."""
    model, backbone, windows = manifest.model, manifest.backbone, manifest.eval
    if manifest.author:
        yield "author", manifest.author
    if manifest.license:
        yield "license", manifest.license
    heads = f"{model.num_heads} heads ({model.num_kv_heads} kv)"
    mlp = f"mlp {model.mlp.value} {model.mlp_hidden_dim:,}"
    yield "network", f"{model.num_layers} layers x {model.model_dim:,}, {heads}, {mlp}, vocabulary {model.vocab_size:,}"
    yield "parameters", f"{count_learned(manifest):,} learned, {count_frozen(manifest):,} frozen"
    yield "backbone", f"{backbone.algorithm}, seed {backbone.seed}"
    yield "windows", f"{windows.mode.value}, {windows.seq_len:,} tokens, stride {windows.stride:,}"
    if manifest.claims:
        yield "claimed", f"val_bpb {manifest.claims.val_bpb:.6f}, val_loss {manifest.claims.val_loss:.6f}"
    if manifest.training:
        training = manifest.training
        made = f"{training.steps:,} steps, {training.tokens:,} tokens, {training.train_seconds:g} s"
        yield "trained, as it says", f"preset {training.preset}, seed {training.seed}: {made} on {training.device}"


def text(manifest: Mapping[str, Any]) -> str:
    """The manifest as JSON for reading."""
    return json.dumps(manifest, indent=2, ensure_ascii=False)
