"""Reading an uploaded artifact: bounded in size and in time, and nothing is left of one that ends early.

The body is counted while it streams. The caller has authenticated the request and holds a place in memory for it
(`api/slots.py`); who waits for one has his body unread.
"""

import asyncio
import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final

from starlette.requests import ClientDisconnect, Request

from api import errors
from api.form_parser import FormParser
from api.middleware import over_size
from artifact.format.errors import shown
from verifier.tracks import Track

FRAMING_BYTES: Final = 64 * 1024
"""What a multipart form may need besides its file."""
LEAST_BYTES_PER_SECOND: Final = 64 * 1024
WINDOW_SECONDS: Final = 10.0
RAW: Final = "application/octet-stream"
FORM: Final = "multipart/form-data"


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """A whole body.

    Attributes:
        data: the file.
        sha256: its digest.
        fields: the other fields of a form, empty for a raw body.
    """

    data: bytes = field(repr=False)
    sha256: str
    fields: dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """The lowest rate of a body: within each window as many bytes as the rate asks for."""

    bytes_per_second: int = LEAST_BYTES_PER_SECOND
    window_seconds: float = WINDOW_SECONDS


def cap_bytes(tracks: Iterable[Track]) -> int:
    """The largest body that can hold a file within any track's limit."""
    return max(track.limit_bytes for track in tracks) + FRAMING_BYTES


def form_boundary(request: Request) -> bytes | None:
    """The boundary of a multipart body, None for a raw one.

    Raises:
        UnsupportedMediaType: it is neither.
        BadForm: a form without a boundary.
    """
    media_type, _, parameters = request.headers.get("content-type", RAW).partition(";")
    match media_type.strip().lower():
        case "application/octet-stream":
            return None
        case "multipart/form-data":
            return FormParser.boundary(parameters)
        case other:
            raise errors.UnsupportedMediaType(
                where="Content-Type",
                expected=f"{RAW} or {FORM}",
                got=shown(other),
                hint="with curl: -F file=@FILE",
            )


async def read(request: Request, *, cap: int, pace: Pace) -> Upload:
    """Read the body of an authenticated request.

    Raises:
        OverSize, UploadTooSlow, UploadAborted, UnsupportedMediaType, BadForm: nothing is left of it.
    """
    boundary = form_boundary(request)
    fields: dict[str, str] = {}
    if boundary is None:
        body = bytearray()
        await _stream(request, body.extend, cap=cap, pace=pace)
        data = bytes(body)
    else:
        parser = FormParser(boundary)
        await _stream(request, parser.feed, cap=cap, pace=pace)
        data, fields = parser.finish()
    sha256 = await asyncio.to_thread(hashlib.sha256, data)
    return Upload(data=data, sha256=sha256.hexdigest(), fields=fields)


async def _stream(request: Request, take: Callable[[bytes], None], *, cap: int, pace: Pace) -> None:
    """Pass the body's parts on, within its bounds."""
    clock = asyncio.get_running_loop().time
    parts = request.stream()
    total, in_window, window_end = 0, 0, clock() + pace.window_seconds
    try:
        while True:
            async with asyncio.timeout_at(window_end):
                part = await anext(parts, b"")
            if not part:
                return
            total, in_window = total + len(part), in_window + len(part)
            if total > cap:
                raise over_size(cap)
            take(part)
            if in_window >= pace.bytes_per_second * pace.window_seconds:
                in_window, window_end = 0, clock() + pace.window_seconds
    except TimeoutError:
        expected = f"at least {pace.bytes_per_second} bytes/s over {pace.window_seconds:g} s"
        raise errors.UploadTooSlow(
            where="body", expected=expected, got="less", hint="nothing was taken; send it again"
        ) from None
    except ClientDisconnect:
        raise errors.UploadAborted(hint="nothing was taken; send it again") from None
