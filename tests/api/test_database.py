"""DSNs in every form that libpq takes, and a database that does not answer."""

import asyncio
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from api import database


@pytest.mark.parametrize(
    "dsn",
    [
        "postgresql://ada:s%40crt@db.example:5433/golf?sslmode=verify-full",
        "postgresql+psycopg://ada:s%40crt@db.example:5433/golf?sslmode=verify-full",
        "host=db.example port=5433 user=ada password=s@crt dbname=golf sslmode=verify-full",
    ],
)
def test_a_dsn_keeps_what_it_says_and_gets_what_notices_a_dead_server(dsn: str) -> None:
    options = conninfo_to_dict(database.psycopg_dsn(dsn))
    said = {name: options.pop(name) for name in ("host", "port", "user", "password", "dbname", "sslmode")}
    assert list(said.values()) == ["db.example", "5433", "ada", "s@crt", "golf", "verify-full"]
    assert options == database.DEFAULTS


def test_a_dsn_may_set_our_options_otherwise() -> None:
    options = conninfo_to_dict(database.psycopg_dsn("postgresql:///golf?tcp_user_timeout=9000&connect_timeout=2"))
    assert (options["tcp_user_timeout"], options["connect_timeout"]) == ("9000", "2")


def test_a_socket_folder_with_an_empty_host_works_for_both_drivers(dsn: str) -> None:
    given = conninfo_to_dict(dsn)
    url = f"postgresql://{given['user']}@/{given['dbname']}?host={given['host']}"
    with psycopg.connect(database.psycopg_dsn(url)) as connection:
        assert connection.execute("SHOW application_name").fetchone() == ("seedgolf",)

    async def story() -> object:
        async with database.engine(url, pooled=False).connect() as connection:
            return (await connection.execute(text("SELECT current_database()"))).scalar()

    assert asyncio.run(story()) == given["dbname"]


def test_an_engine_does_not_show_its_password() -> None:
    assert "s3cret" not in repr(database.engine("postgresql://ada:s3cret@db/golf"))


def test_waiting_for_a_database_ends_with_its_last_answer(tmp_path: Path) -> None:
    engine = database.engine(f"postgresql://ada@/golf?host={tmp_path}", pooled=False)
    with pytest.raises(OperationalError, match="No such file or directory"):
        asyncio.run(database.wait_until_up(engine, 0.2))


def test_waiting_for_a_database_that_is_up_returns(dsn: str) -> None:
    asyncio.run(database.wait_until_up(database.engine(dsn, pooled=False), 0.0))
