"""The database of a server, for commands beside it: the one that runs, or one started for the command's time."""

from collections.abc import Iterator
from contextlib import contextmanager

from api.data_folder import locked
from api.embedded_postgres import EmbeddedPostgres
from api.postgres_folder import PostgresFolder
from api.settings import Settings


class NoServer(RuntimeError):
    """No server was ever started in the folder, or none runs that the command needs."""


def running(settings: Settings) -> str:
    """The address of the database of a server that runs.

    Raises:
        NoServer: none runs in the folder, and no external database is set.
    """
    dsn = settings.database or PostgresFolder(data=settings.data).dsn()
    if dsn is None:
        raise NoServer(
            f"{settings.data}: expected a running server, got none; start one with `seedgolf serve`, "
            "or set SEEDGOLF_DATABASE and SEEDGOLF_BLOBS to join one on another machine"
        )
    return dsn


@contextmanager
def reached(settings: Settings, *, make: bool = False) -> Iterator[str]:
    """The address of the server's database; an embedded one that does not run is started meanwhile.

    Args:
        settings: of the server.
        make: a folder in which no server was ever started will do.

    Raises:
        NoServer: no server was ever started there.
        FolderInUse: a server is just starting or stopping there.
        PostgresError, OSError: the embedded database does not start.
    """
    folder = PostgresFolder(data=settings.data)
    dsn = settings.database or folder.dsn()
    if dsn:
        yield dsn
        return
    if folder.major is None and not make:
        raise NoServer(f"{settings.data}: expected the folder of a server, got none; name it with --data")
    with locked(settings.data), EmbeddedPostgres(settings.data, binaries=settings.postgres) as postgres:
        yield postgres.dsn
