"""Places for artifacts in memory: bounded, and shared fairly between owners."""

import asyncio
from contextlib import AsyncExitStack

import pytest

from api.errors import Busy
from api.slots import Slots


def test_one_owner_holds_half_of_the_places_and_another_finds_the_rest_free() -> None:
    async def story() -> None:
        slots = Slots(4, patience_seconds=0)
        async with AsyncExitStack() as held:
            for owner in ("ann", "ann", "bob", "bob"):
                await held.enter_async_context(slots.taken(owner))
                if owner == "ann":
                    continue
                with pytest.raises(Busy):
                    await held.enter_async_context(slots.taken("ann"))
            with pytest.raises(Busy):
                await held.enter_async_context(slots.taken("eve"))
        async with slots.taken("ann"), slots.taken("ann"), slots.taken("eve"), slots.taken("eve"):
            pass  # nothing of the refused ones was kept

    asyncio.run(story())


def test_an_owner_whose_share_is_taken_waits_for_it_and_gets_it() -> None:
    async def story() -> None:
        slots, order = Slots(2), []

        async def upload(number: int) -> None:
            async with slots.taken("ann"):
                order.append(number)
                await asyncio.sleep(0)

        async with asyncio.TaskGroup() as group:
            for number in range(5):
                group.create_task(upload(number))
        assert order == [0, 1, 2, 3, 4]

    asyncio.run(story())
