"""The report: what was judged, on what evidence, with which result, as one frozen versioned value.

A report knows no terminal, no file and no torch; `render_*` show it, `attestation` signs its bytes. Every value says by
its place who vouches for it: `score`, `screening`, `size`, `backbone` and `environment` were measured here, `claims`
and `training` are what the submitter says, and every check names its own evidence. Laws: `parse(r.to_bytes()) == r`;
two runs on one machine give equal `without_times()`.
"""

import json
from typing import Any, Final, Literal, Self

from pydantic import ValidationError, model_validator

from artifact.format.errors import shown, wanted
from verifier.curve_record import CurveRecord, PositionSum, SegmentSum
from verifier.data_errors import DataError
from verifier.report_base import Count, Real, Seconds, Sha256, Value
from verifier.report_parts import (
    ArtifactRecord,
    BackboneRecord,
    CheckName,
    CheckResult,
    ClaimRecord,
    EnvironmentRecord,
    EvalRecord,
    Evidence,
    GroupSize,
    Interval,
    ScoreDtype,
    ScoreRecord,
    ScreeningRecord,
    SizeRecord,
    Status,
    TensorSize,
    TrackRecord,
    TrainingRecord,
    ValsetRecord,
    Verdict,
)

__all__ = [
    "MAX_REPORT_BYTES",
    "SCHEMA_ID",
    "ArtifactRecord",
    "BackboneRecord",
    "BadReport",
    "CheckName",
    "CheckResult",
    "ClaimRecord",
    "Count",
    "CurveRecord",
    "EnvironmentRecord",
    "EvalRecord",
    "Evidence",
    "GroupSize",
    "Interval",
    "PositionSum",
    "Real",
    "Report",
    "ScoreDtype",
    "ScoreRecord",
    "ScreeningRecord",
    "Seconds",
    "SegmentSum",
    "Sha256",
    "SizeRecord",
    "Status",
    "TensorSize",
    "TrackRecord",
    "TrainingRecord",
    "ValsetRecord",
    "Value",
    "Verdict",
    "parse",
    "schema",
]

SCHEMA_ID: Final = "seedgolf-report/1"
MAX_REPORT_BYTES: Final = 1024 * 1024


class BadReport(DataError):
    """The bytes are no report of this version."""

    code = "bad-report"


class Report(Value):
    """The whole report; parts that the run did not reach are absent."""

    schema_id: Literal["seedgolf-report/1"] = SCHEMA_ID
    verifier_version: str
    verdict: Verdict
    code: str | None = None
    """The first failing check's code; absent unless rejected."""
    artifact: ArtifactRecord
    track: TrackRecord
    valset: ValsetRecord | None = None
    checks: tuple[CheckResult, ...]
    size: SizeRecord
    backbone: BackboneRecord | None = None
    eval: EvalRecord | None = None
    score: ScoreRecord | None = None
    screening: ScreeningRecord | None = None
    claims: tuple[ClaimRecord, ...] = ()
    training: TrainingRecord | None = None
    environment: EnvironmentRecord | None = None

    @model_validator(mode="after")
    def _verdict_follows_from_checks(self) -> Self:
        if tuple(result.name for result in self.checks) != tuple(CheckName):
            raise ValueError("checks: expected every check once, in order")
        codes = [result.code for result in self.checks if result.status is Status.FAILED]
        if (self.verdict is Verdict.REJECTED) != bool(codes) or self.code != (codes or [None])[0]:
            raise ValueError("verdict: expected rejected with the first failing check's code, exactly when one failed")
        if self.score is not None and self.screening is not None:
            raise ValueError("score: expected a score or a screening, not both")
        needed = {Verdict.ACCEPTED: self.score, Verdict.SCREENED: self.screening, Verdict.REJECTED: self.track}
        if needed[self.verdict] is None:
            raise ValueError("verdict: expected a score of the whole set with accepted, a screening with screened")
        return self

    def check(self, name: CheckName) -> CheckResult:
        """The result of one check."""
        return next(result for result in self.checks if result.name is name)

    def to_bytes(self) -> bytes:
        """The report as JSON, one spelling for one value: what is stored, served and signed."""
        text = json.dumps(
            self.model_dump(mode="json", exclude_none=True), ensure_ascii=False, indent=2, allow_nan=False
        )
        return f"{text}\n".encode()

    def without_times(self) -> "Report":
        """The same report with every measured duration 0: equal for two runs on one machine."""
        return self.model_copy(
            update={
                "checks": tuple(result.model_copy(update={"seconds": 0.0}) for result in self.checks),
                "score": self.score and self.score.model_copy(update={"seconds": 0.0}),
                "screening": self.screening and self.screening.model_copy(update={"seconds": 0.0}),
            }
        )


def parse(raw: bytes) -> Report:
    """Read a report's bytes.

    Raises:
        BadReport: they are no report of this version.
    """
    if len(raw) > MAX_REPORT_BYTES:
        raise BadReport("report", expected=f"at most {MAX_REPORT_BYTES} bytes", got=f"{len(raw)} bytes")
    try:
        return Report.model_validate_json(raw)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "report"
        raise BadReport(where, expected=wanted(first["msg"]), got=shown(first["input"])) from None


def schema() -> dict[str, Any]:
    """The JSON schema of a report, as published in docs/report.schema.json."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": SCHEMA_ID} | Report.model_json_schema()
