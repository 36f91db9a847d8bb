"""The table of states against the store: nothing moves a job in another way, and nothing moves it without an event."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from api import database
from api.states import TRANSITIONS, State
from api.store import transitions
from api.store.transitions import Because, Claim, Fence
from api.store.withdrawing import NotYours
from api.sweep import sweep
from tests.api import desk as desks
from tests.api.desk import Desk, digest, scalar
from verifier.report import ScoreDtype

DATA = b"one"
JOB = desks.question(DATA).job_id

Action = Callable[[Desk, Claim], Awaitable[object]]


@pytest.fixture
def desk(engine: AsyncEngine, dsn: str, tmp_path: Path) -> Iterator[Desk]:
    with desks.open_desk(engine, dsn, tmp_path) as opened:
        yield opened


async def submit(desk: Desk, held: Claim) -> None:
    await desk.submit(DATA, owner="bob")


async def submit_a_bad_file(desk: Desk, held: Claim) -> None:
    await desk.submit(DATA, rejected=desks.rejection(DATA))


async def take(desk: Desk, held: Claim) -> None:
    async with desk.engine.begin() as connection:
        ticket = await scalar(connection, "SELECT coalesce(max(queue_id), 0) FROM jobs")
        await transitions.claim(connection, JOB, ticket=ticket, worker="machine/2")


async def finish(desk: Desk, held: Claim) -> None:
    await desk.finish(held, DATA)


async def reject(desk: Desk, held: Claim) -> None:
    async with desk.engine.begin() as connection:
        await transitions.finish(connection, held.fence, desks.rejection(DATA), envelope=b"signed", keyid="key")


async def fail(desk: Desk, held: Claim) -> None:
    async with desk.engine.begin() as connection:
        await transitions.fail(connection, held.fence, code="judge-died", message="")


async def requeue(desk: Desk, held: Claim) -> None:
    async with desk.engine.begin() as connection:
        await transitions.requeue(connection, held.fence, detail="again", because=Because.FAILURE)


async def withdraw(desk: Desk, held: Claim) -> None:
    await desk.withdraw(JOB, admin=True)


async def lose(desk: Desk, held: Claim) -> None:
    async with desk.engine.begin() as connection:
        await sweep(connection, lost_seconds=-1)


ACTIONS: tuple[Action, ...] = (submit, submit_a_bad_file, take, finish, reject, fail, requeue, withdraw, lose)
WAYS: dict[State | None, tuple[Action, ...]] = {
    None: (),
    State.QUEUED: (submit,),
    State.RUNNING: (submit, take),
    State.ACCEPTED: (submit, take, finish),
    State.REJECTED: (submit_a_bad_file,),
    State.FAILED: (submit, take, fail),
    State.CANCELLED: (submit, withdraw),
}


async def held_now(desk: Desk) -> Claim:
    """What a worker would hold that has just taken the job, whether one has or not."""
    async with desk.engine.connect() as connection:
        run = await scalar(connection, "SELECT coalesce(max(run), 1) FROM jobs")
        attempt = await scalar(connection, "SELECT coalesce(max(attempt), 0) FROM jobs")
    fence = Fence(job_id=JOB, run=run, attempt=attempt)
    return Claim(
        fence=fence,
        failures=0,
        artifact_sha256=digest(DATA),
        valset_sha256="",
        track=desks.TRACK,
        dtype=ScoreDtype.FLOAT32,
    )


async def path(desk: Desk) -> list[State]:
    """The states of the job so far, as its events tell them."""
    return [State(state) for state, _ in await desk.history(JOB)]


async def moved(desk: Desk, before: State | None, action: Action) -> list[tuple[State, State]]:
    """What an action does to a job in a state: the ways between states that its events tell."""
    for step in WAYS[before]:
        await step(desk, await held_now(desk))
    known = await path(desk)
    assert (known[-1] if known else None) == before
    with suppress(NotYours):
        await action(desk, await held_now(desk))
    after = await path(desk)
    assert after[: len(known)] == known
    now = (await desk.job(JOB)).state if after else None
    assert now == (after[-1] if after else None), "the last event is the job's state"
    steps = [before, *after[len(known) :]]
    return [(one, two) for one, two in pairwise(steps) if one and two]


def test_the_store_moves_jobs_as_the_table_says_and_in_no_other_way(desk: Desk) -> None:
    async def story() -> None:
        pooled = replace(desk, engine=database.engine(desk.dsn))
        seen: set[tuple[State, State]] = set()
        for before in WAYS:
            for action in ACTIONS:
                seen.update(await moved(pooled, before, action))
                async with pooled.engine.begin() as connection:
                    for table in ("jobs", "artifacts", "procrastinate_jobs"):
                        await connection.exec_driver_sql(f"DELETE FROM {table}")
        await pooled.engine.dispose()
        seen.remove((State.RUNNING, State.RUNNING))  # a claim whose answer was lost is made again
        assert seen == {(one, two) for one in State for two in TRANSITIONS[one]}

    asyncio.run(story())
