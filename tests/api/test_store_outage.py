"""Workers whose store of artifacts is away: the job waits, can be cancelled and given back, and pays for nothing."""

import asyncio
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from api.states import State
from tests.api import desk as desks
from tests.api.desk import ACCEPTS, Desk, scalar
from tests.api.s3 import S3

AWAY = {"SEEDGOLF_BLOBS": "s3://bucket"} | S3(port=9).environ  # nothing listens there


@pytest.fixture
def desk(engine: AsyncEngine, dsn: str, tmp_path: Path) -> Iterator[Desk]:
    with desks.open_desk(engine, dsn, tmp_path) as opened:
        yield opened


def test_a_job_whose_store_stays_away_is_given_to_another_worker_and_pays_nothing(desk: Desk) -> None:
    async def story() -> None:
        job = (await desk.submit(b"one")).job_id
        desk.start_worker(ACCEPTS, environ=AWAY, outage=0.0)
        await desk.until(job, lambda view: view.attempt > 3)  # more often than a failure may be tried
        assert ("queued", "the store of artifacts does not answer") in await desk.history(job)
        desk.stop_all()
        desk.start_worker(ACCEPTS)
        view = await desk.until(job, lambda view: view.verdict is not None)
        assert (view.state, view.run) == (State.ACCEPTED, 1)
        async with desk.engine.connect() as connection:
            assert await scalar(connection, "SELECT failures FROM jobs") == 0

    asyncio.run(story())


def test_a_job_that_waits_for_its_store_can_be_cancelled(desk: Desk) -> None:
    async def story() -> None:
        job = (await desk.submit(b"one")).job_id
        worker = desk.start_worker(ACCEPTS, environ=AWAY)
        await desk.until(job, lambda view: view.state is State.RUNNING)
        assert await desk.withdraw(job) is State.CANCELLED
        other = (await desk.submit(b"two")).job_id
        await desk.until(other, lambda view: view.state is State.RUNNING)
        assert worker.poll() is None

    asyncio.run(story())


def test_a_worker_that_is_stopped_while_it_waits_for_the_store_gives_its_job_back(desk: Desk) -> None:
    async def story() -> None:
        job = (await desk.submit(b"one")).job_id
        worker = desk.start_worker(ACCEPTS, environ=AWAY)
        await desk.until(job, lambda view: view.state is State.RUNNING)
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(timeout=desks.DEADLINE_SECONDS) == 0
        view = await desk.job(job)
        assert (view.state, view.lost_workers) == (State.QUEUED, ())

    asyncio.run(story())
