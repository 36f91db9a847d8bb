"""Downloads: bounded in number, and a reader who takes nothing is left."""

import asyncio
from typing import Any

from starlette.types import Message

from api.paced import PART_BYTES, PacedResponse

DATA = bytes(range(256)) * (PART_BYTES // 128)


async def none() -> Message:
    raise AssertionError("an answer asks for nothing")


def test_an_answer_in_parts_is_the_whole_answer_with_its_length() -> None:
    sent: list[Any] = []

    async def send(message: Message) -> None:
        sent.append(message)

    asyncio.run(PacedResponse(DATA)({"type": "http"}, none, send))
    start, *parts, last = sent
    assert (b"content-length", str(len(DATA)).encode()) in start["headers"]
    assert b"".join(part["body"] for part in parts) == DATA
    assert (all(part["more_body"] for part in parts), last) == (True, {"type": "http.response.body"})


def test_a_reader_who_takes_nothing_is_left_without_the_end_of_the_answer() -> None:
    sent: list[Any] = []

    async def send(message: Message) -> None:
        if len(sent) == 2:
            await asyncio.Event().wait()
        sent.append(message)

    response = PacedResponse(DATA)
    response.patience_seconds = 0
    asyncio.run(response({"type": "http"}, none, send))
    assert [message.get("more_body") for message in sent] == [None, True]
