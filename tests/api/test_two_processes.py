"""Two API processes on one database: what one is told the other one knows, and one of them may go."""

import signal
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
import psycopg
import pytest
from sqlalchemy import func, update

from api import database
from api.settings import Settings
from api.store import tables
from tests.api.processes import STOP_SECONDS, answer_of, api_server, send
from tests.api.service import RAW, bearer, execute, new_token, publish
from tests.verifier.entries import Arena


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Two processes, a client of each, and the first one's port and process."""

    first: httpx2.Client
    second: httpx2.Client
    process: subprocess.Popen[bytes]
    port: int
    token: str = field(repr=False)


@pytest.fixture
def pair(dsn: str, arena: Arena, tmp_path: Path) -> Iterator[Pair]:
    publish(dsn, arena)
    settings, token = Settings(data=tmp_path / "data", database=dsn), new_token(dsn, "alice").text
    with (
        api_server(settings, tmp_path / "first.log") as (first, process),
        api_server(settings, tmp_path / "second.log") as (second, _),
        httpx2.Client(base_url=first, headers=bearer(token), timeout=30) as one,
        httpx2.Client(base_url=second, headers=bearer(token), timeout=30) as other,
    ):
        yield Pair(first=one, second=other, process=process, port=urlsplit(first).port or 0, token=token)


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor() as pool:
        yield pool


def test_what_one_process_is_told_the_other_one_knows(
    pair: Pair, arena: Arena, dsn: str, pool: ThreadPoolExecutor
) -> None:
    job = pair.first.post("/verify", content=arena.entry(), headers=RAW).json()
    assert pair.second.get(f"/verify/{job['id']}").json() == job
    waiting = pool.submit(pair.second.post, "/verify?wait=60", content=arena.entry(), headers=RAW)
    with pair.second.stream("GET", f"/verify/{job['id']}/events") as answer:
        told = answer.iter_lines()
        assert next(told) == "event: job"
        with psycopg.connect(database.psycopg_dsn(dsn), autocommit=True) as connection:
            while connection.execute("SELECT count(*) FROM submissions").fetchone() != (2,):
                assert not waiting.done(), waiting.result().text
        assert pair.first.delete(f"/verify/{job['id']}").json()["state"] == "cancelled"
        assert [line for line in told if line][-1] == 'data: {"state": "cancelled"}'
    assert waiting.result().status_code == 200
    bytes_of = pair.second.get(f"/artifacts/{job['artifact']['sha256']}.sgolf")
    assert bytes_of.content == arena.entry()

    origin = str(pair.first.base_url).rstrip("/")
    login = httpx2.post(f"{origin}/login", data={"token": pair.token}, headers={"Origin": origin})
    cookie = {"Cookie": login.headers["set-cookie"].partition(";")[0]}
    other = f"{str(pair.second.base_url).rstrip('/')}/tracks"
    assert httpx2.get(other, headers=cookie).status_code == 200
    execute(dsn, update(tables.tokens).values(revoked_at=func.now()))
    assert [httpx2.get(other, headers=cookie).status_code, pair.second.get("/tracks").status_code] == [401, 401]


def test_a_process_that_is_to_end_finishes_what_it_reads_and_answers_who_waits(
    pair: Pair, arena: Arena, pool: ThreadPoolExecutor
) -> None:
    waits, uploads = arena.entry(name="waits"), arena.entry(name="uploads")
    waiting = pool.submit(pair.first.post, "/verify?wait=60", content=waits, headers=RAW)
    head = [
        "POST /verify HTTP/1.1",
        "Host: localhost",
        f"Authorization: Bearer {pair.token}",
        "Content-Type: application/octet-stream",
        f"Content-Length: {len(uploads)}",
        "Expect: 100-continue",
    ]
    upload = send(pair.port, ("\r\n".join(head) + "\r\n\r\n").encode())
    assert upload.recv(4096).startswith(b"HTTP/1.1 100"), "it reads"
    upload.sendall(uploads[:-1])
    while not pair.second.get("/submissions").json():
        assert not waiting.done(), waiting.result().text
    pair.process.send_signal(signal.SIGTERM)
    answered = waiting.result(STOP_SECONDS)
    assert (answered.status_code, answered.json()["state"]) == (202, "queued")
    upload.sendall(uploads[-1:])
    assert b" 202 " in answer_of(upload).split(b"\r\n")[0]
    assert pair.process.wait(STOP_SECONDS) == -signal.SIGTERM, "in order, then by the signal"
    assert len(pair.second.get("/submissions").json()) == 2
