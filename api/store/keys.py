"""The public keys of the workers: those that sign, several where machines have keys of their own, and retired ones.

A key is retired by an operator's word alone (`seedgolf rotate-key`, `seedgolf retire-key`) and for good: workers that
hold it sign nothing any more. Its public half stays, because reports of before need it.
"""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from api.store.tables import keys
from verifier.keys import PublicKey


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownKey:
    """A key; `retired_at` since when it signs no more."""

    keyid: str
    pem: str
    created_at: datetime
    retired_at: datetime | None


async def publish(connection: AsyncConnection, public_key: PublicKey) -> bool:
    """Make a key known, beside those that are; False where it is retired, and must not sign."""
    row = insert(keys).values(keyid=public_key.keyid, pem=public_key.to_pem().decode())
    await connection.execute(row.on_conflict_do_nothing())
    query = select(keys.c.retired_at.is_(None)).where(keys.c.keyid == public_key.keyid)
    return bool((await connection.execute(query)).scalar_one())


async def retire(connection: AsyncConnection, keyid: str) -> bool:
    """Take a key out of use for good; False where none of that id is in use."""
    change = update(keys).where(keys.c.keyid == keyid, keys.c.retired_at.is_(None)).values(retired_at=func.now())
    return (await connection.execute(change)).rowcount == 1


async def all_keys(connection: AsyncConnection) -> list[KnownKey]:
    """Every key, those in use first, of each kind the youngest first."""
    order = (keys.c.retired_at.desc().nulls_first(), keys.c.created_at.desc(), keys.c.keyid)
    rows = await connection.execute(select(keys).order_by(*order))
    return [KnownKey(**row) for row in rows.mappings()]
