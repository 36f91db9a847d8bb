"""What training an artifact again came to: the file against its retrained twin, and the file's report amended.

One run against one run: they differ by luck, so the file may be better than its twin by what two runs of one recipe
differ (`verifier.significance.same_run_tolerance`). A twin that is better still confirms the file. Nothing here trains.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from artifact.format.manifest import Training
from verifier.report import CheckName, CheckResult, ClaimRecord, Evidence, Report, ScoreRecord, Status, Verdict, parse

NOT_REPRODUCED: Final = "not-reproduced"


class Outcome(StrEnum):
    """What may be said of the file's training now."""

    REPRODUCED = "reproduced"
    NOT_REPRODUCED = "not-reproduced"
    INCONCLUSIVE = "inconclusive"
    """Worse than tolerated after fewer steps than claimed, on a machine that is not the track's reference hardware."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """An artifact's own account of its training, and the accepting report with the score that was measured."""

    training: Training
    report: Report
    score: ScoreRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class Reproduction:
    """The file and its twin; losses in nats per token.

    Attributes:
        tolerance: by how much the file may be better.
        on_reference: whether the twin was trained on the track's reference hardware.
    """

    file: Judged
    twin: Judged
    tolerance: float
    on_reference: bool

    @property
    def excess(self) -> float:
        """By how much the twin is worse than the file; negative where it is better."""
        return self.twin.score.val_loss - self.file.score.val_loss

    @property
    def same_bits(self) -> bool:
        """Whether every target has the same nats in both."""
        return self.twin.score.nats_sha256 == self.file.score.nats_sha256

    @property
    def outcome(self) -> Outcome:
        """See `Outcome`."""
        if self.excess <= self.tolerance:
            return Outcome.REPRODUCED
        fewer_steps = self.twin.training.steps < self.file.training.steps
        return Outcome.INCONCLUSIVE if fewer_steps and not self.on_reference else Outcome.NOT_REPRODUCED

    def amended_report(self) -> Report:
        """The file's report with its training measured; as it was where nothing could be said."""
        report, training = self.file.report, self.file.report.training
        if self.outcome is Outcome.INCONCLUSIVE or training is None:
            return report
        result = self._training_time()
        checks = tuple(result if check.name is CheckName.TRAINING_TIME else check for check in report.checks)
        code = next((check.code for check in checks if check.code is not None), None)
        measured = training.model_copy(
            update={
                "evidence": Evidence.MEASURED,
                **{
                    name: getattr(self.twin.training, name)
                    for name in ("steps", "tokens", "train_seconds", "world_size", "device", "torch")
                },
            }
        )
        changes = {
            "checks": checks,
            "code": code,
            "verdict": Verdict.REJECTED if code else report.verdict,
            "training": measured,
            "claims": tuple(self._with_seconds(row) for row in report.claims),
        }
        return parse(report.model_copy(update=changes).to_bytes())

    def _training_time(self) -> CheckResult:
        """The check's line, as measured here."""
        training, limit = self.twin.training, self.file.report.track.train_seconds
        reproduced = self.outcome is Outcome.REPRODUCED
        in_time = "" if limit is None else f" after at most {limit:g} s"
        return CheckResult(
            name=CheckName.TRAINING_TIME,
            status=Status.PASSED if reproduced else Status.FAILED,
            evidence=Evidence.MEASURED,
            code=None if reproduced else NOT_REPRODUCED,
            expected=f"val_loss at most {self.file.score.val_loss + self.tolerance:.6f} nats per token{in_time}",
            got=f"{self.twin.score.val_loss:.6f} after {training.train_seconds:.1f} s, {training.steps:,} steps",
            detail=f"trained again from the manifest's recipe on {training.world_size} x {training.device}",
            seconds=training.train_seconds,
        )

    def _with_seconds(self, row: ClaimRecord) -> ClaimRecord:
        if row.quantity != "train_seconds":
            return row
        measured = self.twin.training.train_seconds
        return row.model_copy(update={"measured": measured, "difference": row.claimed - measured})
