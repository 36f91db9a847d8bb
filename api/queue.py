"""The queue: procrastinate's table in our own database, so that a ticket and our row are written in one transaction.

A *ticket* is one row of procrastinate and good for one attempt: it is never retried. Whoever queues a job again gives
it a new ticket, which wakes a worker at once, and the old one is worth nothing from then on. What a job's state is,
our own row says; a ticket only brings a worker to it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import psycopg
from procrastinate import App, PsycopgConnector
from procrastinate.connector import BaseAsyncConnector
from procrastinate.exceptions import ConnectorException
from sqlalchemy import text
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncConnection

VERIFY: Final = "verify"
AGAIN_PRIORITY: Final = 1
"""A job that was queued before goes before the new ones."""


def make_app(connector: BaseAsyncConnector) -> App:
    """The queue behind a connector; the worker adds its task."""
    return App(connector=connector)


async def defer(
    connection: AsyncConnection, *, job_id: str, queue: str, priority: int = 0, delay_seconds: float = 0
) -> int:
    """Make a ticket for a job inside the caller's transaction.

    Returns:
        The ticket's number.
    """
    schedule: Any = {"schedule_in": {"milliseconds": round(delay_seconds * 1000)}} if delay_seconds else {}
    raw = await _psycopg(connection)
    app = make_app(PsycopgConnector())
    task = app.configure_task(VERIFY, queue=queue, priority=priority, connection=raw, **schedule)
    with _faults_of_the_database():
        return await task.defer_async(job_id=job_id)


async def abort(connection: AsyncConnection, ticket: int) -> None:
    """Take a ticket back inside the caller's transaction; a worker that runs it is told at the commit."""
    app = make_app(PsycopgConnector())
    raw = await _psycopg(connection)
    with _faults_of_the_database():
        await app.job_manager.cancel_job_by_id_async(ticket, abort=True, delete_job=True, connection=raw)


async def drop(connection: AsyncConnection, ticket: int | None) -> None:
    """Forget the ticket of a worker that is gone."""
    await connection.execute(text("DELETE FROM procrastinate_jobs WHERE id = :ticket"), {"ticket": ticket})


@contextmanager
def _faults_of_the_database() -> Iterator[None]:
    """Let a database that goes away meanwhile look as it does to every other statement of the transaction."""
    try:
        yield
    except ConnectorException as error:
        if isinstance(error.__cause__, psycopg.OperationalError):
            raise OperationalError("a statement of the queue", None, error.__cause__) from error
        raise


async def _psycopg(connection: AsyncConnection) -> Any:  # noqa: ANN401 - the driver's own connection
    """The driver's connection under SQLAlchemy's, in the same transaction."""
    raw = await connection.get_raw_connection()
    return raw.driver_connection
