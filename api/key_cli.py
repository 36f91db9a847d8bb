"""`seedgolf rotate-key` and `seedgolf retire-key`: which keys a server's workers may sign with."""

import asyncio
from pathlib import Path

import click

from api import database, keyring
from api.cli_settings import data_option, faults_told, settings_with
from api.server_database import reached
from api.store import keys
from artifact.usage_fault import UsageFault
from verifier.keys import PublicKey


@click.command("rotate-key", epilog="Example: seedgolf rotate-key --data /srv/seedgolf")
@data_option
def rotate_key(data: Path | None) -> None:
    """Put a new signing key in the old one's place and retire the old one.

    Running workers that read this file sign with the new key within seconds; workers elsewhere that hold a copy of the
    old one end until their file is replaced, too. Reports signed before stay valid: the old key stays in /keys.
    """
    settings = settings_with(data=data)
    if not settings.key_file.is_file():
        raise UsageFault(f"{settings.key_file}: expected a signing key, got none; the first worker makes it")
    with faults_told(), reached(settings) as dsn:
        old, new = keyring.rotate(settings.key_file)
        click.echo(f"old key  {old.public.keyid}\nnew key  {new.public.keyid}")
        asyncio.run(_replace(dsn, old.public, new.public))


@click.command("retire-key", epilog="Example: seedgolf retire-key 4d1e... --data /srv/seedgolf")
@click.argument("keyid", metavar="KEYID")
@data_option
def retire_key(keyid: str, data: Path | None) -> None:
    """Take a key out of use for good: of a machine that is gone, or a file that somebody else may have read.

    KEYID is the whole id, as /keys shows it. Workers that still hold the key give their job back and end. Reports of
    before still verify with it: who trusts them no longer leaves the key out of `seedgolf report verify`.
    """
    with faults_told(), reached(settings_with(data=data)) as dsn:
        retired = asyncio.run(_retire(dsn, keyid))
    if not retired:
        raise UsageFault(f"key {keyid!a}: expected the id of a key in use, got none; /keys lists them")
    click.echo(f"retired {keyid}", err=True)


async def _replace(dsn: str, old: PublicKey, new: PublicKey) -> None:
    async with database.engine(dsn, pooled=False).begin() as connection:
        await keys.publish(connection, old)  # one that no worker has announced yet is retired, too
        await keys.publish(connection, new)
        await keys.retire(connection, old.keyid)


async def _retire(dsn: str, keyid: str) -> bool:
    async with database.engine(dsn, pooled=False).begin() as connection:
        return await keys.retire(connection, keyid)
