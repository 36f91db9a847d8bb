"""Places for artifacts in memory, so many of a process and so many of one owner; further requests wait.

An owner's own requests wait behind each other first. However slowly he sends or reads, half of the places stay free for
the others.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Final
from weakref import WeakValueDictionary

from api import errors

SLOTS: Final = 8
PATIENCE_SECONDS: Final = 30.0
RETRY_SECONDS: Final = 10


class Slots:
    """A number of places, of which one owner holds at most half."""

    def __init__(self, count: int = SLOTS, *, patience_seconds: float = PATIENCE_SECONDS) -> None:
        self._free = asyncio.Semaphore(count)
        self._share = max(1, count // 2)
        self._shares: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()
        self._patience_seconds = patience_seconds

    @asynccontextmanager
    async def taken(self, owner: str) -> AsyncIterator[None]:
        """Hold a place.

        Raises:
            Busy: none became free in time.
        """
        # whoever holds or awaits a share keeps it in the dictionary
        share = self._shares.setdefault(owner, asyncio.Semaphore(self._share))
        async with AsyncExitStack() as held:
            try:
                async with asyncio.timeout(self._patience_seconds):
                    await held.enter_async_context(share)
                    await held.enter_async_context(self._free)
            except TimeoutError:
                raise errors.Busy(
                    "no place for an artifact became free", hint="try again", retry_after_seconds=RETRY_SECONDS
                ) from None
            yield
