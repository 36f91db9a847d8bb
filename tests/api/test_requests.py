"""Odd requests: bodies that declare no size, headers that are none, methods and addresses that browsers do not send."""

import logging
from collections.abc import Iterator
from http.client import HTTPResponse
from typing import Any

import pytest
from starlette.requests import ClientDisconnect

from api import problems
from api.middleware import FORM_BYTES, known_hosts
from api.settings import BadSetting, Settings, load
from tests.api.processes import in_thread, send
from tests.api.service import HTML, URL, Service, code, log_in
from tests.verifier.entries import Arena

FORM = {"Content-Type": "application/x-www-form-urlencoded"}
PARTS = {"Content-Type": "multipart/form-data; boundary=b"}
FILE = b'--b\r\nContent-Disposition: form-data; name="x"; filename="y"\r\n\r\n'
BODIES = {"a field": (FORM, b"token="), "nothing": (FORM, b"&"), "a file": (PARTS, FILE)}


def chunks(start: bytes, total: int) -> Iterator[bytes]:
    """A body that declares no size."""
    yield start
    for _ in range(total // 4096):
        yield b"a" * 4096


def test_a_chunked_form_of_a_logged_in_browser_is_cut_off_too(service: Service, arena: Arena) -> None:
    job_id = service.submit(arena.entry())["id"]
    log_in(service)
    for path in ("/logout", f"/verify/{job_id}/cancel", f"/reports/{job_id}/share", "/shares/x/revoke"):
        answer = service.client.post(path, content=chunks(b"csrf=", 2 * FORM_BYTES), headers=FORM | {"Origin": URL})
        assert code(answer) == (413, "over-size"), path
    assert service.get(f"/verify/{job_id}").json()["state"] == "queued"


def test_a_small_chunked_form_is_read(service: Service) -> None:
    body = iter([b"token=", service.alice.encode()])
    assert service.client.post("/login", content=body, headers=FORM).status_code == 303


@pytest.mark.parametrize("origin", ["http://[", "http://[::1", "http://localhost:8765@evil.example", "://", "http:"])
def test_an_origin_that_is_no_address_is_another_site(service: Service, arena: Arena, origin: str) -> None:
    answer = service.client.post("/login", data={"token": service.alice}, headers={"Origin": origin})
    assert code(answer) == (403, "foreign-origin")
    csrf = log_in(service)
    job_id = service.submit(arena.entry())["id"]
    answer = service.client.post(f"/verify/{job_id}/cancel", data={"csrf": csrf}, headers={"Origin": origin})
    assert code(answer) == (403, "foreign-origin")


def test_a_bearer_token_beside_a_session_counts_alone(service: Service, arena: Arena) -> None:
    """What a page of another site cannot add needs no Origin, and nothing of the session gets mixed in."""
    log_in(service)
    reader = service.token("bob", *())
    job_id = service.post("/verify", arena.entry(), reader).json()["id"]
    assert [line["job_id"] for line in service.get("/submissions", reader).json()] == [job_id]
    assert service.client.get("/submissions").json() == [], "alice's session alone"
    assert service.get("/submissions", "sg_wrong").status_code == 401, (
        "a wrong token is no reason to look at the cookie"
    )


def test_a_session_ends_with_its_token(service: Service) -> None:
    from sqlalchemy import func, update

    from api.store import tables

    log_in(service)
    assert service.client.get("/tracks").status_code == 200
    service.execute(update(tables.tokens).values(expires_at=func.now()))
    assert service.client.get("/tracks").status_code == 401


def test_a_probe_may_ask_for_the_head_alone(service: Service) -> None:
    for path in ("/healthz", "/readyz"):
        assert service.client.head(path).status_code == 200
    other = service.client.request("HEAD", "/login")
    assert (other.status_code, "GET" in other.headers["allow"]) == (405, True)


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "/login", "GET, POST"),
        ("POST", f"/verify/{'0' * 64}", "DELETE, GET"),
        ("GET", "/verify", "POST"),
        ("DELETE", "/healthz", "GET, HEAD"),
        ("PATCH", "/static/site.css", "GET, HEAD"),
    ],
)
def test_a_wrong_method_is_told_every_method_of_the_path(
    service: Service, method: str, path: str, allowed: str
) -> None:
    answer = service.client.request(method, path)
    assert code(answer) == (405, "method-not-allowed")
    assert answer.headers["allow"] == allowed


def test_the_login_leads_back_to_the_whole_address(service: Service) -> None:
    path = f"/compare?ids={'0' * 64}&ids={'1' * 64}&baseline=%20"
    long = service.client.get(f"/leaderboard?track={'x' * 9000}", headers=HTML)
    assert (long.status_code, long.headers["location"]) == (303, "/login?next=/leaderboard")
    sent = service.client.get(path, headers=HTML)
    assert sent.status_code == 303
    form = service.client.get(sent.headers["location"])
    assert f'value="{path.replace("&", "&amp;")}"' in form.text
    back = service.client.post("/login", data={"token": service.alice, "next": path})
    assert (back.status_code, back.headers["location"]) == (303, path)


def test_a_page_that_renews_itself_goes_to_the_login_as_a_whole_when_its_session_has_ended(service: Service) -> None:
    path = f"/verify/{'0' * 64}"
    answer = service.client.get(path, headers={"Accept": "text/html", "HX-Request": "true"})
    assert (answer.status_code, answer.headers["hx-redirect"]) == (401, f"/login?next={path}")


def test_names_of_the_server_may_stand_with_their_port_and_no_name_is_none() -> None:
    hosts = known_hosts(Settings(allowed_hosts=("golf.example:8443", "[fd00::1]:80", "no name")))
    assert hosts == {"localhost", "127.0.0.1", "::1", "golf.example", "fd00::1"}


@pytest.mark.parametrize("url", ["golf.example", "ftp://golf.example", "https://golf.example/base", "https://["])
def test_a_base_url_that_is_no_address_of_a_server_is_refused(url: str) -> None:
    with pytest.raises(BadSetting, match="SEEDGOLF_BASE_URL"):
        load({"SEEDGOLF_BASE_URL": url})


@pytest.mark.parametrize("url", ["/srv/blobs", "file://blobs", "s3://", "s3:bucket", "ftp://blobs/x"])
def test_a_store_of_artifacts_that_is_no_folder_and_no_bucket_is_refused(url: str) -> None:
    with pytest.raises(BadSetting, match="SEEDGOLF_BLOBS"):
        load({"SEEDGOLF_BLOBS": url})


@pytest.mark.parametrize("query", ["?wait=1.0", "?wait=1_0", "?wait=%201", "?wait=", "?wait=%D9%A3", "?wait=1&wait=61"])
def test_what_is_almost_a_number_of_seconds_is_none(service: Service, arena: Arena, query: str) -> None:
    answer = service.post(f"/verify{query}", arena.entry())
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid-request")
    assert service.get("/submissions").json() == []


@pytest.mark.parametrize("query", ["limit=0", "limit=501", "limit=x", "offset=-1", "offset=1000001", "history=perhaps"])
def test_a_leaderboard_has_no_page_of_any_length(service: Service, query: str) -> None:
    answer = service.get(f"/leaderboard?{query}")
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid-request")


def test_a_client_that_leaves_in_the_middle_of_a_form_is_no_fault_of_ours() -> None:
    assert problems.translate(ClientDisconnect()).code == "upload-aborted"


def request(*lines: bytes, body: bytes = b"") -> bytes:
    return b"\r\n".join([*lines, b"Connection: close", b"", body])


HOST = b"Host: localhost"
ODD: dict[str, tuple[bytes, int]] = {
    "bytes in the path": (request(b"GET /\xff HTTP/1.1", HOST), 400),
    "escaped bytes in the path": (request(b"GET /verify/%ff%00 HTTP/1.1", HOST), 401),
    "an address as the path": (request(b"GET http://evil.example/login HTTP/1.1", HOST), 404),
    "two hosts": (request(b"GET /login HTTP/1.1", HOST, b"Host: evil.example"), 400),
    "no host": (request(b"GET /login HTTP/1.0"), 421),
    "a tunnel": (request(b"CONNECT evil.example:80 HTTP/1.1", HOST), 404),
    "every option": (request(b"OPTIONS * HTTP/1.1", HOST), 404),
    "an echo": (request(b"TRACE /login HTTP/1.1", HOST), 405),
    "a huge length": (request(b"POST /login HTTP/1.1", HOST, b"Content-Length: " + b"9" * 20), 413),
    "a length of thousands of digits": (request(b"POST /login HTTP/1.1", HOST, b"Content-Length: " + b"9" * 5000), 400),
    "two lengths": (
        request(b"POST /login HTTP/1.1", HOST, b"Content-Length: 1", b"Content-Length: 2", body=b"xx"),
        400,
    ),
    "an unknown encoding": (request(b"POST /login HTTP/1.1", HOST, b"Transfer-Encoding: gzip", body=b"x"), 400),
    "a thousand wishes": (request(b"GET /keys HTTP/1.1", HOST, b"Accept: " + b"text/html;q=0.1," * 1500), 200),
    "a wish of thousands of digits": (request(b"GET /keys HTTP/1.1", HOST, b"Accept: text/html;q=" + b"9" * 6000), 200),
    "bytes as a cookie": (request(b"GET /keys HTTP/1.1", HOST, b"Cookie: sg_session=\xff\xfe"), 401),
    "two tokens": (request(b"GET /keys HTTP/1.1", HOST, b"Authorization: Bearer a", b"Authorization: Bearer b"), 401),
    "bytes as a link": (request(b"GET /login?link=%ff%00 HTTP/1.1", HOST), 401),
    "no link": (request(b"GET /login?link= HTTP/1.1", HOST), 422),
    "a file of no name": (request(b"GET /static/%00 HTTP/1.1", HOST), 404),
    "a file of a long name": (request(b"GET /static/" + b"a" * 5000 + b" HTTP/1.1", HOST), 404),
}


@pytest.fixture(scope="module")
def port(postgres: str, template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    from tests.api.conftest import _new_database

    folder = tmp_path_factory.mktemp("data")
    with (
        _new_database(postgres, template=template) as dsn,
        in_thread(Settings(data=folder, database=dsn)) as (number, _),
    ):
        yield number


def answer_to(port: int, data: bytes) -> tuple[int, bytes]:
    """Status and body; the connection may stay open after them."""
    with send(port, data) as connection, HTTPResponse(connection) as answer:
        answer.begin()
        return answer.status, answer.read()


@pytest.mark.parametrize(("data", "status"), ODD.values(), ids=ODD)
def test_an_odd_request_gets_a_plain_answer(port: int, data: bytes, status: int, caplog: Any) -> None:
    with caplog.at_level(logging.ERROR):
        answered, body = answer_to(port, data)
    assert answered == status, body
    assert b"Traceback" not in body
    assert not caplog.records


@pytest.mark.parametrize(("kind", "start"), BODIES.values(), ids=BODIES)
def test_a_strangers_endless_form_is_cut_off_where_a_declared_one_is_refused(
    port: int, kind: dict[str, str], start: bytes
) -> None:
    fields = [f"{name}: {value}".encode() for name, value in kind.items()]
    head = request(b"POST /login HTTP/1.1", HOST, b"Transfer-Encoding: chunked", *fields)
    body = start + b"&a" * (FORM_BYTES // 2)
    status, answer = answer_to(port, head + b"%x\r\n%b\r\n" % (FORM_BYTES + 1, body[: FORM_BYTES + 1]))
    assert status == 413, "before the body has an end"
    assert b"over-size" in answer
