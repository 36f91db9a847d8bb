"""The public keys of the workers: the one that signs now, and the retired ones that old reports need."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from api.store.tables import keys
from verifier.keys import PublicKey


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownKey:
    """A key; retired when a younger one signs."""

    keyid: str
    pem: str
    created_at: datetime
    retired_at: datetime | None


async def publish(connection: AsyncConnection, public_key: PublicKey) -> None:
    """Make a key the one that signs; the others retire."""
    row = insert(keys).values(keyid=public_key.keyid, pem=public_key.to_pem().decode())
    await connection.execute(row.on_conflict_do_update(index_elements=[keys.c.keyid], set_={"retired_at": None}))
    others = update(keys).where(keys.c.keyid != public_key.keyid, keys.c.retired_at.is_(None))
    await connection.execute(others.values(retired_at=func.now()))


async def all_keys(connection: AsyncConnection) -> list[KnownKey]:
    """Every key, the one that signs first."""
    rows = await connection.execute(select(keys).order_by(keys.c.retired_at.desc().nulls_first(), keys.c.keyid))
    return [KnownKey(**row) for row in rows.mappings()]
