import math

import pytest

from artifact.format.manifest import Claims, ScoreType, Training, from_json
from tests.forge import good_training
from verifier.claims import BFLOAT16_BPB, FLOAT32_BPB, check_claims, claim_rows, tolerance_bpb
from verifier.errors import CheckFailed, CheckSkipped
from verifier.report import ScoreDtype, ScoreRecord

SET = "ab" * 32
BPB = 1.25
LOSS = BPB * math.log(2) * 1000 / 400


def score(dtype: ScoreDtype = ScoreDtype.FLOAT32) -> ScoreRecord:
    return ScoreRecord(
        val_loss=LOSS,
        val_bpb=BPB,
        tokens=400,
        bytes=1000,
        windows=1,
        nats_sha256="cd" * 32,
        dtype=dtype,
        seconds=1.0,
    )


def claims(*, bpb: float = BPB, loss: float = LOSS, dtype: ScoreType = ScoreType.FLOAT32, valset: str = SET) -> Claims:
    return Claims(val_bpb=bpb, val_loss=loss, dtype=dtype, valset_sha256=valset)


@pytest.mark.parametrize(
    ("claimed", "measured", "expected"),
    [
        (ScoreType.FLOAT32, ScoreDtype.FLOAT32, 1e-6),
        (ScoreType.BFLOAT16, ScoreDtype.FLOAT32, 5e-4),
        (ScoreType.FLOAT32, ScoreDtype.BFLOAT16, 5e-4),
        (ScoreType.BFLOAT16, ScoreDtype.BFLOAT16, 5e-4),
    ],
)
def test_the_tolerance_is_that_of_the_coarser_arithmetic(
    claimed: ScoreType, measured: ScoreDtype, expected: float
) -> None:
    assert tolerance_bpb(claimed, measured) == expected
    inside, outside = BPB + 0.99 * expected, BPB + 1.01 * expected
    check_claims(claims(bpb=inside, dtype=claimed), score(measured), valset_sha256=SET)
    with pytest.raises(CheckFailed, match="claim-mismatch"):
        check_claims(claims(bpb=outside, dtype=claimed), score(measured), valset_sha256=SET)


def test_a_claim_that_is_too_modest_is_false_as_well() -> None:
    with pytest.raises(CheckFailed):
        check_claims(claims(bpb=BPB + 0.1), score(), valset_sha256=SET)


def test_the_loss_is_held_to_the_same_distance_in_its_own_unit() -> None:
    in_nats = FLOAT32_BPB * math.log(2) * 1000 / 400
    check_claims(claims(loss=LOSS + 0.99 * in_nats), score(), valset_sha256=SET)
    with pytest.raises(CheckFailed, match="val_loss"):
        check_claims(claims(loss=LOSS + 1.01 * in_nats), score(), valset_sha256=SET)


def test_nothing_to_compare_is_skipped_with_the_reason() -> None:
    with pytest.raises(CheckSkipped, match="claims no score"):
        check_claims(None, score(), valset_sha256=SET)
    with pytest.raises(CheckSkipped, match="another validation set"):
        check_claims(claims(valset="ef" * 32), score(), valset_sha256=SET)


def test_a_report_shows_claimed_beside_measured_only_where_they_are_of_one_set() -> None:
    bpb, loss = claim_rows(claims(bpb=1.5), None, score())
    assert (bpb.claimed, bpb.measured, bpb.difference, bpb.tolerance) == (1.5, BPB, 0.25, FLOAT32_BPB)
    assert (loss.quantity, loss.measured) == ("val_loss", LOSS)
    assert {row.measured for row in claim_rows(claims(), None, None)} == {None}
    assert claim_rows(None, None, score()) == ()
    (seconds,) = claim_rows(None, from_json(Training, good_training()), score())
    assert (seconds.quantity, seconds.claimed, seconds.measured) == ("train_seconds", 1.5, None)
    assert BFLOAT16_BPB > FLOAT32_BPB
