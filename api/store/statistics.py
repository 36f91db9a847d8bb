"""Numbers about the whole service, for /metrics, read from SQL so that every API process gives the same."""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from api.states import State
from api.store.procrastinate_tables import TODO, tickets, workers
from api.store.tables import jobs


@dataclass(frozen=True, slots=True, kw_only=True)
class Statistics:
    """The service now.

    Attributes:
        jobs: how many in each state.
        depth: waiting tickets of each queue that has any.
        oldest_queued_seconds: since the oldest queued job was queued; 0 without one.
        workers_alive: that were heard of lately.
    """

    jobs: Mapping[State, int]
    depth: Mapping[str, int]
    oldest_queued_seconds: float
    workers_alive: int


async def statistics(connection: AsyncConnection, *, lost_seconds: float = 30) -> Statistics:
    """Count."""
    by_state = dict.fromkeys(State, 0)
    for row in await connection.execute(select(jobs.c.state, func.count().label("number")).group_by(jobs.c.state)):
        by_state[State(row.state)] = row.number
    waiting = select(tickets.c.queue_name, func.count().label("number")).where(tickets.c.status == TODO)
    depth = {row.queue_name: row.number for row in await connection.execute(waiting.group_by(tickets.c.queue_name))}
    age = func.extract("epoch", func.now() - func.min(jobs.c.queued_at))
    oldest = (await connection.execute(select(age).where(jobs.c.state == State.QUEUED))).scalar_one()
    silence = func.extract("epoch", func.now() - workers.c.last_heartbeat)
    alive = select(func.count()).select_from(workers).where(silence < lost_seconds)
    return Statistics(
        jobs=by_state,
        depth=depth,
        oldest_queued_seconds=float(oldest or 0),
        workers_alive=(await connection.execute(alive)).scalar_one(),
    )
