"""Claims against measurements: how far a claimed score may lie from ours, by the arithmetic of both.

Float32 scores of one artifact agree within 1e-6 bits per byte on every machine, and to the bit on one machine;
bfloat16 products move them by up to 5e-4 (verification.md V-15). A tolerance in nats per token is the same distance
through the set's bytes per token.
"""

import math
from typing import Final

from artifact.format.manifest import Claims, ScoreType, Training
from verifier.checks import Finding
from verifier.errors import CheckFailed, CheckSkipped, Code
from verifier.report import ClaimRecord, ScoreDtype, ScoreRecord

FLOAT32_BPB: Final = 1e-6
BFLOAT16_BPB: Final = 5e-4
BITS_PER_BYTE, NATS_PER_TOKEN, SECONDS = "bits per byte", "nats per token", "s"


def tolerance_bpb(claimed: ScoreType, measured: ScoreDtype) -> float:
    """How far two scores of one artifact may differ, in bits per byte."""
    both_float32 = claimed is ScoreType.FLOAT32 and measured is ScoreDtype.FLOAT32
    return FLOAT32_BPB if both_float32 else BFLOAT16_BPB


def claim_rows(claims: Claims | None, training: Training | None, score: ScoreRecord | None) -> tuple[ClaimRecord, ...]:
    """Every claimed number beside the measured one where there is one; `score` is None unless it is of the same set.

    `train_seconds` is measured by `seedgolf reproduce` alone.
    """
    rows = _score_rows(claims, score) if claims else ()
    seconds = ClaimRecord(quantity="train_seconds", unit=SECONDS, claimed=training.train_seconds) if training else None
    return (*rows, seconds) if seconds else rows


def _score_rows(claims: Claims, score: ScoreRecord | None) -> tuple[ClaimRecord, ClaimRecord]:
    if score is None:
        return (
            ClaimRecord(quantity="val_bpb", unit=BITS_PER_BYTE, claimed=claims.val_bpb),
            ClaimRecord(quantity="val_loss", unit=NATS_PER_TOKEN, claimed=claims.val_loss),
        )
    tolerance = tolerance_bpb(claims.dtype, score.dtype)
    nats_tolerance = tolerance * math.log(2.0) * score.bytes / score.tokens
    return (
        _row("val_bpb", BITS_PER_BYTE, claims.val_bpb, score.val_bpb, tolerance),
        _row("val_loss", NATS_PER_TOKEN, claims.val_loss, score.val_loss, nats_tolerance),
    )


def _row(quantity: str, unit: str, claimed: float, measured: float, tolerance: float) -> ClaimRecord:
    return ClaimRecord(
        quantity=quantity,
        unit=unit,
        claimed=claimed,
        measured=measured,
        difference=claimed - measured,
        tolerance=tolerance,
    )


def check_claims(claims: Claims | None, score: ScoreRecord, *, valset_sha256: str) -> Finding:
    """Hold the claimed score against the measured one.

    Raises:
        CheckSkipped: nothing is claimed, or for another set.
        CheckFailed: claim-mismatch.
    """
    if claims is None:
        raise CheckSkipped("the manifest claims no score")
    if claims.valset_sha256 != valset_sha256:
        raise CheckSkipped(f"the claim is for another validation set, {claims.valset_sha256}")
    rows = _score_rows(claims, score)
    for row in rows:
        assert row.difference is not None
        assert row.tolerance is not None
        if abs(row.difference) > row.tolerance:
            raise CheckFailed(
                Code.CLAIM_MISMATCH,
                expected=f"{row.quantity} {row.measured:.8f} within {row.tolerance:.1e} {row.unit}",
                got=f"{row.claimed:.8f} claimed, {row.difference:+.2e} off",
                hint="claim what `seedgolf verify` measures on the packed file, not what the training loop logged",
            )
    tolerance = tolerance_bpb(claims.dtype, score.dtype)
    return Finding(
        expected=f"val_bpb {score.val_bpb:.8f} within {tolerance:.1e}",
        got=f"{claims.val_bpb:.8f} claimed",
        detail=f"{abs(claims.val_bpb - score.val_bpb):.1e} bits per byte apart",
    )
