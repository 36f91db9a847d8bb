"""Every refusal as one kind of answer: problem+json (RFC 9457), or a page where the reader is a browser.

`translate` says which refusal an exception of the framework, the database or the store of artifacts amounts to. No
text of a foreign exception reaches an answer.
"""

import logging
from collections.abc import Sequence
from typing import Any, Final
from urllib.parse import quote

import obstore.exceptions
import psycopg
from fastapi import Request
from fastapi.exceptions import RequestValidationError
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Match, Mount

from api import errors, pages
from api.accept import prefers_html
from api.blobs import BlobError
from api.errors import ApiError
from api.full_disk import is_full
from api.logs import request_id
from api.pages import Viewer
from api.parameters import MAX_NEXT_CHARACTERS
from api.schemas import Problem
from api.store.submitting import OverQuota
from api.store.withdrawing import NotYours
from artifact.format.errors import shown
from verifier.data_errors import DataError

LOG: Final = logging.getLogger(__name__)
MEDIA_TYPE: Final = "application/problem+json"
RETRY_SECONDS: Final = 5
METHODS: Final = ("DELETE", "GET", "HEAD", "POST")
OPEN_AGAIN: Final = '<!doctype html><title>seedgolf</title><meta http-equiv="refresh" content="0">'
"""Loads its own address once more, which then is this site's own request."""

OF_STATUS: Final[dict[int, type[ApiError]]] = {
    400: errors.BadForm,
    404: errors.NotFound,
    405: errors.MethodNotAllowed,
    413: errors.OverSize,
}
HANDLED: Final[tuple[type[Exception], ...]] = (
    ApiError,
    HTTPException,
    RequestValidationError,
    ClientDisconnect,
    DataError,
    OverQuota,
    NotYours,
    BlobError,
    DBAPIError,
    PoolTimeout,
    psycopg.Error,
    obstore.exceptions.BaseError,
    OSError,
)
"""What `translate` knows; everything else is a fault of ours."""


async def handle(request: Request, error: Exception) -> Response:
    """Answer with the refusal that an exception amounts to."""
    refusal = translate(error)
    headers = {"Allow": _allowed(request)} if isinstance(refusal, errors.MethodNotAllowed) else {}
    return answer(request, refusal, headers=headers)


def _allowed(request: Request) -> str:
    """Every method of the request's path (RFC 9110, 15.5.6); the framework names those of one route, or none."""
    routes = [route for route in request.app.router.routes if not isinstance(route, Mount)]
    asked = ((name, {**request.scope, "method": name}) for name in METHODS)
    found = [name for name, scope in asked if any(route.matches(scope)[0] is Match.FULL for route in routes)]
    return ", ".join(found) or "GET, HEAD"  # of a mounted folder of files


def translate(error: Exception) -> ApiError:
    """The refusal that an exception amounts to; `InternalError` for what nobody expects."""
    match error:
        case ApiError():
            found = error
        case RequestValidationError():
            found = _invalid(error.errors())
        case HTTPException():
            found = OF_STATUS.get(error.status_code, errors.InternalError)()
        case ClientDisconnect():
            found = errors.UploadAborted()  # read by nobody, and no fault of ours
        case OverQuota():
            found = _over_quota(error)
        case NotYours():
            found = errors.NotFound()
        case DataError():
            found = errors.DataRefused(error)
        case _:
            found = _down(error)
    return found


def _down(error: Exception) -> ApiError:
    """Of the database, the store of artifacts or the disk: a 503, logged, for the client to try again."""
    LOG.warning("a dependency failed: %s", type(error).__name__, exc_info=error)
    if is_full(error):
        return errors.StorageFull(hint="nothing was taken; try again later", retry_after_seconds=60)
    if isinstance(error, OperationalError | InterfaceError | PoolTimeout | psycopg.OperationalError):
        return errors.DatabaseDown(hint="nothing was taken; try again", retry_after_seconds=RETRY_SECONDS)
    if isinstance(error, BlobError):
        return errors.StorageDown(str(error), retry_after_seconds=RETRY_SECONDS)  # says what to do
    if isinstance(error, obstore.exceptions.BaseError | OSError):
        return errors.StorageDown(hint="nothing was taken; try again", retry_after_seconds=RETRY_SECONDS)
    return errors.InternalError()


def _invalid(faults: Sequence[dict[str, Any]]) -> ApiError:
    """The first fault of a request's parameters; an id of the wrong form is an id of nothing."""
    if any(fault["loc"][0] == "path" for fault in faults):
        return errors.NotFound()
    first = faults[0]
    where = ".".join(shown(part)[1:-1] if isinstance(part, str) else str(part) for part in first["loc"])
    got = "nothing" if first["type"] == "missing" else shown(first.get("input"))
    return errors.InvalidRequest(f"{where}: {first['msg']}", where=where, expected=first["msg"], got=got)


def _over_quota(error: OverQuota) -> ApiError:
    return errors.OverQuotaError(
        where=error.what,
        expected=f"at most {error.limit}",
        got=f"{error.used}",
        hint="wait for running jobs or for the window to pass",
        retry_after_seconds=max(1, error.retry_after_seconds),
    )


def problem_of(error: ApiError) -> Problem:
    """The refusal as the value that is sent."""
    return Problem(
        type=f"urn:seedgolf:problem:{error.code}",
        title=error.title,
        status=error.status,
        code=error.code,
        detail=error.detail,
        where=error.where,
        expected=error.expected,
        got=error.got,
        hint=error.hint,
        request_id=request_id(),
    )


def answer(request: Request, error: ApiError, *, headers: dict[str, str] | None = None) -> Response:
    """The response: a page for a browser, the login page where it has to log in first, else problem+json."""
    problem = problem_of(error).model_dump(exclude_none=True)
    added = dict(headers or {})
    if error.retry_after_seconds is not None:
        added["Retry-After"] = str(error.retry_after_seconds)
    if error.status == 401:
        added["WWW-Authenticate"] = 'Bearer realm="seedgolf"'
    response: Response
    if not prefers_html(request):
        response = JSONResponse(problem, error.status, media_type=MEDIA_TYPE)
    elif error.status == 401 and request.method == "GET":
        response = _log_in(request)
    else:
        response = pages.error(viewer_of(request), problem)
    response.headers.update(added)
    return response


def _log_in(request: Request) -> Response:
    """To the login page. A link on another site brings no strict cookie, so it is opened again from here first.

    htmx would follow a redirect and put what it finds there, which is nothing, in the place of what the reader sees.
    """
    login = f"/login?next={quote(_asked_for(request))}"
    if "hx-request" in request.headers:
        return Response(status_code=401, headers={"HX-Redirect": login})
    if request.headers.get("sec-fetch-site") == "cross-site":
        return HTMLResponse(OPEN_AGAIN)
    return RedirectResponse(login, 303)


def _asked_for(request: Request) -> str:
    """What the request asks for, to come back to it; what is too long for that loses its query first."""
    path, query = request.url.path, request.url.query
    return next(text for text in (f"{path}?{query}" if query else path, path, "/") if len(text) <= MAX_NEXT_CHARACTERS)


def viewer_of(request: Request) -> Viewer:
    """Who reads the answer, as far as is known."""
    found: Viewer | None = getattr(request.state, "viewer", None)
    base_url = request.app.state.settings.url
    return found or Viewer(base_url=base_url)
