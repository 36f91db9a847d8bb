"""`seedgolf serve` and `seedgolf worker`: the processes of a server."""

import asyncio
import os
import shlex
import sys
from pathlib import Path
from typing import Final

import click

from api import supervisor
from api.cli_settings import data_option, faults_told, settings_with
from api.hardware_class import HardwareClass
from api.settings import inherited
from api.supervisor import Serving

CLASSES: Final = click.Choice([each.value for each in HardwareClass])


@click.command(epilog="Example: seedgolf serve --data server --port 8765 --workers 2")
@data_option
@click.option("--host", help="Address to listen at.  [default: SEEDGOLF_HOST, or 127.0.0.1]")
@click.option("--port", type=click.IntRange(0, 65535), help="0 takes a free one.  [default: SEEDGOLF_PORT, or 8765]")
@click.option("--workers", type=click.IntRange(0, 256), default=1, show_default=True, help="Processes that verify.")
def serve(data: Path | None, host: str | None, port: int | None, workers: int) -> None:
    """Run a verification server: database, API and workers, until ctrl-C.

    Everything that it keeps lies in its folder. With SEEDGOLF_DATABASE it uses that PostgreSQL instead of its own.
    """
    with faults_told():
        settings = settings_with(data=data, host=host, port=port)
        _say(f"starting in {settings.data}")
        supervisor.serve(settings, workers=workers, ready=_greet, say=_say)
    _say("stopped")


@click.command(epilog="Example: seedgolf worker --class gpu --data server")
@click.option("--class", "worker_class", type=CLASSES, help="Jobs to take.  [default: SEEDGOLF_WORKER_CLASS, or cpu]")
@data_option
def worker(worker_class: str | None, data: Path | None) -> None:
    """Add a worker to a running server; one for each GPU.

    On the server's own machine --data finds it. Elsewhere SEEDGOLF_DATABASE and SEEDGOLF_BLOBS say where it is.
    """
    from api import device, migrate  # noqa: PLC0415 - `serve` imports what it needs while its API starts
    from api.first_start import add_demo  # noqa: PLC0415 - the same
    from api.server_database import running  # noqa: PLC0415 - the same

    with faults_told():
        settings = settings_with(data=data, worker_class=worker_class)
        device.check(settings.worker_class, inherited())
        dsn = running(settings)
        settings = settings.replaced(database=dsn)
        asyncio.run(migrate.upgrade(dsn))
        add_demo(settings, announce=False)
        os.execve(sys.executable, [sys.executable, "-P", "-m", supervisor.WORKER], supervisor.hand_on(settings))  # noqa: S606 - ours


def _greet(serving: Serving) -> None:
    settings, token = serving.settings, serving.settings.token_file
    minutes = serving.login_seconds // 60
    workers = f"{serving.workers} {settings.worker_class} worker{'s' * (serving.workers != 1)}"
    click.echo(
        f"seedgolf serves {settings.url} with {workers}; ctrl-C stops it\n"
        f"  folder        {settings.data}\n"
        f"  admin token   {token}\n"
        f"  log in once   {settings.url}/login?link={serving.login_code}  (within {minutes} minutes)\n"
        f"  submit        seedgolf submit FILE --server {settings.url}\n"
        f'  or            curl -H "Authorization: Bearer $(cat {shlex.quote(str(token))})" '
        f'-F file=@FILE "{settings.url}/verify?wait=60"'
    )


def _say(sentence: str) -> None:
    click.echo(f"seedgolf serve: {sentence}", err=True)
