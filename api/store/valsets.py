"""What the workers can score on: each writes its registered sets here at its start and when they change."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from api.hardware_class import HardwareClass
from api.store.tables import valsets
from verifier.valset import Registration


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownValset:
    """A set that workers of a class have; `official` is the published set that it is."""

    name: str
    sha256: str
    official: str | None
    hardware_class: HardwareClass
    registration: Registration


async def publish(
    connection: AsyncConnection, hardware_class: HardwareClass, registrations: Sequence[Registration]
) -> None:
    """Say which sets a worker of this class has."""
    for registration in registrations:
        row = insert(valsets).values(
            sha256=registration.sha256,
            hardware_class=hardware_class,
            name=registration.name,
            registration=registration.model_dump(mode="json", exclude_none=True),
        )
        latest = {"name": row.excluded.name, "registration": row.excluded.registration, "seen_at": func.now()}
        keys = [valsets.c.sha256, valsets.c.hardware_class]
        await connection.execute(row.on_conflict_do_update(index_elements=keys, set_=latest))


async def known(connection: AsyncConnection) -> list[KnownValset]:
    """Every set, by name and class."""
    rows = await connection.execute(select(valsets).order_by(valsets.c.name, valsets.c.hardware_class))
    return [
        KnownValset(
            name=row.name,
            sha256=row.sha256,
            official=row.registration.get("official"),
            hardware_class=HardwareClass(row.hardware_class),
            registration=Registration.model_validate_json(json.dumps(row.registration)),
        )
        for row in rows
    ]
