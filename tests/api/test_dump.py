"""Dumps: one consistent state out, the same state in, and never over something that is there."""

import stat
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from api import dump
from api.dump import DumpFailed

PROGRAM = """#!/bin/sh
case "$1" in --version) echo "{name} (PostgreSQL) 99.1";; *) echo "$PGPASSWORD | $*"; exit 1;; esac
"""


def owners(dsn: str) -> list[tuple[object, ...]]:
    with psycopg.connect(dsn) as connection:
        return connection.execute("SELECT owner FROM tokens ORDER BY owner").fetchall()


@pytest.fixture
def filled(dsn: str) -> str:
    with psycopg.connect(dsn) as connection:
        for owner in ("ada", "Ünïcödé"):
            connection.execute(
                "INSERT INTO tokens (id, secret_sha256, owner, scopes) VALUES (%s, %s, %s, '{read}')",
                [owner, b"\x00\xff", owner],
            )
    return dsn


def test_a_dump_is_restored_as_it_was(filled: str, empty_dsn: str, tmp_path: Path) -> None:
    file = tmp_path / "backup.dump"
    dump.dump(filled, file)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    dump.restore(empty_dsn, file)
    assert owners(empty_dsn) == owners(filled) == [("ada",), ("Ünïcödé",)]


def test_a_database_that_is_not_empty_is_not_restored_into(filled: str, tmp_path: Path) -> None:
    file = tmp_path / "backup.dump"
    dump.dump(filled, file)
    with pytest.raises(DumpFailed, match=r"expected an empty one, got \d+ tables"):
        dump.restore(filled, file)
    assert owners(filled) == [("ada",), ("Ünïcödé",)]


def test_a_file_that_is_no_dump_restores_nothing(empty_dsn: str, tmp_path: Path) -> None:
    file = tmp_path / "backup.dump"
    file.write_bytes(b"PGDMP but not more")
    with pytest.raises(DumpFailed, match="pg_restore: "):
        dump.restore(empty_dsn, file)
    with psycopg.connect(empty_dsn) as connection:
        assert connection.execute("SELECT to_regclass('tokens')").fetchone() == (None,)


def test_a_dump_never_replaces_a_file(filled: str, tmp_path: Path) -> None:
    file = tmp_path / "backup.dump"
    file.write_text("kept")
    with pytest.raises(FileExistsError):
        dump.dump(filled, file)
    assert file.read_text() == "kept"


def test_a_password_is_not_on_the_command_line_and_a_failed_dump_leaves_no_file(dsn: str, tmp_path: Path) -> None:
    for name in ("pg_dump", "pg_restore"):
        (tmp_path / name).write_text(PROGRAM.format(name=name))
        (tmp_path / name).chmod(0o755)
    file = tmp_path / "backup.dump"
    secret = str(conninfo_to_dict(dsn).get("password") or "s3cret")  # an external server wants its own
    with pytest.raises(DumpFailed) as caught:
        dump.dump(make_conninfo(dsn, password=secret), file, binaries=tmp_path)
    password, arguments = str(caught.value).removeprefix("pg_dump: ").split(" | ")
    assert password == secret
    assert secret not in arguments
    assert not file.exists()
