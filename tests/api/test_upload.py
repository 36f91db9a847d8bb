"""Uploads over real connections: bounded in size, time and number, and nothing is left of one that ends early."""

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx2
import pytest

from api.errors import BadForm
from api.form_parser import MAX_FIELD_BYTES, FormParser
from api.paced import PacedResponse
from api.resources import Resources
from api.settings import Settings
from api.slots import Slots
from api.upload import FRAMING_BYTES, Pace
from tests.api.processes import answer_of, in_thread, send
from tests.api.service import RAW, Service, bearer, new_token, publish
from tests.verifier.entries import Arena

CAP = 16_000_000 + FRAMING_BYTES


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    port: int
    token: str = field(repr=False)
    state: Any
    client: httpx2.Client
    folder: Path

    @property
    def held(self) -> Resources:
        held: Resources = self.state.resources
        return held

    def change(self, **changes: Any) -> None:
        self.state.resources = replace(self.held, **changes)

    def head(self, *headers: str, token: str | None = None) -> bytes:
        lines = ["POST /verify HTTP/1.1", "Host: localhost", "Connection: close"]
        lines += [f"Authorization: Bearer {token or self.token}", "Content-Type: application/octet-stream", *headers]
        return ("\r\n".join(lines) + "\r\n\r\n").encode()

    def is_empty(self) -> bool:
        """Whether nobody has submitted anything and no blob is there."""
        return self.client.get("/submissions").json() == [] and not list(self.folder.rglob("sha256/*"))


@pytest.fixture(scope="module")
def _thread(
    postgres: str, template: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[int, Any, str, Path]]:
    from tests.api.conftest import _new_database

    folder = tmp_path_factory.mktemp("data")
    with (
        _new_database(postgres, template=template) as dsn,
        in_thread(Settings(data=folder, database=dsn)) as (port, app),
    ):
        yield port, app.state, dsn, folder


@pytest.fixture
def server(_thread: tuple[int, Any, str, Path], arena: Arena) -> Iterator[Server]:
    port, state, dsn, folder = _thread
    publish(dsn, arena)
    token = new_token(dsn, f"owner {time.monotonic_ns()}").text
    before = state.resources
    with httpx2.Client(base_url=f"http://localhost:{port}", headers=bearer(token), timeout=30) as client:
        yield Server(port=port, token=token, state=state, client=client, folder=folder)
    state.resources = before


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def problem(answer: bytes) -> tuple[int, str]:
    """Status and code of a refusal as it came over the wire."""
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"application/problem+json" in head, answer
    return int(head.split()[1]), json.loads(body)["code"]


def test_a_stranger_is_refused_before_a_byte_of_the_body_is_asked_for(server: Server) -> None:
    head = server.head("Content-Length: 1000000", "Expect: 100-continue", token="sg_wrong")
    answer = answer_of(send(server.port, head))
    assert b"100 Continue" not in answer
    assert problem(answer) == (401, "unauthenticated")


def test_a_declared_over_size_is_refused_by_the_head_alone(server: Server) -> None:
    answer = answer_of(send(server.port, server.head(f"Content-Length: {CAP + 1}", "Expect: 100-continue")))
    assert b"100 Continue" not in answer
    assert problem(answer) == (413, "over-size")
    assert server.is_empty()


def test_a_streamed_over_size_is_cut_off_and_makes_no_job(server: Server) -> None:
    def chunks() -> Iterator[bytes]:
        for _ in range(CAP // 2**20 + 1):
            yield bytes(2**20)

    answer = server.client.post("/verify", content=chunks(), headers=RAW)
    assert (answer.status_code, answer.json()["code"]) == (413, "over-size")
    assert server.is_empty()


def test_a_body_below_the_lowest_rate_is_dropped_with_408(server: Server) -> None:
    server.change(pace=Pace(bytes_per_second=1_000_000, window_seconds=0.1))
    answer = answer_of(send(server.port, server.head("Content-Length: 1000000") + bytes(1000)))
    assert problem(answer) == (408, "upload-too-slow")
    assert server.is_empty()


def test_an_upload_that_is_aborted_leaves_nothing_and_frees_its_place(server: Server, arena: Arena) -> None:
    server.change(slots=Slots(1, patience_seconds=20))
    entry = arena.entry()
    send(server.port, server.head(f"Content-Length: {len(entry)}") + entry[:-1]).close()
    answer = server.client.post("/verify", content=entry[:-1] + b"?", headers=RAW)
    assert answer.status_code == 200, "the place was free again"
    assert len(server.client.get("/submissions").json()) == 1


def test_a_body_that_finds_no_place_in_time_is_503_with_retry_after(server: Server, arena: Arena) -> None:
    server.change(slots=Slots(1, patience_seconds=0.1))
    entry = arena.entry()
    first = send(server.port, server.head(f"Content-Length: {len(entry)}") + entry[:-1])
    until(server.held.slots._free.locked)
    refused = server.client.post("/verify", content=entry, headers=RAW)
    assert (refused.status_code, refused.json()["code"]) == (503, "busy")
    assert int(refused.headers["retry-after"]) > 0
    server.change(slots=replace_patience(server.held.slots, 10.0))
    first.sendall(entry[-1:])
    assert b" 202 " in answer_of(first).split(b"\r\n")[0]


def test_a_download_that_is_not_read_holds_a_place_until_it_is_left(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.change(downloads=Slots(1, patience_seconds=0.1))
    artifact = server.client.post("/verify", content=bytes(16_000_000), headers=RAW).json()["artifact"]["sha256"]
    path = f"/artifacts/{artifact}.sgolf"
    head = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {server.token}\r\n\r\n"
    with send(server.port, head.encode()):
        until(server.held.downloads._free.locked)
        refused = server.client.get(path)
        assert (refused.status_code, refused.json()["code"]) == (503, "busy")
    until(lambda: not server.held.downloads._free.locked())
    monkeypatch.setattr(PacedResponse, "patience_seconds", 0.1)
    with send(server.port, head.encode()):
        until(server.held.downloads._free.locked)
        until(lambda: not server.held.downloads._free.locked())
    assert server.client.get(path).content == bytes(16_000_000)


def replace_patience(slots: Slots, seconds: float) -> Slots:
    slots._patience_seconds = seconds
    return slots


def test_waiting_for_a_verdict_holds_neither_a_place_nor_a_connection(server: Server, arena: Arena) -> None:
    server.change(slots=Slots(1, patience_seconds=5))
    entry = arena.entry(name="waits")
    request = server.head(f"Content-Length: {len(entry)}").replace(b"/verify", b"/verify?wait=60")
    waiting = send(server.port, request + entry)
    pool: Any = server.held.engine.pool
    until(lambda: server.held.waiters.taken == 1 and pool.checkedout() == 0)
    assert not server.held.slots._free.locked()
    job = server.client.get("/submissions").json()[0]
    assert server.client.delete(f"/verify/{job['job_id']}").json()["state"] == "cancelled"
    status, _, body = answer_of(waiting).partition(b"\r\n\r\n")
    assert b" 200 " in status.split(b"\r\n")[0], "the end of the run ends the wait"
    assert json.loads(body)["state"] == "cancelled"


def test_with_all_waiting_places_taken_an_upload_is_answered_at_once(server: Server, arena: Arena) -> None:
    from api.places import Places

    server.change(waiters=Places(0, per_client=5))
    start = time.monotonic()
    answer = server.client.post("/verify?wait=60", content=arena.entry(), headers=RAW)
    assert (answer.status_code, answer.json()["state"]) == (202, "queued")
    assert time.monotonic() - start < 20


FORM = "multipart/form-data; boundary=b"


def part(name: str, value: bytes, extra: str = "") -> bytes:
    return f'--b\r\nContent-Disposition: form-data; name="{name}"{extra}\r\n\r\n'.encode() + value + b"\r\n"


FILE, END = part("file", b"data", '; filename="a"'), b"--b--\r\n"
BAD_FORMS = {
    "no file": part("track", b"local") + END,
    "two files": FILE + FILE + END,
    "a field twice": part("track", b"a") + part("track", b"b") + FILE + END,
    "no end": FILE,
    "nothing": b"",
    "no form": b"data",
    "a long field": part("track", b"a" * (MAX_FIELD_BYTES + 1)) + FILE + END,
    "a field that is no text": part("track", b"\xff") + FILE + END,
    "many fields": b"".join(part(f"f{n}", b"") for n in range(9)) + FILE + END,
    "a part without a name": b"--b\r\n\r\nx\r\n--b\r\n\r\ny\r\n" + END,
    "a long header": b"--b\r\nX: " + b"a" * 100_000 + b"\r\n\r\nx\r\n" + END,
}


@pytest.mark.parametrize("body", BAD_FORMS.values(), ids=BAD_FORMS)
def test_a_form_that_is_none_is_refused(service: Service, body: bytes) -> None:
    answer = service.post("/verify", body, **{"Content-Type": FORM})
    assert (answer.status_code, answer.json()["code"]) == (400, "bad-form")
    assert service.get("/submissions").json() == []


@pytest.mark.parametrize("size", [1, 2, 7, 1000])
def test_a_form_is_read_alike_in_parts_of_any_size(size: int) -> None:
    body = part("track", "läuft".encode()) + part("file", b"\r\n--a\r\n-b\x00data\r\n-", '; filename="a"') + END
    parser = FormParser(b"b")
    for start in range(0, len(body), size):
        parser.feed(body[start : start + size])
    assert parser.finish() == (b"\r\n--a\r\n-b\x00data\r\n-", {"track": "läuft"})


@pytest.mark.parametrize("parameters", ["", " boundary=", " boundary=" + "b" * 71, " charset=utf-8"])
def test_a_form_needs_a_boundary(parameters: str) -> None:
    with pytest.raises(BadForm):
        FormParser.boundary(parameters)


@pytest.mark.parametrize("kind", ["application/json", "text/plain", "application/x-www-form-urlencoded", "x"])
def test_another_kind_of_body_is_415_and_the_answer_says_what_to_send(service: Service, kind: str) -> None:
    answer = service.post("/verify", b"{}", **{"Content-Type": kind})
    assert (answer.status_code, answer.json()["code"]) == (415, "unsupported-media-type")
    assert "curl" in answer.json()["hint"]
