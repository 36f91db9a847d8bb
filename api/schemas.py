"""The JSON that the API answers with: frozen values; a field without a value is left out or null as its type says."""

from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from api.hardware_class import HardwareClass
from api.states import State
from api.store.jobs import JobView
from api.store.journal import EventRow
from verifier.report import ScoreDtype

Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Answer(BaseModel):
    """Base of every answer: immutable, no unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Problem(Answer):
    """A refusal (RFC 9457); `code` is stable, docs/api.md lists the codes."""

    type: str
    title: str
    status: int
    code: str
    detail: str
    where: str | None = None
    expected: str | None = None
    got: str | None = None
    hint: str | None = None
    request_id: str | None = None


class Progress(Answer):
    """Which check runs, and how far it is in its own units."""

    stage: str | None
    done: int | None
    total: int | None


class ArtifactJson(Answer):
    """The judged file."""

    sha256: Digest
    name: str | None
    size_bytes: int


class TrackRef(Answer):
    """The limits that the job is judged by."""

    name: str
    sha256: Digest


class ValsetRef(Answer):
    """The validation set; empty where none could be chosen because the manifest cannot be read."""

    name: str | None
    sha256: str


class JobLinks(Answer):
    """Where more is to be found, relative to the server."""

    self: str
    events: str
    report: str
    page: str


class JobJson(Answer):
    """A job: where it stands, and its report once there is a verdict."""

    id: Digest
    state: State
    run: int
    attempt: int
    position: int | None
    workers_alive: int | None
    progress: Progress
    sign_of_life_at: datetime | None
    submitted_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    verdict: State | None
    code: str | None
    message: str | None
    val_bpb: float | None
    val_loss: float | None
    artifact: ArtifactJson
    track: TrackRef
    valset: ValsetRef
    verifier_version: str
    hardware_class: HardwareClass
    dtype: ScoreDtype
    links: JobLinks
    report: dict[str, Any] | None = None


def job_json(job: JobView, report: dict[str, Any] | None = None) -> JobJson:
    """A job as it is answered."""
    path = f"/verify/{job.id}"
    return JobJson(
        id=job.id,
        state=job.state,
        run=job.run,
        attempt=job.attempt,
        position=job.position,
        workers_alive=job.workers_alive,
        progress=Progress(stage=job.stage, done=job.done, total=job.total),
        sign_of_life_at=job.sign_of_life_at,
        submitted_at=job.submitted_at,
        started_at=job.started_at,
        finished_at=job.finished_at,
        verdict=job.verdict,
        code=job.code,
        message=job.message,
        val_bpb=job.val_bpb,
        val_loss=job.val_loss,
        artifact=ArtifactJson(sha256=job.artifact_sha256, name=job.artifact_name, size_bytes=job.artifact_size_bytes),
        track=TrackRef(name=job.track_name, sha256=job.track_sha256),
        valset=ValsetRef(name=job.valset_name, sha256=job.valset_sha256),
        verifier_version=job.verifier_version,
        hardware_class=job.hardware_class,
        dtype=job.dtype,
        links=JobLinks(self=path, events=f"{path}/events", report=f"/reports/{job.id}", page=path),
        report=report,
    )


class EventJson(Answer):
    """One transition of a job."""

    id: int
    state: State
    run: int
    attempt: int
    at: datetime
    detail: str | None


def event_json(event: EventRow) -> EventJson:
    """A transition as it is answered."""
    return EventJson(
        id=event.id, state=event.state, run=event.run, attempt=event.attempt, at=event.at, detail=event.detail
    )


class Share(Answer):
    """A badge: whoever knows its id sees verdict and val_bpb, and nothing else."""

    id: str
    badge: str


class LeaderboardJson(Answer):
    """One accepted job; `rank` under the filter."""

    rank: int
    job_id: Digest
    artifact_sha256: Digest
    artifact_name: str | None
    artifact_size_bytes: int
    val_bpb: float
    val_loss: float
    track_name: str
    track_sha256: Digest
    valset_name: str | None
    valset_sha256: str
    verifier_version: str
    hardware_class: HardwareClass
    submitted_at: datetime
    finished_at: datetime


class JobLineJson(Answer):
    """One job in a list."""

    job_id: Digest
    state: State
    code: str | None
    val_bpb: float | None
    artifact_sha256: Digest
    artifact_name: str | None
    track_name: str
    valset_name: str | None
    hardware_class: HardwareClass
    submitted_at: datetime
    finished_at: datetime | None


class ArtifactViewJson(Answer):
    """An artifact with its jobs, the youngest first."""

    sha256: Digest
    size_bytes: int
    name: str | None
    manifest: dict[str, Any] | None
    first_submitted_at: datetime
    jobs: tuple[JobLineJson, ...]


class ValsetJson(Answer):
    """A set that workers of some classes have."""

    name: str
    sha256: Digest
    official: str | None
    hardware_classes: tuple[HardwareClass, ...]
    documents: int
    tokens: int
    bytes: int
    targets: int
    target_bytes: int
    pieces_sha256: Digest


class WorkerJson(Answer):
    """A worker process of the last weeks; only administrators see it, for it names its machine."""

    name: str
    host: str
    process_id: int
    hardware_class: HardwareClass
    verifier_version: str
    keyid: str
    started_at: datetime
    heard_at: datetime
    ended_at: datetime | None
    is_alive: bool


class KeyJson(Answer):
    """A public key that signs reports, or did until it retired."""

    keyid: str
    pem: str
    created_at: datetime
    retired_at: datetime | None
