"""Why the embedded PostgreSQL does not run. The messages are for the operator and say where, expected, got.

PostgresError
    NoPostgres       no fitting programs are installed
    ServerBusy       processes of an earlier server do not end
    PostgresFailed   it cannot be made or started; ends with PostgreSQL's own words
"""


class PostgresError(RuntimeError):
    """The embedded PostgreSQL does not run."""


class NoPostgres(PostgresError):
    """No folder holds the PostgreSQL programs that are needed."""


class ServerBusy(PostgresError):
    """PostgreSQL's folder is still used by processes that do not end."""


class PostgresFailed(PostgresError):
    """It cannot be made or started; the message ends with its own words."""
