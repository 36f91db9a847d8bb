"""Places for requests that stay open: so many in a process, so many of one client."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from api import errors

RETRY_SECONDS = 10


class Places:
    """A number of places."""

    def __init__(self, total: int, *, per_client: int) -> None:
        self._total = total
        self._per_client = per_client
        self._taken: Counter[str] = Counter()

    @property
    def taken(self) -> int:
        """How many are taken."""
        return self._taken.total()

    def has_room(self, client: str) -> bool:
        """Whether the client would get a place."""
        return self.taken < self._total and self._taken[client] < self._per_client

    @contextmanager
    def place(self, client: str) -> Iterator[None]:
        """Hold a place.

        Raises:
            TooManyStreams: this client holds as many as it may.
            Busy: all are taken.
        """
        if self._taken[client] >= self._per_client:
            raise errors.TooManyStreams(
                expected=f"at most {self._per_client} at once", got="more", retry_after_seconds=RETRY_SECONDS
            )
        if self.taken >= self._total:
            raise errors.Busy(expected=f"at most {self._total} at once", got="more", retry_after_seconds=RETRY_SECONDS)
        self._taken[client] += 1
        try:
            yield
        finally:
            self._taken[client] -= 1
            self._taken += Counter()  # forgets the clients without places
