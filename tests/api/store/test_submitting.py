"""Submissions in one transaction: one question is one job, quotas are exact, a withdrawal ends what nobody wants."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from api.states import State
from api.store import jobs, transitions
from api.store.quota import OverQuota
from api.store.submitting import Quota
from api.store.withdrawing import NotYours
from tests.api import desk as desks
from tests.api.desk import Desk, scalar
from tests.forge import Draft, good_manifest
from tests.verifier import judged
from verifier.precheck import precheck

TIGHT = Quota(verdicts=2, window_seconds=3600, unfinished=1)


@pytest.fixture
def desk(engine: AsyncEngine, dsn: str, tmp_path: Path) -> Iterator[Desk]:
    with desks.open_desk(engine, dsn, tmp_path) as opened:
        yield opened


def test_the_same_question_is_one_job_with_one_ticket_however_many_ask(desk: Desk) -> None:
    async def story() -> None:
        outcomes = await asyncio.gather(*(desk.submit(b"one", owner=f"owner {n % 3}") for n in range(9)))
        assert len({outcome.job_id for outcome in outcomes}) == 1
        assert [outcome.created for outcome in outcomes].count(True) == 1
        assert len({outcome.submission_id for outcome in outcomes}) == 9
        async with desk.engine.connect() as connection:
            assert await scalar(connection, "SELECT count(*) FROM procrastinate_jobs") == 1
            assert await scalar(connection, "SELECT count(*) FROM submissions WHERE counts") == 1

    asyncio.run(story())


def test_a_question_differs_by_every_field_and_has_its_own_job(desk: Desk) -> None:
    async def story() -> None:
        one = await desk.submit(b"one")
        for changes in ({"data": b"two"}, {"data": b"one", "valset": "ab" * 32}):
            assert (await desk.submit(**changes)).job_id != one.job_id  # type: ignore[arg-type]

    asyncio.run(story())


def test_an_answer_is_given_from_store_and_a_failure_starts_a_new_run(desk: Desk) -> None:
    async def story() -> None:
        first = await desk.submit(b"one")
        held = await desk.claim(first.job_id)
        async with desk.engine.begin() as connection:
            assert await transitions.fail(connection, held.fence, code="judge-died", message="it died")
        again = await desk.submit(b"one")
        assert (again.job_id, again.run, again.created, again.state) == (first.job_id, 2, True, State.QUEUED)
        view = await desk.job(first.job_id)
        assert (view.attempt, view.code, view.message, view.position) == (0, None, None, 1)
        await desk.finish(await desk.claim(first.job_id), b"one")
        answer = await desk.submit(b"one", owner="bob")
        assert (answer.run, answer.created, answer.state) == (2, False, State.ACCEPTED)

    asyncio.run(story())


def test_a_rejection_by_the_pre_check_ends_the_job_at_once(desk: Desk) -> None:
    async def story() -> None:
        outcome = await desk.submit(b"bad", rejected=desks.rejection(b"bad"))
        assert (outcome.state, outcome.created) == (State.REJECTED, True)
        view, stored = await desk.job(outcome.job_id), await desk.report(outcome.job_id)
        assert (view.verdict, view.code, stored.envelope) == (State.REJECTED, "over-size", None)
        assert stored.raw == desks.rejection(b"bad").to_bytes()
        again = await desk.submit(b"bad", rejected=desks.rejection(b"bad"))
        assert (again.created, again.state) == (False, State.REJECTED)
        async with desk.engine.connect() as connection:
            assert await scalar(connection, "SELECT count(*) FROM procrastinate_jobs") == 0

    asyncio.run(story())


def test_a_quota_holds_against_submissions_at_the_same_moment(desk: Desk) -> None:
    async def story() -> None:
        limits = Quota(verdicts=3, window_seconds=3600, unfinished=100)
        sent = (desk.submit(f"{n}".encode(), limits=limits) for n in range(8))
        outcomes = await asyncio.gather(*sent, return_exceptions=True)
        refused = [outcome for outcome in outcomes if isinstance(outcome, OverQuota)]
        assert len(refused) == 5
        assert (refused[0].what, refused[0].limit, refused[0].used) == ("verdicts", 3, 3)
        assert 3500 < refused[0].retry_after_seconds <= 3600
        async with desk.engine.connect() as connection:
            assert await scalar(connection, "SELECT count(*) FROM jobs") == 3
            assert await scalar(connection, "SELECT count(*) FROM artifacts") == 3
        assert (await desk.submit(b"other", limits=limits, owner="bob")).created

    asyncio.run(story())


def test_what_lies_before_the_window_is_forgotten_unless_it_is_unfinished(desk: Desk) -> None:
    async def story() -> None:
        limits = Quota(verdicts=2, window_seconds=3600, unfinished=100)
        await desk.finish(await desk.claim((await desk.submit(b"ended")).job_id), b"ended")
        await desk.submit(b"runs")
        async with desk.engine.begin() as connection:
            await connection.exec_driver_sql("UPDATE submissions SET submitted_at = now() - interval '3601 seconds'")
        await desk.submit(b"new", limits=limits)
        with pytest.raises(OverQuota, match="verdicts: expected at most 2, got 2"):
            await desk.submit(b"newer", limits=limits)

    asyncio.run(story())


def test_unfinished_jobs_have_a_limit_of_their_own(desk: Desk) -> None:
    async def story() -> None:
        first = await desk.submit(b"one", limits=TIGHT)
        with pytest.raises(OverQuota, match="unfinished: expected at most 1, got 1"):
            await desk.submit(b"two", limits=TIGHT)
        assert not (await desk.submit(b"one", limits=TIGHT)).created
        await desk.finish(await desk.claim(first.job_id), b"one")
        assert (await desk.submit(b"two", limits=TIGHT)).created

    asyncio.run(story())


ENDS = {
    "a verdict": ("finish", 1),
    "our failure": ("judge-died", 0),
    "a failure that took three workers": ("worker-lost", 1),
}


@pytest.mark.parametrize(("end", "counted"), ENDS.values(), ids=ENDS)
def test_what_an_end_costs(end: str, counted: int, desk: Desk) -> None:
    async def story() -> None:
        job = (await desk.submit(b"one")).job_id
        await desk.submit(b"one", owner="bob")  # joins, so it costs him nothing
        held = await desk.claim(job)
        if end == "finish":
            await desk.finish(held, b"one")
        else:
            async with desk.engine.begin() as connection:
                await transitions.fail(connection, held.fence, code=end, message="")
        async with desk.engine.connect() as connection:
            assert await scalar(connection, "SELECT count(*) FROM submissions WHERE counts") == counted

    asyncio.run(story())


@pytest.mark.parametrize("started", [False, True], ids=["queued", "running"])
def test_a_withdrawal_of_the_last_submission_cancels_and_costs_only_what_had_started(started: bool, desk: Desk) -> None:
    async def story() -> None:
        job = (await desk.submit(b"one")).job_id
        held = await desk.claim(job) if started else None
        await desk.submit(b"one", owner="bob")
        assert await desk.withdraw(job) is (State.RUNNING if started else State.QUEUED)
        assert await desk.withdraw(job, owner="bob") is State.CANCELLED
        assert await desk.withdraw(job) is State.CANCELLED
        async with desk.engine.begin() as connection:
            assert await scalar(connection, "SELECT count(*) FROM submissions WHERE counts") == int(started)
            assert await scalar(connection, "SELECT count(*) FROM procrastinate_jobs WHERE status = 'todo'") == 0
            if held:
                assert not await transitions.finish(
                    connection, held.fence, judged.accepted("one"), envelope=b"", keyid=""
                )
        assert (await desk.submit(b"one")).run == 2

    asyncio.run(story())


@pytest.mark.parametrize("started", [False, True], ids=["queued", "running"])
def test_a_withdrawal_that_stops_nothing_goes_on_counting(started: bool, desk: Desk) -> None:
    """Else two owners run what they like: one begins, the other joins for nothing, the first takes his own back."""

    async def story() -> None:
        for data in (b"one", b"two"):
            job = (await desk.submit(data)).job_id
            if started:
                await desk.claim(job)
            assert not (await desk.submit(data, owner="bob")).created
            await desk.withdraw(job)
        limits = Quota(verdicts=2, window_seconds=3600, unfinished=100)
        with pytest.raises(OverQuota):
            await desk.submit(b"three", limits=limits)
        assert (await desk.submit(b"three", limits=limits, owner="bob")).created

    asyncio.run(story())


def test_only_who_submitted_may_withdraw_and_an_admin(desk: Desk) -> None:
    async def story() -> None:
        job = (await desk.submit(b"one")).job_id
        with pytest.raises(NotYours):
            await desk.withdraw(job, owner="bob")
        with pytest.raises(NotYours):
            await desk.withdraw("no such job", owner="ann", admin=True)
        assert await desk.withdraw(job, owner="root", admin=True) is State.CANCELLED

    asyncio.run(story())


def test_a_cancelled_job_is_not_taken(desk: Desk) -> None:
    async def story() -> None:
        job = (await desk.submit(b"one")).job_id
        async with desk.engine.connect() as connection:
            ticket = await scalar(connection, "SELECT queue_id FROM jobs")
        await desk.withdraw(job)
        async with desk.engine.begin() as connection:
            assert await transitions.claim(connection, job, ticket=ticket, worker="w") is None

    asyncio.run(story())


def test_places_in_the_queue_follow_the_tickets(desk: Desk) -> None:
    async def story() -> None:
        names = [(await desk.submit(f"{n}".encode())).job_id for n in range(3)]
        assert [(await desk.job(name)).position for name in names] == [1, 2, 3]
        held = await desk.claim(names[2])
        assert (await desk.job(names[2])).position is None
        async with desk.engine.begin() as connection:
            because = transitions.Because.SHUTDOWN
            await transitions.requeue(connection, held.fence, because=because, detail="shut down")
        assert [(await desk.job(name)).position for name in names] == [2, 3, 1]

    asyncio.run(story())


def test_every_transition_is_told_to_listeners(desk: Desk) -> None:
    async def story() -> None:
        async with await desks.listening(desk.dsn) as heard:
            job = (await desk.submit(b"one")).job_id
            held = await desk.claim(job)
            async with desk.engine.begin() as connection:
                assert await transitions.progress(connection, held.fence, stage="score", done=1, total=2)
            await desk.finish(held, b"one")
            told = [note.payload async for note in heard.notifies(timeout=60, stop_after=4)]
        assert told == [job] * 4
        async with desk.engine.connect() as connection:
            events = await jobs.events_after(connection, job, 0)
            assert await jobs.events_after(connection, job, events[1].id) == events[2:]
        assert [event.state for event in events] == [State.QUEUED, State.RUNNING, State.ACCEPTED]

    asyncio.run(story())


def test_a_file_full_of_nul_characters_is_rejected_and_stored(desk: Desk) -> None:
    data = Draft(manifest=good_manifest() | {"name": "a\u0000b"}).build()
    report = precheck(data, track=desks.TRACK, registration=None)
    assert report is not None

    async def story() -> None:
        outcome = await desk.submit(data, artifact_name=None, rejected=report)
        assert (await desk.report(outcome.job_id)).raw == report.to_bytes()

    asyncio.run(story())
