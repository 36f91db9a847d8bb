"""The worker processes: which there are and where, for administrators; how many could answer a question, for everybody.

A worker's name says nothing about its machine, for every reader of a job sees it. The machine stands here only.
"""

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, and_, delete, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from api.hardware_class import HardwareClass
from api.store.tables import workers

ALIVE_SECONDS: Final = 30.0
"""Without a sign of life for so long a worker counts as gone; three heartbeats."""
KEPT_DAYS: Final = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """A worker process.

    Attributes:
        name: what readers see.
        host, process_id: where it runs, for administrators.
        hardware_class, verifier_version: whose jobs it takes.
        keyid: of the key that it signs with.
    """

    name: str
    host: str
    process_id: int
    hardware_class: HardwareClass
    verifier_version: str
    keyid: str


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownWorker(Identity):
    """A worker of the last weeks; `ended_at` when it said goodbye, `is_alive` when it was heard of lately."""

    started_at: datetime
    heard_at: datetime
    ended_at: datetime | None
    is_alive: bool


def alive() -> ColumnElement[bool]:
    """The condition under which a worker counts as alive."""
    silence = func.extract("epoch", func.now() - workers.c.heard_at)
    return and_(workers.c.ended_at.is_(None), silence < ALIVE_SECONDS)


async def beat(connection: AsyncConnection, identity: Identity) -> None:
    """Give a worker's sign of life; the first one makes it known."""
    row = insert(workers).values(asdict(identity))
    again = {"heard_at": func.now(), "keyid": identity.keyid}
    await connection.execute(row.on_conflict_do_update(index_elements=[workers.c.name], set_=again))


async def leave(connection: AsyncConnection, name: str) -> None:
    """Say that a worker ends in order."""
    await connection.execute(update(workers).where(workers.c.name == name).values(ended_at=func.now()))


async def forget_old(connection: AsyncConnection) -> None:
    """Forget workers that nobody asks about any more."""
    age = func.extract("epoch", func.now() - workers.c.heard_at)
    await connection.execute(delete(workers).where(age > KEPT_DAYS * 86_400))


async def all_workers(connection: AsyncConnection, *, limit: int = 1000) -> list[KnownWorker]:
    """Every worker that is remembered, the last heard of first."""
    query = select(workers, alive().label("is_alive")).order_by(workers.c.heard_at.desc(), workers.c.name)
    return [_known(row) for row in map(dict, (await connection.execute(query.limit(limit))).mappings())]


async def alive_by_class(connection: AsyncConnection) -> dict[HardwareClass, int]:
    """How many workers of each class are alive; every class is among the keys."""
    query = select(workers.c.hardware_class, func.count().label("number")).where(alive())
    found = {row.hardware_class: row.number for row in await connection.execute(query.group_by("hardware_class"))}
    return {each: found.get(each, 0) for each in HardwareClass}


def _known(row: dict[str, Any]) -> KnownWorker:
    return KnownWorker(**row | {"hardware_class": HardwareClass(row["hardware_class"])})
