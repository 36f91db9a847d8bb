"""The heartbeat of one attempt: what the judge says of its progress becomes the job's sign of life.

The judge's thread leaves its words here; a loop writes them at most twice a second, and at least once a heartbeat.
The loop ends when the job is not this attempt's any more.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from api.store import transitions
from api.store.transitions import Fence
from verifier.report import CheckName, Report

TICK_SECONDS: Final = 0.5

Step = Callable[[AsyncConnection], Awaitable[bool]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """How far a run is."""

    stage: str | None = None
    done: int | None = None
    total: int | None = None


class Beat:
    """A Watch that passes on what it is told."""

    def __init__(self, fence: Fence, *, write: Callable[[Step], Awaitable[bool]], every_seconds: float) -> None:
        self._fence = fence
        self._write = write
        self._every_seconds = every_seconds
        self._mark = Mark()

    def begins(self, name: CheckName) -> None:
        """A check begins."""
        self._mark = Mark(stage=name)

    def scoring_begins(self, if_stopped: Report) -> None:
        """Everything before the score passed; the sandbox keeps the report."""

    def progress(self, done: int, total: int, /) -> None:
        """The running check has done `done` of `total` units."""
        self._mark = Mark(stage=self._mark.stage, done=done, total=total)

    async def run(self) -> None:
        """Write until the fence does not hold any more."""
        written, at = Mark(), time.monotonic()
        while True:
            await asyncio.sleep(TICK_SECONDS)
            mark = self._mark
            if mark == written and time.monotonic() - at < self._every_seconds:
                continue
            step = partial(transitions.progress, fence=self._fence, stage=mark.stage, done=mark.done, total=mark.total)
            at = time.monotonic()
            if not await self._write(step):
                return
            written = mark
