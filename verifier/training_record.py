"""What a manifest says of its training, against the track's limits. Attested: no file can prove how it was made."""

from collections.abc import Collection

from artifact.format.manifest import Training
from verifier.checks import Finding
from verifier.errors import CheckFailed, CheckSkipped, Code
from verifier.report import TrainingRecord
from verifier.tracks import Track

MEDIAN_SHARE = 0.5  # at least half of the steps took the median or longer, so they alone take this share of the product


def record(training: Training) -> TrainingRecord:
    """The declaration as a report shows it."""
    return TrainingRecord(
        preset=training.preset,
        config_sha256=training.config_sha256,
        seed=training.seed,
        steps=training.steps,
        tokens=training.tokens,
        train_seconds=training.train_seconds,
        world_size=training.world_size,
        device=training.device,
        torch=training.torch,
        num_train_shards=len(training.train_shards),
    )


def check_time(training: Training | None, track: Track) -> Finding:
    """The claimed seconds keep the limit, and the log summary does not contradict them.

    Raises:
        CheckSkipped: nothing is declared, and nothing need be.
        CheckFailed: training-not-declared or train-time-limit.
    """
    declared = _declared(training, track)
    seconds, median = declared.train_seconds, declared.log_summary.step_seconds_median
    if track.train_seconds is not None and seconds > track.train_seconds:
        raise CheckFailed(
            Code.TRAIN_TIME_LIMIT,
            expected=f"at most {track.train_seconds:g} s of training",
            got=f"{seconds:g} s claimed",
            hint="test the clock before a step, not after it: `seedgolf train` stops in time",
        )
    least = MEDIAN_SHARE * declared.steps * median
    if seconds < least:
        raise CheckFailed(
            Code.TRAIN_TIME_LIMIT,
            expected=f"at least {least:.1f} s, half of {declared.steps:,} steps x {median:g} s, the median in the log",
            got=f"{seconds:g} s claimed",
            hint="train_seconds and log_summary must come from the same run",
        )
    limit = "no limit" if track.train_seconds is None else f"at most {track.train_seconds:g} s"
    return Finding(
        expected=limit,
        got=f"{seconds:g} s on {declared.world_size} x {declared.device}",
        detail="claimed by the submitter; `seedgolf reproduce` measures it",
    )


def check_overlap(training: Training | None, track: Track, *, val_shards: Collection[str]) -> Finding:
    """No declared training shard is a shard of the validation set.

    Raises:
        CheckSkipped: no training is declared, which is the other check's matter.
        CheckFailed: training-not-declared or train-val-overlap.
    """
    if training is None:
        raise CheckSkipped("the manifest declares no training")
    if not training.train_shards and track.requires_training:
        raise _not_declared("training.train_shards to list the shards trained on", "an empty list")
    overlap = sorted(set(training.train_shards) & set(val_shards))
    if overlap:
        raise CheckFailed(
            Code.TRAIN_VAL_OVERLAP,
            expected="no training shard among the validation shards",
            got=f"{len(overlap)} in both, first {overlap[0]}",
            hint="take the validation shards out of the training data and train again",
        )
    return Finding(
        expected="no validation shard",
        got=f"none among {len(training.train_shards)} declared",
        detail="claimed by the submitter",
    )


def _declared(training: Training | None, track: Track) -> Training:
    if training is not None:
        return training
    if track.requires_training:
        raise _not_declared(f"a training section, which the track {track.name} requires", "none")
    raise CheckSkipped("the manifest declares no training, and the track requires none")


def _not_declared(expected: str, got: str) -> CheckFailed:
    hint = "pack with `seedgolf train`, which writes it"
    return CheckFailed(Code.TRAINING_NOT_DECLARED, expected=expected, got=got, hint=hint)
