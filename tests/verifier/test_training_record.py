from typing import Any

import pytest

from artifact.format.manifest import Training, from_json
from tests.forge import good_training
from verifier.errors import CheckFailed, CheckSkipped, Code
from verifier.tracks import load_tracks
from verifier.training_record import check_overlap, check_time

TEN_MINUTES, LOCAL, UNLIMITED = (load_tracks()[name] for name in ("10min_16mb", "local", "unlimited_16mb"))
VAL_SHARD = "12" * 32


def training(**fields: Any) -> Training:
    return from_json(Training, good_training() | fields)


@pytest.mark.parametrize(
    ("seconds", "accepted"), [(599.999, True), (600, True), (600.0001, False), (600.1, False), (100_000, False)]
)
def test_the_limit_is_the_limit(seconds: float, accepted: bool) -> None:
    if accepted:
        assert check_time(training(train_seconds=seconds), TEN_MINUTES).expected == "at most 600 s"
        return
    with pytest.raises(CheckFailed) as caught:
        check_time(training(train_seconds=seconds), TEN_MINUTES)
    assert caught.value.code is Code.TRAIN_TIME_LIMIT


def test_a_track_without_a_limit_has_none() -> None:
    assert check_time(training(train_seconds=100_000), UNLIMITED).expected == "no limit"


@pytest.mark.parametrize(("seconds", "accepted"), [(125, True), (124.9, False)])
def test_seconds_must_hold_at_least_the_half_of_the_steps_that_took_the_median_or_longer(
    seconds: float, accepted: bool
) -> None:
    claimed = training(steps=1000, train_seconds=seconds, log_summary={"step_seconds_median": 0.25, "train_loss": 2.5})
    if accepted:
        check_time(claimed, LOCAL)
        return
    with pytest.raises(CheckFailed, match="same run"):
        check_time(claimed, LOCAL)


def test_what_the_track_requires_must_be_declared() -> None:
    for track in (TEN_MINUTES, UNLIMITED):
        with pytest.raises(CheckFailed) as caught:
            check_time(None, track)
        assert caught.value.code is Code.TRAINING_NOT_DECLARED
        with pytest.raises(CheckFailed, match="empty list"):
            check_overlap(training(train_shards=[]), track, val_shards=[VAL_SHARD])
    for check in (lambda: check_time(None, LOCAL), lambda: check_overlap(None, LOCAL, val_shards=[VAL_SHARD])):
        with pytest.raises(CheckSkipped):
            check()


def test_a_validation_shard_among_the_training_shards_is_found() -> None:
    others = [f"{number:064x}" for number in range(100)]
    check_overlap(training(train_shards=others), LOCAL, val_shards=[VAL_SHARD])
    with pytest.raises(CheckFailed) as caught:
        check_overlap(training(train_shards=[*others, VAL_SHARD]), LOCAL, val_shards=["34" * 32, VAL_SHARD])
    assert caught.value.code is Code.TRAIN_VAL_OVERLAP
    assert VAL_SHARD in caught.value.got
