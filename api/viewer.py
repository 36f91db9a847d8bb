"""Who looks at a page, and what he has asked to see: plain values between the routes and the pages."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Viewer:
    """Who looks.

    Attributes:
        base_url: the server's address, without a slash at its end.
        owner: of the token; None for an anonymous reader.
        scopes: what the token may do.
        csrf: the session's secret for forms; None without a session, and then no form that changes anything works.
        now: when the page is made; ages on it are counted from here.
    """

    base_url: str
    owner: str | None = None
    scopes: frozenset[str] = frozenset()
    csrf: str | None = None
    now: datetime = field(default_factory=_now)

    @property
    def may_submit(self) -> bool:
        """Whether forms that change something are shown."""
        return self.csrf is not None and not self.scopes.isdisjoint({"submit", "admin"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    """What of the leaderboard is shown, and what could be chosen; `more` rows follow after these."""

    track: str | None
    valset: str | None
    best_per_name: bool
    limit: int
    offset: int
    more: bool
    tracks: Sequence[str]
    valsets: Sequence[str]
