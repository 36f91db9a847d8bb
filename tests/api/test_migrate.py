"""The migrations make exactly the tables that the code knows, once, whoever starts when."""

import asyncio
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from procrastinate.schema import SchemaManager
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import AsyncEngine

from api import database, migrate, migrations
from api.migrate import MARK, QUEUE_TABLE, SchemaTooNew, Versions
from api.store.tables import metadata

UPGRADE = "import asyncio, sys; from api import migrate; asyncio.run(migrate.upgrade(sys.argv[1]))"
QUEUE_STEPS = sorted(Path(SchemaManager.get_migrations_path()).glob("*.sql"))
QUEUE_OBJECTS = """
    SELECT 'function', oid::regprocedure::text, prosrc FROM pg_proc WHERE proname LIKE 'procrastinate%'
    UNION ALL SELECT 'column', table_name || '.' || column_name, data_type || coalesce(column_default, '')
    FROM information_schema.columns WHERE table_name LIKE 'procrastinate%'
    UNION ALL SELECT 'index', indexname, indexdef FROM pg_indexes WHERE tablename LIKE 'procrastinate%'
    UNION ALL SELECT 'trigger', tgname, pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal
    ORDER BY 1, 2, 3
"""


def differences(connection: Connection) -> list[object]:
    options = {
        "compare_server_default": True,
        "include_name": lambda name, kind, parents: kind != "table" or not name.startswith("procrastinate_"),
    }
    return list(compare_metadata(MigrationContext.configure(connection, opts=options), metadata))


def versions(dsn: str) -> Versions:
    async def story() -> Versions:
        async with database.engine(dsn, pooled=False).connect() as connection:
            return await connection.run_sync(migrate.found)

    return asyncio.run(story())


def run(dsn: str, *statements: str) -> None:
    with psycopg.connect(dsn, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement)  # type: ignore[call-overload]


def test_the_migrations_make_exactly_the_tables_that_the_code_knows(engine: AsyncEngine) -> None:
    async def story() -> list[object]:
        async with engine.connect() as connection:
            return await connection.run_sync(differences)

    assert asyncio.run(story()) == []


def test_the_newest_step_is_the_one_that_the_code_names() -> None:
    folder = ScriptDirectory(str(Path(migrations.__file__).parent))
    assert folder.get_heads() == [migrate.HEAD]
    assert [step.revision for step in folder.walk_revisions()] == sorted(
        (step.revision for step in folder.walk_revisions()), reverse=True
    ), "steps are compared as text"


def test_processes_that_migrate_at_the_same_moment_all_succeed(empty_dsn: str) -> None:
    with psycopg.connect(empty_dsn) as gate:
        gate.execute("SELECT pg_advisory_lock(%s)", [migrate.LOCK])  # until all of them stand before it
        started = [subprocess.Popen([sys.executable, "-c", UPGRADE, empty_dsn]) for _ in range(3)]
        waiting = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted AND objid::bigint = %s"
        with psycopg.connect(empty_dsn, autocommit=True) as looker:
            while looker.execute(waiting, [migrate.LOCK]).fetchone() != (3,):
                assert all(process.poll() is None for process in started)
        gate.execute("SELECT pg_advisory_unlock(%s)", [migrate.LOCK])
    assert [process.wait(60) for process in started] == [0, 0, 0]
    assert versions(empty_dsn) == migrate.known()


def test_a_current_database_is_not_locked_or_changed(dsn: str) -> None:
    with psycopg.connect(dsn) as holder:
        holder.execute("SELECT pg_advisory_lock(%s)", [migrate.LOCK])
        asyncio.run(asyncio.wait_for(migrate.upgrade(dsn), 30))
    assert versions(dsn) == migrate.known()


def test_a_migrated_database_has_had_every_step(empty_dsn: str) -> None:
    asyncio.run(migrate.upgrade(empty_dsn))
    assert versions(empty_dsn) == migrate.known()


def test_an_empty_database_has_had_no_step(empty_dsn: str) -> None:
    assert versions(empty_dsn) == Versions(tables=None, queue=None)


@pytest.mark.parametrize(
    "newer",
    ["UPDATE alembic_version SET version_num = '9999'", f"COMMENT ON TABLE {QUEUE_TABLE} IS '{MARK}99.00.00_01_later'"],
)
def test_a_database_of_a_newer_release_is_refused_untouched(dsn: str, newer: str) -> None:
    run(dsn, newer)
    before = versions(dsn)
    with pytest.raises(SchemaTooNew, match=r"database: expected .* or older.*, got .*; install the release"):
        asyncio.run(migrate.upgrade(dsn))
    assert versions(dsn) == before


def test_an_older_queue_is_brought_to_the_same_schema_as_a_new_one(dsn: str, empty_dsn: str) -> None:
    index = next(index for index, step in enumerate(QUEUE_STEPS) if step.name.startswith("03.02.00_50"))
    old = [step.read_text() for step in QUEUE_STEPS[: index + 1]]
    run(empty_dsn, *old, f"COMMENT ON TABLE {QUEUE_TABLE} IS '{MARK}{QUEUE_STEPS[index].stem}'")
    with psycopg.connect(empty_dsn) as upgraded, psycopg.connect(dsn) as new:
        wanted = new.execute(QUEUE_OBJECTS).fetchall()
        assert upgraded.execute(QUEUE_OBJECTS).fetchall() != wanted
        upgraded.rollback()
        asyncio.run(migrate.upgrade(empty_dsn))
        assert {row[:2] for row in upgraded.execute(QUEUE_OBJECTS)} == {row[:2] for row in wanted}
    assert versions(empty_dsn) == migrate.known()


def test_names_of_machines_leave_the_histories_that_readers_see(empty_dsn: str) -> None:
    first = Path(migrations.__file__).parent / "versions" / "r0001_initial.sql"
    run(empty_dsn, *filter(str.strip, first.read_text().split(";\n")))
    run(empty_dsn, "CREATE TABLE alembic_version (version_num varchar(32) PRIMARY KEY)")
    run(empty_dsn, "INSERT INTO alembic_version VALUES ('0001')")
    run(empty_dsn, "INSERT INTO artifacts VALUES ('a', 1, NULL, NULL, 'ann')")
    row = "artifact_sha256, valset_sha256, track_sha256, track_name, track, verifier_version, hardware_class, dtype"
    lost = "'a', '', '', 'local', '{}', '1', 'cpu', 'float32'"
    run(
        empty_dsn,
        f"INSERT INTO jobs (id, state, {row}, worker, lost_workers, code, message) VALUES ('1', 'failed', {lost}, "
        "'golf-7/41', '{golf-7/41,golf-8/2}', 'worker-lost', '2 workers were lost: golf-7/41, golf-8/2')",
        f"INSERT INTO jobs (id, state, {row}) VALUES ('2', 'queued', {lost})",
        "INSERT INTO events (job_id, run, attempt, state, detail) VALUES ('1', 1, 1, 'running', 'taken by golf-7/41'), "
        "('1', 1, 1, 'queued', 'golf-7/41 was lost'), ('2', 1, 0, 'queued', NULL)",
    )
    asyncio.run(migrate.upgrade(empty_dsn))
    with psycopg.connect(empty_dsn) as connection:
        details = connection.execute("SELECT detail FROM events ORDER BY id").fetchall()
        assert details == [("taken by a worker",), ("a worker was lost",), (None,)]
        said = connection.execute("SELECT worker, lost_workers, message FROM jobs ORDER BY id").fetchall()
    assert said == [("a worker", ["a worker", "a worker"], "2 workers were lost: a worker, a worker"), (None, [], None)]


def test_a_failed_upgrade_leaves_the_database_as_it_was(empty_dsn: str) -> None:
    run(empty_dsn, "CREATE TABLE submissions ()")  # stands in the way of ours
    with pytest.raises(Exception, match="already exists"):
        asyncio.run(migrate.upgrade(empty_dsn))
    assert versions(empty_dsn) == Versions(tables=None, queue=None)
    with psycopg.connect(empty_dsn) as connection:
        assert connection.execute("SELECT to_regclass('jobs')").fetchone() == (None,)
