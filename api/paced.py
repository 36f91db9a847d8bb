"""An answer of many bytes, in parts: a reader who takes none of them for a while is left, and his place is free."""

import asyncio
import logging
from typing import Final

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

LOG: Final = logging.getLogger(__name__)
PART_BYTES: Final = 262_144
PATIENCE_SECONDS: Final = 10.0


class PacedResponse(Response):
    """Bytes whose reader has to take one part within each `patience_seconds`."""

    patience_seconds = PATIENCE_SECONDS

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send part after part; without the last of them the server closes the connection."""
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        try:
            for start in range(0, len(self.body), PART_BYTES):
                part = self.body[start : start + PART_BYTES]
                async with asyncio.timeout(self.patience_seconds):
                    await send({"type": "http.response.body", "body": part, "more_body": True})
        except TimeoutError:
            LOG.warning("a download was too slow")
            return
        await send({"type": "http.response.body"})
