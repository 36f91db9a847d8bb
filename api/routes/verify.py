"""Submitting, following and withdrawing: /verify."""

import json
from collections.abc import AsyncIterator
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Header, Request
from fastapi.responses import JSONResponse, RedirectResponse, Response, StreamingResponse

from api import errors, intake, pages, streaming
from api.accept import prefers_html
from api.access import Reader, Submitter, Uploader, viewer
from api.logs import note_job
from api.openapi import REDIRECT, UPLOAD, also_page, of_type, read_refusals, refusals
from api.parameters import JobId, TrackName, ValsetName, Wait, WorkerClass
from api.resources import Held, Resources
from api.schemas import JobJson, job_json
from api.states import UNFINISHED, VERDICTS
from api.store import jobs, withdrawing
from api.store.jobs import JobView
from api.waiting import wait_for_end

router = APIRouter(tags=["verify"])

EVENT_STREAM: Final = "text/event-stream"


@router.post(
    "/verify",
    status_code=202,
    response_model=JobJson,
    openapi_extra=UPLOAD,
    responses=refusals(400, 401, 403, 408, 413, 415, 422)
    | {200: {"model": JobJson, "description": "The verdict is known."}, 303: REDIRECT},
)
async def submit(
    request: Request,
    held: Held,
    access: Uploader,
    valset: ValsetName = None,
    track: TrackName = None,
    worker_class: WorkerClass = None,
    wait: Wait = 0,
) -> Response:
    """Submit an artifact: a raw body, or a form with the field `file`."""
    wishes = intake.Wishes(track_name=track, valset_name=valset, hardware_class=worker_class)
    outcome = await intake.take(request, held, access, wishes)
    note_job(outcome.job_id)
    path = f"/verify/{outcome.job_id}"
    if prefers_html(request):
        return RedirectResponse(path, 303)
    job = await _waited(held, outcome.job_id, wait if held.waiters.has_room(access.client) else 0, access.client)
    status = 202 if job.state in UNFINISHED else 200
    return await _job_response(held, job, status=status, headers={"Location": path})


@router.get(
    "/verify/{job_id}",
    response_model=JobJson,
    responses=read_refusals(404) | also_page("The job, with its report once there is a verdict."),
)
async def show(request: Request, held: Held, access: Reader, job_id: JobId) -> Response:
    """Where a job stands: state, position, progress, last sign of life, and the report once there is a verdict."""
    job = await found_job(held, job_id)
    if prefers_html(request):
        async with held.engine.connect() as connection:
            history = await jobs.events_after(connection, job_id, 0)
        return pages.run(viewer(access, held), job, history)
    return await _job_response(held, job)


async def stream_place(held: Held, access: Reader) -> AsyncIterator[None]:
    """A place for an event stream, free again when the answer is over."""
    with held.streams.place(access.client):
        yield


@router.get(
    "/verify/{job_id}/events",
    response_class=Response,
    dependencies=[Depends(stream_place)],
    responses=read_refusals(404) | of_type("The events.", EVENT_STREAM),
)
async def events(
    held: Held, access: Reader, job_id: JobId, last_event_id: Annotated[str | None, Header()] = None
) -> Response:
    """The job as server-sent events `state`, `job` and `end`, going on after Last-Event-ID."""
    await found_job(held, job_id)
    after = streaming.last_event_id(last_event_id)
    return StreamingResponse(
        streaming.stream(held, access, job_id, after), media_type=EVENT_STREAM, headers={"X-Accel-Buffering": "no"}
    )


@router.delete("/verify/{job_id}", response_model=JobJson, responses=refusals(401, 403, 404))
async def withdraw(held: Held, access: Submitter, job_id: JobId) -> Response:
    """Withdraw one's submission; the job stops when none remains. An admin cancels the job."""
    return await _job_response(held, await _withdrawn(held, access, job_id))


@router.post(
    "/verify/{job_id}/cancel", response_model=JobJson, responses=refusals(400, 401, 403, 404, 413) | {303: REDIRECT}
)
async def cancel(request: Request, held: Held, access: Submitter, job_id: JobId) -> Response:
    """DELETE for forms."""
    job = await _withdrawn(held, access, job_id)
    return RedirectResponse(f"/verify/{job_id}", 303) if prefers_html(request) else await _job_response(held, job)


async def found_job(held: Resources, job_id: str) -> JobView:
    """The job.

    Raises:
        NotFound: there is none.
    """
    note_job(job_id)
    async with held.engine.connect() as connection:
        job = await jobs.view(connection, job_id)
    if job is None:
        raise errors.NotFound(where="job", expected="the id of a job", got="an id of none")
    return job


async def _withdrawn(held: Resources, access: Submitter, job_id: str) -> JobView:
    note_job(job_id)
    async with held.engine.begin() as connection:
        owner = access.holder.owner
        await withdrawing.withdraw(connection, job_id=job_id, owner=owner, admin=access.is_admin)
    return await found_job(held, job_id)


async def _waited(held: Resources, job_id: str, seconds: int, client: str) -> JobView:
    """The job after its end or after `seconds`; holds neither body nor connection meanwhile."""
    if seconds == 0:
        return await found_job(held, job_id)
    with held.waiters.place(client):
        job = await wait_for_end(held.engine, held.hub, job_id, seconds)
    assert job is not None
    return job


async def _job_response(
    held: Resources, job: JobView, *, status: int = 200, headers: dict[str, str] | None = None
) -> Response:
    report = None
    if job.state in VERDICTS:
        async with held.engine.connect() as connection:
            stored = await jobs.report(connection, job.id)
        report = json.loads(stored.raw) if stored else None
    return JSONResponse(job_json(job, report).model_dump(mode="json"), status, headers=headers)
