"""A PostgreSQL for the tests: one server a test process, one database a test, copied from a migrated template.

SEEDGOLF_TEST_DSN names an external server instead (its role must be allowed to create databases).

    dsn       a fresh migrated database                 empty_dsn   a fresh database without tables
    engine    an AsyncEngine on `dsn`, usable in any event loop: `asyncio.run(story(engine))`
    arena     a tiny validation set with a good artifact
    service   the API in this process, emptied for each test; its workers are said to have the arena's set
"""

import asyncio
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo
from sqlalchemy.ext.asyncio import AsyncEngine

from api import database, migrate
from api.embedded_postgres import EmbeddedPostgres

if TYPE_CHECKING:
    from tests.api.service import Service
    from tests.verifier.entries import Arena


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """DSN of a server of which every database may be made and dropped."""
    external = os.environ.get("SEEDGOLF_TEST_DSN")
    if external:
        yield external
        return
    with EmbeddedPostgres(tmp_path_factory.mktemp("server"), throwaway=True) as server:
        yield server.dsn


@pytest.fixture(scope="session")
def template(postgres: str) -> Iterator[str]:
    """Name of a migrated database that nobody is connected to."""
    with _new_database(postgres) as dsn:
        asyncio.run(migrate.upgrade(dsn))
        yield _name(dsn)


@pytest.fixture
def dsn(postgres: str, template: str) -> Iterator[str]:
    with _new_database(postgres, template=template) as dsn:
        yield dsn


@pytest.fixture
def empty_dsn(postgres: str) -> Iterator[str]:
    with _new_database(postgres) as dsn:
        yield dsn


@pytest.fixture
def engine(dsn: str) -> AsyncEngine:
    return database.engine(dsn, pooled=False)


@pytest.fixture(scope="session")
def arena(tmp_path_factory: pytest.TempPathFactory) -> "Arena":
    from tests.verifier.entries import open_arena  # torch: only for the tests that need it

    return open_arena(tmp_path_factory.mktemp("arena"))


@pytest.fixture(scope="session")
def _running_service(postgres: str, template: str, tmp_path_factory: pytest.TempPathFactory) -> "Iterator[Service]":
    from api.settings import Settings
    from tests.api.service import running

    with (
        _new_database(postgres, template=template) as dsn,
        running(Settings(data=tmp_path_factory.mktemp("service"), database=dsn)) as service,
    ):
        yield service


@pytest.fixture
def service(_running_service: "Service", arena: "Arena") -> "Service":
    from tests.api.service import fresh

    return fresh(_running_service, arena)


@contextmanager
def _new_database(server: str, *, template: str = "template0") -> Iterator[str]:
    name = f"test_{uuid4().hex}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(name), sql.Identifier(template))
        )
    try:
        yield make_conninfo(server, dbname=name)
    finally:
        with psycopg.connect(server, autocommit=True) as connection:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def _name(dsn: str) -> str:
    return str(psycopg.conninfo.conninfo_to_dict(dsn)["dbname"])
