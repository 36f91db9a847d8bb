"""The checks between the file and its score: the rebuilt backbone, the tokenizer, the validation set, the probes."""

from typing import Final

import numpy as np
import torch

from artifact.backbone import BackboneError
from artifact.format.tensors import random_maps
from artifact.model.build import build
from artifact.model.gpt import GPT
from artifact.model.scoring import for_scoring
from verifier import frozen_maps, valset
from verifier.bench import Bench, memory_verdict
from verifier.bytes_table import cross_check
from verifier.case import Case
from verifier.checks import Finding
from verifier.data_errors import ByteCountMismatch
from verifier.errors import CheckFailed, Code, ValsetBroken
from verifier.probe import probe
from verifier.report import BackboneRecord, ScoreDtype
from verifier.shards import Tokens, split_documents

TORCH_DTYPES: Final = {ScoreDtype.FLOAT32: torch.float32, ScoreDtype.BFLOAT16: torch.bfloat16}
DECODED_DOCUMENTS: Final = 256


def check_backbone(case: Case, bench: Bench) -> Finding:
    """Build the network, read its frozen maps back, hold their digest against the manifest's, merge it for scoring.

    Raises:
        CheckFailed: backbone-mismatch, memory-limit.
    """
    assert case.manifest is not None
    declared, maps = case.manifest.backbone, random_maps(case.manifest)
    with memory_verdict(case):
        built = _build(case, bench)
        digest = frozen_maps.measured_digest(built, maps)
        if digest != declared.codes_sha256:
            hint = "the seed, the network or the generator is not the one that was trained with"
            raise _mismatch(f"root digest {declared.codes_sha256}, as declared", digest, hint)
        frozen_maps.check_maps(built, maps)
        bench.network = for_scoring(built, dtype=TORCH_DTYPES[case.settings.dtype])
    case.backbone = BackboneRecord(
        algorithm=declared.algorithm, seed=declared.seed, codes_sha256=digest, num_maps=len(maps)
    )
    return Finding(expected=f"root digest {declared.codes_sha256}", got=f"the same, from {len(maps)} rebuilt maps")


def _build(case: Case, bench: Bench) -> GPT:
    assert case.artifact is not None
    try:
        return build(case.artifact, device=bench.machine.device)
    except BackboneError as error:
        raise _mismatch("maps that the rules give", str(error), "choose another seed") from None


def _mismatch(expected: str, got: str, hint: str) -> CheckFailed:
    return CheckFailed(Code.BACKBONE_MISMATCH, expected=expected, got=got, hint=hint)


def check_tokenizer(case: Case, bench: Bench) -> Finding:
    """The declared tokenizer is the set's, and its byte table counts the bytes of decoded documents.

    Raises:
        CheckFailed: unknown-tokenizer.
        ValsetBroken: the table miscounts a document.
    """
    assert case.manifest is not None
    declared, ours, name = case.manifest.tokenizer, bench.valset.tokenizer, bench.valset.registration.name
    if (declared.pieces_sha256, declared.vocab_size) != (ours.pieces_sha256, ours.vocab_size):
        raise CheckFailed(
            Code.UNKNOWN_TOKENIZER,
            expected=f"pieces {ours.pieces_sha256}, {ours.vocab_size:,} of them, the tokenizer of the set {name}",
            got=f"{declared.pieces_sha256}, {declared.vocab_size:,}",
            hint="train with the tokenizer of the validation set, or name a set of your tokenizer with --valset",
        )
    documents = _spread(split_documents(bench.valset.tokens, bos_id=ours.bos_id))
    try:
        cross_check(bench.valset.table, ours, np.concatenate(documents))
    except ByteCountMismatch as error:
        raise ValsetBroken(f"validation set {name}: {error.code}") from None
    return Finding(
        expected=f"pieces {ours.pieces_sha256}",
        got="the same",
        detail=f"the bytes of {len(documents):,} decoded documents counted, of all of them at registration",
    )


def _spread(documents: list[Tokens]) -> list[Tokens]:
    """At most 256 documents, evenly spread, the first and the last among them."""
    count = min(DECODED_DOCUMENTS, len(documents))
    return [documents[index] for index in np.linspace(0, len(documents) - 1, num=count, dtype=np.int64)]


def check_valset(case: Case, bench: Bench) -> Finding:
    """The track accepts the set, and its files are what was registered.

    Raises:
        CheckFailed: valset-not-in-track.
        ValsetBroken: the files are not.
    """
    registered = bench.valset.registration
    if not case.track.accepts(valset_sha256=registered.sha256, official=registered.official):
        raise CheckFailed(
            Code.VALSET_NOT_IN_TRACK,
            expected=f"a validation set of the track {case.track.name}",
            got=f"{registered.name}, {registered.sha256}",
            hint="choose another set with --valset, or the track `local` with --track",
        )
    valset.check(bench.valset)
    return Finding(
        expected=f"set {registered.sha256}",
        got=f"{registered.documents:,} documents, {registered.tokens:,} tokens, {registered.bytes:,} bytes",
        detail=f"official set {registered.official}" if registered.official else "",
    )


def check_probe(case: Case, bench: Bench) -> Finding:
    """Probe the network that will be scored (`probe.py`).

    Raises:
        CheckFailed: not-normalised, not-causal, memory-limit.
    """
    with memory_verdict(case):
        seen = probe(
            bench.merged.logits,
            bench.valset.tokens,
            bench.windows,
            vocab_size=bench.valset.table.vocab_size,
            batch_windows=bench.batch_windows,
            device=bench.machine.device,
        )
    return Finding(
        expected="sums of 1, not one earlier bit changed",
        got=f"{seen.positions:,} distributions, {len(seen.cuts)} cuts, no bit changed",
    )
