"""The sweep: jobs of lost workers and tickets that lead nowhere are queued again. A loop beside every worker and API.

It is no periodic job of the queue, which would wait behind a long run. A worker that has not been heard of for
`lost_seconds` is lost. Whoever was cut off from the database knows nothing of the workers in that time: a sweep
therefore waits until the database has been up, and this process in contact with it, for `lost_seconds`.
"""

import asyncio
import logging
import time
from typing import Final

from sqlalchemy import and_, delete, exists, func, or_, select, update
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from api import queue
from api.states import UNFINISHED, State
from api.store import journal, transitions
from api.store.procrastinate_tables import DOING, STARTED, TODO, ticket_events, tickets, workers
from api.store.tables import jobs
from api.store.transitions import MAX_LOST_WORKERS, WORKER_LOST, Because, Fence

logger: Final = logging.getLogger(__name__)

BATCH: Final = 50
LOST_SECONDS: Final = 30.0
EVERY_SECONDS: Final = 5.0


async def sweep_forever(
    engine: AsyncEngine, *, lost_seconds: float = LOST_SECONDS, every_seconds: float = EVERY_SECONDS
) -> None:
    """Sweep until cancelled; a database that is away is waited for."""
    last, trusted_from = time.monotonic(), 0.0
    while True:
        now = time.monotonic()
        if now - last > every_seconds + lost_seconds / 2:
            trusted_from = now + lost_seconds  # this process slept, and the others perhaps as well
        last = now
        if now >= trusted_from:
            try:
                async with engine.begin() as connection:
                    await sweep(connection, lost_seconds=lost_seconds)
            except (SQLAlchemyError, OSError):
                logger.warning("the sweep did not reach the database", exc_info=True)
                trusted_from = time.monotonic() + lost_seconds
        await asyncio.sleep(every_seconds)


async def sweep(connection: AsyncConnection, *, lost_seconds: float) -> int:
    """Queue lost jobs again, once.

    Returns:
        How many jobs were changed.
    """
    up_seconds = func.extract("epoch", func.now() - func.pg_postmaster_start_time())
    if (await connection.execute(select(up_seconds < lost_seconds))).scalar_one():
        return 0
    changed = await _requeue_lost(connection, lost_seconds) + await _replace_tickets(connection, lost_seconds)
    await _drop_leftovers(connection, lost_seconds)
    return changed


async def _requeue_lost(connection: AsyncConnection, lost_seconds: float) -> int:
    silent = func.extract("epoch", func.now() - jobs.c.sign_of_life_at) > lost_seconds
    columns = jobs.c["id", "run", "attempt", "worker", "lost_workers", "queue_id"]
    lost = select(*columns).where(jobs.c.state == State.RUNNING, silent).limit(BATCH).with_for_update(skip_locked=True)
    rows = (await connection.execute(lost)).all()
    for row in rows:
        fence = Fence(job_id=row.id, run=row.run, attempt=row.attempt)
        await queue.drop(connection, row.queue_id)
        gone = [*row.lost_workers, row.worker]
        logger.warning("job %s: worker %s was lost, %d so far", row.id, row.worker, len(gone))
        if len(gone) < MAX_LOST_WORKERS:
            await transitions.requeue(connection, fence, because=Because.LOST, detail=f"{row.worker} was lost")
            continue
        await connection.execute(update(jobs).where(fence.holds).values(lost_workers=gone))
        message = f"{len(gone)} workers were lost while they ran this job: {', '.join(gone)}"
        await transitions.fail(connection, fence, code=WORKER_LOST, message=message)
    return len(rows)


async def _replace_tickets(connection: AsyncConnection, lost_seconds: float) -> int:
    """Give a new ticket to queued jobs whose ticket is gone, or was fetched by a worker that never took the job."""
    fetched = exists().where(
        ticket_events.c.job_id == jobs.c.queue_id,
        ticket_events.c.type == STARTED,
        func.extract("epoch", func.now() - ticket_events.c.at) < lost_seconds,
    )
    leads = or_(tickets.c.status == TODO, and_(tickets.c.status == DOING, fetched))
    good = exists().where(tickets.c.id == jobs.c.queue_id, leads)
    old = func.extract("epoch", func.now() - jobs.c.queued_at) > lost_seconds
    stranded = select(jobs.c.id, jobs.c.queue_id).where(jobs.c.state == State.QUEUED, old, ~good).limit(BATCH)
    rows = (await connection.execute(stranded.with_for_update(of=jobs, skip_locked=True))).all()
    for row in rows:
        logger.warning("job %s: ticket %s led nowhere", row.id, row.queue_id)
        await queue.drop(connection, row.queue_id)
        await transitions.new_ticket(connection, row.id)
        await journal.tell(connection, row.id)
    return len(rows)


async def _drop_leftovers(connection: AsyncConnection, lost_seconds: float) -> None:
    """Forget fetched tickets of workers that are gone and of jobs that do not need them."""
    heard = func.extract("epoch", func.now() - workers.c.last_heartbeat) < lost_seconds
    has_worker = exists().where(workers.c.id == tickets.c.worker_id, heard)
    needed = exists().where(jobs.c.queue_id == tickets.c.id, jobs.c.state.in_(UNFINISHED))
    await connection.execute(delete(tickets).where(tickets.c.status == DOING, ~has_worker, ~needed))
