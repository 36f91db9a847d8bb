"""What a stored manifest declares, as rows for people. Opens no artifact and inflates nothing."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from artifact.format.errors import ArtifactError
from artifact.format.manifest import Manifest, from_json
from artifact.format.tensors import StoredTensor, count_frozen, count_learned, expected_tensors

Row = tuple[str, str]


def read(manifest: Mapping[str, Any] | None) -> Manifest | None:
    """The manifest as a value; None where there is none, or where another version of the format wrote it."""
    if manifest is None:
        return None
    try:
        return from_json(Manifest, dict(manifest))
    except ArtifactError:
        return None


def tensors(manifest: Manifest | None) -> tuple[StoredTensor, ...]:
    """Every stored tensor, in the order of the payload."""
    return expected_tensors(manifest) if manifest else ()


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
