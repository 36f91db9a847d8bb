"""A job's way through its states, as workers and the sweep drive it; every write names the attempt that it is for.

The fence: `WHERE state = 'running' AND run = r AND attempt = n`. A worker that was taken for lost, and whose job runs
elsewhere by now, changes nothing any more and is told so by False.
"""

import json
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import ColumnElement, and_, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from api import queue
from api.hardware_class import HardwareClass
from api.question import queue_name
from api.states import State, sources
from api.store import journal
from api.store.tables import jobs, reports, submissions
from verifier.report import Report, ScoreDtype
from verifier.tracks import Track

MAX_FAILURES: Final = 3
"""Faults of ours that may be tried again, before a job is `failed`."""
MAX_LOST_WORKERS: Final = 3
WORKER_LOST: Final = "worker-lost"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fence:
    """One attempt of one run of a job."""

    job_id: str
    run: int
    attempt: int

    @property
    def holds(self) -> ColumnElement[bool]:
        """The condition under which this attempt may write."""
        attempt = and_(jobs.c.run == self.run, jobs.c.attempt == self.attempt)
        return and_(jobs.c.id == self.job_id, jobs.c.state == State.RUNNING, attempt)


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A job that a worker holds and what it has to do; `failures` of ours this run has had."""

    fence: Fence
    failures: int
    artifact_sha256: str
    valset_sha256: str
    track: Track
    dtype: ScoreDtype


class Because(StrEnum):
    """Why a running job is queued again."""

    SHUTDOWN = "shutdown"
    OUTAGE = "outage"
    """Of the store of artifacts or of the worker's disk, which no attempt of the job can help."""
    FAILURE = "failure"
    LOST = "lost"


async def claim(connection: AsyncConnection, job_id: str, *, ticket: int, worker: str) -> Claim | None:
    """Take a job with its ticket; None when the ticket is worth nothing any more.

    A ticket is fetched by one worker only, so a claim whose answer was lost may be made again.
    """
    change = update(jobs).values(
        state=State.RUNNING,
        attempt=jobs.c.attempt + 1,
        worker=worker,
        started_at=func.now(),
        sign_of_life_at=func.now(),
        stage=None,
        done=None,
        total=None,
    )
    may = jobs.c.state.in_({State.RUNNING} | sources(State.RUNNING))
    change = change.where(jobs.c.id == job_id, jobs.c.queue_id == ticket, may).returning(jobs)
    row = (await connection.execute(change)).one_or_none()
    if row is None:
        return None
    await journal.record(connection, job_id, f"taken by {worker}")
    return Claim(
        fence=Fence(job_id=job_id, run=row.run, attempt=row.attempt),
        failures=row.failures,
        artifact_sha256=row.artifact_sha256,
        valset_sha256=row.valset_sha256,
        track=Track.model_validate_json(json.dumps(row.track)),
        dtype=ScoreDtype(row.dtype),
    )


async def progress(
    connection: AsyncConnection, fence: Fence, *, stage: str | None, done: int | None, total: int | None
) -> bool:
    """Give a sign of life and say how far the run is; False when the job is not this attempt's any more."""
    change = update(jobs).where(fence.holds).values(stage=stage, done=done, total=total, sign_of_life_at=func.now())
    if (await connection.execute(change)).rowcount == 0:
        return False
    await journal.tell(connection, fence.job_id)
    return True


async def finish(connection: AsyncConnection, fence: Fence, report: Report, *, envelope: bytes, keyid: str) -> bool:
    """End a job with its verdict and its signed report; False when it is not this attempt's any more."""
    score = report.score
    ended = {"code": report.code, "val_bpb": score and score.val_bpb, "val_loss": score and score.val_loss}
    if not await _end(connection, fence, State(report.verdict), ended):
        return False
    raw = report.to_bytes()
    row = {"job_id": fence.job_id, "raw": raw, "report": json.loads(raw), "envelope": envelope, "keyid": keyid}
    await connection.execute(insert(reports).values(row))
    return True


async def fail(connection: AsyncConnection, fence: Fence, *, code: str, message: str) -> bool:
    """End a job by our fault, which costs its owners nothing unless it takes workers with it."""
    if not await _end(connection, fence, State.FAILED, {"code": code, "message": message}, detail=code):
        return False
    if code != WORKER_LOST:
        refund = update(submissions).where(submissions.c.job_id == fence.job_id, submissions.c.run == fence.run)
        await connection.execute(refund.values(counts=False))
    return True


async def _end(
    connection: AsyncConnection, fence: Fence, state: State, columns: dict[str, Any], detail: str | None = None
) -> bool:
    change = update(jobs).where(fence.holds).values(columns | {"state": state, "finished_at": func.now()})
    if (await connection.execute(change)).rowcount == 0:
        return False
    await journal.record(connection, fence.job_id, detail)
    return True


async def requeue(
    connection: AsyncConnection,
    fence: Fence,
    *,
    detail: str,
    because: Because,
    delay_seconds: float = 0,
) -> bool:
    """Queue a running job again, before the new ones; False when it is not this attempt's any more."""
    changes: dict[str, Any] = {"state": State.QUEUED, "queued_at": func.now(), "stage": None, "done": None}
    changes |= {"total": None, "sign_of_life_at": None}
    if because is Because.FAILURE:
        changes["failures"] = jobs.c.failures + 1
    elif because is Because.LOST:
        changes["lost_workers"] = func.array_append(jobs.c.lost_workers, jobs.c.worker)
    if (await connection.execute(update(jobs).where(fence.holds).values(changes))).rowcount == 0:
        return False
    await new_ticket(connection, fence.job_id, delay_seconds=delay_seconds)
    await journal.record(connection, fence.job_id, detail)
    return True


async def new_ticket(connection: AsyncConnection, job_id: str, *, delay_seconds: float = 0) -> None:
    """Give a queued job a ticket in place of the one that it has."""
    columns = jobs.c["verifier_version", "hardware_class"]
    row = (await connection.execute(select(*columns).where(jobs.c.id == job_id))).one()
    name = queue_name(row.verifier_version, HardwareClass(row.hardware_class))
    ticket = await queue.defer(
        connection, job_id=job_id, queue=name, priority=queue.AGAIN_PRIORITY, delay_seconds=delay_seconds
    )
    await connection.execute(update(jobs).where(jobs.c.id == job_id).values(queue_id=ticket))
