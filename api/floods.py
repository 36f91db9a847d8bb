"""Rate limits against floods: wrong credentials of one address, requests of one token. Counted in this process."""

from typing import Final

from limits import RateLimitItemPerMinute
from limits.aio.storage import MemoryStorage
from limits.aio.strategies import FixedWindowRateLimiter

from api import errors

WRONG_PER_MINUTE: Final = 30
"""Wrong tokens, sessions and login codes of one address; 32 random bytes need no more, logs do."""
REQUESTS_PER_MINUTE: Final = 6_000
WINDOW_SECONDS: Final = 60


class Floods:
    """The limits of one API process."""

    def __init__(self, *, wrong: int = WRONG_PER_MINUTE, requests: int = REQUESTS_PER_MINUTE) -> None:
        self._limiter = FixedWindowRateLimiter(MemoryStorage())
        self._wrong = RateLimitItemPerMinute(wrong, namespace="wrong")
        self._requests = RateLimitItemPerMinute(requests, namespace="requests")

    async def check_address(self, address: str) -> None:
        """Refuse an address that has sent too many wrong credentials.

        Raises:
            TooManyRequests: for the rest of the minute.
        """
        if not await self._limiter.test(self._wrong, address):
            raise _refusal("credentials that do not hold", self._wrong.amount)

    async def note_wrong(self, address: str) -> None:
        """Count one wrong credential."""
        await self._limiter.hit(self._wrong, address)

    async def note_request(self, token_id: str) -> None:
        """Count one request of a token.

        Raises:
            TooManyRequests: for the rest of the minute.
        """
        if not await self._limiter.hit(self._requests, token_id):
            raise _refusal("requests of one token", self._requests.amount)


def _refusal(what: str, limit: int) -> errors.TooManyRequests:
    return errors.TooManyRequests(
        where=what, expected=f"at most {limit} a minute", got="more", retry_after_seconds=WINDOW_SECONDS
    )
