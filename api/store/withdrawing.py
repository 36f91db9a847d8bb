"""Taking a submission back: the job stops when nobody wants its answer any more."""

from sqlalchemy import Row, and_, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from api import queue
from api.states import UNFINISHED, State
from api.store import journal
from api.store.tables import jobs, submissions


class NotYours(Exception):
    """There is no such job, or the caller has not submitted it: the two look alike."""


async def withdraw(connection: AsyncConnection, *, job_id: str, owner: str, admin: bool) -> State:
    """Withdraw the caller's submissions of a job, all of them for an admin; without effect on one that has ended.

    A run that is cancelled before it had started costs nobody anything; one that goes on for others still counts for
    whoever began it, else two owners could begin and join without end.

    Returns:
        The job's state afterwards.

    Raises:
        NotYours: the caller has none.
    """
    columns = jobs.c["id", "state", "run", "attempt", "queue_id"]
    job = (await connection.execute(select(*columns).where(jobs.c.id == job_id).with_for_update())).one_or_none()
    if job is None or not (admin or await submitted_by(connection, job_id, owner)):
        raise NotYours
    state = State(job.state)
    if state not in UNFINISHED:
        return state
    theirs = update(submissions).where(submissions.c.job_id == job_id, submissions.c.run == job.run)
    theirs = theirs.where(submissions.c.withdrawn_at.is_(None))
    if not admin:
        theirs = theirs.where(submissions.c.owner == owner)
    await connection.execute(theirs.values(withdrawn_at=func.now()))
    if await _is_wanted(connection, job):
        return state
    if job.attempt == 0:
        of_run = and_(submissions.c.job_id == job_id, submissions.c.run == job.run)
        await connection.execute(update(submissions).where(of_run).values(counts=False))
    ended = {"state": State.CANCELLED, "finished_at": func.now()}
    await connection.execute(update(jobs).where(jobs.c.id == job_id).values(ended))
    if job.queue_id is not None:
        await queue.abort(connection, job.queue_id)
    await journal.record(connection, job_id, "withdrawn")
    return State.CANCELLED


async def submitted_by(connection: AsyncConnection, job_id: str, owner: str) -> bool:
    """Whether an owner has submitted this question, in whichever run."""
    found = select(submissions.c.id).where(submissions.c.job_id == job_id, submissions.c.owner == owner).limit(1)
    return (await connection.execute(found)).one_or_none() is not None


async def _is_wanted(connection: AsyncConnection, job: Row[tuple[object, ...]]) -> bool:
    left = select(submissions.c.id).where(submissions.c.job_id == job.id, submissions.c.run == job.run)
    left = left.where(submissions.c.withdrawn_at.is_(None)).limit(1)
    return (await connection.execute(left)).one_or_none() is not None
