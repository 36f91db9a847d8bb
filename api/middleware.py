"""What surrounds every route: request ids, logs and metrics, headers, the Host check, sizes, the last handler.

Plain ASGI, so that nothing here reads a body and streams pass through.
"""

import logging
import re
import secrets
import time
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api import errors, problems
from api.logs import FIELDS, about_request
from api.metrics import Metrics
from api.settings import Settings

LOG: Final = logging.getLogger(__name__)
REQUEST_ID: Final = "X-Request-ID"
UPLOAD_PATH: Final = "/verify"
FORM_BYTES: Final = 65_536
"""Largest body of every route but the upload."""
UNCHECKED_PATHS: Final = frozenset({"/healthz", "/readyz"})
"""Probes name a machine's address, and answer nothing that another site could use."""
HOST: Final = re.compile(r"(?:(?P<name>[a-z0-9._-]{1,253})|\[(?P<address>[0-9a-f:.]{2,45})\])(?::[0-9]{1,5})?")
LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})

POLICY: Final = (
    "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'"
)
HEADERS: Final[Mapping[str, str]] = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",  # without a referrer a browser sends `Origin: null` with forms
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Cache-Control": "no-store",
}
"""Of every answer that does not set its own."""


class Surroundings:
    """The outermost layer: gives the request its id, adds headers, counts and logs the answer."""

    def __init__(self, app: ASGIApp, *, metrics: Metrics, headers: Mapping[str, str]) -> None:
        self.app = app
        self.metrics = metrics
        self.headers = headers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, with an id, headers, a count and a line in the log."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        identity, start, status = secrets.token_hex(8), time.monotonic(), 0

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers[REQUEST_ID] = identity
                for name, value in self.headers.items():
                    headers.setdefault(name, value)
            await send(message)

        with about_request(identity):
            try:
                await self.app(scope, receive, send_with_headers)
            finally:
                self._note(scope, status, time.monotonic() - start)

    def _note(self, scope: Scope, status: int, seconds: float) -> None:
        """Count and log an answer; status 0: the client left before there was one."""
        route = getattr(scope.get("route"), "path", "none")
        self.metrics.note_request(method=scope["method"], route=route, status=status, seconds=seconds)
        fields = {"method": scope["method"], "path": scope["path"], "status": status, "seconds": round(seconds, 4)}
        LOG.info("request", extra={FIELDS: fields})


class LastHandler:
    """Turns what no route and no handler expected into a 500 without details, and logs it with its traceback."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, whatever happens."""
        started = False

        async def noting_send(message: Message) -> None:
            nonlocal started
            started = started or message["type"] == "http.response.start"
            await send(message)

        try:
            await self.app(scope, receive, noting_send)
        except Exception:
            if scope["type"] != "http":
                raise
            LOG.exception("an unexpected fault")
            if not started:
                await problems.answer(Request(scope, receive), errors.InternalError())(scope, receive, send)


class Gate:
    """Refuses a request by its head alone: an unknown Host, a declared size above the cap. Bounds undeclared sizes."""

    def __init__(self, app: ASGIApp, *, hosts: frozenset[str], upload_bytes: int) -> None:
        self.app = app
        self.hosts = hosts
        self.upload_bytes = upload_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or refuse."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
        elif refusal := self._refusal(scope):
            await problems.answer(Request(scope, receive), refusal)(scope, receive, send)
        elif scope["path"] == UPLOAD_PATH:
            await self.app(scope, receive, send)  # counts for itself, with a clock besides (`upload.read`)
        else:
            await self.app(scope, bounded(receive, FORM_BYTES), send)

    def _refusal(self, scope: Scope) -> errors.ApiError | None:
        headers = Headers(scope=scope)
        if scope["path"] not in UNCHECKED_PATHS and host_name(headers.get("host", "")) not in self.hosts:
            return errors.UnknownHost(hint="the operator lists host names in SEEDGOLF_ALLOWED_HOSTS")
        limit = self.upload_bytes if scope["path"] == UPLOAD_PATH else FORM_BYTES
        declared = headers.get("content-length", "0")
        if declared.isdecimal() and int(declared) > limit:
            return over_size(limit)
        return None


def over_size(limit: int) -> errors.OverSize:
    """The refusal of a body above `limit` bytes."""
    return errors.OverSize(where="body", expected=f"at most {limit:,} bytes", got="more", hint="nothing was taken")


def bounded(receive: Receive, limit: int) -> Receive:
    """The messages of a request until its body is above `limit` bytes: a chunked one declares no size.

    What ends it there is an HTTPException, which FastAPI lets through while it reads a form.
    """
    total = 0

    async def counted() -> Message:
        nonlocal total
        message = await receive()
        total += len(message.get("body", b""))
        if total > limit:
            raise HTTPException(413)
        return message

    return counted


def host_name(host: str) -> str:
    """The name in a Host header without its port, in lower case; empty for no valid one."""
    found = HOST.fullmatch(host.lower())
    return (found["name"] or found["address"]) if found else ""


def known_hosts(settings: Settings) -> frozenset[str]:
    """The names under which this server answers; a port beside one is left out, for any will do."""
    own = {settings.host.lower(), host_name(urlsplit(settings.url).netloc)}
    return (LOOPBACK | own | set(map(host_name, settings.allowed_hosts))) - {""}


def response_headers(settings: Settings) -> dict[str, str]:
    """The headers of every answer; under https browsers are told to stay there."""
    secure = {"Strict-Transport-Security": "max-age=31536000"} if settings.url.startswith("https:") else {}
    return {**HEADERS, **secure}
