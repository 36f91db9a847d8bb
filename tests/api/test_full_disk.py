"""Disks that are really full: a refusal that says when to come again, nothing lost, and work goes on with new room.

Needs root, for it mounts a tmpfs of a few megabytes; skipped elsewhere. Whole servers on such a disk are `slow`.
"""

import asyncio
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, LiteralString

import httpx2
import psycopg
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from api.blobs import Blobs
from api.postgres_folder import PostgresFolder
from api.states import State
from tests.api import desk as desks
from tests.api.desk import ACCEPTS
from tests.api.service import RAW, Service, bearer
from tests.api.small_disk import SmallDisk, small_disk
from tests.api.test_serve import SERVE
from tests.verifier.entries import Arena

SECONDS = 60
MANY = 3000


def refused(answer: httpx2.Response, *codes: str) -> None:
    assert answer.status_code == 503, answer.text
    assert answer.json()["code"] in codes
    assert int(answer.headers["retry-after"]) > 0


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def test_an_upload_into_a_full_store_is_refused_leaves_nothing_and_works_once_there_is_room(
    service: Service, arena: Arena, tmp_path: Path
) -> None:
    with small_disk(tmp_path / "disk", mebibytes=1) as disk:
        blobs = disk.path / "blobs"
        with service.changed(blobs=Blobs(blobs.as_uri())):
            kept = service.submit(arena.entry())
            before = files(blobs)
            entry = arena.entry(name="another")
            disk.fill(leave_bytes=len(entry) // 2)
            for _ in range(2):
                refused(service.post("/verify", entry), "storage-full")
            assert files(blobs) == before
            assert [job["job_id"] for job in service.get("/submissions").json()] == [kept["id"]]
            assert service.submit(arena.entry())["id"] == kept["id"], "what is known needs no room"
            disk.free()
            assert service.submit(entry)["state"] == "queued"
            assert len(files(blobs)) == 2


def test_a_full_disk_of_the_worker_puts_the_job_off_and_costs_it_nothing(
    engine: AsyncEngine, dsn: str, tmp_path: Path
) -> None:
    with (
        small_disk(tmp_path / "disk", mebibytes=1) as disk,
        desks.open_desk(engine, dsn, tmp_path) as desk,
    ):

        async def story() -> None:
            desk.start_worker(ACCEPTS, environ={"TMPDIR": str(disk.path)})
            first = (await desk.submit(b"one")).job_id
            await desk.until(first, lambda view: view.verdict is not None)
            disk.fill()
            job = (await desk.submit(os.urandom(100_000))).job_id
            await desk.until(job, lambda view: view.attempt > 3)
            assert ("queued", "the worker's disk is full") in await desk.history(job)
            disk.free()
            view = await desk.until(job, lambda view: view.verdict is not None)
            assert (view.state, view.run, view.lost_workers) == (State.ACCEPTED, 1, ())

        asyncio.run(story())


class FullServer:
    """`seedgolf serve` whose folder lies on a small disk."""

    def __init__(self, disk: SmallDisk, log: Path, **settings: str) -> None:
        self.data = disk.path / "data"
        self.acknowledged: dict[str, str] = {}
        environ = {name: value for name, value in os.environ.items() if not name.startswith("SEEDGOLF_")}
        environ |= {"SEEDGOLF_QUOTA_VERDICTS": "1000000"} | settings
        command = [*SERVE, "--data", str(self.data), "--port", "0", "--workers", "0"]
        with log.open("wb") as output:
            self.process = subprocess.Popen(command, env=environ, stdout=output, stderr=output)
        deadline = time.monotonic() + SECONDS
        while not (self.data / "address").exists():
            assert self.process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.05)
        self.client = httpx2.Client(
            base_url=(self.data / "address").read_text().strip(),
            headers=bearer((self.data / "admin-token").read_text().strip()) | RAW,
            timeout=SECONDS,
        )

    def submit(self, data: bytes) -> httpx2.Response:
        answer = self.client.post("/verify", content=data)
        if answer.status_code in {200, 202}:
            self.acknowledged[answer.json()["id"]] = answer.json()["state"]
        return answer

    def submit_until_refused(self) -> httpx2.Response:
        """Junk, each piece another, until the server takes no more."""
        for _ in range(MANY):
            answer = self.submit(os.urandom(64))
            if answer.status_code not in {200, 202}:
                return answer
        raise AssertionError(f"took {MANY} files on a full disk")

    def submit_until_taken(self) -> None:
        deadline = time.monotonic() + SECONDS
        while (answer := self.submit(b"with new room")).status_code != 200:
            assert (answer.status_code, time.monotonic() < deadline) == (503, True), answer.text
            time.sleep(0.1)

    def lost(self) -> list[str]:
        """What was acknowledged and is not there any more, or otherwise."""
        found = {job: self.client.get(f"/verify/{job}").json().get("state") for job in self.acknowledged}
        return [job for job, state in self.acknowledged.items() if found[job] != state]

    def query(self, statement: LiteralString) -> Any:
        dsn = PostgresFolder(data=self.data).dsn()
        assert dsn is not None
        with psycopg.connect(dsn, autocommit=True) as connection:
            return connection.execute(statement).fetchall()

    def query_often(self, statement: LiteralString) -> None:
        for _ in range(100):
            self.query(statement)

    def stop(self) -> None:
        self.client.close()
        self.process.send_signal(signal.SIGINT)
        self.process.wait(SECONDS)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    with small_disk(tmp_path / "disk", mebibytes=160) as disk:
        yield disk


@pytest.fixture
def full_server(disk: SmallDisk, tmp_path: Path) -> Iterator[Callable[..., FullServer]]:
    started: list[FullServer] = []

    def start(**settings: str) -> FullServer:
        started.append(FullServer(disk, tmp_path / "serve.log", **settings))
        return started[-1]

    yield start
    for server in started:
        server.stop()


@pytest.mark.slow
def test_a_full_data_folder_refuses_uploads_and_loses_nothing(
    full_server: Callable[..., FullServer], disk: SmallDisk
) -> None:
    server = full_server()
    for _ in range(5):
        assert server.submit(os.urandom(64)).status_code == 200
    disk.fill()
    before = files(server.data / "blobs")
    refused(server.submit_until_refused(), "storage-full")
    assert files(server.data / "blobs") == before
    assert server.client.get("/leaderboard").status_code == 200, "who only reads needs no room"
    disk.free()
    server.submit_until_taken()
    assert server.lost() == []
    assert server.query("SELECT count(*) FROM submissions") == [(len(server.acknowledged),)]


@pytest.mark.slow
def test_a_full_disk_of_the_database_refuses_uploads_and_loses_nothing(
    full_server: Callable[..., FullServer], disk: SmallDisk, tmp_path: Path
) -> None:
    server = full_server(SEEDGOLF_BLOBS=(tmp_path / "blobs").as_uri())
    disk.fill()
    refused(server.submit_until_refused(), "storage-full", "database-down")
    disk.free()
    server.submit_until_taken()
    assert server.lost() == []
    assert server.query("SELECT count(*) FROM submissions") == [(len(server.acknowledged),)]


@pytest.mark.slow
def test_a_database_that_cannot_write_its_log_stops_and_comes_back_with_everything(
    full_server: Callable[..., FullServer], disk: SmallDisk, tmp_path: Path
) -> None:
    server = full_server(SEEDGOLF_BLOBS=(tmp_path / "blobs").as_uri())
    for _ in range(5):
        assert server.submit(os.urandom(64)).status_code == 200
    disk.fill()
    with pytest.raises(psycopg.OperationalError):  # its answer to a log that it cannot write is to end at once
        server.query_often("SELECT pg_logical_emit_message(false, 'fill', 'the log'), pg_switch_wal()")
    refused(server.submit_until_refused(), "storage-full", "database-down")
    disk.free()
    server.submit_until_taken()
    assert server.lost() == []
