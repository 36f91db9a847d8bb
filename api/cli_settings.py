"""What the server's commands share: the option for its folder, and faults as one clear line instead of a traceback."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
import psycopg
from sqlalchemy.exc import DBAPIError

from api.data_folder import FolderInUse
from api.dump import DumpFailed
from api.migrate import SchemaTooNew
from api.postgres_errors import PostgresError
from api.server_database import NoServer
from api.settings import BadSetting, Settings, load
from api.supervisor import ServeFailed
from verifier.data_errors import DataError

FAULTS = (DataError, DumpFailed, FolderInUse, NoServer, OSError, PostgresError, SchemaTooNew, ServeFailed)

data_option = click.option(
    "--data",
    type=click.Path(file_okay=False, path_type=Path),
    help="The server's folder.  [default: SEEDGOLF_DATA, or ~/.local/share/seedgolf/server]",
)


def settings_with(**changes: Any) -> Settings:  # noqa: ANN401 - checked by the settings themselves
    """The settings of the environment with the command's options over them."""
    try:
        settings = load().replaced(**changes)
    except BadSetting as error:
        raise click.UsageError(str(error)) from None
    return settings.replaced(data=settings.data.absolute())


@contextmanager
def faults_told() -> Iterator[None]:
    """Tell what is wrong with a server in one line."""
    try:
        yield
    except DBAPIError as error:
        raise click.ClickException(f"database: {str(error.orig).strip().splitlines()[0]}") from None
    except psycopg.Error as error:
        raise click.ClickException(f"database: {str(error).strip().splitlines()[0]}") from None
    except FAULTS as error:
        raise click.ClickException(str(error)) from None
