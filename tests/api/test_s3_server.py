"""A whole server on S3 with real processes, and an S3 that goes away: nothing is lost, and all goes on by itself."""

import hashlib
import json
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest

from api.settings import Settings
from tests.api.processes import api_server, program
from tests.api.s3 import BUCKET, S3
from tests.api.service import RAW, bearer, new_token, publish
from tests.verifier.entries import Arena
from verifier import attestation, keys

SECONDS = 120


@dataclass(frozen=True, slots=True, kw_only=True)
class OnS3:
    """An API whose blobs lie in S3, and how to start its worker."""

    s3: S3
    client: httpx2.Client
    start_worker: Callable[[], object]

    def submit(self, data: bytes, query: str = "") -> httpx2.Response:
        return self.client.post(f"/verify{query}", content=data, headers=RAW)

    def until(self, job_id: str, holds: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        deadline = time.monotonic() + SECONDS
        while not holds(job := self.client.get(f"/verify/{job_id}").json()):
            assert time.monotonic() < deadline, job
        return dict(job)


@pytest.fixture
def on_s3(dsn: str, arena: Arena, tmp_path: Path) -> Iterator[OnS3]:
    s3 = S3()
    s3.start()
    publish(dsn, arena)
    settings = Settings(
        data=tmp_path, database=dsn, blobs=f"s3://{BUCKET}/artifacts", valsets=arena.registry.folder, threads=1
    )
    with ExitStack() as stack:
        stack.callback(s3.stop)
        url, _ = stack.enter_context(api_server(settings, tmp_path / "api.log", s3.environ))
        client = httpx2.Client(base_url=url, headers=bearer(new_token(dsn, "alice").text), timeout=SECONDS)
        worker = program("api.worker", settings, tmp_path / "worker.log", s3.environ)
        yield OnS3(s3=s3, client=stack.enter_context(client), start_worker=lambda: stack.enter_context(worker))


def refused(answer: httpx2.Response) -> None:
    assert (answer.status_code, answer.json()["code"]) == (503, "storage-down"), answer.text
    assert int(answer.headers["retry-after"]) > 0
    assert "127.0.0.1" not in answer.text


def test_a_server_on_s3_outlives_its_absence_and_loses_nothing(on_s3: OnS3, arena: Arena, tmp_path: Path) -> None:
    entry = arena.entry()
    path = f"/artifacts/{hashlib.sha256(entry).hexdigest()}.sgolf"
    first = on_s3.submit(entry)
    assert first.status_code == 202, first.text
    job_id = first.json()["id"]
    assert on_s3.client.get(path).content == entry

    on_s3.s3.stop()
    on_s3.start_worker()
    on_s3.until(job_id, lambda job: job["state"] == "running")
    refused(on_s3.submit(arena.entry(name="another")))
    refused(on_s3.submit(b"junk"))
    refused(on_s3.client.get(path))
    known = on_s3.submit(entry)
    assert known.status_code == 202, known.text
    assert known.json()["id"] == job_id, "what is known needs no store"
    assert [job["job_id"] for job in on_s3.client.get("/submissions").json()] == [job_id]

    on_s3.s3.start()
    job = on_s3.until(job_id, lambda job: job["verdict"] is not None)
    assert (job["state"], job["attempt"], job["run"]) == ("accepted", 1, 1), job
    assert on_s3.client.get(path).content == entry
    envelope = on_s3.client.get(f"/reports/{job_id}.dsse").content
    pems = [keys.parse_public_key(key["pem"].encode()) for key in on_s3.client.get("/keys").json()]
    assert json.loads(attestation.verify(envelope, pems).report.to_bytes()) == job["report"]
    assert on_s3.submit(b"junk").json()["state"] == "rejected"
    assert not (tmp_path / "blobs").exists(), "everything lies in S3"
