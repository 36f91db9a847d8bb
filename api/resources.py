"""What one API process holds open from its start to its end, and how a route gets at it."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Annotated, Final

from fastapi import Depends, Request
from sqlalchemy.ext.asyncio import AsyncEngine

from api import database, upload
from api.blobs import Blobs
from api.floods import Floods
from api.metrics import Metrics
from api.places import Places
from api.prechecking import Prechecker
from api.settings import Settings
from api.slots import Slots
from api.store.submitting import Quota
from api.sweep import sweep_forever
from api.waiting import Hub
from verifier.tracks import Track

KEEP_ALIVE_SECONDS: Final = 10.0
MAX_WAITERS, MAX_STREAMS, MAX_PER_CLIENT = 100, 200, 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    """Everything that routes share; `keep_alive_seconds` between the comments of a silent event stream."""

    settings: Settings
    tracks: Mapping[str, Track]
    engine: AsyncEngine
    blobs: Blobs
    prechecker: Prechecker
    hub: Hub
    slots: Slots
    downloads: Slots
    pace: upload.Pace
    waiters: Places
    streams: Places
    keep_alive_seconds: float
    floods: Floods
    metrics: Metrics

    @property
    def quota(self) -> Quota:
        """What one owner may ask for."""
        s = self.settings
        return Quota(verdicts=s.quota_verdicts, window_seconds=s.quota_window_seconds, unfinished=s.quota_unfinished)

    @property
    def cap_bytes(self) -> int:
        """The largest body of an upload."""
        return upload.cap_bytes(self.tracks.values())


@asynccontextmanager
async def opened(settings: Settings, tracks: Mapping[str, Track], metrics: Metrics) -> AsyncIterator[Resources]:
    """The resources, closed afterwards. Starts without a database, and says so in its answers until there is one."""
    if settings.database is None:
        raise ValueError("database: expected a DSN, got none; `seedgolf serve` starts one")
    engine, hub = database.engine(settings.database), Hub(database.psycopg_dsn(settings.database))
    loops = [asyncio.create_task(hub.run()), asyncio.create_task(sweep_forever(engine))]
    try:
        blobs = Blobs(settings.blob_url)
        await asyncio.to_thread(blobs.forget_unfinished)
        async with Prechecker({}) as prechecker:
            yield Resources(
                settings=settings,
                tracks=tracks,
                engine=engine,
                blobs=blobs,
                prechecker=prechecker,
                hub=hub,
                slots=Slots(),
                downloads=Slots(),
                pace=upload.Pace(),
                waiters=Places(MAX_WAITERS, per_client=MAX_PER_CLIENT),
                streams=Places(MAX_STREAMS, per_client=MAX_PER_CLIENT),
                keep_alive_seconds=KEEP_ALIVE_SECONDS,
                floods=Floods(),
                metrics=metrics,
            )
    finally:
        for loop in loops:
            loop.cancel()
        await asyncio.gather(*loops, return_exceptions=True)
        await engine.dispose()


def held(request: Request) -> Resources:
    """The resources of the process that answers."""
    resources: Resources = request.app.state.resources
    return resources


Held = Annotated[Resources, Depends(held)]
