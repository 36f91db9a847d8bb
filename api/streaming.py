"""A job as server-sent events: how it stands at once, then every change, until its run ends or the reader leaves.

    event: state   id N, data EventJson      one transition; after a reconnect those after Last-Event-ID
    event: job     id N, data JobJson        the job as GET /verify/{id} shows it, without its report
    event: end     data {"state": ...}       the run is over; the reader closes

Every so often, however much is told between, a comment keeps the connection open, and the token is looked at again.
"""

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from typing import Final

from fastapi.sse import KEEPALIVE_COMMENT, format_sse_event
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from api.access import Access
from api.resources import Resources
from api.schemas import event_json, job_json
from api.states import UNFINISHED
from api.store import jobs
from api.waiting import pause

LOG: Final = logging.getLogger(__name__)
MAX_EVENT_ID: Final = 2**63 - 1


def last_event_id(header: str | None) -> int | None:
    """The event after which a reader goes on; None for a new one, and for what is no id of ours."""
    if header is None or not header.isascii() or not header.isdecimal() or len(header) > 19:
        return None
    return min(int(header), MAX_EVENT_ID)


async def stream(held: Resources, access: Access, job_id: str, after: int | None) -> AsyncIterator[bytes]:
    """The events of one reader, as they go over the wire; the caller holds a place in `held.streams`."""
    sent, clock = b"", asyncio.get_running_loop().time
    due = clock() + held.keep_alive_seconds
    try:
        with held.hub.watching(job_id) as changed:
            while not held.hub.is_closing:
                changed.clear()
                async with held.engine.connect() as connection:
                    job = await jobs.view(connection, job_id)
                    missed = await jobs.events_after(connection, job_id, after or 0)
                if job is None:
                    return
                for event in missed if after is not None else ():
                    yield format_sse_event(
                        event="state", id=str(event.id), data_str=event_json(event).model_dump_json()
                    )
                after = missed[-1].id if missed else after or 0
                text = format_sse_event(event="job", id=str(after), data_str=job_json(job).model_dump_json())
                if text != sent:
                    yield text
                sent = text
                if job.state not in UNFINISHED:
                    yield format_sse_event(event="end", data_str=json.dumps({"state": job.state}))
                    return
                await pause(changed, due - clock())
                if clock() >= due:
                    if not await access.still_holds(held.engine):
                        return
                    yield KEEPALIVE_COMMENT
                    due = clock() + held.keep_alive_seconds
    except (OperationalError, InterfaceError, PoolTimeout) as error:
        LOG.warning("a stream ended: %s", type(error).__name__)  # its reader comes again with Last-Event-ID
