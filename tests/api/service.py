"""A service for tests: an API application in this process, on a database and a folder of the test's own."""

import asyncio
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from fastapi import FastAPI
from httpx2 import Response
from sqlalchemy import Executable, text
from starlette.testclient import TestClient

from api import database
from api.app import create_app
from api.floods import Floods
from api.hardware_class import HardwareClass
from api.resources import Resources
from api.settings import Settings
from api.slots import Slots
from api.store import tokens, valsets
from api.store.tables import metadata
from api.store.tokens import NewToken, Scope
from tests.verifier.entries import Arena

URL = "http://localhost:8765"
ALL = (Scope.SUBMIT, Scope.READ)


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """A running application, and the token of `alice`, who may submit and read."""

    app: FastAPI
    client: TestClient
    dsn: str
    alice: str = field(repr=False)

    @property
    def held(self) -> Resources:
        held: Resources = self.app.state.resources
        return held

    def token(self, owner: str, *scopes: Scope) -> str:
        return new_token(self.dsn, owner, *scopes).text

    def get(self, path: str, token: str | None = None, **headers: str) -> Response:
        return self.client.get(path, headers=bearer(token or self.alice) | headers)

    def post(self, path: str, content: bytes = b"", token: str | None = None, **headers: str) -> Response:
        return self.client.post(path, content=content, headers=bearer(token or self.alice) | RAW | headers)

    def submit(self, data: bytes, query: str = "", token: str | None = None) -> Any:
        answer = self.post(f"/verify{query}", data, token)
        assert answer.status_code in {200, 202}, answer.text
        return answer.json()

    def execute(self, statement: Executable) -> None:
        """Change the database behind the service's back."""
        execute(self.dsn, statement)

    @contextmanager
    def changed(self, **changes: Any) -> Iterator[None]:
        """Other resources for a while."""
        before = self.held
        self.app.state.resources = replace(before, **changes)
        try:
            yield
        finally:
            self.app.state.resources = before

    @contextmanager
    def configured(self, **settings: Any) -> Iterator[None]:
        """Other settings for a while, as far as they are read while requests are answered."""
        with self.changed(settings=self.held.settings.replaced(**settings)):
            yield


RAW = {"Content-Type": "application/octet-stream"}
HTML = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


@contextmanager
def running(settings: Settings) -> Iterator[Service]:
    """The application with its lifespan."""
    assert settings.database is not None
    app = create_app(settings)
    with TestClient(app, base_url=URL, raise_server_exceptions=False, follow_redirects=False) as client:
        yield Service(app=app, client=client, dsn=settings.database, alice="")


def fresh(service: Service, arena: Arena) -> Service:
    """The service as if it had just started with a worker."""
    tables = ", ".join(table.name for table in metadata.sorted_tables)
    service.execute(text(f"TRUNCATE {tables}, procrastinate_jobs CASCADE"))
    service.client.cookies.clear()
    service.app.state.resources = replace(service.held, floods=Floods(), slots=Slots())
    publish(service.dsn, arena)
    return replace(service, alice=new_token(service.dsn, "alice").text)


def new_token(dsn: str, owner: str, *scopes: Scope) -> NewToken:
    async def story() -> NewToken:
        engine = database.engine(dsn, pooled=False)
        async with engine.begin() as connection:
            return await tokens.new(connection, owner=owner, scopes=scopes or ALL)

    return asyncio.run(story())


def publish(dsn: str, arena: Arena) -> None:
    """Say that workers have the arena's validation set."""

    async def story() -> None:
        engine = database.engine(dsn, pooled=False)
        async with engine.begin() as connection:
            await valsets.publish(connection, HardwareClass.CPU, [arena.registration])

    asyncio.run(story())


def execute(dsn: str, statement: Executable) -> None:
    """Change a row behind the service's back."""

    async def story() -> None:
        engine = database.engine(dsn, pooled=False)
        async with engine.begin() as connection:
            await connection.execute(statement)

    asyncio.run(story())


def login_link(dsn: str, text: str) -> str:
    """The code of a one-time link for the holder of a token."""

    async def story() -> str:
        engine = database.engine(dsn, pooled=False)
        async with engine.begin() as connection:
            token = await tokens.find(connection, text)
            assert token is not None
            return await tokens.new_link(connection, token.id, 60)

    return asyncio.run(story())


def code(answer: Response) -> tuple[int, str]:
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    return answer.status_code, answer.json()["code"]


def log_in(service: Service, token: str | None = None) -> str:
    """A browser's login; the CSRF field of its pages."""
    form = {"token": token or service.alice}
    answer = service.client.post("/login", data=form, headers={"Origin": URL})
    assert answer.status_code == 303, answer.text
    found = re.search(r'name="csrf" value="([^"]+)"', service.client.get("/", headers=HTML).text)
    assert found
    return found[1]
