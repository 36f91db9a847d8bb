"""Numbers about the whole service, for /metrics, read from SQL so that every API process gives the same."""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from api.hardware_class import HardwareClass
from api.states import State
from api.store import workers
from api.store.procrastinate_tables import TODO, tickets
from api.store.tables import jobs


@dataclass(frozen=True, slots=True, kw_only=True)
class Statistics:
    """The service now.

    Attributes:
        jobs: how many in each state.
        depth: waiting tickets of each queue that has any.
        oldest_queued_seconds: since the oldest queued job was queued; 0 without one.
        workers_alive: that were heard of lately, by class.
    """

    jobs: Mapping[State, int]
    depth: Mapping[str, int]
    oldest_queued_seconds: float
    workers_alive: Mapping[HardwareClass, int]


async def statistics(connection: AsyncConnection) -> Statistics:
    """Count."""
    by_state = dict.fromkeys(State, 0)
    for row in await connection.execute(select(jobs.c.state, func.count().label("number")).group_by(jobs.c.state)):
        by_state[State(row.state)] = row.number
    waiting = select(tickets.c.queue_name, func.count().label("number")).where(tickets.c.status == TODO)
    depth = {row.queue_name: row.number for row in await connection.execute(waiting.group_by(tickets.c.queue_name))}
    age = func.extract("epoch", func.now() - func.min(jobs.c.queued_at))
    oldest = (await connection.execute(select(age).where(jobs.c.state == State.QUEUED))).scalar_one()
    return Statistics(
        jobs=by_state,
        depth=depth,
        oldest_queued_seconds=float(oldest or 0),
        workers_alive=await workers.alive_by_class(connection),
    )
