"""Who may do what: tokens, and the browser sessions and one-time login links that stand for one.

Only SHA-256 of a secret is stored. Secrets are 32 random bytes, so neither salt nor a slow digest adds anything.
Whatever is revoked or has expired is unknown at once, with the sessions that stand for it. The clock is PostgreSQL's,
which all machines share; times are UTC with zone.
"""

import hashlib
import hmac
import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import ColumnElement, Row, delete, func, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from api.store.tables import login_links, sessions, tokens

TEXT: Final = re.compile(r"sg_([0-9a-f]{12})_([A-Za-z0-9_-]{43})")
ID_BYTES: Final = 6
SECRET_BYTES: Final = 32
LAST_USED_PRECISION: Final = timedelta(minutes=1)
UNKNOWN_SECRET: Final = bytes(32)
"""Compared with when the id is unknown, so that the answer takes as long."""


class Scope(StrEnum):
    """What a token allows; `admin` allows the others as well."""

    SUBMIT = "submit"
    READ = "read"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """A token without its secret."""

    id: str
    owner: str
    scopes: frozenset[Scope]
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None

    def allows(self, scope: Scope) -> bool:
        """Whether the holder may do what `scope` names."""
        return scope in self.scopes or Scope.ADMIN in self.scopes


@dataclass(frozen=True, slots=True, kw_only=True)
class NewToken:
    """A token just made; `text` is shown once and stored nowhere."""

    text: str = field(repr=False)
    token: Token


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A browser's login; `csrf` must come back with every form."""

    cookie: str = field(repr=False)
    csrf: str = field(repr=False)
    expires_at: datetime


async def new(
    connection: AsyncConnection, *, owner: str, scopes: Iterable[Scope], expires_at: datetime | None = None
) -> NewToken:
    """Make a token; None never expires.

    Raises:
        ValueError: no scope is named.
    """
    granted = sorted(set(scopes))
    if not granted:
        raise ValueError("scopes: expected at least one, got none")
    token_id, secret = secrets.token_hex(ID_BYTES), secrets.token_urlsafe(SECRET_BYTES)
    row = {
        "id": token_id,
        "secret_sha256": _sha256(secret),
        "owner": owner,
        "scopes": granted,
        "expires_at": expires_at,
    }
    made = (await connection.execute(insert(tokens).values(row).returning(tokens))).one()
    return NewToken(text=f"sg_{token_id}_{secret}", token=_token(made))


async def find(connection: AsyncConnection, text: str) -> Token | None:
    """The token that reads `text`; None when it is unknown, expired or revoked. Notes the use, once a minute."""
    parts = TEXT.fullmatch(text)
    if parts is None:
        return None
    row = (await connection.execute(select(tokens).where(tokens.c.id == parts[1], _valid()))).one_or_none()
    stored = row.secret_sha256 if row else UNKNOWN_SECRET
    if not hmac.compare_digest(_sha256(parts[2]), stored) or row is None:
        return None
    await _note_use(connection, row.id)
    return _token(row)


async def by_id(connection: AsyncConnection, token_id: str) -> Token | None:
    """The token with that id; None when it is unknown, expired or revoked."""
    row = (await connection.execute(select(tokens).where(tokens.c.id == token_id, _valid()))).one_or_none()
    return _token(row) if row else None


async def list_all(connection: AsyncConnection) -> list[Token]:
    """Every token ever made, oldest first."""
    return [_token(row) for row in await connection.execute(select(tokens).order_by(tokens.c.created_at, tokens.c.id))]


async def revoke(connection: AsyncConnection, token_id: str) -> bool:
    """Make a token and its sessions and links worthless; whether there was such a token that was not revoked yet."""
    change = update(tokens).where(tokens.c.id == token_id, tokens.c.revoked_at.is_(None)).values(revoked_at=func.now())
    revoked = (await connection.execute(change.returning(tokens.c.id))).one_or_none() is not None
    for table in (sessions, login_links):
        await connection.execute(delete(table).where(table.c.token_id == token_id))
    return revoked


async def open_session(connection: AsyncConnection, token: Token, *, seconds: int) -> Session:
    """Log a browser in for `seconds`, no longer than its token lives; clears sessions away that have expired."""
    await connection.execute(delete(sessions).where(sessions.c.expires_at <= func.now()))
    cookie, csrf = secrets.token_urlsafe(SECRET_BYTES), secrets.token_urlsafe(SECRET_BYTES)
    end = func.least(func.now() + timedelta(seconds=seconds), token.expires_at)
    row = {"id_sha256": _sha256(cookie), "token_id": token.id, "csrf": csrf, "expires_at": end}
    made = await connection.execute(insert(sessions).values(row).returning(sessions.c.expires_at))
    return Session(cookie=cookie, csrf=csrf, expires_at=made.scalar_one())


async def session(connection: AsyncConnection, cookie: str) -> tuple[Token, Session] | None:
    """Whose session the cookie is; None when it is unknown or has expired, or its token has. Notes the token's use."""
    wanted = select(tokens, sessions.c.csrf, sessions.c.expires_at.label("session_expires_at"))
    joined = wanted.join_from(sessions, tokens).where(
        sessions.c.id_sha256 == _sha256(cookie), sessions.c.expires_at > func.now(), _valid()
    )
    row = (await connection.execute(joined)).one_or_none()
    if row is None:
        return None
    await _note_use(connection, row.id)
    return _token(row), Session(cookie=cookie, csrf=row.csrf, expires_at=row.session_expires_at)


async def close_session(connection: AsyncConnection, cookie: str) -> None:
    """Log a browser out."""
    await connection.execute(delete(sessions).where(sessions.c.id_sha256 == _sha256(cookie)))


async def new_link(connection: AsyncConnection, token_id: str, seconds: int) -> str:
    """Make a code that logs in once as the token's holder, within `seconds`; clears expired codes away."""
    await connection.execute(delete(login_links).where(login_links.c.expires_at <= func.now()))
    code = secrets.token_urlsafe(SECRET_BYTES)
    end = func.now() + timedelta(seconds=seconds)
    await connection.execute(insert(login_links).values(code_sha256=_sha256(code), token_id=token_id, expires_at=end))
    return code


async def redeem_link(connection: AsyncConnection, code: str) -> Token | None:
    """The token that a code stands for; None when it is unknown, used or expired, or its token is worthless."""
    used = delete(login_links).where(login_links.c.code_sha256 == _sha256(code), login_links.c.expires_at > func.now())
    token_id = (await connection.execute(used.returning(login_links.c.token_id))).scalar_one_or_none()
    return await by_id(connection, token_id) if token_id else None


def _valid() -> ColumnElement[bool]:
    return tokens.c.revoked_at.is_(None) & or_(tokens.c.expires_at.is_(None), tokens.c.expires_at > func.now())


async def _note_use(connection: AsyncConnection, token_id: str) -> None:
    """Requests of one token at once do not wait for each other's transaction: the row is skipped while it is locked."""
    stale = or_(tokens.c.last_used_at.is_(None), tokens.c.last_used_at <= func.now() - LAST_USED_PRECISION)
    free = select(tokens.c.id).where(tokens.c.id == token_id, stale).with_for_update(skip_locked=True).scalar_subquery()
    await connection.execute(update(tokens).where(tokens.c.id == free).values(last_used_at=func.now()))


def _token(row: Row[Any]) -> Token:
    return Token(
        id=row.id,
        owner=row.owner,
        scopes=frozenset(map(Scope, row.scopes)),
        created_at=row.created_at,
        expires_at=row.expires_at,
        revoked_at=row.revoked_at,
        last_used_at=row.last_used_at,
    )


def _sha256(secret: str) -> bytes:
    return hashlib.sha256(secret.encode(errors="surrogatepass")).digest()
