"""Who may do what: a bearer token, or the session cookie of a browser that logged in with one.

Routes name what they need as the type of a parameter: `Reader`, `Submitter`, `Uploader`, `Admin`. A change that comes
with a cookie needs our own Origin and the session's CSRF field (form field `csrf`, or the header). These run before a
byte of an upload is read.
"""

import hmac
from dataclasses import dataclass, field
from typing import Annotated, Final

from fastapi import Depends, Request
from fastapi.security import APIKeyCookie, HTTPBearer
from sqlalchemy.ext.asyncio import AsyncEngine

from api import errors
from api.floods import counted
from api.pages import Viewer
from api.resources import Held, Resources
from api.store import tokens
from api.store.tokens import Scope, Session, Token

COOKIE: Final = "sg_session"
CSRF_FIELD: Final = "csrf"
CSRF_HEADER: Final = "X-CSRF-Token"
SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
SCHEMES: Final = frozenset({"http", "https"})
FORM_TYPES: Final = ("application/x-www-form-urlencoded", "multipart/form-data")

ShownToken = Annotated[
    object, Depends(HTTPBearer(scheme_name="token", bearerFormat="sg_<id>_<secret>", auto_error=False))
]
ShownSession = Annotated[object, Depends(APIKeyCookie(scheme_name="session", name=COOKIE, auto_error=False))]
"""For the OpenAPI document alone; `authenticate` says what holds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """Who asks: the holder of a token, by itself or through a session; nobody where the pages are public.

    Attributes:
        token: absent for an anonymous reader.
        session: of a browser.
        bearer: the token's text as it was sent.
        address: where the request comes from: an address, or a network of IPv6.
    """

    token: Token | None = None
    session: Session | None = None
    bearer: str | None = field(default=None, repr=False)
    address: str

    @property
    def holder(self) -> Token:
        """The token of a route that needs one."""
        assert self.token is not None
        return self.token

    @property
    def client(self) -> str:
        """By whom places and floods are counted: the token, or the address of an anonymous reader."""
        return self.token.id if self.token else self.address

    @property
    def is_admin(self) -> bool:
        """Whether the holder may do everything."""
        return self.token is not None and self.token.allows(Scope.ADMIN)

    def check_csrf(self, given: str | None) -> None:
        """Hold what came with a change against the session; a bearer token needs none.

        Raises:
            BadCsrf: it is not the session's.
        """
        if self.session and not hmac.compare_digest((given or "").encode(), self.session.csrf.encode()):
            raise errors.BadCsrf(hint="reload the page and send the form again")

    async def still_holds(self, engine: AsyncEngine) -> bool:
        """Whether the token or session is still good: asked again while a stream is open."""
        if self.token is None:
            return True
        async with engine.begin() as connection:
            if self.session:
                return await tokens.session(connection, self.session.cookie) is not None
            return await tokens.find(connection, self.bearer or "") is not None


def address_of(request: Request) -> str:
    """Where a request comes from, as it is counted; a proxy's word for it has been believed or not before."""
    return counted(request.client.host) if request.client else "unknown"


async def authenticate(request: Request, held: Held, _token: ShownToken, _session: ShownSession) -> Access:
    """Who asks; anonymous without any credential.

    Raises:
        Unauthenticated: a credential that does not hold.
        TooManyRequests: of this address or token.
    """
    address = address_of(request)
    credential = request.headers.get("authorization") or request.cookies.get(COOKIE) or ""
    await held.floods.check_address(address, credential)
    access = await _identify(request, held.engine, address)
    if access is None:
        await held.floods.note_wrong(address, credential)
        raise errors.Unauthenticated(hint="log in, or send `Authorization: Bearer sg_...`")
    if access.token:
        held.floods.note_good(credential)
    await held.floods.note_request(access.client)
    request.state.viewer = viewer(access, held)
    return access


async def _identify(request: Request, engine: AsyncEngine, address: str) -> Access | None:
    scheme, _, text = request.headers.get("authorization", "").partition(" ")
    cookie = request.cookies.get(COOKIE)
    if not scheme and not cookie:
        return Access(address=address)
    async with engine.begin() as connection:
        if scheme:
            token = await tokens.find(connection, text.strip()) if scheme.lower() == "bearer" else None
            return Access(token=token, bearer=text.strip(), address=address) if token else None
        found = await tokens.session(connection, cookie or "")
        return Access(token=found[0], session=found[1], address=address) if found else None


def viewer(access: Access, held: Resources) -> Viewer:
    """What the pages know of who asks."""
    return Viewer(
        base_url=held.settings.url,
        owner=access.token.owner if access.token else None,
        scopes=access.token.scopes if access.token else frozenset(),
        csrf=access.session.csrf if access.session else None,
    )


Asked = Annotated[Access, Depends(authenticate)]


async def reader(access: Asked, held: Held) -> Access:
    """Who may look: a token with `read`, or anybody where the pages are public."""
    if access.token is None and held.settings.public_read:
        return access
    return _holding(access, Scope.READ)


async def token_reader(access: Asked) -> Access:
    """Who may look at what is never public: artifact bytes, one's own submissions."""
    return _holding(access, Scope.READ)


async def uploader(request: Request, access: Asked) -> Access:
    """Who may submit, before the body with its CSRF field is read."""
    check_origin(request, access)
    return _holding(access, Scope.SUBMIT)


async def submitter(request: Request, access: Asked) -> Access:
    """Who may submit and change."""
    check_origin(request, access)
    _holding(access, Scope.SUBMIT)
    await _check_csrf(request, access)
    return access


async def leaver(request: Request, access: Asked) -> Access:
    """Who may log out: whoever is logged in."""
    check_origin(request, access)
    await _check_csrf(request, access)
    return access


async def admin(access: Asked) -> Access:
    """Who may look at the server itself."""
    return _holding(access, Scope.ADMIN)


def _holding(access: Access, scope: Scope) -> Access:
    if access.token is None:
        raise errors.Unauthenticated(hint="log in, or send `Authorization: Bearer sg_...`")
    if not access.token.allows(scope):
        raise errors.MissingScope(expected=f"scope {scope}", got=", ".join(sorted(access.token.scopes)))
    return access


def check_origin(request: Request, access: Access) -> None:
    """Refuse a change by cookie from another site's page; the Host header has been checked before.

    Raises:
        ForeignOrigin: the Origin header is missing or names another host.
    """
    if access.session and request.method not in SAFE_METHODS and not has_own_origin(request):
        raise errors.ForeignOrigin(expected="an Origin header with this server's address")


def has_own_origin(request: Request) -> bool:
    """Whether the Origin header names the host and port that the request went to."""
    scheme, _, host = request.headers.get("origin", "").partition("://")
    return scheme in SCHEMES and host.lower() == request.headers.get("host", "").lower()


async def _check_csrf(request: Request, access: Access) -> None:
    given = request.headers.get(CSRF_HEADER)
    if access.session and given is None and request.headers.get("content-type", "").startswith(FORM_TYPES):
        value = (await request.form(max_files=0, max_fields=8)).get(CSRF_FIELD)
        given = value if isinstance(value, str) else None
    access.check_csrf(given)


Reader = Annotated[Access, Depends(reader)]
TokenReader = Annotated[Access, Depends(token_reader)]
Uploader = Annotated[Access, Depends(uploader)]
Submitter = Annotated[Access, Depends(submitter)]
Leaver = Annotated[Access, Depends(leaver)]
Admin = Annotated[Access, Depends(admin)]
