"""What a worker judges with, made once at its start."""

from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from api.blobs import Blobs
from api.keyring import Keyring
from api.patience import Patience
from verifier.keys import PrivateKey
from verifier.sandbox import JUDGE, Program
from verifier.settings import Settings
from verifier.valset_registry import Registry

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """The tools of one worker.

    Attributes:
        worker: its name.
        engine, patience: the database, and how long it may be away.
        blobs: the artifacts.
        registry: the validation sets.
        keyring: what signs reports.
        run_settings: of every run; each job says its own dtype.
        environ: of this process, of which the child gets a short list.
        heartbeat_seconds: a running job gives a sign of life at least that often.
        retry_seconds: waits before the second and the third attempt after a failure that is not the judge's.
        outage_seconds: how long an attempt waits for the store of artifacts before another worker may try.
        program: what judges.
        thread: the one thread that starts judges; they die with it.
    """

    worker: str
    engine: AsyncEngine
    patience: Patience
    blobs: Blobs
    registry: Registry
    keyring: Keyring = field(repr=False)
    run_settings: Settings
    environ: Mapping[str, str] = field(repr=False)
    heartbeat_seconds: float
    retry_seconds: tuple[float, float]
    outage_seconds: float
    program: Program = JUDGE
    thread: ThreadPoolExecutor = field(default_factory=partial(ThreadPoolExecutor, max_workers=1))

    @property
    def key(self) -> PrivateKey:
        """The key that signs now."""
        return self.keyring.key

    async def write(self, step: Callable[[AsyncConnection], Awaitable[T]]) -> T:
        """Run one transaction, again and again while the database is away."""

        async def once() -> T:
            async with self.engine.begin() as connection:
                return await step(connection)

        return await self.patience.call(once)
