"""Tokens, sessions and login links: who is known, until when, and what is stored of a secret."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import TypeVar

import pytest
from sqlalchemy import text, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from api.store import tables, tokens
from api.store.tokens import NewToken, Scope, Token

T = TypeVar("T")
NOW = datetime.now(UTC)
GONE = NOW - timedelta(seconds=1)
LATER = NOW + timedelta(hours=1)


@pytest.fixture
def told(engine: AsyncEngine) -> Callable[[Callable[[AsyncConnection], Awaitable[T]]], T]:
    """Run a story in one transaction."""

    def run(story: Callable[[AsyncConnection], Awaitable[T]]) -> T:
        async def all_of_it() -> T:
            async with engine.begin() as connection:
                return await story(connection)

        return asyncio.run(all_of_it())

    return run


async def make(connection: AsyncConnection, **changes: object) -> NewToken:
    given = {"owner": "ada", "scopes": [Scope.READ]} | changes
    return await tokens.new(connection, **given)  # type: ignore[arg-type]


def test_a_new_token_is_found_by_its_text(told) -> None:  # noqa: ANN001
    async def story(connection: AsyncConnection) -> None:
        made = await make(connection, scopes=[Scope.SUBMIT, Scope.READ, Scope.READ], expires_at=LATER)
        assert tokens.TEXT.fullmatch(made.text)
        found = await tokens.find(connection, made.text)
        assert found
        assert (found.owner, found.scopes, found.expires_at) == ("ada", {Scope.SUBMIT, Scope.READ}, LATER)

    told(story)


@pytest.mark.parametrize("other", ["", "sg_", "Bearer", "sg_000000000000_" + 43 * "A", "sg_\ud800", "\x00"])
def test_another_text_is_nobody(told, other: str) -> None:  # noqa: ANN001
    async def story(connection: AsyncConnection) -> None:
        await make(connection)
        assert await tokens.find(connection, other) is None

    told(story)


def test_a_known_id_with_another_secret_is_nobody(told) -> None:  # noqa: ANN001
    async def story(connection: AsyncConnection) -> None:
        made, other = await make(connection), await make(connection)
        mixed = f"sg_{made.token.id}_{other.text.split('_', 2)[2]}"
        assert await tokens.find(connection, mixed) is None
        assert await tokens.find(connection, made.text[:-1]) is None

    told(story)


def test_an_expired_token_is_unknown_and_so_are_its_session_and_link(told) -> None:  # noqa: ANN001
    async def story(connection: AsyncConnection) -> None:
        made = await make(connection)
        session = await tokens.open_session(connection, made.token, seconds=60)
        code = await tokens.new_link(connection, made.token.id, 60)
        await connection.execute(update(tables.tokens).values(expires_at=GONE))
        assert await tokens.find(connection, made.text) is None
        assert await tokens.session(connection, session.cookie) is None
        assert await tokens.redeem_link(connection, code) is None

    told(story)


def test_a_revoked_token_is_unknown_and_so_are_its_session_and_link(told) -> None:  # noqa: ANN001
    async def story(connection: AsyncConnection) -> None:
        made, kept = await make(connection), await make(connection)
        session = await tokens.open_session(connection, made.token, seconds=60)
        code = await tokens.new_link(connection, made.token.id, 60)
        assert await tokens.revoke(connection, made.token.id)
        assert not await tokens.revoke(connection, made.token.id)
        assert not await tokens.revoke(connection, "000000000000")
        assert await tokens.find(connection, made.text) is None
        assert await tokens.session(connection, session.cookie) is None
        assert await tokens.redeem_link(connection, code) is None
        assert await tokens.find(connection, kept.text)

    told(story)


def test_no_secret_is_stored(told) -> None:  # noqa: ANN001
    async def story(connection: AsyncConnection) -> None:
        made = await make(connection)
        session = await tokens.open_session(connection, made.token, seconds=60)
        code = await tokens.new_link(connection, made.token.id, 60)
        stored = ""
        for table in (tables.tokens, tables.sessions, tables.login_links):
            stored += str((await connection.execute(table.select())).all())
        for secret in (made.text.split("_", 2)[2], session.cookie, code):
            assert secret not in stored
            assert secret not in repr((made, session))

    told(story)


def test_use_is_noted_at_most_once_a_minute(told) -> None:  # noqa: ANN001
    async def uses(connection: AsyncConnection) -> list[datetime | None]:
        return [token.last_used_at for token in await tokens.list_all(connection)]

    async def story(connection: AsyncConnection) -> None:
        made = await make(connection)
        assert await uses(connection) == [None]
        await tokens.find(connection, made.text)
        assert await uses(connection) != [None]
        for age, noted in ((timedelta(seconds=5), False), (timedelta(hours=1), True)):
            earlier = datetime.now(UTC) - age
            await connection.execute(update(tables.tokens).values(last_used_at=earlier))
            await tokens.find(connection, made.text)
            assert (await uses(connection) != [earlier]) is noted

    told(story)


def test_a_request_does_not_wait_for_another_one_of_the_same_token(engine: AsyncEngine) -> None:
    async def story() -> Token | None:
        async with engine.begin() as connection:
            made = await make(connection)
        async with engine.begin() as first, engine.begin() as second:
            await tokens.find(first, made.text)
            await second.execute(text("SET LOCAL lock_timeout = '200ms'"))
            return await tokens.find(second, made.text)

    assert asyncio.run(story())


def test_a_session_is_its_tokens_until_it_ends(told) -> None:  # noqa: ANN001
    async def story(connection: AsyncConnection) -> None:
        made = await make(connection)
        opened = await tokens.open_session(connection, made.token, seconds=60)
        assert await tokens.session(connection, opened.csrf) is None
        found = await tokens.session(connection, opened.cookie)
        assert found
        assert (found[0].id, found[1]) == (made.token.id, opened)
        await tokens.close_session(connection, opened.cookie)
        assert await tokens.session(connection, opened.cookie) is None

    told(story)


def test_a_session_ends_with_its_time_and_with_its_token(told) -> None:  # noqa: ANN001
    async def story(connection: AsyncConnection) -> None:
        made = await make(connection, expires_at=LATER)
        assert (await tokens.open_session(connection, made.token, seconds=86_400)).expires_at == LATER
        opened = await tokens.open_session(connection, made.token, seconds=60)
        await connection.execute(update(tables.sessions).values(expires_at=GONE))
        assert await tokens.session(connection, opened.cookie) is None
        await tokens.open_session(connection, made.token, seconds=60)
        assert len((await connection.execute(tables.sessions.select())).all()) == 1, "expired ones are cleared away"

    told(story)


def test_a_link_works_once_and_for_its_time_only(told) -> None:  # noqa: ANN001
    async def story(connection: AsyncConnection) -> None:
        made = await make(connection)
        code = await tokens.new_link(connection, made.token.id, 60)
        found = await tokens.redeem_link(connection, code)
        assert found
        assert found.id == made.token.id
        assert await tokens.redeem_link(connection, code) is None
        late = await tokens.new_link(connection, made.token.id, 60)
        await connection.execute(update(tables.login_links).values(expires_at=GONE))
        assert await tokens.redeem_link(connection, late) is None

    told(story)


def test_a_token_needs_a_scope(told) -> None:  # noqa: ANN001
    async def story(connection: AsyncConnection) -> None:
        with pytest.raises(ValueError, match="at least one"):
            await make(connection, scopes=[])

    told(story)


def test_admin_allows_everything_and_read_only_reading(told) -> None:  # noqa: ANN001
    async def story(connection: AsyncConnection) -> None:
        admin = (await make(connection, scopes=[Scope.ADMIN])).token
        reader = (await make(connection)).token
        assert all(admin.allows(scope) for scope in Scope)
        assert [scope for scope in Scope if reader.allows(scope)] == [Scope.READ]

    told(story)
