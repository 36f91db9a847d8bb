"""A worker process: `python -m api.worker`. Takes jobs of its own verifier version and class, one at a time.

SIGTERM and SIGINT queue the running job again at once and end the process. A restart of the database is outlived,
run included; a database that stays away ends the process with exit code 1, for its jobs run elsewhere by then.
"""

import asyncio
import logging
import os
import signal
import sys
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final, Literal

from procrastinate import JobContext
from sqlalchemy.ext.asyncio import AsyncEngine

from api import database, device, logs, queue, sure_cancel
from api import settings as service_settings
from api.bench import Bench
from api.blobs import Blobs
from api.device import NoDevice
from api.hardware_class import HardwareClass
from api.keyring import Keyring
from api.patience import DatabaseLost, Patience, PatientConnector
from api.presence import ALIVE_FILE, Presence, new_name
from api.question import queue_name
from api.scratch import own_place
from api.settings import BadSetting, Settings
from api.signing import sign_forever
from api.sweep import EVERY_SECONDS, LOST_SECONDS, sweep_forever
from api.verifying import verify
from verifier.data_errors import DataError
from verifier.report_assembly import verifier_version
from verifier.sandbox import JUDGE, Program
from verifier.settings import Settings as RunSettings
from verifier.signing_errors import BadKey
from verifier.valset_registry import Registry

logger: Final = logging.getLogger(__name__)

PATIENCE_IN_LIMITS: Final = 3
QUEUE_LOOP: Final = "worker loop"
"""procrastinate's own name of the task that its worker shields from a cancel; a test keeps it so."""
OK, DATABASE_LOST, BAD_SETTING = 0, 1, 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """The clocks of a worker, in seconds.

    Attributes:
        heartbeat: between signs of life.
        lost: without one of these a worker is lost.
        sweep: between looks for lost workers.
        poll: between looks for a job or a cancel whose notice was missed; the queue's own loop misses one now and then.
        retry: waits before the second and the third attempt after a failure outside the judge.
        outage: how long an attempt waits for the store of artifacts before another worker may try.
    """

    heartbeat: float = 10.0
    lost: float = LOST_SECONDS
    sweep: float = EVERY_SECONDS
    poll: float = 1.0
    retry: tuple[float, float] = (1.0, 10.0)
    outage: float = 300.0


@dataclass(slots=True, kw_only=True)
class Worker:
    """One worker; `program` is what judges."""

    settings: Settings
    timing: Timing = field(default_factory=Timing)
    program: Program = JUDGE
    _beside: list[asyncio.Task[None]] = field(default_factory=list, init=False)

    async def run(self) -> None:
        """Work until SIGTERM or SIGINT; the first of them, whenever it comes, ends the work in order.

        Raises:
            DatabaseLost: the database was away for too long.
            BadKey: the signing key is none, or is retired.
        """
        stop = asyncio.Event()
        for signum in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(signum, stop.set)
        working = asyncio.create_task(self._work())
        ending = asyncio.create_task(self._end_on(stop, working))
        try:
            with suppress(asyncio.CancelledError):
                await working
        finally:
            ending.cancel()

    async def _end_on(self, stop: asyncio.Event, working: asyncio.Task[None]) -> None:
        await stop.wait()
        await sure_cancel.cancel(working, ends_in_order=_takes_jobs, beside=self._beside)

    async def _work(self) -> None:
        assert self.settings.database is not None, "whoever starts a worker names its database"
        dsn, timing = self.settings.database, self.timing
        patience = Patience(PATIENCE_IN_LIMITS * timing.lost)
        engine = database.engine(dsn)
        bench = await self._bench(engine, patience)
        presence = Presence(
            bench=bench, hardware_class=self.settings.worker_class, alive_file=self.settings.data / ALIVE_FILE
        )
        try:
            await presence.begin()
            async with asyncio.TaskGroup() as group:
                sweeping = sweep_forever(engine, lost_seconds=timing.lost, every_seconds=timing.sweep)
                beside = (sweeping, sign_forever(bench, dsn), presence.keep())
                self._beside.extend(group.create_task(loop) for loop in beside)
                await self._take_jobs(bench, PatientConnector(dsn, patience))
                for task in self._beside:
                    task.cancel()
        finally:
            await presence.end()
            await engine.dispose()
        if patience.is_exhausted:
            raise DatabaseLost("the queue gave up")

    async def _bench(self, engine: AsyncEngine, patience: Patience) -> Bench:
        settings = self.settings
        where: Literal["cuda", "cpu"] = "cuda" if settings.worker_class is HardwareClass.GPU else "cpu"
        return Bench(
            worker=new_name(),
            engine=engine,
            patience=patience,
            blobs=Blobs(settings.blob_url),
            registry=Registry(folder=settings.valset_folder),
            keyring=await asyncio.to_thread(Keyring, settings.key_file),
            run_settings=RunSettings(device=where, threads=settings.threads or len(os.sched_getaffinity(0))),
            environ=service_settings.inherited(),
            heartbeat_seconds=self.timing.heartbeat,
            retry_seconds=self.timing.retry,
            outage_seconds=self.timing.outage,
            program=self.program,
        )

    async def _take_jobs(self, bench: Bench, connector: PatientConnector) -> None:
        app = queue.make_app(connector)

        @app.task(name=queue.VERIFY, pass_context=True)
        async def take(context: JobContext, job_id: str) -> None:
            await verify(bench, context, job_id=job_id)

        async with app.open_async():
            await app.run_worker_async(
                queues=[queue_name(verifier_version(), self.settings.worker_class)],
                name=bench.worker,
                concurrency=1,
                fetch_job_polling_interval=self.timing.poll,
                abort_job_polling_interval=self.timing.poll,
                update_heartbeat_interval=self.timing.heartbeat,
                stalled_worker_timeout=self.timing.lost,
                shutdown_graceful_timeout=0,
                delete_jobs="always",
                install_signal_handlers=False,
            )


def _takes_jobs() -> bool:
    """Whether the queue's loop runs: from then on it shields itself and ends in order."""
    return any(task.get_name() == QUEUE_LOOP for task in asyncio.all_tasks())


def main() -> int:
    """The program; returns its exit code."""
    logs.set_up()
    logging.getLogger("procrastinate").setLevel(logging.WARNING)
    try:
        settings = service_settings.load()
    except BadSetting as error:
        logger.error("%s", error)  # noqa: TRY400 - the message says it all
        return BAD_SETTING
    if settings.database is None:
        logger.error("SEEDGOLF_DATABASE: expected the DSN of the service's database, got nothing")
        return BAD_SETTING
    try:
        device.check(settings.worker_class, service_settings.inherited())
    except NoDevice as error:
        logger.error("%s", error)  # noqa: TRY400 - the message says it all
        return BAD_SETTING
    try:
        Registry(folder=settings.valset_folder).add_demo()
    except (DataError, OSError):
        logger.exception("the built-in validation set could not be registered")
    status = OK
    try:
        with own_place():
            asyncio.run(Worker(settings=settings).run())
    except* DatabaseLost:
        logger.exception("the database was away for too long")
        status = DATABASE_LOST
    except* BadKey as group:
        logger.error("%s", group.exceptions[0])  # noqa: TRY400 - the message says it all
        status = BAD_SETTING
    return status


if __name__ == "__main__":
    sys.exit(main())
