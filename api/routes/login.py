"""Browser sessions: a token, or a one-time link, becomes a cookie that scripts and other sites never see."""

from typing import Annotated, Final

from fastapi import APIRouter, Form, Query, Request
from fastapi.responses import RedirectResponse, Response

from api import errors, pages
from api.access import COOKIE, Leaver, address_of, has_own_origin
from api.openapi import PAGE, REDIRECT, refusals
from api.pages import Viewer
from api.parameters import MAX_NEXT_CHARACTERS
from api.resources import Held, Resources
from api.store import tokens
from api.store.tokens import Token

router = APIRouter(tags=["login"], include_in_schema=True)

SESSION_SECONDS: Final = 12 * 3600
MAX_SECRET: Final = 256
WRONG: Final = "This is no token that holds here."
USED: Final = "This link was used before, or is too old."


@router.get("/login", response_class=Response, responses=refusals(401, 422) | {200: {"content": PAGE}, 303: REDIRECT})
async def form(
    request: Request,
    held: Held,
    next_path: Annotated[str, Query(alias="next", max_length=MAX_NEXT_CHARACTERS)] = "/",
    link: Annotated[str | None, Query(min_length=1, max_length=MAX_SECRET)] = None,
) -> Response:
    """The form, or with a one-time link a session."""
    await held.floods.note_request(address_of(request))
    if link is None:
        return pages.login(_nobody(held), next_path=_own_path(next_path))
    await held.floods.check_address(address_of(request), link)
    async with held.engine.begin() as connection:
        token = await tokens.redeem_link(connection, link)
    if token is None:
        return await _refused(request, held, link, "/", why=USED)
    return await _logged_in(held, token, "/")


@router.post(
    "/login",
    response_class=Response,
    responses=refusals(400, 401, 403, 413, 422) | {200: {"content": PAGE}, 303: REDIRECT},
)
async def log_in(
    request: Request,
    held: Held,
    token: Annotated[str, Form(max_length=MAX_SECRET)],
    next_path: Annotated[str, Form(alias="next", max_length=MAX_NEXT_CHARACTERS)] = "/",
) -> Response:
    """Exchange a token for a session."""
    if "origin" in request.headers and not has_own_origin(request):
        raise errors.ForeignOrigin(expected="an Origin header with this server's address")
    await held.floods.note_request(address_of(request))
    await held.floods.check_address(address_of(request), token)
    async with held.engine.begin() as connection:
        found = await tokens.find(connection, token.strip())
    if found is None:
        return await _refused(request, held, token, _own_path(next_path), why=WRONG)
    return await _logged_in(held, found, _own_path(next_path))


@router.post("/logout", response_class=Response, responses=refusals(400, 401, 403, 413) | {303: REDIRECT})
async def log_out(held: Held, access: Leaver) -> Response:
    """End the session."""
    if access.session:
        async with held.engine.begin() as connection:
            await tokens.close_session(connection, access.session.cookie)
    response = RedirectResponse("/login", 303)
    response.delete_cookie(COOKIE, httponly=True, samesite="strict", secure=_is_secure(held))
    return response


async def _refused(request: Request, held: Resources, credential: str, path: str, *, why: str) -> Response:
    await held.floods.note_wrong(address_of(request), credential)
    page = pages.login(_nobody(held), error=why, next_path=path)
    page.status_code = 401
    return page


async def _logged_in(held: Resources, token: Token, path: str) -> Response:
    async with held.engine.begin() as connection:
        session = await tokens.open_session(connection, token, seconds=SESSION_SECONDS)
    response = RedirectResponse(path, 303)
    response.set_cookie(
        COOKIE,
        session.cookie,
        max_age=SESSION_SECONDS,
        httponly=True,
        samesite="strict",
        secure=_is_secure(held),
    )
    return response


def _is_secure(held: Resources) -> bool:
    return held.settings.url.startswith("https:")


def _nobody(held: Resources) -> Viewer:
    return Viewer(base_url=held.settings.url)


def _own_path(path: str) -> str:
    """A path of this server to go on to; the home page for anything that a browser could take for another site."""
    plain = path.startswith("/") and not path.startswith(("//", "/\\")) and path.isprintable() and path.isascii()
    return path if plain and "\\" not in path else "/"
