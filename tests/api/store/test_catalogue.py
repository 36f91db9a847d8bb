"""Leaderboard, lists, sets, keys, badges and statistics: what they say, and what they keep to themselves."""

import asyncio
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from api.hardware_class import HardwareClass
from api.states import State
from api.store import jobs, keys, leaderboard, shares, statistics, valsets, workers
from api.store.withdrawing import NotYours
from api.store.workers import Identity
from tests.api import desk as desks
from tests.api.desk import Desk
from verifier.keys import new_key
from verifier.report import parse
from verifier.report_assembly import verifier_version
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


def test_the_best_of_a_name_on_one_validation_set_hides_none_on_another(desk: Desk) -> None:
    async def story() -> None:
        easy = await accepted(desk, "mine", b"1", val_loss=1.0)
        hard = (await desk.submit(b"1", valset="ab" * 32, valset_name="hard", artifact_name="mine")).job_id
        await desk.finish(await desk.claim(hard), b"1", val_loss=2.0)
        async with desk.engine.connect() as connection:
            assert [row.job_id for row in await leaderboard.leaderboard(connection)] == [easy, hard]

    asyncio.run(story())


def test_an_owner_sees_his_own_jobs_once_each_the_last_submitted_first(desk: Desk) -> None:
    async def story() -> None:
        first = (await desk.submit(b"1")).job_id
        second = (await desk.submit(b"2")).job_id
        bobs = (await desk.submit(b"3", owner="bob")).job_id
        await desk.submit(b"1")
        async with desk.engine.connect() as connection:
            lines = await leaderboard.last_submitted(connection, "ann")
            everyones = await leaderboard.last_submitted(connection, None)
        assert [line.job_id for line in everyones] == [first, bobs, second]
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


def test_where_an_artifacts_bytes_went_is_read_off_its_last_report(desk: Desk) -> None:
    async def story() -> None:
        job = (await desk.submit(b"1")).job_id
        async with desk.engine.connect() as connection:
            assert await leaderboard.artifact_size(connection, desks.digest(b"1")) is None
        await desk.finish(await desk.claim(job), b"1")
        async with desk.engine.connect() as connection:
            stored = await jobs.report(connection, job)
            assert stored is not None
            assert await leaderboard.artifact_size(connection, desks.digest(b"1")) == parse(stored.raw).size

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


def test_keys_of_several_machines_are_in_use_together_until_one_is_retired_for_good(desk: Desk) -> None:
    async def story() -> None:
        one, two = new_key().public, new_key().public
        for key in (one, two, one):
            async with desk.engine.begin() as connection:
                assert await keys.publish(connection, key)
        async with desk.engine.begin() as connection:
            known = {key.keyid: key for key in await keys.all_keys(connection)}
            assert {keyid: (key.pem, key.retired_at) for keyid, key in known.items()} == {
                key.keyid: (key.to_pem().decode(), None) for key in (one, two)
            }
            assert await keys.retire(connection, one.keyid)
            assert not await keys.retire(connection, one.keyid), "it is retired already"
            assert not await keys.retire(connection, "0" * 64), "there is no such key"
            assert not await keys.publish(connection, one)
            first, second = await keys.all_keys(connection)
        assert (first.keyid, first.retired_at, second.keyid) == (two.keyid, None, one.keyid)
        assert second.retired_at is not None

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
        assert (now.oldest_queued_seconds > 0, now.workers_alive) == (True, {"cpu": 0, "gpu": 0})

    asyncio.run(story())


def identity(name: str, hardware_class: HardwareClass = HardwareClass.CPU, version: str = "") -> Identity:
    return Identity(
        name=name,
        host="golf-host-7",
        process_id=41,
        hardware_class=hardware_class,
        verifier_version=version or verifier_version(),
        keyid="ab" * 32,
    )


def test_a_worker_counts_as_alive_until_it_leaves_or_falls_silent(desk: Desk) -> None:
    async def story() -> None:
        async with desk.engine.begin() as connection:
            for name, hardware_class in (
                ("w1", HardwareClass.CPU),
                ("w2", HardwareClass.CPU),
                ("w3", HardwareClass.GPU),
            ):
                await workers.beat(connection, identity(name, hardware_class))
            await workers.beat(connection, identity("w1"))
            assert await workers.alive_by_class(connection) == {"cpu": 2, "gpu": 1}
            await workers.leave(connection, "w1")
            await connection.execute(text("UPDATE workers SET heard_at = now() - interval '31 s' WHERE name = 'w3'"))
            assert await workers.alive_by_class(connection) == {"cpu": 1, "gpu": 0}
            known = {worker.name: worker for worker in await workers.all_workers(connection)}
            assert {name: worker.is_alive for name, worker in known.items()} == {"w1": False, "w2": True, "w3": False}
            assert (known["w2"].host, known["w2"].process_id, known["w1"].ended_at is None) == (
                "golf-host-7",
                41,
                False,
            )
            await connection.execute(text("UPDATE workers SET heard_at = now() - interval '31 d' WHERE name = 'w3'"))
            await workers.forget_old(connection)
            assert {worker.name for worker in await workers.all_workers(connection)} == {"w1", "w2"}

    asyncio.run(story())


def test_a_queued_job_counts_the_workers_that_could_take_it_and_no_others(desk: Desk) -> None:
    async def story() -> None:
        job = (await desk.submit(b"1")).job_id
        async with desk.engine.begin() as connection:
            await workers.beat(connection, identity("other class", HardwareClass.GPU))
            await workers.beat(connection, identity("other version", version="0.0.1"))
        assert (await desk.job(job)).workers_alive == 0
        async with desk.engine.begin() as connection:
            await workers.beat(connection, identity("fitting"))
        assert (await desk.job(job)).workers_alive == 1
        await desk.claim(job)
        assert (await desk.job(job)).workers_alive is None, "somebody has it"

    asyncio.run(story())
