"""How much one owner may ask for: counted in the transaction that takes the submission, so it is exact.

What counts: verdicts, queued and running jobs within the window, a cancelled run that had started, and a run that
lost its workers. What does not: an answer from store, a question somebody else's run answers already, our failures.
"""

from dataclasses import dataclass
from typing import Final

from sqlalchemy import and_, func, or_, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from api.states import UNFINISHED
from api.store.tables import jobs, submissions

SOON_SECONDS: Final = 30
"""When to ask again while one's own jobs run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Quota:
    """The limits of one owner: so many within the window, so many unfinished at once."""

    verdicts: int
    window_seconds: int
    unfinished: int


class OverQuota(Exception):
    """The owner has used up a limit.

    Attributes:
        limit: what is allowed.
        used: what was counted.
        retry_after_seconds: when to ask again.
        what: `verdicts` or `unfinished`.
    """

    def __init__(self, what: str, *, limit: int, used: int, retry_after_seconds: int) -> None:
        super().__init__(f"{what}: expected at most {limit}, got {used}")
        self.what = what
        self.limit = limit
        self.used = used
        self.retry_after_seconds = retry_after_seconds


async def lock_owner(connection: AsyncConnection, owner: str) -> None:
    """Let one transaction of an owner at a time count and add."""
    await connection.execute(
        text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))"), {"name": f"quota {owner}"}
    )


async def check(connection: AsyncConnection, owner: str, quota: Quota) -> None:
    """Check that the owner may start one more run; the caller holds `lock_owner`.

    Raises:
        OverQuota: not now.
    """
    of_run = submissions.join(jobs, and_(jobs.c.id == submissions.c.job_id, jobs.c.run == submissions.c.run))
    open_now = and_(jobs.c.state.in_(UNFINISHED), submissions.c.withdrawn_at.is_(None))
    age = func.extract("epoch", func.now() - submissions.c.submitted_at)
    recent = age < quota.window_seconds
    counted = select(
        func.count().filter(or_(recent, and_(jobs.c.id.is_not(None), open_now))),
        func.count(func.distinct(submissions.c.job_id)).filter(and_(jobs.c.id.is_not(None), open_now)),
        func.max(age).filter(recent),
    )
    rows = counted.select_from(submissions.outerjoin(jobs, of_run.onclause))
    row = (await connection.execute(rows.where(submissions.c.owner == owner, submissions.c.counts))).one()
    used, unfinished, oldest_seconds = row
    if unfinished >= quota.unfinished:
        raise OverQuota("unfinished", limit=quota.unfinished, used=unfinished, retry_after_seconds=SOON_SECONDS)
    if used >= quota.verdicts:
        wait = max(1, round(quota.window_seconds - float(oldest_seconds or 0)))
        raise OverQuota("verdicts", limit=quota.verdicts, used=used, retry_after_seconds=wait)
