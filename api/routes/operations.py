"""For operators and tools: probes, metrics, the OpenAPI document."""

from dataclasses import asdict
from typing import Final, Literal

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response
from prometheus_client import CONTENT_TYPE_LATEST
from pydantic import TypeAdapter
from sqlalchemy import text

from api import errors, pages
from api.access import Admin, Reader, viewer
from api.openapi import of_type, read_refusals, refusals
from api.resources import Held
from api.routes.catalogue import json_of
from api.schemas import Answer, WorkerJson
from api.store import workers
from api.store.statistics import statistics
from verifier import render_html

router = APIRouter(tags=["operations"])


class Health(Answer):
    """The answer of a probe."""

    status: Literal["ok"] = "ok"


OK: Final = TypeAdapter(Health).dump_python(Health(), mode="json")


@router.head("/healthz", include_in_schema=False)
@router.get("/healthz", response_model=Health, responses=refusals())
async def healthz() -> Response:
    """The process runs."""
    return JSONResponse(OK)


@router.head("/readyz", include_in_schema=False)
@router.get("/readyz", response_model=Health, responses=refusals())
async def readyz(held: Held) -> Response:
    """The process can take requests: the database answers, and it is not about to end."""
    if held.hub.is_closing:
        raise errors.Busy("this process is about to end", retry_after_seconds=1)
    async with held.engine.connect() as connection:
        await connection.execute(text("SELECT 1"))
    return JSONResponse(OK)


@router.get(
    "/metrics",
    response_class=Response,
    responses=refusals(401, 403) | of_type("Prometheus' text format.", "text/plain"),
)
async def metrics(held: Held, _: Admin) -> Response:
    """Numbers for Prometheus: of this process, and of the queue as all processes see it."""
    async with held.engine.connect() as connection:
        held.metrics.note_queue(await statistics(connection))
    held.metrics.streams.set(held.streams.taken)
    held.metrics.waiters.set(held.waiters.taken)
    return Response(held.metrics.text(), media_type=CONTENT_TYPE_LATEST)


@router.get("/workers", response_model=tuple[WorkerJson, ...], responses=refusals(401, 403))
async def show_workers(held: Held, _: Admin) -> Response:
    """The worker processes of the last weeks and their machines; readers of a job see their names only."""
    async with held.engine.connect() as connection:
        known = await workers.all_workers(connection)
    return json_of(list[WorkerJson], [WorkerJson(**asdict(worker)) for worker in known])


@router.get("/openapi.json", response_class=JSONResponse, responses=read_refusals())
async def openapi(request: Request, _: Reader) -> Response:
    """This document."""
    return JSONResponse(request.app.openapi())


@router.get("/docs", response_class=Response, responses=read_refusals() | of_type("A page.", "text/html"))
async def docs(held: Held, access: Reader) -> Response:
    """The OpenAPI document as a page to try it out."""
    return pages.docs(viewer(access, held))


@router.get("/static/report.css", response_class=Response, include_in_schema=False)
async def report_style() -> Response:
    """The report's style sheet, which belongs to the verifier; open to everybody as the other static files are."""
    return Response(render_html.style(), media_type="text/css", headers={"Cache-Control": "public, no-cache"})
