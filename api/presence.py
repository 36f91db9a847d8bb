"""What a worker says of itself at every heartbeat: that it lives, which key it signs with, which sets it has.

Readers of a job see the worker's name, which is random; on which machine it runs stands in its log and in the table of
workers, which administrators may read.
"""

import asyncio
import logging
import os
import secrets
import socket
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from sqlalchemy.exc import SQLAlchemyError

from api.bench import Bench
from api.hardware_class import HardwareClass
from api.store import keys, valsets, workers
from api.store.workers import Identity
from verifier.data_errors import DataError
from verifier.report_assembly import verifier_version
from verifier.signing_errors import BadKey
from verifier.valset import Registration
from verifier.valset_registry import Registry

logger: Final = logging.getLogger(__name__)

ALIVE_FILE: Final = "worker-alive"
"""In the data folder; touched whenever this process has reached the database, for a container's health check."""
NAME_BYTES: Final = 4
GOODBYE_SECONDS: Final = 2.0


def new_name() -> str:
    """A name for a worker process."""
    return f"worker-{secrets.token_hex(NAME_BYTES)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Presence:
    """A worker as others know it.

    Attributes:
        bench: what it works with.
        hardware_class: whose jobs it takes.
        alive_file: touched at every heartbeat.
    """

    bench: Bench
    hardware_class: HardwareClass
    alive_file: Path

    async def begin(self) -> None:
        """Become known.

        Raises:
            BadKey: the key is retired.
        """
        logger.info("%s is process %d on %s", self.bench.worker, os.getpid(), socket.gethostname())
        await self._beat()
        await self.bench.write(workers.forget_old)

    async def keep(self) -> None:
        """Say it again every heartbeat, until cancelled.

        Raises:
            BadKey: the key was retired, and no other has been put in its place.
        """
        published = None
        while True:
            here = await asyncio.to_thread(_registered, self.bench.registry)
            if here is not None and here != published:
                announce = partial(valsets.publish, hardware_class=self.hardware_class, registrations=here)
                await self.bench.write(announce)
                published = here
            await self._beat()
            _touch(self.alive_file)
            await asyncio.sleep(self.bench.heartbeat_seconds)

    async def end(self) -> None:
        """Say goodbye, once: a worker that cannot is missed after a while."""
        try:
            async with asyncio.timeout(GOODBYE_SECONDS), self.bench.engine.begin() as connection:
                await workers.leave(connection, self.bench.worker)
        except (SQLAlchemyError, OSError, TimeoutError) as error:
            logger.warning("left without a goodbye: %s", type(error).__name__)

    async def _beat(self) -> None:
        bench = self.bench
        if not await self._may_sign():
            await asyncio.to_thread(bench.keyring.renew)
            if not await self._may_sign():
                raise BadKey(
                    str(bench.keyring.path),
                    expected="a key in use",
                    got=f"{bench.key.public.keyid}, which is retired",
                    next_step="`seedgolf rotate-key` makes another",
                )
        identity = Identity(
            name=bench.worker,
            host=socket.gethostname(),
            process_id=os.getpid(),
            hardware_class=self.hardware_class,
            verifier_version=verifier_version(),
            keyid=bench.key.public.keyid,
        )
        await bench.write(partial(workers.beat, identity=identity))

    async def _may_sign(self) -> bool:
        """Make the key known; whether it is in use."""
        return await self.bench.write(partial(keys.publish, public_key=self.bench.key.public))


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
