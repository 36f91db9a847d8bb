"""Connections to PostgreSQL: one way to read a DSN, one kind of engine. Knows no table.

A DSN is what libpq takes: `postgresql://user@host/name?option=...` or `host=... dbname=...`. Ours adds options that
notice a dead server: without them a worker whose network is cut waits for hours.
"""

import asyncio
import logging
from typing import Any, Final

from psycopg.conninfo import conninfo_to_dict, make_conninfo
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

LOG: Final = logging.getLogger(__name__)
DEFAULTS: Final = {
    "application_name": "seedgolf",
    "connect_timeout": "10",
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "25000",  # milliseconds
}
POOL_SIZE: Final = 5
POOL_OVERFLOW: Final = 10
FIRST_PAUSE_SECONDS: Final = 0.05
LONGEST_PAUSE_SECONDS: Final = 1.0


def psycopg_dsn(dsn: str) -> str:
    """The DSN for psycopg, with our options where it does not set them; SQLAlchemy's `postgresql+psycopg` is read too.

    Raises:
        psycopg.ProgrammingError: it is no DSN.
    """
    given = conninfo_to_dict(dsn.replace("postgresql+psycopg://", "postgresql://", 1))
    options: dict[str, Any] = DEFAULTS | {name: value for name, value in given.items() if value is not None}
    return make_conninfo(**options)


def engine(dsn: str, *, pooled: bool = True) -> AsyncEngine:
    """An engine for the database at `dsn`; nothing is connected yet.

    Args:
        dsn: see the module.
        pooled: keep connections open between uses, in one event loop; without it each use opens its own.
    """
    options: dict[str, Any] = (
        {"pool_size": POOL_SIZE, "max_overflow": POOL_OVERFLOW, "pool_pre_ping": True}
        if pooled
        else {"poolclass": NullPool}
    )
    # libpq reads the DSN, not SQLAlchemy, whose URLs know neither several hosts nor `host=... dbname=...`
    # the parameters of a statement that fails stay out of logs: forms' secrets are among them
    return create_async_engine(
        "postgresql+psycopg://", connect_args=conninfo_to_dict(psycopg_dsn(dsn)), hide_parameters=True, **options
    )


def one_line(error: BaseException | None) -> str:
    """What a database or its driver said, in one line; SQLAlchemy repeats the statement in further ones."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    said = str(cause).strip().splitlines()
    return said[0] if said else type(cause).__name__


async def wait_until_up(engine: AsyncEngine, seconds: float) -> None:
    """Wait until the database answers.

    Raises:
        sqlalchemy.exc.OperationalError, InterfaceError: it does not within `seconds`; the last answer.
    """
    loop = asyncio.get_running_loop()
    deadline, pause = loop.time() + seconds, FIRST_PAUSE_SECONDS
    is_told = False
    while True:
        try:
            async with engine.connect() as connection:
                await connection.execute(text("SELECT 1"))
                return
        except (OperationalError, InterfaceError) as error:
            if loop.time() + pause > deadline:
                raise
            if pause >= LONGEST_PAUSE_SECONDS and not is_told:  # a server that just starts is worth no word
                LOG.warning("the database does not answer yet; tried again for %g s: %s", seconds, one_line(error))
                is_told = True
        await asyncio.sleep(pause)
        pause = min(2 * pause, LONGEST_PAUSE_SECONDS)
