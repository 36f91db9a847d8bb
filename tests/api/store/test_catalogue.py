"""Leaderboard, lists, sets, keys, badges and statistics: what they say, and what they keep to themselves."""

import asyncio
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from api.hardware_class import HardwareClass
from api.states import State
from api.store import keys, leaderboard, shares, statistics, valsets
from api.store.withdrawing import NotYours
from tests.api import desk as desks
from tests.api.desk import Desk
from verifier.keys import new_key
from verifier.valset import Registration, ShardEntry


@pytest.fixture
def desk(engine: AsyncEngine, dsn: str, tmp_path: Path) -> Iterator[Desk]:
    with desks.open_desk(engine, dsn, tmp_path) as opened:
        yield opened


async def accepted(desk: Desk, name: str, data: bytes, *, owner: str = "ann", val_loss: float = 2.0) -> str:
    job = (await desk.submit(data, owner=owner, artifact_name=name, valset_name="demo")).job_id
    await desk.finish(await desk.claim(job), data, val_loss=val_loss)
    return job


def test_the_leaderboard_shows_the_best_of_a_name_and_all_on_wish_and_never_an_owner(desk: Desk) -> None:
    async def story() -> None:
        worse = await accepted(desk, "mine", b"1", val_loss=3.0)
        best = await accepted(desk, "mine", b"2", val_loss=1.0)
        other = await accepted(desk, "mine", b"3", val_loss=2.0, owner="secret-bob")
        await desk.submit(b"4", artifact_name="unfinished")
        await desk.submit(b"2", owner="secret-bob")  # a copy: it counts for its first submitter
        async with desk.engine.connect() as connection:
            rows = await leaderboard.leaderboard(connection)
            assert [(row.rank, row.job_id) for row in rows] == [(1, best), (2, other)]
            assert "bob" not in str([asdict(row) for row in rows])
            everything = await leaderboard.leaderboard(connection, best_per_name=False)
            assert [row.job_id for row in everything] == [best, other, worse]
            (second,) = await leaderboard.leaderboard(connection, best_per_name=False, limit=1, offset=1)
            assert (second.rank, second.job_id) == (2, other)
            assert await leaderboard.leaderboard(connection, track_name="another") == []
            assert len(await leaderboard.leaderboard(connection, track_name="local", valset_name="demo")) == 2

    asyncio.run(story())


def test_an_owner_sees_his_own_jobs_once_each_the_last_submitted_first(desk: Desk) -> None:
    async def story() -> None:
        first = (await desk.submit(b"1")).job_id
        second = (await desk.submit(b"2")).job_id
        await desk.submit(b"3", owner="bob")
        await desk.submit(b"1")
        async with desk.engine.connect() as connection:
            lines = await leaderboard.my_submissions(connection, "ann")
        assert [(line.job_id, line.state) for line in lines] == [(first, State.QUEUED), (second, State.QUEUED)]

    asyncio.run(story())


def test_an_artifact_is_shown_with_its_jobs(desk: Desk) -> None:
    async def story() -> None:
        one = await accepted(desk, "entry", b"1")
        two = (await desk.submit(b"1", valset="ab" * 32)).job_id
        async with desk.engine.connect() as connection:
            view = await leaderboard.artifact(connection, desks.digest(b"1"))
            assert await leaderboard.artifact(connection, desks.digest(b"2")) is None
        assert view is not None
        assert (view.name, view.size_bytes) == ("entry", 1)
        assert [line.job_id for line in view.jobs] == [two, one]

    asyncio.run(story())


def registration(name: str) -> Registration:
    return Registration(
        name=name,
        sha256=desks.digest(b"tokens"),
        shards=(ShardEntry(file="val.bin", sha256="0" * 64, tokens=9),),
        tokenizer_name="bytes",
        vocab_size=256,
        pieces_sha256="1" * 64,
        documents=1,
        distinct_documents=1,
        documents_sha256="2" * 64,
        tokens=9,
        bytes=9,
        targets=8,
        target_bytes=8,
    )


def test_a_set_is_known_by_class_and_may_get_another_name(desk: Desk) -> None:
    async def story() -> None:
        async with desk.engine.begin() as connection:
            await valsets.publish(connection, HardwareClass.CPU, [registration("old")])
            await valsets.publish(connection, HardwareClass.CPU, [registration("new")])
            await valsets.publish(connection, HardwareClass.GPU, [registration("gpu")])
            found = await valsets.known(connection)
        assert [(known.name, known.hardware_class) for known in found] == [("gpu", "gpu"), ("new", "cpu")]
        assert found[1].registration == registration("new")

    asyncio.run(story())


def test_a_key_that_is_published_retires_the_others_and_may_come_back(desk: Desk) -> None:
    async def story() -> None:
        one, two = new_key().public, new_key().public
        for key in (one, two, two):
            async with desk.engine.begin() as connection:
                await keys.publish(connection, key)
        async with desk.engine.begin() as connection:
            first, second = await keys.all_keys(connection)
            assert (first.keyid, first.pem, first.retired_at) == (two.keyid, two.to_pem().decode(), None)
            assert second.keyid == one.keyid
            assert second.retired_at is not None
            await keys.publish(connection, one)
            assert [key.keyid for key in await keys.all_keys(connection)] == [one.keyid, two.keyid]

    asyncio.run(story())


def test_a_badge_is_its_submitters_and_looks_unknown_once_revoked(desk: Desk) -> None:
    async def story() -> None:
        job = await accepted(desk, "entry", b"1")
        async with desk.engine.begin() as connection:
            with pytest.raises(NotYours):
                await shares.share(connection, job_id=job, owner="bob")
            name = await shares.share(connection, job_id=job, owner="ann")
            assert await shares.share(connection, job_id=job, owner="ann") == name
            shown = await shares.badge(connection, name)
            assert shown is not None
            assert shown.state is State.ACCEPTED
            assert await shares.revoke(connection, name, owner="bob") is None
            assert await shares.revoke(connection, name, owner="ann") == job
            assert await shares.badge(connection, name) is await shares.badge(connection, "unknown") is None
            assert await shares.share(connection, job_id=job, owner="ann") != name

    asyncio.run(story())


def test_the_statistics_count_the_queue(desk: Desk) -> None:
    async def story() -> None:
        await accepted(desk, "entry", b"1")
        for data in (b"2", b"3"):
            await desk.submit(data)
        async with desk.engine.connect() as connection:
            now = await statistics.statistics(connection)
        assert (now.jobs[State.ACCEPTED], now.jobs[State.QUEUED], now.jobs[State.FAILED]) == (1, 2, 0)
        assert now.depth == {desks.question(b"2").queue: 2}
        assert (now.oldest_queued_seconds > 0, now.workers_alive) == (True, 0)

    asyncio.run(story())
