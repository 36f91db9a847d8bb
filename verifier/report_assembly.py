"""From a case file and its docket to the report: reads what the checks found and decides nothing but the verdict."""

import hashlib
from importlib import metadata

from artifact.format.tensors import count_frozen, count_learned
from verifier import training_record
from verifier.case import Case
from verifier.checks import Docket
from verifier.claims import claim_rows
from verifier.report import ArtifactRecord, CheckName, Report, ScoreRecord, TrackRecord, Verdict
from verifier.static_checks import measure_size

DISTRIBUTION = "seedgolf"


def assemble(case: Case, docket: Docket) -> Report:
    """The report of a case whose every check has a result."""
    manifest = case.manifest
    training = manifest.training if manifest else None
    return Report(
        verifier_version=verifier_version(),
        verdict=_verdict(case, docket),
        code=docket.code,
        artifact=_artifact(case),
        track=_track(case),
        valset=case.registration.record() if case.registration else None,
        checks=tuple(docket.results[name] for name in CheckName),
        size=case.size or measure_size(case),
        backbone=case.backbone,
        eval=case.eval,
        score=case.score,
        screening=case.screening,
        claims=claim_rows(manifest.claims, training, _comparable_score(case)) if manifest else (),
        training=training_record.record(training) if training else None,
        environment=case.environment,
    )


def verifier_version() -> str:
    """The installed version of this package."""
    return metadata.version(DISTRIBUTION)


def _verdict(case: Case, docket: Docket) -> Verdict:
    if docket.code is not None:
        return Verdict.REJECTED
    return Verdict.ACCEPTED if case.screening is None else Verdict.SCREENED


def _comparable_score(case: Case) -> ScoreRecord | None:
    """The measured score, where the claimed one is of the same set."""
    claims = case.manifest.claims if case.manifest else None
    same_set = claims and case.registration and claims.valset_sha256 == case.registration.sha256
    return case.score if same_set else None


def _artifact(case: Case) -> ArtifactRecord:
    manifest = case.manifest
    return ArtifactRecord(
        sha256=hashlib.sha256(case.data).hexdigest(),
        bytes=len(case.data),
        name=manifest.name if manifest else None,
        author=manifest.author if manifest else None,
        license=manifest.license if manifest else None,
        num_learned=count_learned(manifest) if manifest else None,
        num_frozen=count_frozen(manifest) if manifest else None,
    )


def _track(case: Case) -> TrackRecord:
    track = case.track
    return TrackRecord(
        name=track.name,
        sha256=track.sha256,
        limit_bytes=track.limit_bytes,
        train_seconds=track.train_seconds,
        eval_seconds=track.eval_seconds,
        reference_hardware=track.reference_hardware.shown if track.reference_hardware else None,
    )
