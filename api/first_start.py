"""What a server needs before its first request, made where it is missing: tables, an admin token, the demo set."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from api import database, migrate
from api.settings import Settings
from api.store import tokens
from api.store.tokens import Scope, Token

ADMIN: Final = "admin"
LINK_SECONDS: Final = 900


async def prepare(settings: Settings) -> str:
    """Make what is missing; returns a code for one login as the administrator, good for `LINK_SECONDS`.

    Raises:
        SchemaTooNew: the database belongs to a newer release.
        sqlalchemy.exc.OperationalError, InterfaceError: it does not answer.
        OSError: a file of the server's folder cannot be read or written.
    """
    assert settings.database is not None
    await migrate.upgrade(settings.database)
    engine = database.engine(settings.database, pooled=False)
    async with engine.begin() as connection:
        token = await admin_token(connection, settings.token_file)
        return await tokens.new_link(connection, token.id, LINK_SECONDS)


def add_demo(settings: Settings, *, announce: bool) -> None:
    """Register the validation set that every machine has.

    Args:
        settings: the server's; its database is up and migrated.
        announce: write down what its workers can score on, as they do once they run: the first upload may come before.

    Raises:
        DataError: it cannot be made here.
        OSError: the folder of sets cannot be read or written.
        sqlalchemy.exc.OperationalError, InterfaceError: the database does not answer.
    """
    from api.store import valsets  # noqa: PLC0415 - meanwhile the API, which needs none of it yet, starts
    from verifier.valset_registry import Registry  # noqa: PLC0415 - the same

    registry = Registry(folder=settings.valset_folder)
    registry.add_demo()
    if announce:
        publish = partial(valsets.publish, hardware_class=settings.worker_class, registrations=registry.registrations())
        asyncio.run(_write(settings, publish))


async def _write(settings: Settings, statements: Callable[[AsyncConnection], Awaitable[None]]) -> None:
    assert settings.database is not None
    engine = database.engine(settings.database, pooled=False)
    async with engine.begin() as connection:
        await statements(connection)


async def admin_token(connection: AsyncConnection, file: Path) -> Token:
    """The administrator's token in `file`; a new one where there is none that the database knows."""
    found = await tokens.find(connection, file.read_text().strip()) if file.is_file() else None
    if found and found.allows(Scope.ADMIN):
        return found
    made = await tokens.new(connection, owner=ADMIN, scopes=list(Scope))
    _write_private(file, f"{made.text}\n")
    return made.token


def _write_private(file: Path, text: str) -> None:
    """Write a file that only its owner can read, from its first byte on."""
    partial = file.with_name(f".{file.name}.partial")
    partial.unlink(missing_ok=True)
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as opened:
        opened.write(text)
        opened.flush()
        os.fsync(opened.fileno())
    partial.replace(file)
