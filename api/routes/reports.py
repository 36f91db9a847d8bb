"""Reports in every form: /reports."""

from typing import Final

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, RedirectResponse, Response

from api import errors, pages
from api.accept import prefers_html
from api.access import Reader, Submitter, viewer
from api.openapi import REDIRECT, also_page, of_type, read_refusals, refusals
from api.parameters import JobId
from api.resources import Held, Resources
from api.routes.verify import found_job
from api.schemas import Share
from api.standalone import standalone_policy
from api.states import UNFINISHED, VERDICTS
from api.store import jobs, leaderboard, shares
from api.store.jobs import StoredReport
from verifier import render_html, render_markdown
from verifier.report import BadReport, Report, parse

router = APIRouter(prefix="/reports", tags=["reports"])

ENVELOPE: Final = "application/vnd.dsse.envelope.v1+json"
MARKDOWN: Final = "text/markdown"
JSON: Final = "application/json"
SOON_SECONDS: Final = 2


@router.get(
    "/{job_id}.json",
    response_model=Report,
    responses=read_refusals(404),
)
async def as_json(held: Held, _: Reader, job_id: JobId) -> Response:
    """The report's own bytes, the ones that are signed."""
    return Response((await _stored(held, job_id)).raw, media_type=JSON)


@router.get("/{job_id}.md", response_class=Response, responses=read_refusals(404, 422) | of_type("Markdown.", MARKDOWN))
async def as_markdown(held: Held, _: Reader, job_id: JobId) -> Response:
    """The report as Markdown, for the summary of a CI run."""
    report = _readable(await _stored(held, job_id))
    return Response(render_markdown.render(report), media_type=MARKDOWN)


@router.get(
    "/{job_id}.html", response_class=Response, responses=read_refusals(404, 422) | of_type("A page.", "text/html")
)
async def as_html(held: Held, _: Reader, job_id: JobId) -> Response:
    """The report as one HTML file that needs nothing else."""
    report = _readable(await _stored(held, job_id))
    headers = {"Content-Security-Policy": standalone_policy()}
    return Response(render_html.page(report), media_type="text/html", headers=headers)


@router.get("/{job_id}.dsse", response_class=Response, responses=read_refusals(404) | of_type("Signed.", ENVELOPE))
async def as_envelope(held: Held, _: Reader, job_id: JobId) -> Response:
    """The signed envelope; `seedgolf report verify` checks it offline with a key of /keys."""
    stored = await _stored(held, job_id)
    if stored.envelope is None:
        raise errors.NotSigned(hint="a worker signs it within seconds", retry_after_seconds=SOON_SECONDS)
    headers = {"Content-Disposition": f'attachment; filename="{job_id[:16]}.dsse"'}
    return Response(stored.envelope, media_type=ENVELOPE, headers=headers)


@router.get(
    "/{job_id}", response_model=Report, responses=read_refusals(404, 422) | also_page("The report.") | {303: REDIRECT}
)
async def show(request: Request, held: Held, access: Reader, job_id: JobId) -> Response:
    """The report: JSON, or a page for a browser."""
    job = await found_job(held, job_id)
    if prefers_html(request) and job.state not in VERDICTS:
        return RedirectResponse(f"/verify/{job_id}", 303)  # where its progress is shown
    stored = await _stored(held, job_id)
    if not prefers_html(request):
        return Response(stored.raw, media_type=JSON)
    async with held.engine.connect() as connection:
        artifact = await leaderboard.artifact(connection, job.artifact_sha256)
        share_id = await shares.mine(connection, job_id=job_id, owner=access.token.owner) if access.token else None
    return pages.report(
        viewer(access, held),
        job,
        _readable(stored),
        keyid=stored.keyid,
        share_id=share_id,
        manifest=artifact.manifest if artifact else None,
    )


@router.post(
    "/{job_id}/share",
    status_code=201,
    response_model=Share,
    responses=refusals(400, 401, 403, 404, 413) | {303: REDIRECT},
)
async def share(request: Request, held: Held, access: Submitter, job_id: JobId) -> Response:
    """Make a badge of a job that one has submitted, or find the one that there is."""
    async with held.engine.begin() as connection:
        made = await shares.share(connection, job_id=job_id, owner=access.holder.owner)
    if prefers_html(request):
        return RedirectResponse(f"/reports/{job_id}", 303)
    return JSONResponse(Share(id=made, badge=f"/badge/{made}.svg").model_dump(), 201)


async def _stored(held: Resources, job_id: str) -> StoredReport:
    """The stored report.

    Raises:
        NotFound, ReportNotReady: there is no such job, or it has no verdict.
    """
    job = await found_job(held, job_id)
    async with held.engine.connect() as connection:
        stored = await jobs.report(connection, job_id)
    if stored is None:
        soon = SOON_SECONDS if job.state in UNFINISHED else None
        raise errors.ReportNotReady(expected="a verdict", got=job.state, retry_after_seconds=soon)
    return stored


def _readable(stored: StoredReport) -> Report:
    """The report as a value.

    Raises:
        DataRefused: another release wrote it, which this one cannot read.
    """
    try:
        return parse(stored.raw)
    except BadReport as error:
        raise errors.DataRefused(error, hint="its bytes are good: take .json or .dsse") from None
