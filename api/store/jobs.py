"""Jobs as they are looked at."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, Select, and_, func, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from api.hardware_class import HardwareClass
from api.states import VERDICTS, State
from api.store.journal import EventRow, events_after
from api.store.procrastinate_tables import TODO, tickets
from api.store.tables import artifacts, jobs, reports, submissions, workers
from api.store.transitions import claim, fail, finish, progress, requeue
from api.store.withdrawing import submitted_by
from api.store.workers import alive
from verifier.report import ScoreDtype

__all__ = [
    "EventRow",
    "JobView",
    "StoredReport",
    "claim",
    "events_after",
    "fail",
    "finish",
    "progress",
    "report",
    "requeue",
    "submitted_by",
    "view",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class JobView:
    """Everything that GET /verify/{id} shows of a job; its submitters are not among it.

    Attributes:
        position: place in the queue, 1 is next; None unless queued.
        workers_alive: of the job's class and verifier version, heard of lately: only they take it; None unless queued.
        stage, done, total: the check that runs, and how far it is in its own units.
        sign_of_life_at: when the worker was last heard of; None unless one has it.
        submitted_at: first submission of this run.
        worker: the name of who runs it, or did last.
        lost_workers: of this run.
        code: of a rejection, or of our failure; `message` of our failure, safe to show.
    """

    id: str
    state: State
    run: int
    attempt: int
    position: int | None
    workers_alive: int | None
    stage: str | None
    done: int | None
    total: int | None
    sign_of_life_at: datetime | None
    submitted_at: datetime
    queued_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    worker: str | None
    lost_workers: tuple[str, ...]
    code: str | None
    message: str | None
    val_bpb: float | None
    val_loss: float | None
    artifact_sha256: str
    artifact_name: str | None
    artifact_size_bytes: int
    track_name: str
    track_sha256: str
    valset_name: str | None
    valset_sha256: str
    verifier_version: str
    hardware_class: HardwareClass
    dtype: ScoreDtype

    @property
    def verdict(self) -> State | None:
        """`accepted` or `rejected`, None before and without."""
        return self.state if self.state in VERDICTS else None


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredReport:
    """A report's bytes as they are served; unsigned for the moments before a worker has signed the pre-check's."""

    raw: bytes
    envelope: bytes | None
    keyid: str | None


async def view(connection: AsyncConnection, job_id: str) -> JobView | None:
    """The job, or None."""
    row = (await connection.execute(_views().where(jobs.c.id == job_id))).one_or_none()
    return None if row is None else job_view(row)


async def report(connection: AsyncConnection, job_id: str) -> StoredReport | None:
    """The job's report, or None before there is one."""
    query = select(*reports.c["raw", "envelope", "keyid"]).where(reports.c.job_id == job_id)
    row = (await connection.execute(query)).one_or_none()
    return None if row is None else StoredReport(raw=row.raw, envelope=row.envelope, keyid=row.keyid)


def job_view(row: Row[Any]) -> JobView:
    """One row of `_views`."""
    is_queued = row.state == State.QUEUED
    fields = {
        "state": State(row.state),
        "position": max(1, row.position) if is_queued else None,
        "workers_alive": row.workers_alive if is_queued else None,
        "lost_workers": tuple(row.lost_workers),
        "hardware_class": HardwareClass(row.hardware_class),
        "dtype": ScoreDtype(row.dtype),
    }
    return JobView(**dict(row._mapping) | fields)  # noqa: SLF001 - SQLAlchemy's public name


def _views() -> Select[Any]:
    """The columns of a JobView."""
    of_run = and_(submissions.c.job_id == jobs.c.id, submissions.c.run == jobs.c.run)
    own = {"id", "state", "run", "attempt", "stage", "done", "total", "sign_of_life_at", "queued_at", "started_at"}
    own |= {"finished_at", "worker", "lost_workers", "code", "message", "val_bpb", "val_loss", "artifact_sha256"}
    own |= {"track_name", "track_sha256", "valset_name", "valset_sha256", "verifier_version", "hardware_class", "dtype"}
    first = select(func.min(submissions.c.submitted_at)).where(of_run).scalar_subquery()
    return select(
        *(column for column in jobs.c if column.name in own),
        artifacts.c.name.label("artifact_name"),
        artifacts.c.size_bytes.label("artifact_size_bytes"),
        func.coalesce(first, jobs.c.created_at).label("submitted_at"),
        _position().label("position"),
        _workers_alive().label("workers_alive"),
    ).join(artifacts, artifacts.c.sha256 == jobs.c.artifact_sha256)


def _position() -> Any:  # noqa: ANN401 - a scalar subquery
    """How many tickets of the queue are not behind the job's own, itself included."""
    mine, other = tickets.alias("mine"), tickets.alias("other")
    before = or_(other.c.priority > mine.c.priority, and_(other.c.priority == mine.c.priority, other.c.id <= mine.c.id))
    same_queue = and_(other.c.queue_name == mine.c.queue_name, other.c.status == TODO)
    counted = select(func.count()).select_from(mine.join(other, and_(same_queue, before)))
    return counted.where(mine.c.id == jobs.c.queue_id, mine.c.status == TODO).correlate(jobs).scalar_subquery()


def _workers_alive() -> Any:  # noqa: ANN401 - a scalar subquery
    """How many workers there are that could take the job."""
    same = [workers.c[name] == jobs.c[name] for name in ("hardware_class", "verifier_version")]
    return select(func.count()).select_from(workers).where(*same, alive()).correlate(jobs).scalar_subquery()
