"""The client against a scripted server: what it sends, what it makes of refusals, how it survives lost connections."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import httpx2
import pytest

from api.client import Client
from api.client_errors import NotReached, NoVerdictYet, Refused
from api.hardware_class import HardwareClass
from api.states import State

JOB_ID = "ab" * 32


def job_json(state: str, **changes: Any) -> dict[str, Any]:
    links = {"self": f"/verify/{JOB_ID}", "page": f"/verify/{JOB_ID}", "events": "", "report": ""}
    return {"id": JOB_ID, "state": state, "run": 1, "attempt": 1, "links": links, "of_a_newer_server": 1} | changes


def event(kind: str, data: object, *, number: int = 1) -> bytes:
    return f"event: {kind}\nid: {number}\ndata: {json.dumps(data)}\n\n".encode()


def client(answer: Callable[[httpx2.Request], httpx2.Response]) -> Client:
    return Client("http://golf.test/", "sg_x", transport=httpx2.MockTransport(answer))


class Broken(httpx2.SyncByteStream):
    """A body that ends in a lost connection."""

    def __init__(self, *parts: bytes) -> None:
        self._parts = parts

    def __iter__(self) -> Iterator[bytes]:
        yield from self._parts
        raise httpx2.ReadError("lost")


def events(*parts: bytes, lost: bool = False) -> httpx2.Response:
    body: httpx2.SyncByteStream | httpx2.ByteStream = Broken(*parts) if lost else httpx2.ByteStream(b"".join(parts))
    return httpx2.Response(200, headers={"Content-Type": "text/event-stream"}, stream=body)


def test_an_upload_carries_the_token_its_length_and_the_chosen_names() -> None:
    seen: list[httpx2.Request] = []
    told: list[tuple[int, int]] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        request.read()
        seen.append(request)
        return httpx2.Response(202, json=job_json("queued", position=2))

    data = bytes(200_000)
    with client(answer) as server:
        job = server.submit(
            data,
            track="local",
            worker_class=HardwareClass.GPU,
            sent=lambda done, total: told.append((done, total)),
        )
    (request,) = seen
    assert (job.state, job.position, job.is_over) == (State.QUEUED, 2, False)
    assert request.headers["Authorization"] == "Bearer sg_x"
    assert request.headers["Content-Length"] == "200000"
    assert request.content == data
    assert str(request.url) == "http://golf.test/verify?track=local&class=gpu"
    assert told[-1] == (200_000, 200_000)


def test_a_job_is_followed_through_lost_connections_and_a_server_that_starts_again() -> None:
    answers = iter(
        [
            events(event("job", job_json("queued")), lost=True),
            httpx2.Response(503, json={"code": "database-down", "detail": "down"}),
            events(event("job", job_json("running"))),
            events(event("job", job_json("accepted")), event("end", {"state": "accepted"})),
        ]
    )
    pauses: list[float] = []
    with client(lambda _: next(answers)) as server:
        states = [job.state for job in server.follow(JOB_ID, pause=pauses.append)]
    assert states == ["queued", "running", "accepted"]
    assert len(pauses) == 3


def test_following_ends_in_time() -> None:
    with (
        client(lambda _: events(event("job", job_json("running")))) as server,
        pytest.raises(NoVerdictYet, match="running"),
    ):
        server.wait(JOB_ID, timeout=1e-6)


def test_a_refusal_says_code_what_was_expected_and_what_to_do() -> None:
    problem = {"code": "over-quota", "detail": "Too much", "expected": "at most 5", "got": "5", "hint": "wait"}
    with (
        client(lambda _: httpx2.Response(429, json=problem, headers={"Retry-After": "7"})) as server,
        pytest.raises(Refused, match="over-quota: Too much: expected at most 5, got 5; wait") as raised,
    ):
        server.status(JOB_ID)
    assert (raised.value.status, raised.value.retry_after_seconds) == (429, 7)


@pytest.mark.parametrize(
    "answer",
    [
        httpx2.Response(200, text="<html>"),
        httpx2.Response(404, text="<html>"),
        httpx2.Response(500, json=[]),
    ],
)
def test_a_stranger_is_no_seedgolf_server(answer: httpx2.Response) -> None:
    with client(lambda _: answer) as server, pytest.raises(Refused, match="is this a seedgolf server"):
        server.status(JOB_ID)


def test_a_server_that_is_not_there_is_said_without_its_library() -> None:
    def refuse(request: httpx2.Request) -> httpx2.Response:
        raise httpx2.ConnectError("[Errno 111]", request=request)

    with client(refuse) as server, pytest.raises(NotReached, match="the server does not answer"):
        server.status(JOB_ID)
