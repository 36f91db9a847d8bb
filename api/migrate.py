"""Bring a database to this version's tables and to the queue's, under one advisory lock.

Processes that start at the same moment wait for the first one and find everything done. An older schema is upgraded;
one of a newer release is refused, for its rows may mean something else. Each step of the queue's own is a transaction
with its mark: PostgreSQL refuses a new value of an enum in the transaction that made it, and the queue's have such.

Alembic is imported only where there is something to do: it costs 0.2 s of every start (2-core AMD EPYC).
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from procrastinate.schema import SchemaManager
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import AsyncConnection

from api import database, migrations

HEAD: Final = "0002"
"""The newest step of our own tables; a test keeps it equal to alembic's."""
LOCK: Final = 0x5EED_601F
"""The advisory lock's number; any, as long as every version takes the same one."""
QUEUE_TABLE: Final = "procrastinate_jobs"
MARK: Final = "seedgolf: queue schema "
"""Begins the comment on the queue's table, which ends with the newest of the queue's own migrations that it has."""


class SchemaTooNew(RuntimeError):
    """The database belongs to a newer release than this one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Versions:
    """Which steps a database has had, or which steps there are; None is none."""

    tables: str | None
    queue: str | None


async def upgrade(dsn: str, *, wait_seconds: float = 30.0) -> None:
    """Upgrade the database at `dsn`; a current one is only looked at.

    Args:
        dsn: see `api/database.py`.
        wait_seconds: how long to wait for a database that does not answer.

    Raises:
        SchemaTooNew: it was made by a newer release.
        sqlalchemy.exc.OperationalError, InterfaceError: it does not answer.
    """
    engine = database.engine(dsn, pooled=False)
    try:
        await database.wait_until_up(engine, wait_seconds)
        async with engine.connect() as connection:
            have = await _found(connection)
            if have != known():
                async with connection.begin():  # the transaction ends, the lock stays until we disconnect
                    await connection.execute(text("SELECT pg_advisory_lock(:lock)"), {"lock": LOCK})
                await _upgrade(connection)
    finally:
        await engine.dispose()


def known() -> Versions:
    """The newest steps that this installation knows."""
    return Versions(tables=HEAD, queue=_queue_steps()[-1].stem)


def found(connection: Connection) -> Versions:
    """The steps that the database has had."""
    tables = None
    if connection.execute(text("SELECT to_regclass('alembic_version')")).scalar():
        tables = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    comment = connection.execute(text(f"SELECT obj_description(to_regclass('{QUEUE_TABLE}'), 'pg_class')")).scalar()
    queue = comment.removeprefix(MARK) if comment and comment.startswith(MARK) else None
    return Versions(tables=tables, queue=queue)


async def _found(connection: AsyncConnection) -> Versions:
    async with connection.begin():
        return await connection.run_sync(found)


async def _upgrade(connection: AsyncConnection) -> None:
    have, want = await _found(connection), known()
    steps = [step.stem for step in _queue_steps()]
    if (have.tables or "") > HEAD or (have.queue and have.queue not in steps):
        raise SchemaTooNew(
            f"database: expected tables of step {want.tables} or older and a queue of {want.queue} or older, "
            f"got {have.tables} and {have.queue}; install the release that last used it, or a newer one"
        )
    if have.tables != want.tables:
        async with connection.begin():
            await connection.run_sync(_upgrade_tables)
    for step, script in _queue_scripts(have.queue):
        async with connection.begin():  # said outright: what the driver runs by itself begins none for SQLAlchemy
            await _run_script(connection, f"{script};\nCOMMENT ON TABLE {QUEUE_TABLE} IS '{MARK}{step}'")


def _queue_scripts(have: str | None) -> list[tuple[str, str]]:
    """What the queue's schema still needs after the step `have`, each script with the step that it reaches."""
    steps = _queue_steps()
    if have is None:
        return [(steps[-1].stem, SchemaManager.get_schema())]
    return [(step.stem, step.read_text()) for step in steps if step.stem > have]


async def _run_script(connection: AsyncConnection, script: str) -> None:
    """Run several statements; only the driver itself takes them at once, and no % in them means anything to it."""
    driver = (await connection.get_raw_connection()).driver_connection
    assert driver is not None
    await driver.execute(script)


def _queue_steps() -> list[Path]:
    return sorted(Path(SchemaManager.get_migrations_path()).glob("*.sql"))


def _upgrade_tables(connection: Connection) -> None:
    from alembic import command  # noqa: PLC0415 - see the module
    from alembic.config import Config  # noqa: PLC0415 - see the module

    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
