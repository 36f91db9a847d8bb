"""What goes wrong while judging, by whose fault.

    CheckFailed                    the submitter's: becomes a failed check, never leaves `verify`
    VerifierError                  ours: no verdict, exit code 3, a worker tries again where `retryable`
      ValsetBroken                 valset-broken: the registered set is not what was registered
      SelfCheckFailed              self-check-failed: our own numbers contradict each other
      DeviceUnavailable            device-unavailable: no such device, or it can't compute in float32
      MachineTooSmall              machine-too-small: within the track's limits, beyond this machine's
      Inconclusive                 inconclusive: an operator's own limit or batch ended the run before a verdict
      JudgeDied                    judge-died: the judging process ended without a report
      JudgeStuck                   judge-stuck: it did not get as far as scoring in time
      JudgeCancelled               judge-cancelled: the caller stopped it

A message is safe to show: no path, no secret, no payload. What a dead process wrote is in `log_tail`, for logs only.
"""

from enum import StrEnum
from typing import ClassVar


class Code(StrEnum):
    """The codes of failed checks that are not faults of the format (those are `artifact.format.errors`)."""

    OVER_SIZE = "over-size"
    TOO_COSTLY = "too-costly"
    BACKBONE_MISMATCH = "backbone-mismatch"
    UNKNOWN_TOKENIZER = "unknown-tokenizer"
    VALSET_NOT_IN_TRACK = "valset-not-in-track"
    NOT_NORMALISED = "not-normalised"
    NOT_CAUSAL = "not-causal"
    NON_FINITE_NATS = "non-finite-nats"
    EVAL_TIME_LIMIT = "eval-time-limit"
    MEMORY_LIMIT = "memory-limit"
    CLAIM_MISMATCH = "claim-mismatch"
    TRAINING_NOT_DECLARED = "training-not-declared"
    TRAIN_TIME_LIMIT = "train-time-limit"
    TRAIN_VAL_OVERLAP = "train-val-overlap"


class CheckFailed(Exception):
    """A rule that the artifact breaks; `hint` says what its author can do."""

    def __init__(self, code: Code, *, expected: str, got: str, hint: str) -> None:
        super().__init__(f"{code}: expected {expected}, got {got}; {hint}")
        self.code = code
        self.expected = expected
        self.got = got
        self.hint = hint


class CheckSkipped(Exception):
    """A check that has nothing to look at; the message is the reason."""


class VerifierError(RuntimeError):
    """No verdict, and not the submitter's fault."""

    code: ClassVar[str] = "verifier-error"
    retryable: ClassVar[bool] = False

    def __init__(self, message: str, *, log_tail: str = "") -> None:
        super().__init__(message)
        self.log_tail = log_tail


class ValsetBroken(VerifierError):
    """Files of a registered validation set are missing or differ from their registration."""

    code = "valset-broken"


class SelfCheckFailed(VerifierError):
    """Two numbers of ours that must agree do not."""

    code = "self-check-failed"


class DeviceUnavailable(VerifierError):
    """The wished device is not there, or its float32 products are not float32."""

    code = "device-unavailable"


class MachineTooSmall(VerifierError):
    """The artifact is within the track's limits and beyond what this machine has."""

    code = "machine-too-small"


class Inconclusive(VerifierError):
    """An operator's limit that is not the track's, or an operator's larger batch, ended the run."""

    code = "inconclusive"


class JudgeDied(VerifierError):
    """The judging process crashed or was killed from outside."""

    code = "judge-died"
    retryable = True


class JudgeStuck(VerifierError):
    """The judging process did not reach the scoring in time, which no artifact within the limits causes."""

    code = "judge-stuck"
    retryable = True


class JudgeCancelled(VerifierError):
    """The caller asked for the end of the run."""

    code = "judge-cancelled"


ERRORS: tuple[type[VerifierError], ...] = (
    ValsetBroken,
    SelfCheckFailed,
    DeviceUnavailable,
    MachineTooSmall,
    Inconclusive,
    JudgeDied,
    JudgeStuck,
    JudgeCancelled,
)
"""Every class that a caller may see."""
