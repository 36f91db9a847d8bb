"""The sweep: what a lost worker leaves is queued again, what a living one holds is left alone."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from api.states import State
from api.store import transitions
from api.sweep import sweep
from tests.api import desk as desks
from tests.api.desk import Desk, scalar

LOST_SECONDS = 30.0
"""Less than what `age` adds; a younger server's sweep takes the server's own age, which no claim of a test can have."""


@pytest.fixture
def desk(engine: AsyncEngine, dsn: str, tmp_path: Path) -> Iterator[Desk]:
    with desks.open_desk(engine, dsn, tmp_path) as opened:
        yield opened


async def age(desk: Desk, column: str) -> None:
    """Let a time of every job be a minute ago."""
    async with desk.engine.begin() as connection:
        await connection.execute(text(f"UPDATE jobs SET {column} = {column} - interval '1 minute'"))
        await connection.execute(text("UPDATE procrastinate_events SET at = at - interval '1 minute'"))


async def swept(desk: Desk) -> int:
    async with desk.engine.begin() as connection:
        up = await scalar(connection, "SELECT extract(epoch FROM now() - pg_postmaster_start_time())")
        return await sweep(connection, lost_seconds=min(LOST_SECONDS, float(up)))


def test_a_job_whose_worker_is_silent_is_queued_again_with_the_workers_name(desk: Desk) -> None:
    async def story() -> None:
        job = (await desk.submit(b"one")).job_id
        held = await desk.claim(job, worker="machine/1")
        await age(desk, "sign_of_life_at")
        assert await swept(desk) == 1
        view = await desk.job(job)
        assert (view.state, view.lost_workers, view.position) == (State.QUEUED, ("machine/1",), 1)
        assert not await desk.finish(held, b"one")
        assert (await desk.job(job)).state is State.QUEUED
        second = await desk.claim(job, worker="machine/2")
        assert (second.fence.attempt, await swept(desk)) == (2, 0)
        assert not await desk.finish(held, b"one")
        assert await desk.finish(second, b"one")

    asyncio.run(story())


def test_a_job_that_loses_its_third_worker_fails_and_still_counts(desk: Desk) -> None:
    async def story() -> None:
        job = (await desk.submit(b"one")).job_id
        for number in (1, 2, 3):
            await desk.claim(job, worker=f"machine/{number}")
            await age(desk, "sign_of_life_at")
            assert await swept(desk) == 1
        view = await desk.job(job)
        assert (view.state, view.code) == (State.FAILED, "worker-lost")
        expected = "3 workers were lost while they ran this job: machine/1, machine/2, machine/3"
        assert (view.message, view.lost_workers) == (expected, ("machine/1", "machine/2", "machine/3"))
        async with desk.engine.connect() as connection:
            assert await scalar(connection, "SELECT count(*) FROM submissions WHERE counts") == 1
            assert await scalar(connection, "SELECT count(*) FROM procrastinate_jobs") == 0

    asyncio.run(story())


LEADS_NOWHERE = {
    "gone": "DELETE FROM procrastinate_jobs",
    "ended": "UPDATE procrastinate_jobs SET status = 'failed'",
    "fetched by a worker that never took the job": "UPDATE procrastinate_jobs SET status = 'doing'",
}


@pytest.mark.parametrize("change", LEADS_NOWHERE.values(), ids=LEADS_NOWHERE)
def test_a_queued_job_whose_ticket_leads_nowhere_gets_a_new_one(change: str, desk: Desk) -> None:
    async def story() -> None:
        job = (await desk.submit(b"one")).job_id
        await age(desk, "queued_at")
        assert await swept(desk) == 0
        async with desk.engine.begin() as connection:
            await connection.execute(text(change))
        await age(desk, "queued_at")
        assert await swept(desk) == 1
        assert (await desk.job(job)).position == 1
        assert (await desk.claim(job)).fence.attempt == 1

    asyncio.run(story())


def test_a_ticket_that_was_fetched_this_moment_is_left_alone(desk: Desk) -> None:
    async def story() -> None:
        await desk.submit(b"one")
        await age(desk, "queued_at")
        async with desk.engine.begin() as connection:
            await connection.execute(text("UPDATE procrastinate_jobs SET status = 'doing'"))
        assert await swept(desk) == 0

    asyncio.run(story())


def test_a_database_that_was_just_started_is_not_swept_for_no_worker_could_reach_it(desk: Desk) -> None:
    async def story() -> None:
        await desk.claim((await desk.submit(b"one")).job_id)
        await age(desk, "sign_of_life_at")
        async with desk.engine.begin() as connection:
            assert await sweep(connection, lost_seconds=10_000_000) == 0
        assert await swept(desk) == 1

    asyncio.run(story())


def test_two_sweeps_at_once_queue_a_job_once(desk: Desk) -> None:
    async def story() -> None:
        job = (await desk.submit(b"one")).job_id
        await desk.claim(job)
        await age(desk, "sign_of_life_at")
        assert sum(await asyncio.gather(*(swept(desk) for _ in range(4)))) == 1
        assert len((await desk.job(job)).lost_workers) == 1

    asyncio.run(story())


def test_tickets_of_ended_jobs_whose_worker_is_gone_are_forgotten(desk: Desk) -> None:
    async def story() -> None:
        await desk.finish(await desk.claim((await desk.submit(b"one")).job_id), b"one")
        async with desk.engine.connect() as connection:
            assert await scalar(connection, "SELECT count(*) FROM procrastinate_jobs") == 1
        await swept(desk)
        async with desk.engine.connect() as connection:
            assert await scalar(connection, "SELECT count(*) FROM procrastinate_jobs") == 0

    asyncio.run(story())


def test_a_claim_may_be_made_again_when_its_answer_was_lost(desk: Desk) -> None:
    async def story() -> None:
        job = (await desk.submit(b"one")).job_id
        first = await desk.claim(job)
        second = await desk.claim(job)
        assert (first.fence.attempt, second.fence.attempt) == (1, 2)
        assert not await desk.finish(first, b"one")
        async with desk.engine.begin() as connection:
            assert not await transitions.progress(connection, first.fence, stage="score", done=1, total=2)
        assert await desk.finish(second, b"one")

    asyncio.run(story())
