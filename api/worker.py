"""A worker process: `python -m api.worker`. Takes jobs of its own verifier version and class, one at a time.

SIGTERM and SIGINT queue the running job again at once and end the process. A restart of the database is outlived,
run included; a database that stays away ends the process with exit code 1, for its jobs run elsewhere by then.
"""

import asyncio
import logging
import os
import signal
import socket
import sys
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final, Literal

from procrastinate import JobContext
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from api import database, keyring, logs, queue
from api import settings as service_settings
from api.bench import Bench
from api.blobs import Blobs
from api.hardware_class import HardwareClass
from api.patience import DatabaseLost, Patience, PatientConnector
from api.question import queue_name
from api.scratch import own_place
from api.settings import BadSetting, Settings
from api.signing import sign_forever
from api.store import keys, valsets
from api.sweep import EVERY_SECONDS, LOST_SECONDS, sweep_forever
from api.verifying import verify
from verifier.data_errors import DataError
from verifier.report_assembly import verifier_version
from verifier.sandbox import JUDGE, Program
from verifier.settings import Settings as RunSettings
from verifier.signing_errors import BadKey
from verifier.valset import Registration
from verifier.valset_registry import Registry

logger: Final = logging.getLogger(__name__)

ALIVE_FILE: Final = "worker-alive"
"""In the data folder; touched whenever this process has reached the database, for a container's health check."""
PATIENCE_IN_LIMITS: Final = 3
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
    """

    heartbeat: float = 10.0
    lost: float = LOST_SECONDS
    sweep: float = EVERY_SECONDS
    poll: float = 1.0
    retry: tuple[float, float] = (1.0, 10.0)


@dataclass(slots=True, kw_only=True)
class Worker:
    """One worker; `program` is what judges."""

    settings: Settings
    timing: Timing = field(default_factory=Timing)
    program: Program = JUDGE

    async def run(self) -> None:
        """Work until SIGTERM or SIGINT; the first of them, whenever it comes, ends the work in order.

        Raises:
            DatabaseLost: the database was away for too long.
        """
        working = asyncio.create_task(self._work())
        for signum in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(signum, _cancel_once, working)
        with suppress(asyncio.CancelledError):
            await working

    async def _work(self) -> None:
        assert self.settings.database is not None, "whoever starts a worker names its database"
        dsn, timing = self.settings.database, self.timing
        patience = Patience(PATIENCE_IN_LIMITS * timing.lost)
        engine = database.engine(dsn)
        bench = await self._bench(engine, patience)
        try:
            await bench.write(partial(keys.publish, public_key=bench.key.public))
            async with asyncio.TaskGroup() as group:
                sweeping = sweep_forever(engine, lost_seconds=timing.lost, every_seconds=timing.sweep)
                beside = (sweeping, sign_forever(bench, dsn), self._be_present(bench))
                tasks = [group.create_task(loop) for loop in beside]
                await self._take_jobs(bench, PatientConnector(dsn, patience))
                for task in tasks:
                    task.cancel()
        finally:
            await engine.dispose()
        if patience.is_exhausted:
            raise DatabaseLost("the queue gave up")

    async def _bench(self, engine: AsyncEngine, patience: Patience) -> Bench:
        settings = self.settings
        device: Literal["cuda", "cpu"] = "cuda" if settings.worker_class is HardwareClass.GPU else "cpu"
        return Bench(
            worker=f"{socket.gethostname()}/{os.getpid()}",
            engine=engine,
            patience=patience,
            blobs=Blobs(settings.blob_url),
            registry=Registry(folder=settings.valset_folder),
            key=await asyncio.to_thread(keyring.load_or_make, settings.key_file),
            run_settings=RunSettings(device=device, threads=settings.threads or len(os.sched_getaffinity(0))),
            environ=service_settings.inherited(),
            heartbeat_seconds=self.timing.heartbeat,
            retry_seconds=self.timing.retry,
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

    async def _be_present(self, bench: Bench) -> None:
        """Say every heartbeat which validation sets are here, and that this process has a database."""
        published = None
        while True:
            here = await asyncio.to_thread(_registered, bench.registry)
            if here is not None and here != published:
                hardware_class = self.settings.worker_class
                await bench.write(partial(valsets.publish, hardware_class=hardware_class, registrations=here))
                published = here
            await bench.write(_ask_nothing)
            _touch(self.settings.data / ALIVE_FILE)
            await asyncio.sleep(self.timing.heartbeat)


def _cancel_once(task: asyncio.Task[None]) -> None:
    if not task.cancelling():
        task.cancel()


def _registered(registry: Registry) -> list[Registration] | None:
    """The sets of the folder, None where it cannot be read."""
    try:
        return registry.registrations()
    except (DataError, OSError):
        logger.exception("the folder of validation sets cannot be read")
        return None


def _touch(file: Path) -> None:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    except OSError:  # a full disk ends no run
        logger.warning("the sign of life cannot be written", exc_info=True)


async def _ask_nothing(connection: AsyncConnection) -> None:
    await connection.execute(text("SELECT 1"))


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
