"""Rate limits against floods: wrong credentials of one address, requests of one client. Counted in this process.

Many people share an address, behind a proxy or in an office. One of them whose programs go on with a revoked token
must not lock the others out, so a credential that has held is let through, and only those that have not are refused.
"""

import hashlib
from collections import OrderedDict
from ipaddress import IPv6Address, IPv6Network, ip_address
from typing import Final

from limits import RateLimitItemPerMinute
from limits.aio.storage import MemoryStorage
from limits.aio.strategies import FixedWindowRateLimiter

from api import errors

WRONG_PER_MINUTE: Final = 30
"""Wrong tokens, sessions and login codes of one address; 32 random bytes need no more, logs do."""
REQUESTS_PER_MINUTE: Final = 6_000
WINDOW_SECONDS: Final = 60
MAX_GOOD: Final = 10_000
"""Credentials that have held, of which the digests are kept."""


def counted(address: str) -> str:
    """Under what a client's address is counted: one of IPv6 under its /64, which is a whole network in one hand."""
    try:
        found = ip_address(address)
    except ValueError:
        return address  # not every server names an address
    if not isinstance(found, IPv6Address):
        return address
    return str(found.ipv4_mapped or IPv6Network((int(found), 64), strict=False))


class Floods:
    """The limits of one API process."""

    def __init__(self, *, wrong: int = WRONG_PER_MINUTE, requests: int = REQUESTS_PER_MINUTE) -> None:
        self._limiter = FixedWindowRateLimiter(MemoryStorage())
        self._wrong = RateLimitItemPerMinute(wrong, namespace="wrong")
        self._requests = RateLimitItemPerMinute(requests, namespace="requests")
        self._good: OrderedDict[bytes, None] = OrderedDict()

    async def check_address(self, address: str, credential: str) -> None:
        """Refuse an address that has sent too many wrong credentials, unless this one has held.

        Raises:
            TooManyRequests: for the rest of the minute.
        """
        if credential and _digest(credential) not in self._good and not await self._limiter.test(self._wrong, address):
            raise _refusal("credentials that do not hold", self._wrong.amount)

    async def note_wrong(self, address: str, credential: str) -> None:
        """Count one wrong credential."""
        self._good.pop(_digest(credential), None)
        await self._limiter.hit(self._wrong, address)

    def note_good(self, credential: str) -> None:
        """Remember a credential that holds; the one that was seen longest ago is forgotten."""
        self._good[_digest(credential)] = None
        self._good.move_to_end(_digest(credential))
        if len(self._good) > MAX_GOOD:
            self._good.popitem(last=False)

    async def note_request(self, client: str) -> None:
        """Count one request of a client: a token, or the address of an anonymous reader.

        Raises:
            TooManyRequests: for the rest of the minute.
        """
        if not await self._limiter.hit(self._requests, client):
            raise _refusal("requests of one client", self._requests.amount)


def _digest(credential: str) -> bytes:
    return hashlib.sha256(credential.encode(errors="surrogatepass")).digest()


def _refusal(what: str, limit: int) -> errors.TooManyRequests:
    return errors.TooManyRequests(
        where=what, expected=f"at most {limit} a minute", got="more", retry_after_seconds=WINDOW_SECONDS
    )
