"""Workers and a PostgreSQL that is killed: one that comes back costs no run, one that stays away ends the worker."""

import asyncio
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from api import database, migrate, queue
from api.embedded_postgres import EmbeddedPostgres
from api.states import State
from tests.api import desk as desks
from tests.api.desk import ACCEPTS, NEVER_ENDS, Desk, is_alive

pytestmark = pytest.mark.skipif(bool(os.environ.get("SEEDGOLF_TEST_DSN")), reason="kills the server")


@dataclass(kw_only=True)
class Mortal:
    """A desk whose server may be killed."""

    server: EmbeddedPostgres
    desk: Desk

    def kill(self) -> None:
        assert self.server.process is not None
        self.server.process.kill()
        self.server.process.wait()


@pytest.fixture
def mortal(tmp_path: Path) -> Iterator[Mortal]:
    with EmbeddedPostgres(tmp_path / "server", throwaway=True) as server:
        asyncio.run(migrate.upgrade(server.dsn))
        engine = database.engine(server.dsn, pooled=False)
        with desks.open_desk(engine, server.dsn, tmp_path) as desk:
            yield Mortal(server=server, desk=desk)


def test_a_restart_of_the_database_costs_no_run_and_no_worker(mortal: Mortal) -> None:
    desk = mortal.desk

    async def story() -> None:
        job = (await desk.submit(b"one")).job_id
        judge = "begin('score')\nwhile 'go' not in open(notes).read(): time.sleep(0.02)\nanswer()"
        worker = desk.start_worker(judge, lost=20)  # three times that is its patience: a server may start slowly
        await desk.until(job, lambda view: view.stage == "score")
        mortal.kill()
        await asyncio.sleep(1)  # several heartbeats fail
        mortal.server.start()
        desk.note("go")
        view = await desk.until(job, lambda view: view.verdict is not None)
        assert (view.state, view.attempt, view.lost_workers) == (State.ACCEPTED, 1, ())
        other = (await desk.submit(b"two")).job_id
        assert (await desk.until(other, lambda view: view.verdict is not None)).state is State.ACCEPTED
        assert worker.poll() is None

    asyncio.run(story())


def test_a_worker_whose_database_stays_away_ends_with_its_judge(mortal: Mortal) -> None:
    desk = mortal.desk

    async def story() -> None:
        job = (await desk.submit(b"one")).job_id
        worker = desk.start_worker(NEVER_ENDS, lost=2)
        await desk.until(job, lambda view: view.stage == "score")
        (pid,) = desk.judge_pids
        mortal.kill()
        assert worker.wait(timeout=desks.DEADLINE_SECONDS) != 0
        assert not is_alive(pid)
        mortal.server.start()
        desk.start_worker(ACCEPTS, lost=2)
        view = await desk.until(job, lambda view: view.verdict is not None)
        assert (view.state, len(view.lost_workers)) == (State.ACCEPTED, 1)

    asyncio.run(story())


def test_a_database_that_goes_away_under_the_queue_is_an_absent_database(mortal: Mortal) -> None:
    async def story() -> None:
        async with mortal.desk.engine.connect() as connection:
            await connection.execute(text("SELECT 1"))
            mortal.kill()
            with pytest.raises(OperationalError):
                await queue.defer(connection, job_id="job", queue="queue")
            await connection.invalidate()

    asyncio.run(story())
