"""Reports of the pre-check are written unsigned by the API, which has no key: workers sign them as soon as told.

A report without envelope is the whole state of this work, so nothing can be lost: a word that is missed, or a worker
that dies, costs a few seconds until the next look.
"""

import asyncio
import logging
from functools import partial
from typing import Final

import psycopg
from psycopg import sql
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from api import database
from api.bench import Bench
from api.store import journal
from api.store.tables import reports
from verifier import attestation
from verifier.keys import PrivateKey
from verifier.report import BadReport, parse

logger: Final = logging.getLogger(__name__)

BATCH: Final = 20
LOOK_SECONDS: Final = 5.0


async def sign_forever(bench: Bench, dsn: str) -> None:
    """Sign until cancelled."""
    while True:
        try:
            async with await psycopg.AsyncConnection.connect(database.psycopg_dsn(dsn), autocommit=True) as connection:
                await connection.execute(sql.SQL("LISTEN {}").format(sql.Identifier(journal.SIGN_CHANNEL)))
                while True:
                    await _sign_all(bench)
                    async for _ in connection.notifies(timeout=LOOK_SECONDS, stop_after=1):
                        pass
        except psycopg.OperationalError:
            logger.warning("the database is away: reports wait for their signatures")
        await asyncio.sleep(1)


async def _sign_all(bench: Bench) -> None:
    while await bench.write(partial(sign_waiting, key=bench.key)) == BATCH:
        pass


async def sign_waiting(connection: AsyncConnection, key: PrivateKey) -> int:
    """Sign some reports that wait for it, each by one worker.

    Returns:
        How many.
    """
    waiting = select(reports.c.job_id, reports.c.raw).where(reports.c.envelope.is_(None)).order_by(reports.c.created_at)
    rows = (await connection.execute(waiting.limit(BATCH).with_for_update(skip_locked=True))).all()
    done = 0
    for row in rows:
        try:
            report = parse(row.raw)
        except BadReport:
            logger.exception("job %s: its report cannot be signed", row.job_id)
            continue
        envelope = attestation.sign(report, key)
        done += 1
        signed = update(reports).where(reports.c.job_id == row.job_id)
        await connection.execute(signed.values(envelope=envelope, keyid=key.public.keyid))
        await journal.tell(connection, row.job_id)
    return done
