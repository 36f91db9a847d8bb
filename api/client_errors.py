"""What can go wrong between a client and its server.

ClientError
  BadAddress      the server's address is none
  NotReached      no answer: the server is down, or its name is wrong; worth another try
  Refused         the server says no: `status`, stable `code`, and what it expected and got
  NoVerdictYet    the time is over and the job is not
"""

from collections.abc import Iterator
from contextlib import contextmanager

import httpx2


class ClientError(RuntimeError):
    """The server could not be asked, or said no."""


class NotReached(ClientError):
    """No answer came."""


class BadAddress(ClientError):
    """What is named as the server is no address: the caller's mistake."""


class NoVerdictYet(ClientError):
    """The job is not at its end in the given time; it goes on."""


class Refused(ClientError):
    """The server says no."""

    def __init__(self, status: int, code: str, text: str, *, retry_after_seconds: float | None = None) -> None:
        super().__init__(f"{code}: {text}")
        self.status = status
        self.code = code
        self.retry_after_seconds = retry_after_seconds


@contextmanager
def told() -> Iterator[None]:
    """Foreign exceptions as ours."""
    try:
        yield
    except (httpx2.TransportError, httpx2.SSEError) as error:
        raise NotReached(f"the server does not answer ({type(error).__name__})") from None


def refused(response: httpx2.Response) -> Refused:
    """The server's problem+json as an exception; a stranger's answer says its status."""
    status, after = response.status_code, response.headers.get("Retry-After", "")
    seconds = float(after) if after.isdecimal() else None
    try:
        problem = response.json()
        code = str(problem["code"])
        text, expected, got = (str(problem.get(key) or "") for key in ("detail", "expected", "got"))
        if expected and expected not in text:
            text += f": expected {expected}, got {got}"
        if hint := problem.get("hint"):
            text += f"; {hint}"
        return Refused(status, code, text, retry_after_seconds=seconds)
    except (ValueError, KeyError, TypeError):
        return Refused(status, f"http-{status}", "the answer is no problem document; is this a seedgolf server?")
