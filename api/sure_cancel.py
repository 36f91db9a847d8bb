"""Cancel a worker's task so that it heeds it.

`asyncio.wait_for` before Python 3.12 forgets a cancel that comes in the moment of its result (gh-86296), and the pools
of psycopg and SQLAlchemy wait by it: about one in forty workers that were stopped in their first half second went on
for ever. A task that ends in order, on the other hand, must be cancelled once and no more.
"""

import asyncio
from collections.abc import Callable, Iterable
from typing import Final

AGAIN_SECONDS: Final = 2.0


async def cancel(
    work: asyncio.Task[None],
    *,
    ends_in_order: Callable[[], bool],
    beside: Iterable[asyncio.Task[None]],
    again_seconds: float = AGAIN_SECONDS,
) -> None:
    """Cancel `work`, and wait for its end.

    Args:
        work: is cancelled again and again until one cancel met it where it `ends_in_order`.
        ends_in_order: whether a cancel now is heeded and begins an end in order.
        beside: tasks that `work` cancels and waits for; those that did not heed it are cancelled again.
        again_seconds: between two cancels.
    """
    is_told = False
    while not work.done():
        if not is_told:
            is_told = ends_in_order()
            work.cancel()
        for task in beside:
            if task.cancelling():
                task.cancel()
        await asyncio.wait({work}, timeout=again_seconds)
