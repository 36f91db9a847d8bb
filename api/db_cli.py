"""`seedgolf db`: bring a server's database up to date, dump it, restore it."""

import asyncio
from pathlib import Path

import click

from api import dump as dumping
from api import migrate
from api.cli_settings import data_option, faults_told, settings_with
from api.server_database import reached


@click.group()
def db() -> None:
    """Upgrade, dump and restore a server's database."""


@db.command(epilog="Example: seedgolf db upgrade --data server")
@data_option
def upgrade(data: Path | None) -> None:
    """Make the tables, or bring older ones up to date.

    `seedgolf serve` and `seedgolf worker` do it at their start; several at once wait for one another.
    """
    with faults_told(), reached(settings_with(data=data)) as dsn:
        asyncio.run(migrate.upgrade(dsn))
    click.echo(f"the tables are those of step {migrate.known().tables}", err=True)


@db.command(epilog="Example: seedgolf db dump backup.dump --data server")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@data_option
def dump(file: Path, data: Path | None) -> None:
    """Write one consistent state to FILE.

    The server may run meanwhile. Copy the artifacts, the signing keys and the validation sets after it: FILE does not
    hold them.
    """
    settings = settings_with(data=data)
    with faults_told(), reached(settings) as dsn:
        dumping.dump(dsn, file, binaries=settings.postgres)
    click.echo(
        f"{file}: {file.stat().st_size:,} bytes; copy these next, for it does not hold them:\n"
        f"  artifacts        {settings.blob_url}\n"
        f"  signing key      {_here(settings.key_file)}\n"
        f"  validation sets  {_here(settings.valset_folder)}",
        err=True,
    )


def _here(path: Path) -> str:
    """A path of the workers, who may be elsewhere."""
    return str(path) if path.exists() else "with the workers, not here"


@db.command(epilog="Example: seedgolf db restore backup.dump --data new-server")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@data_option
def restore(file: Path, data: Path | None) -> None:
    """Fill an empty database from FILE, a dump.

    A dump of an older release is upgraded.
    Start the server afterwards, with the artifacts and the signing keys put back in their places.
    """
    settings = settings_with(data=data)
    with faults_told(), reached(settings, make=True) as dsn:
        dumping.restore(dsn, file, binaries=settings.postgres)
        asyncio.run(migrate.upgrade(dsn))
    click.echo(f"restored from {file}", err=True)
