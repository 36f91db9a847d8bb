"""DSNs in every form that libpq takes, and a database that does not answer."""

import asyncio
from pathlib import Path
from urllib.parse import quote, urlencode

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from api import database
from api.patience import Patience


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
    others = {name: value for name, value in given.items() if name not in {"user", "dbname"}}
    url = f"postgresql://{given['user']}@/{given['dbname']}?{urlencode(others, quote_via=quote)}"
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


def test_a_worker_says_once_that_its_database_is_away_and_once_that_it_is_back(
    caplog: pytest.LogCaptureFixture,
) -> None:
    absences = 3

    async def statement() -> str:
        nonlocal absences
        absences -= 1
        if absences >= 0:
            raise OperationalError("SELECT 1", {}, psycopg.OperationalError("no socket there\nmore"))
        return "answer"

    assert asyncio.run(Patience(60).call(statement)) == "answer"
    assert [record.getMessage() for record in caplog.records] == [
        "the database does not answer; tried again for 60 s: no socket there",
        "the database answers again",
    ]
