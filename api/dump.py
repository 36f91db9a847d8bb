"""Dump a server's database into one file and restore it, by PostgreSQL's own programs.

A dump is one consistent state. Artifacts are written before the rows that name them, so a copy of the blobs made after
the dump holds every artifact that it names.
"""

import os
from pathlib import Path
from typing import Any, Final

from psycopg import Connection
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from api import child, database
from api.postgres_binaries import CLIENT, Binaries, find
from api.settings import inherited

RELEASE: Final = 10_000
"""server_version_num is the release times this, plus the minor one."""
TABLES: Final = """
    SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p', 'v', 'm', 'S') AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')
"""


class DumpFailed(RuntimeError):
    """The dump or the restore did not happen; the message ends with PostgreSQL's own words."""


def dump(dsn: str, file: Path, *, binaries: Path | None = None) -> None:
    """Write the database at `dsn` to `file`, in PostgreSQL's custom format; only its owner can read it.

    Raises:
        DumpFailed, NoPostgres: it cannot be written; nothing is left of it.
        FileExistsError: there is such a file.
        psycopg.OperationalError: the database does not answer.
    """
    os.close(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    try:
        _call("pg_dump", dsn, ["--format=custom", f"--file={file}"], binaries)
    except BaseException:
        file.unlink(missing_ok=True)
        raise


def restore(dsn: str, file: Path, *, binaries: Path | None = None) -> None:
    """Fill the empty database at `dsn` from `file`, wholly or not at all.

    Raises:
        DumpFailed, NoPostgres: the database is not empty, or the file is no dump.
        psycopg.OperationalError: the database does not answer.
    """
    with Connection.connect(database.psycopg_dsn(dsn)) as connection:
        row = connection.execute(TABLES).fetchone()
    if row is None or row[0]:
        raise DumpFailed(
            f"database: expected an empty one, got {row[0] if row else 'no'} tables; restore into a new one"
        )
    _call("pg_restore", dsn, ["--single-transaction", "--exit-on-error", str(file.absolute())], binaries)


def _call(name: str, dsn: str, arguments: list[str], setting: Path | None) -> None:
    target: dict[str, Any] = conninfo_to_dict(database.psycopg_dsn(dsn))
    password = target.pop("password", None)  # every user of the machine reads a command line
    environ = inherited() | ({"PGPASSWORD": str(password)} if password else {})
    program = [
        _binaries(dsn, setting).path(name),
        "--no-owner",
        "--no-privileges",
        f"--dbname={make_conninfo(**target)}",
    ]
    done = child.call([*program, *arguments], environ=environ)
    if done.returncode != 0:
        raise DumpFailed(f"{name}: {done.stdout.decode(errors='replace').strip() or 'it said nothing'}")


def _binaries(dsn: str, setting: Path | None) -> Binaries:
    with Connection.connect(database.psycopg_dsn(dsn)) as connection:
        release = connection.info.server_version // RELEASE
    return find(CLIENT, setting=setting, fits=lambda found: found >= release, wanted=f"release {release} or newer")
