"""Badges: a random name under which everybody sees a job's verdict and val_bpb, and nothing else."""

import secrets
from dataclasses import dataclass

from sqlalchemy import func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from api.states import State
from api.store.tables import jobs, shares
from api.store.withdrawing import NotYours, submitted_by

ID_BYTES = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Badge:
    """What a badge shows."""

    state: State
    val_bpb: float | None


async def share(connection: AsyncConnection, *, job_id: str, owner: str) -> str:
    """Make a badge of a job that the owner has submitted; the one that he has when there is one.

    Raises:
        NotYours: he has not.
    """
    if not await submitted_by(connection, job_id, owner):
        raise NotYours
    found = await mine(connection, job_id=job_id, owner=owner)
    if found is not None:
        return found
    made = secrets.token_urlsafe(ID_BYTES)
    await connection.execute(insert(shares).values(id=made, job_id=job_id, owner=owner))
    return made


async def mine(connection: AsyncConnection, *, job_id: str, owner: str) -> str | None:
    """The owner's badge of a job, or None."""
    open_now = (shares.c.job_id == job_id, shares.c.owner == owner, shares.c.revoked_at.is_(None))
    found: str | None = (await connection.execute(select(shares.c.id).where(*open_now).limit(1))).scalar_one_or_none()
    return found


async def revoke(connection: AsyncConnection, share_id: str, *, owner: str) -> str | None:
    """Take a badge away, and return of which job it was; None when the owner has no such one."""
    change = update(shares).where(shares.c.id == share_id, shares.c.owner == owner, shares.c.revoked_at.is_(None))
    revoked = await connection.execute(change.values(revoked_at=func.now()).returning(shares.c.job_id))
    job_id: str | None = revoked.scalar_one_or_none()
    return job_id


async def badge(connection: AsyncConnection, share_id: str) -> Badge | None:
    """What the badge shows; None for one that is unknown or revoked."""
    query = select(jobs.c.state, jobs.c.val_bpb).join(shares, shares.c.job_id == jobs.c.id)
    query = query.where(shares.c.id == share_id, shares.c.revoked_at.is_(None))
    row = (await connection.execute(query)).one_or_none()
    return None if row is None else Badge(state=State(row.state), val_bpb=row.val_bpb)
