"""Outlive a restart of the database: every statement of a worker is tried again until the database is back.

What counts is the time since this process last reached the database, whichever statement it was. Once that is too
long, every statement gives up at once and the worker ends; others run its job by then. A statement is tried again
although its first try may have been committed, so each must bear being done twice.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from typing import Any, Final, LiteralString, TypeVar

import psycopg
from procrastinate import PsycopgConnector, exceptions
from procrastinate.connector import Notify
from psycopg_pool import AsyncNullConnectionPool
from sqlalchemy.exc import InterfaceError, OperationalError

from api.database import one_line, psycopg_dsn

T = TypeVar("T")

LOG: Final = logging.getLogger(__name__)

FIRST_PAUSE_SECONDS: Final = 0.05
LONGEST_PAUSE_SECONDS: Final = 1.0
STATEMENT_SECONDS: Final = 20.0
"""A statement that has no answer by then is tried again on another connection."""


class DatabaseLost(RuntimeError):
    """The database was away for too long."""


class Patience:
    """How long this process has been without the database, and how long it bears that."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._last_contact = time.monotonic()
        self._is_away = False

    @property
    def is_exhausted(self) -> bool:
        """Whether the database was away for too long."""
        return time.monotonic() - self._last_contact > self._seconds

    async def call(self, statement: Callable[[], Awaitable[T]]) -> T:
        """Run a statement until it has an answer.

        Raises:
            DatabaseLost: there is none.
            Exception: the statement's own, for every other reason than an absent database.
        """
        pause = FIRST_PAUSE_SECONDS
        while True:
            try:
                async with asyncio.timeout(STATEMENT_SECONDS):
                    answer = await statement()
            except (OperationalError, InterfaceError, TimeoutError, exceptions.ConnectorException) as error:
                if not _is_absence(error):
                    raise
                if self.is_exhausted:
                    raise DatabaseLost(f"no database for {self._seconds:g} s") from error
                self._note(error)
            else:
                self._last_contact = time.monotonic()
                self._note(None)
                return answer
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE_SECONDS)

    def _note(self, error: Exception | None) -> None:
        """Log when the database goes and when it comes, once each: a wrong address looks like an idle worker."""
        is_away = error is not None
        if is_away and not self._is_away:
            LOG.warning("the database does not answer; tried again for %g s: %s", self._seconds, one_line(error))
        if self._is_away and not is_away:
            LOG.warning("the database answers again")
        self._is_away = is_away


def _is_absence(error: Exception) -> bool:
    return not isinstance(error, exceptions.ConnectorException) or isinstance(
        error.__cause__, psycopg.OperationalError | psycopg.InterfaceError
    )


class PatientConnector(PsycopgConnector):
    """The queue's way to the database.

    Each statement has a connection of its own: a pool would wait ever longer between its attempts to reconnect.
    """

    def __init__(self, dsn: str, patience: Patience) -> None:
        super().__init__(
            conninfo=psycopg_dsn(dsn), pool_factory=AsyncNullConnectionPool, max_size=8, timeout=STATEMENT_SECONDS
        )
        self._patience = patience

    async def execute_query_async(self, query: LiteralString, **arguments: Any) -> None:  # noqa: ANN401 - its own
        """Run a statement; one on a ticket that was taken away is as good as done."""
        try:
            await self._patience.call(partial(super().execute_query_async, query, **arguments))
        except exceptions.ConnectorException as error:
            if not isinstance(error.__cause__, psycopg.errors.RaiseException):
                raise

    async def execute_query_one_async(self, query: LiteralString, **arguments: Any) -> dict[str, Any]:  # noqa: ANN401 - theirs
        """Run a query for one row."""
        return await self._patience.call(partial(super().execute_query_one_async, query, **arguments))

    async def execute_query_all_async(
        self,
        query: LiteralString,
        **arguments: Any,  # noqa: ANN401 - theirs
    ) -> list[dict[str, Any]]:
        """Run a query for rows."""
        return await self._patience.call(partial(super().execute_query_all_async, query, **arguments))

    async def listen_notify(self, on_notification: Notify, channels: Iterable[str]) -> None:
        """Listen, again and again; what is missed meanwhile is found by polling."""
        names = list(channels)
        while True:
            try:
                await super().listen_notify(on_notification, names)
            except exceptions.ConnectorException as error:
                if not _is_absence(error) or self._patience.is_exhausted:
                    raise
            await asyncio.sleep(LONGEST_PAUSE_SECONDS)
