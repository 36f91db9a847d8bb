"""What every change of a job does besides: an event row for the history, and a word to whoever listens."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import Text, cast, func, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from api.states import State
from api.store.tables import events, jobs

CHANNEL: Final = "seedgolf_jobs"
"""NOTIFY with the job's id on every transition and on progress."""
SIGN_CHANNEL: Final = "seedgolf_sign"
"""NOTIFY with the job's id when a report waits for its signature."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EventRow:
    """One transition of a job; `id` grows with time."""

    id: int
    run: int
    attempt: int
    state: State
    at: datetime
    detail: str | None


async def record(connection: AsyncConnection, job_id: str, detail: str | None = None) -> None:
    """Write the state that the job's row has now to its history, and tell it at the commit."""
    now = select(jobs.c.id, jobs.c.run, jobs.c.attempt, jobs.c.state, cast(detail, Text))
    columns = ["job_id", "run", "attempt", "state", "detail"]
    await connection.execute(insert(events).from_select(columns, now.where(jobs.c.id == job_id)))
    await tell(connection, job_id)


async def tell(connection: AsyncConnection, job_id: str, channel: str = CHANNEL) -> None:
    """NOTIFY at the commit."""
    await connection.execute(select(func.pg_notify(channel, job_id)))


async def events_after(connection: AsyncConnection, job_id: str, event_id: int) -> list[EventRow]:
    """The job's events that are younger than one of them (0 for all), in their order."""
    query = select(*events.c["id", "run", "attempt", "state", "at", "detail"])
    query = query.where(events.c.job_id == job_id, events.c.id > event_id).order_by(events.c.id)
    return [
        EventRow(**row | {"state": State(row["state"])})
        for row in map(dict, (await connection.execute(query)).mappings())
    ]
