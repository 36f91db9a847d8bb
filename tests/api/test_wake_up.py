"""The queue's own loop forgets a notice that comes while it goes to sleep; the job is found by the next look."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import Any, LiteralString

import psycopg
import pytest
from procrastinate.connector import Notify
from sqlalchemy.ext.asyncio import AsyncEngine

from api import worker
from api.patience import Patience, PatientConnector
from api.worker import Timing, Worker
from tests.api import desk as desks
from tests.api.desk import ACCEPTS, DEADLINE_SECONDS
from verifier.sandbox import Program

POLL_SECONDS = 0.2


class LateNotice(PatientConnector):
    """Between "there is no job" and the sleep that follows, a job comes and its notice is heard."""

    submit: Callable[[], Awaitable[object]]
    dsn: str

    def __init__(self, dsn: str, patience: Patience) -> None:
        super().__init__(dsn, patience)
        self._channels: list[str] = []
        self._heard = asyncio.Event()
        self._is_over = False

    async def listen_notify(self, on_notification: Notify, channels: Iterable[str]) -> None:
        """Listen, and note that a notice has been passed on."""

        async def noted(*, channel: str, payload: str) -> None:
            await on_notification(channel=channel, payload=payload)
            self._heard.set()

        self._channels = list(channels)
        await super().listen_notify(noted, self._channels)

    async def execute_query_one_async(self, query: LiteralString, **arguments: Any) -> dict[str, Any]:
        """Run a query; after the first look for a job, let one come."""
        row = await super().execute_query_one_async(query, **arguments)
        if "procrastinate_fetch_job" in query and not self._is_over:
            assert row["id"] is None
            await self._until_listening()
            self._heard.clear()
            await self.submit()
            await asyncio.wait_for(self._heard.wait(), DEADLINE_SECONDS)
            self._is_over = True
        return row

    async def _until_listening(self) -> None:
        notice = json.dumps({"type": "job_inserted", "job_id": 0})
        while not self._heard.is_set():
            async with await psycopg.AsyncConnection.connect(self.dsn, autocommit=True) as connection:
                for channel in self._channels:
                    await connection.execute("SELECT pg_notify(%s, %s)", [channel, notice])
            await asyncio.sleep(0.01)


def test_a_job_whose_notice_comes_while_the_worker_goes_to_sleep_is_found_by_the_next_look(
    engine: AsyncEngine, dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with desks.open_desk(engine, dsn, tmp_path) as desk:

        async def story() -> None:
            submitted: list[str] = []

            async def submit() -> None:
                submitted.append((await desk.submit(b"one")).job_id)

            monkeypatch.setattr(LateNotice, "submit", staticmethod(submit), raising=False)
            monkeypatch.setattr(LateNotice, "dsn", dsn, raising=False)
            monkeypatch.setattr(worker, "PatientConnector", LateNotice)
            program = Program(command=desk.judge_command(ACCEPTS))
            working = Worker(settings=desk.settings, timing=Timing(poll=POLL_SECONDS), program=program)
            running = asyncio.create_task(working.run())
            while not submitted:
                assert not running.done()
                await asyncio.sleep(0.02)
            view = await desk.until(submitted[0], lambda view: view.verdict is not None)
            assert (view.attempt, view.state) == (1, "accepted")
            running.cancel()
            await running

        asyncio.run(story())


def test_a_worker_looks_for_jobs_whose_notice_it_missed_every_second() -> None:
    assert Timing().poll <= 1.0
