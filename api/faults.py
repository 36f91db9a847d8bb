"""What can be wrong with a server, and how to say it in one line. Imported when something is: it costs 0.8 s."""

from typing import Final

import psycopg
from sqlalchemy.exc import DBAPIError

from api.data_folder import FolderInUse
from api.database import one_line
from api.device import NoDevice
from api.dump import DumpFailed
from api.migrate import SchemaTooNew
from api.postgres_errors import PostgresError
from api.server_database import NoServer
from api.supervisor import ServeFailed
from verifier.data_errors import DataError

KNOWN: Final[tuple[type[Exception], ...]] = (
    DBAPIError,
    DataError,
    DumpFailed,
    FolderInUse,
    NoDevice,
    NoServer,
    OSError,
    PostgresError,
    SchemaTooNew,
    ServeFailed,
    psycopg.Error,
)


def sentence(error: Exception) -> str:
    """One line."""
    if isinstance(error, DBAPIError | psycopg.Error):
        return f"database: {one_line(error)}"
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    return str(error)
