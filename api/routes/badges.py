"""Badges: /badge for everybody who knows a badge's id, /shares for its owner."""

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, RedirectResponse, Response

from api import errors
from api.accept import prefers_html
from api.access import Submitter, address_of
from api.badge import badge
from api.openapi import REDIRECT, of_type, refusals
from api.parameters import ShareId
from api.resources import Held
from api.schemas import Share
from api.store import shares

router = APIRouter(tags=["badges"])

SVG = "image/svg+xml"
HEADERS = {
    "Cache-Control": "public, max-age=60",
    "Cross-Origin-Resource-Policy": "cross-origin",  # other sites show it
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
}


@router.get("/badge/{share_id}.svg", response_class=Response, responses=refusals(404) | of_type("The badge.", SVG))
async def show(request: Request, held: Held, share_id: ShareId) -> Response:
    """Verdict and val_bpb; a badge that is unknown and one that was revoked look alike."""
    await held.floods.note_request(address_of(request))
    async with held.engine.connect() as connection:
        found = await shares.badge(connection, share_id)
    image = badge(found.state, found.val_bpb) if found else badge("unknown", None)
    return Response(image, media_type=SVG, headers=HEADERS)


@router.post(
    "/shares/{share_id}/revoke",
    response_model=Share,
    responses=refusals(400, 401, 403, 404, 413) | {303: REDIRECT},
)
async def revoke(request: Request, held: Held, access: Submitter, share_id: ShareId) -> Response:
    """Take a badge of one's own away."""
    async with held.engine.begin() as connection:
        job_id = await shares.revoke(connection, share_id, owner=access.holder.owner)
    if job_id is None:
        raise errors.NotFound(where="badge", expected="the id of a badge of yours", got="another one")
    if prefers_html(request):
        return RedirectResponse(f"/reports/{job_id}", 303)
    return JSONResponse(Share(id=share_id, badge=f"/badge/{share_id}.svg").model_dump())
