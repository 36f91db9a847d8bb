"""Taking a submission: artifact, job, submission, event and ticket in one transaction, or nothing of them.

Asked again, a question with a verdict is answered from store, one that is queued or running is joined, and one that
failed or was cancelled starts a new run.
"""

import json
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from api import queue
from api.question import Question
from api.states import State
from api.store import journal, quota
from api.store.quota import OverQuota, Quota
from api.store.tables import artifacts, jobs, reports, submissions
from verifier.report import Report
from verifier.tracks import Track

__all__ = ["NewSubmission", "Outcome", "OverQuota", "Quota", "submit"]

ENDED_WITHOUT_VERDICT = frozenset({State.FAILED, State.CANCELLED})


@dataclass(frozen=True, slots=True, kw_only=True)
class NewSubmission:
    """An upload whose bytes are in the blob store.

    Attributes:
        owner, token_id: who asks.
        question: what is asked.
        size_bytes: of the file.
        artifact_name, manifest: what the file says of itself; None where it cannot be read.
        valset_name: for people; None where no set could be chosen.
        track: the limits.
        rejected: the pre-check's report of a file that needs no worker.
    """

    owner: str
    token_id: str
    question: Question
    size_bytes: int
    artifact_name: str | None = None
    manifest: dict[str, Any] | None = field(default=None, repr=False)
    valset_name: str | None = None
    track: Track
    rejected: Report | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of a submission; `created` when it started a run."""

    job_id: str
    run: int
    state: State
    created: bool
    submission_id: int


async def submit(connection: AsyncConnection, new: NewSubmission, limits: Quota) -> Outcome:
    """Take a submission.

    Raises:
        OverQuota: the owner may not start a run now; nothing was taken.
    """
    job_id = new.question.job_id
    await quota.lock_owner(connection, new.owner)
    await _add_artifact(connection, new)
    created = await _add_job(connection, new)
    if not created:
        created = await _begin_again(connection, job_id)
    if created:
        await quota.check(connection, new.owner, limits)
        await journal.record(connection, job_id)
        await (_reject(connection, new) if new.rejected else _enqueue(connection, new.question))
    job = (await connection.execute(select(jobs.c.run, jobs.c.state).where(jobs.c.id == job_id))).one()
    made = insert(submissions).values(
        job_id=job_id, run=job.run, owner=new.owner, token_id=new.token_id, counts=created
    )
    number = (await connection.execute(made.returning(submissions.c.id))).scalar_one()
    return Outcome(job_id=job_id, run=job.run, state=State(job.state), created=created, submission_id=number)


async def _add_artifact(connection: AsyncConnection, new: NewSubmission) -> None:
    """The first who submits a file is the one it counts for."""
    row = insert(artifacts).values(
        sha256=new.question.artifact_sha256,
        size_bytes=new.size_bytes,
        name=new.artifact_name,
        manifest=new.manifest,
        first_owner=new.owner,
    )
    await connection.execute(row.on_conflict_do_nothing())


async def _add_job(connection: AsyncConnection, new: NewSubmission) -> bool:
    """Add the job of a new question; waits for another transaction that adds the same."""
    row = insert(jobs).values(
        id=new.question.job_id,
        artifact_sha256=new.question.artifact_sha256,
        valset_sha256=new.question.valset_sha256,
        valset_name=new.valset_name,
        track_sha256=new.question.track_sha256,
        track_name=new.track.name,
        track=new.track.model_dump(mode="json", exclude_none=True),
        verifier_version=new.question.verifier_version,
        hardware_class=new.question.hardware_class,
        dtype=new.question.dtype,
        state=State.QUEUED,
    )
    made = await connection.execute(row.on_conflict_do_nothing().returning(jobs.c.id))
    return made.one_or_none() is not None


async def _begin_again(connection: AsyncConnection, job_id: str) -> bool:
    """Start a new run of a job that ended without a verdict; holds the job's row until the commit."""
    row = (await connection.execute(select(jobs.c.state).where(jobs.c.id == job_id).with_for_update())).one()
    if State(row.state) not in ENDED_WITHOUT_VERDICT:
        return False
    fresh = dict.fromkeys(("queue_id", "worker", "started_at", "finished_at", "sign_of_life_at"))
    fresh |= dict.fromkeys(("stage", "done", "total", "code", "message"))
    change = update(jobs).values(
        **fresh, state=State.QUEUED, run=jobs.c.run + 1, attempt=0, failures=0, lost_workers=[], queued_at=func.now()
    )
    await connection.execute(change.where(jobs.c.id == job_id))
    return True


async def _enqueue(connection: AsyncConnection, question: Question) -> None:
    ticket = await queue.defer(connection, job_id=question.job_id, queue=question.queue)
    await connection.execute(update(jobs).where(jobs.c.id == question.job_id).values(queue_id=ticket))


async def _reject(connection: AsyncConnection, new: NewSubmission) -> None:
    """End the job with the pre-check's report, which a worker signs."""
    assert new.rejected is not None
    job_id, raw = new.question.job_id, new.rejected.to_bytes()
    ended = {"state": State.REJECTED, "started_at": func.now(), "finished_at": func.now(), "code": new.rejected.code}
    await connection.execute(update(jobs).where(jobs.c.id == job_id).values(ended))
    await connection.execute(insert(reports).values(job_id=job_id, raw=raw, report=json.loads(raw)))
    await journal.record(connection, job_id, "by the pre-check")
    await journal.tell(connection, job_id, journal.SIGN_CHANNEL)
