"""Waiting for jobs: one LISTEN connection a process wakes whoever waits for the job that a notification names.

A notification only says "look again": whoever waits also looks by itself now and then, so one that was lost while the
database restarted costs seconds and nothing else.
"""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final

import psycopg
from sqlalchemy.ext.asyncio import AsyncEngine

from api.states import UNFINISHED
from api.store import jobs
from api.store.jobs import JobView
from api.store.journal import CHANNEL

LOG: Final = logging.getLogger(__name__)
MAX_WAIT_SECONDS: Final = 60
LOOK_AGAIN_SECONDS: Final = 10.0
PAUSE_SECONDS: Final = 1.0


class Hub:
    """Wakes those who wait for a job."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._waiting: defaultdict[str, set[asyncio.Event]] = defaultdict(set)
        self.is_closing = False
        """Whether the process is about to end, and open streams shall."""

    async def run(self) -> None:
        """Listen until cancelled, across restarts of the database."""
        while True:
            try:
                async with await psycopg.AsyncConnection.connect(self._dsn, autocommit=True) as connection:
                    await connection.execute(f"LISTEN {CHANNEL}")
                    self._wake_all()  # what happened while nobody listened
                    async for notification in connection.notifies():
                        self._wake(notification.payload)
            except (psycopg.Error, OSError) as error:
                LOG.warning("not listening to the database: %s", type(error).__name__)
            await asyncio.sleep(PAUSE_SECONDS)

    @contextmanager
    def watching(self, job_id: str) -> Iterator[asyncio.Event]:
        """An event that is set whenever something happened to the job; clear it before looking."""
        event = asyncio.Event()
        self._waiting[job_id].add(event)
        try:
            yield event
        finally:
            self._waiting[job_id].discard(event)
            if not self._waiting[job_id]:
                del self._waiting[job_id]

    def close(self) -> None:
        """Let everybody who waits end: the process is about to."""
        self.is_closing = True
        self._wake_all()

    def _wake(self, job_id: str) -> None:
        for event in self._waiting.get(job_id, ()):
            event.set()

    def _wake_all(self) -> None:
        for job_id in list(self._waiting):
            self._wake(job_id)


async def pause(changed: asyncio.Event, seconds: float) -> None:
    """Wait for a change, at most so long."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await changed.wait()


async def wait_for_end(engine: AsyncEngine, hub: Hub, job_id: str, seconds: float) -> JobView | None:
    """The job once its run has ended, or as it is after `seconds`; holds no connection while it waits."""
    clock = asyncio.get_running_loop().time
    deadline = clock() + seconds
    with hub.watching(job_id) as changed:
        while True:
            changed.clear()
            async with engine.connect() as connection:
                job = await jobs.view(connection, job_id)
            left = deadline - clock()
            if job is None or job.state not in UNFINISHED or left <= 0 or hub.is_closing:
                return job
            await pause(changed, min(left, LOOK_AGAIN_SECONDS))
