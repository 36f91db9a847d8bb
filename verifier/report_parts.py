"""The parts of a report: frozen values for what was judged, checked, measured and claimed.

They hold numbers and plain text. Optional parts are absent where a run did not reach them.
"""

from enum import StrEnum
from typing import Literal, Self

from pydantic import model_validator

from verifier.curve_record import CurveRecord
from verifier.report_base import Count, Loss, Real, Seconds, Sha256, Some, Value


class Verdict(StrEnum):
    """What the run came to. `screened`: a sample looked right, which is no score and no acceptance."""

    ACCEPTED = "accepted"
    REJECTED = "rejected"
    SCREENED = "screened"


class Status(StrEnum):
    """What became of a check."""

    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"


class Evidence(StrEnum):
    """Who vouches: this run, the submitter, or the submitter about something that no file can prove."""

    MEASURED = "measured"
    CLAIMED = "claimed"
    ATTESTED = "attested"


class CheckName(StrEnum):
    """The checks in their order."""

    CONTAINER = "container"
    MANIFEST = "manifest"
    SIZE = "size"
    TENSORS = "tensors"
    COST = "cost"
    BACKBONE = "backbone"
    TOKENIZER = "tokenizer"
    VALSET = "valset"
    PROBE = "probe"
    SCORE = "score"
    BYTES_IDENTITY = "bytes-identity"
    CLAIM = "claim"
    TRAINING_TIME = "training-time"
    DATA_OVERLAP = "data-overlap"


class ScoreDtype(StrEnum):
    """The arithmetic of the layers' products while scoring."""

    FLOAT32 = "float32"
    BFLOAT16 = "bfloat16"


class CheckResult(Value):
    """One check. `code` stands exactly with a failure; `detail` is a hint, a finding, or why it was skipped."""

    name: CheckName
    status: Status
    evidence: Evidence
    code: str | None = None
    expected: str = ""
    got: str = ""
    detail: str = ""
    seconds: Seconds = 0.0

    @model_validator(mode="after")
    def _code_stands_with_a_failure(self) -> Self:
        if (self.code is not None) != (self.status is Status.FAILED):
            raise ValueError("code: expected one exactly with a failed check")
        return self


class ArtifactRecord(Value):
    """The file. What its manifest says is absent when no manifest could be read.

    Attributes:
        sha256, bytes: of what was read; of a file beyond the format's cap that is one byte more than the cap.
    """

    sha256: Sha256
    bytes: Count
    name: str | None = None
    author: str | None = None
    license: str | None = None
    num_learned: Count | None = None
    num_frozen: Count | None = None


class GroupSize(Value):
    """A tensor group's share of the payload."""

    group: str
    inflated_bytes: Count
    compressed_bytes: Count


class TensorSize(Value):
    """A stored tensor's share of the payload."""

    name: str
    inflated_bytes: Count
    compressed_bytes: Count


class SizeRecord(Value):
    """Artifact plus counted code against the track's limit; a negative margin is over it.

    Attributes:
        overhead_bytes: head, manifest and lengths: the file without its payload.
        groups: where the payload's bytes went; empty when the payload could not be read.
        tensors: the same for every tensor, in the order of the payload.
    """

    artifact_bytes: Count
    code_bytes: Count
    total_bytes: Count
    limit_bytes: Count
    margin_bytes: int
    overhead_bytes: Count | None = None
    groups: tuple[GroupSize, ...] = ()
    tensors: tuple[TensorSize, ...] = ()


class BackboneRecord(Value):
    """The frozen maps as this run rebuilt them."""

    algorithm: str
    seed: str
    codes_sha256: Sha256
    num_maps: Count


class ValsetRecord(Value):
    """The validation set. `targets` and `target_bytes` are what a score is taken over."""

    name: str
    sha256: Sha256
    pieces_sha256: Sha256
    official: str | None = None
    documents: Count
    tokens: Count
    bytes: Count
    targets: Count
    target_bytes: Count


class TrackRecord(Value):
    """The limits that were applied."""

    name: str
    sha256: Sha256
    limit_bytes: Count
    train_seconds: Seconds | None = None
    eval_seconds: Seconds
    reference_hardware: str | None = None


class EvalRecord(Value):
    """How the windows were laid and computed; lengths in tokens."""

    mode: Literal["plain", "sliding"]
    seq_len: Count
    stride: Count
    dtype: ScoreDtype
    batch_windows: Count
    sample: Real | None = None


class ScoreRecord(Value):
    """The measured score over the whole set.

    Attributes:
        val_loss: nats per token.
        val_bpb: bits per byte.
        tokens: targets scored.
        bytes: their bytes of text.
        windows: windows scored, by all processes together.
        nats_sha256: digest of the per-target float32 nats in stream order.
        seconds: wall clock of the scoring.
        curve: the same nats along the stream and by position in the window; reports of early versions have none.
    """

    val_loss: Loss
    val_bpb: Loss
    tokens: Some
    bytes: Some
    windows: Count
    nats_sha256: Sha256
    dtype: ScoreDtype
    seconds: Seconds
    curve: CurveRecord | None = None

    @model_validator(mode="after")
    def _curve_is_of_the_same_targets(self) -> Self:
        if self.curve is not None and self.curve.totals != (self.tokens, self.bytes, self.tokens):
            raise ValueError("curve: expected sums over the targets and bytes of the score")
        return self


class Interval(Value):
    """An estimate with its bootstrap percentile interval."""

    estimate: Real
    low: Real
    high: Real


class ScreeningRecord(Value):
    """An estimate from a random set of windows: no score."""

    fraction: Real
    seed: Count
    windows: Count
    all_windows: Count
    tokens: Some
    bytes: Some
    val_loss: Interval
    val_bpb: Interval
    confidence: Real
    resamples: Count
    nats_sha256: Sha256
    dtype: ScoreDtype
    seconds: Seconds


class ClaimRecord(Value):
    """A number the submitter claims, beside the one measured here; both in `unit`."""

    quantity: str
    unit: str
    claimed: Real
    measured: Real | None = None
    difference: Real | None = None
    tolerance: Real | None = None


class TrainingRecord(Value):
    """What the submitter says of the training; `evidence` is measured only after `seedgolf reproduce`."""

    evidence: Evidence = Evidence.ATTESTED
    preset: str
    config_sha256: Sha256
    seed: str
    steps: Count
    tokens: Count
    train_seconds: Seconds
    world_size: Count
    device: str
    torch: str
    num_train_shards: Count


class EnvironmentRecord(Value):
    """The machine and the numerics that produced the numbers.

    Attributes:
        hardware: the devices that scored, for people: "2 CPU cores (AMD EPYC ...)", "8x NVIDIA H100 ...".
        is_reference: whether that is the track's reference hardware; true for a track without one.
        cpu_capability: the instruction set that torch chose.
        route: who multiplied float32 matrices.
        self_test_error: relative error of that route against float64.
        network: how the network was kept from the judge.
        wall_seconds, memory_bytes: the limits that the judging process ran under.
    """

    hardware: str
    is_reference: bool
    device: str
    world_size: Count
    threads: Count
    python: str
    torch: str
    numpy: str
    platform: str
    cpu_capability: str
    route: str
    self_test_error: Real
    refused_error: Real | None = None
    network: str
    wall_seconds: Seconds | None = None
    memory_bytes: Count | None = None
