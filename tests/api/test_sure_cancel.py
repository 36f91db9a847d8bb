"""A cancel that is forgotten is given again; one that begins an end in order is given once."""

import asyncio
import os
import signal
import time
from pathlib import Path

from sqlalchemy.ext.asyncio import AsyncEngine

from api import worker
from api.sure_cancel import cancel
from api.worker import Timing, Worker
from tests.api import desk as desks
from tests.api.desk import ACCEPTS, DEADLINE_SECONDS
from verifier.sandbox import Program

AGAIN_SECONDS = 0.01


class Stubborn:
    """Work that forgets so many cancels, or needs so long for its end in order."""

    def __init__(self, *, forgets: int = 0, ends_seconds: float = 0.0) -> None:
        self.cancels = 0
        self._forgets = forgets
        self._ends_seconds = ends_seconds

    async def run(self) -> None:
        while True:
            try:
                await asyncio.sleep(DEADLINE_SECONDS)
            except asyncio.CancelledError:
                self.cancels += 1
                if self.cancels > self._forgets:
                    break
        try:
            await asyncio.sleep(self._ends_seconds)
        except asyncio.CancelledError:
            self.cancels += 1
        raise asyncio.CancelledError


async def started(*works: Stubborn) -> list[asyncio.Task[None]]:
    tasks = [asyncio.create_task(work.run()) for work in works]
    await asyncio.sleep(0)
    return tasks


def test_a_cancel_that_is_forgotten_is_given_again() -> None:
    async def story() -> None:
        work = Stubborn(forgets=2)
        (task,) = await started(work)
        await cancel(task, ends_in_order=lambda: False, beside=[], again_seconds=AGAIN_SECONDS)
        assert (task.cancelled(), work.cancels) == (True, 3)

    asyncio.run(story())


def test_an_end_in_order_is_not_disturbed_by_a_second_cancel() -> None:
    async def story() -> None:
        work = Stubborn(ends_seconds=20 * AGAIN_SECONDS)
        (task,) = await started(work)
        await cancel(task, ends_in_order=lambda: True, beside=[], again_seconds=AGAIN_SECONDS)
        assert (task.cancelled(), work.cancels) == (True, 1)

    asyncio.run(story())


def test_a_task_beside_that_forgot_its_cancel_is_cancelled_again_and_others_are_left_alone() -> None:
    async def story() -> None:
        forgetful, other = Stubborn(forgets=1), Stubborn()
        beside, living = await started(forgetful, other)

        async def waits() -> None:
            try:
                await asyncio.sleep(DEADLINE_SECONDS)
            finally:
                beside.cancel()
                await asyncio.wait({beside})

        work = asyncio.create_task(waits())
        await asyncio.sleep(0)
        await cancel(work, ends_in_order=lambda: True, beside=[beside, living], again_seconds=AGAIN_SECONDS)
        assert (beside.cancelled(), forgetful.cancels, other.cancels) == (True, 2, 0)
        living.cancel()

    asyncio.run(story())


def test_a_worker_knows_when_its_queue_ends_in_order_and_ends_at_a_signal(
    engine: AsyncEngine, dsn: str, tmp_path: Path
) -> None:
    with desks.open_desk(engine, dsn, tmp_path) as desk:

        async def story() -> None:
            program = Program(command=desk.judge_command(ACCEPTS))
            running = asyncio.create_task(Worker(settings=desk.settings, timing=Timing(), program=program).run())
            deadline = time.monotonic() + DEADLINE_SECONDS
            while not worker._takes_jobs():
                assert time.monotonic() < deadline
                assert not running.done()
                await asyncio.sleep(0.01)
            os.kill(os.getpid(), signal.SIGTERM)
            await asyncio.wait_for(running, DEADLINE_SECONDS)

        asyncio.run(story())
