"""The commands around a server: tokens, database, and what they say when there is none."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click
import psycopg
import pytest
from click.testing import CliRunner, Result

from api import database
from api.cli import serve, worker
from api.data_folder import locked
from api.db_cli import db
from api.key_cli import retire_key, rotate_key
from api.store import tokens
from api.token_cli import token

COMMANDS = [serve, worker, rotate_key, retire_key, *db.commands.values(), *token.commands.values()]


def run(command: click.Command, *arguments: str, dsn: str | None = None, **settings: str) -> Result:
    environ = {"SEEDGOLF_DATABASE": dsn or "", "SEEDGOLF_DATA": ""} | settings
    result = CliRunner().invoke(command, arguments, env=environ)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def owner_of(dsn: str, text: str) -> str | None:
    async def story() -> str | None:
        async with database.engine(dsn, pooled=False).begin() as connection:
            found = await tokens.find(connection, text)
            return found.owner if found else None

    return asyncio.run(story())


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: str(command.name))
def test_every_commands_help_has_an_example(command: click.Command) -> None:
    assert "Example: seedgolf " in run(command, "--help").stdout


def test_a_token_is_made_listed_and_revoked(dsn: str) -> None:
    text = run(token, "new", "--owner", "ada", dsn=dsn).stdout.strip()
    assert owner_of(dsn, text) == "ada"
    (listed,) = json.loads(run(token, "list", "--json", dsn=dsn).stdout)
    assert (listed["owner"], listed["scopes"], listed["expires_at"]) == ("ada", ["read", "submit"], None)
    assert "ada" in run(token, "list", dsn=dsn).stdout
    assert text.split("_", 2)[2] not in run(token, "list", dsn=dsn).stdout
    assert run(token, "revoke", listed["id"], dsn=dsn).exit_code == 0
    assert owner_of(dsn, text) is None
    again = run(token, "revoke", listed["id"], dsn=dsn)
    assert (again.exit_code, again.stderr.count("expected one that is not revoked")) == (2, 1)


def test_a_narrow_list_of_tokens_shows_whole_ids_and_dates_for_these_are_what_revoking_needs(dsn: str) -> None:
    made = ("--owner", "a-rather-long-owner@example.org", "--scope", "admin", "--scope", "read", "--scope", "submit")
    run(token, "new", *made, "--expires", "2031-12-31", dsn=dsn)
    (listed,) = json.loads(run(token, "list", "--json", dsn=dsn).stdout)
    run(token, "revoke", listed["id"], dsn=dsn)
    shown = run(token, "list", dsn=dsn, COLUMNS="80").stdout
    assert all(word in shown for word in (listed["id"], listed["created_at"][:10], "2031-12-31"))
    assert "…" not in shown


def test_a_token_gets_the_scopes_and_the_expiry_that_are_named(dsn: str) -> None:
    arguments = ["--scope", "admin", "--expires", "12h", "--json"]
    made = json.loads(run(token, "new", "--owner", "ci", *arguments, dsn=dsn).stdout)
    assert made["scopes"] == ["admin"]
    left = datetime.fromisoformat(made["expires_at"]) - datetime.now(UTC)
    assert timedelta(hours=11.9) < left <= timedelta(hours=12)
    assert owner_of(dsn, made["token"]) == "ci"


@pytest.mark.parametrize("when", ["yesterday", "0d", "-1h", "30", "2001-01-01", "9999999d", "2031-02-30", ""])
def test_an_expiry_that_is_none_is_refused(when: str) -> None:
    result = run(token, "new", "--owner", "ada", "--expires", when)
    assert result.exit_code == 2
    assert "expected 30d, 12h or a coming date" in " ".join(result.stderr.split())


@pytest.mark.parametrize("owner", ["", "a b", "\u202eada", "a" * 65, "-ada"])
def test_an_owner_is_a_plain_name(owner: str) -> None:
    result = run(token, "new", f"--owner={owner}")
    assert result.exit_code == 2
    assert "expected up to 64 of" in " ".join(result.stderr.split())


def test_a_link_logs_in_once_as_the_tokens_holder(dsn: str) -> None:
    made = json.loads(run(token, "new", "--owner", "ada", "--json", dsn=dsn).stdout)
    address = run(token, "link", made["id"], dsn=dsn, SEEDGOLF_BASE_URL="https://golf.example/").stdout.strip()
    url, code = address.split("/login?link=")
    assert url == "https://golf.example"

    async def story() -> list[bool]:
        async with database.engine(dsn, pooled=False).begin() as connection:
            return [await tokens.redeem_link(connection, code) is not None for _ in range(2)]

    assert asyncio.run(story()) == [True, False]
    assert run(token, "link", "000000000000", dsn=dsn).exit_code == 2


def test_a_whole_token_stands_for_its_id_and_its_secret_is_not_shown_again(dsn: str) -> None:
    text = run(token, "new", "--owner", "ada", dsn=dsn).stdout.strip()
    revoked = run(token, "revoke", text, dsn=dsn)
    assert (revoked.exit_code, revoked.stderr) == (0, f"revoked {text.split('_')[1]}\n")
    again = run(token, "revoke", text, dsn=dsn)
    assert again.exit_code == 2
    assert text.split("_", 2)[2] not in again.stderr


def test_a_link_names_the_address_that_the_running_server_wrote_down(dsn: str, tmp_path: Path) -> None:
    made = json.loads(run(token, "new", "--owner", "ada", "--json", dsn=dsn).stdout)
    (tmp_path / "address").write_text("https://golf.example\n")
    link = run(token, "link", made["id"], "--data", str(tmp_path), dsn=dsn).stdout
    assert link.startswith("https://golf.example/login?link=")


def test_upgrade_makes_the_tables_of_an_external_database(empty_dsn: str) -> None:
    assert run(db, "upgrade", dsn=empty_dsn).exit_code == 0
    with psycopg.connect(empty_dsn) as connection:
        assert connection.execute("SELECT count(*) FROM jobs").fetchone() == (0,)


def test_dump_and_restore_move_a_server_into_a_new_folder(dsn: str, tmp_path: Path) -> None:
    text = run(token, "new", "--owner", "ada", dsn=dsn).stdout.strip()
    file, data = str(tmp_path / "backup.dump"), str(tmp_path / "new")
    dumped = run(db, "dump", file, dsn=dsn)
    assert dumped.exit_code == 0
    assert "file:///" in dumped.stderr, "says where the artifacts lie"
    assert "signing key      with the workers, not here" in dumped.stderr, "names no file that is not there"
    restored = run(db, "restore", file, "--data", data)
    assert restored.exit_code == 0, restored.stderr
    (listed,) = json.loads(run(token, "list", "--json", "--data", data).stdout)
    assert text.split("_")[1] == listed["id"]
    again = run(db, "dump", file, dsn=dsn)
    assert (again.exit_code, again.stderr) == (2, f"Error: {file}: File exists\n"), "a dump is never written over"
    second = run(db, "restore", file, "--data", data)
    assert (second.exit_code, second.stderr.count("expected an empty one")) == (2, 1)


def test_a_newer_databases_refusal_is_one_line(dsn: str) -> None:
    with psycopg.connect(dsn) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    result = run(db, "upgrade", dsn=dsn)
    assert result.exit_code == 2
    assert result.stderr.startswith("Error: database: expected tables of step 0002 or older")


@pytest.mark.parametrize("arguments", [["token", "list"], ["db", "upgrade"], ["worker"]], ids=" ".join)
def test_a_folder_without_a_server_is_named_and_left_alone(arguments: list[str], tmp_path: Path) -> None:
    data = tmp_path / "none"
    group = {"token": token, "db": db, "worker": worker}[arguments[0]]
    result = run(group, *arguments[1:], "--data", str(data))
    assert result.exit_code == 2
    assert result.stderr.startswith(f"Error: {data}: expected ")
    assert not data.exists()


def test_a_second_server_on_a_folder_is_refused_and_names_the_first(tmp_path: Path) -> None:
    with locked(tmp_path):
        result = run(serve, "--data", str(tmp_path))
    assert result.exit_code == 2
    assert "expected a folder that no server uses, got one of process" in result.stderr


def test_a_database_that_is_down_is_told_in_one_line(tmp_path: Path) -> None:
    result = run(token, "list", dsn=f"postgresql://ada@/golf?host={tmp_path}")
    assert result.exit_code == 2
    assert result.stderr.startswith("Error: database: connection")
    assert len(result.stderr.splitlines()) == 1


def test_a_wrong_setting_is_named(tmp_path: Path) -> None:
    result = run(serve, "--data", str(tmp_path), SEEDGOLF_PORT="many")
    assert result.exit_code == 2
    assert "SEEDGOLF_PORT" in result.stderr
