"""A refusal reaches who is still sending: the rest of the body is read behind it, within bounds."""

import asyncio
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from api.draining import Draining
from api.settings import Settings
from tests.api.processes import in_thread, send

UPLOAD_BYTES = 16_000_000
CHUNK = 65_536


class Sender:
    """A client that sends a body of `chunks` chunks and, where it `stalls`, never ends."""

    def __init__(self, chunks: int, *, stalls: bool = False) -> None:
        self.left = chunks
        self.stalls = stalls
        self.got: list[Message] = []

    async def receive(self) -> Message:
        if self.left == 0 and self.stalls:
            await asyncio.Event().wait()
        self.left -= 1
        return {"type": "http.request", "body": bytes(CHUNK), "more_body": self.left > 0 or self.stalls}

    async def send(self, message: Message) -> None:
        self.got.append(message | {"left": self.left})


def refused(
    sender: Sender, *headers: tuple[bytes, bytes], status: int = 401, reads: bool = False, size: int = 2**30
) -> None:
    """What `sender` gets from a route that refuses, with its body unread or read."""

    async def route(scope: Scope, receive: Receive, send: Send) -> None:
        if reads:
            await Request(scope, receive).body()
        await Response(b"no", status)(scope, receive, send)

    scope = {"type": "http", "method": "POST", "path": "/", "headers": list(headers)}
    asyncio.run(Draining(route, size=size, seconds=0.1)(scope, sender.receive, sender.send))


SIZED = (b"content-length", b"6553600")


def test_the_answer_goes_out_at_once_and_ends_when_the_body_has_come() -> None:
    sender = Sender(100)
    refused(sender, SIZED)
    assert [(message["left"], message.get("body"), message.get("more_body")) for message in sender.got[1:]] == [
        (100, b"no", True),
        (0, None, None),
    ]


@pytest.mark.parametrize(("sender", "size"), [(Sender(1, stalls=True), 2**30), (Sender(100), 10 * CHUNK)])
def test_neither_a_sender_that_stalls_nor_an_endless_body_holds_it_open(sender: Sender, size: int) -> None:
    refused(sender, SIZED, size=size)
    assert sender.got[-1]["type"] == "http.response.body"
    assert not sender.got[-1].get("more_body", False)
    assert sender.left in {0, 90}


def test_nothing_is_read_where_nothing_comes() -> None:
    for headers, status in (((), 401), ((SIZED, (b"expect", b"100-continue")), 401), ((SIZED,), 408)):
        sender = Sender(100)
        refused(sender, *headers, status=status)
        assert (sender.left, len(sender.got)) == (100, 2)


def test_a_body_that_was_read_is_not_waited_for_again() -> None:
    sender = Sender(3)
    refused(sender, SIZED, reads=True)
    assert (sender.left, len(sender.got)) == (0, 2)


@pytest.fixture
def port(dsn: str, tmp_path: Path) -> Iterator[int]:
    with in_thread(Settings(data=tmp_path, database=dsn)) as (port, _):
        yield port


def test_a_wrong_token_is_answered_401_and_the_connection_takes_the_whole_upload_without_a_reset(port: int) -> None:
    lines = ["POST /verify HTTP/1.1", "Host: localhost", "Connection: close", "Authorization: Bearer sg_x"]
    connection = send(port, "\r\n".join([*lines, f"Content-Length: {UPLOAD_BYTES}", "", ""]).encode())
    answer = connection.recv(CHUNK)
    assert answer.startswith(b"HTTP/1.1 401")
    for _ in range(UPLOAD_BYTES // CHUNK):
        connection.sendall(bytes(CHUNK))
    connection.shutdown(socket.SHUT_WR)
    connection.close()
