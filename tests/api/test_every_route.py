"""Rules that hold for every route, also for one that is added tomorrow: closed unless it is listed here as open."""

import re

import pytest

from api.access import COOKIE
from api.app import create_app
from api.settings import Settings
from api.store.tokens import Scope
from tests.api.service import URL, Service, bearer, code, log_in

OPEN = {
    ("GET", "/healthz"),
    ("GET", "/readyz"),
    ("GET", "/keys"),
    ("GET", "/login"),
    ("POST", "/login"),
    ("POST", "/logout"),
    ("GET", "/badge/{share_id}.svg"),
}
"""To everybody; leaving needs a session's own CSRF field where there is a session."""


def operations() -> list[tuple[str, str]]:
    paths = create_app(Settings(database="host=x")).openapi()["paths"]
    return sorted((method.upper(), path) for path, methods in paths.items() for method in methods)


EVERY = operations()
CLOSED = [operation for operation in EVERY if operation not in OPEN]
CHANGES = [operation for operation in EVERY if operation[0] != "GET" and operation[1] != "/login"]


def address(path: str) -> str:
    """A path with ids of nothing."""
    return re.sub(r"\{(job_id|sha256)\}", "0" * 64, path).replace("{share_id}", "x")


def test_what_is_open_is_there() -> None:
    assert set(EVERY) > OPEN
    assert {method for method, _ in EVERY} == {"GET", "POST", "DELETE"}


def test_the_document_says_how_to_be_let_in() -> None:
    document = create_app(Settings(database="host=x")).openapi()
    assert document["components"]["securitySchemes"] == {
        "token": {"type": "http", "scheme": "bearer", "bearerFormat": "sg_<id>_<secret>"},
        "session": {"type": "apiKey", "in": "cookie", "name": COOKIE},
    }
    for method, path in CLOSED:
        assert document["paths"][path][method.lower()]["security"] == [{"token": []}, {"session": []}], path


@pytest.mark.parametrize(("method", "path"), CLOSED)
def test_a_route_is_closed_to_strangers_unless_it_is_listed_as_open(service: Service, method: str, path: str) -> None:
    for headers in ({}, bearer("sg_wrong"), {"Cookie": "sg_session=wrong"}):
        assert code(service.client.request(method, address(path), headers=headers)) == (401, "unauthenticated")


@pytest.mark.parametrize(("method", "path"), CLOSED)
def test_a_route_needs_one_scope_and_the_others_do_not_do(service: Service, method: str, path: str) -> None:
    needed = Scope.ADMIN if path in {"/metrics", "/workers"} else Scope.READ if method == "GET" else Scope.SUBMIT
    for scope in Scope:
        answer = service.client.request(method, address(path), headers=bearer(service.token("bob", scope)))
        refused = answer.status_code == 403
        assert refused == (scope not in {needed, Scope.ADMIN}), scope


@pytest.mark.parametrize(("method", "path"), CHANGES)
def test_a_change_by_cookie_needs_our_origin_and_the_csrf_field(service: Service, method: str, path: str) -> None:
    csrf = log_in(service)
    given = {"X-CSRF-Token": csrf}
    for headers in (given, given | {"Origin": "http://evil.example"}, given | {"Origin": "null"}):
        answer = service.client.request(method, address(path), headers=headers)
        assert code(answer) == (403, "foreign-origin"), headers
    raw = {"Origin": URL, "Content-Type": "application/octet-stream"}
    assert code(service.client.request(method, address(path), headers=raw)) == (403, "bad-csrf")
    assert service.client.request(method, address(path), headers=raw | given).status_code != 403


@pytest.mark.parametrize(("method", "path"), EVERY)
def test_no_route_but_the_probes_answers_under_another_name(service: Service, method: str, path: str) -> None:
    answer = service.client.request(method, address(path), headers=bearer(service.alice) | {"Host": "evil.example"})
    assert (answer.status_code == 421) == (path not in {"/healthz", "/readyz"})
