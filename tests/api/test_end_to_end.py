"""The whole way with real processes: uvicorn, a worker, the real judge; upload, events, report, signature."""

import json
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest

from api.settings import Settings
from tests.api.processes import api_server, program
from tests.api.service import RAW, bearer, new_token
from tests.verifier.entries import Arena
from verifier import attestation, keys


@dataclass(frozen=True, slots=True, kw_only=True)
class Live:
    """A service with one worker."""

    client: httpx2.Client
    server: subprocess.Popen[bytes]
    log: Path


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor() as pool:
        yield pool


@pytest.fixture
def live(dsn: str, arena: Arena, tmp_path: Path) -> Iterator[Live]:
    settings = Settings(data=tmp_path / "data", database=dsn, valsets=arena.registry.folder, threads=1)
    log = tmp_path / "api.log"
    with (
        program("api.worker", settings, tmp_path / "worker.log"),
        api_server(settings, log) as (url, server),
        httpx2.Client(base_url=url, headers=bearer(new_token(dsn, "alice").text), timeout=60) as client,
    ):
        deadline = time.monotonic() + 120
        while not client.get("/valsets").json():
            assert time.monotonic() < deadline, "the worker has announced no set"
        yield Live(client=client, server=server, log=log)


def events_of(client: httpx2.Client, path: str, **headers: str) -> Iterator[tuple[str, str | None, Any]]:
    """(event, id, data) of a stream until it ends."""
    with client.stream("GET", path, headers=headers) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        fields: dict[str, str] = {}
        for line in answer.iter_lines():
            name, _, value = line.partition(": ")
            if line and name:
                fields[name] = value
            elif not line and "event" in fields:
                yield fields["event"], fields.get("id"), json.loads(fields["data"])
                fields = {}


def test_an_upload_ends_in_a_signed_report_that_its_events_and_a_waiting_request_told(
    live: Live, arena: Arena, pool: ThreadPoolExecutor
) -> None:
    client = live.client
    answer = client.post("/verify", content=arena.entry(), headers=RAW)
    assert answer.status_code == 202, answer.text
    job_id = answer.json()["id"]
    waiting = pool.submit(client.post, "/verify?wait=60", content=arena.entry(), headers=RAW)

    seen = list(events_of(client, f"/verify/{job_id}/events"))
    assert seen[0][0] == "job"
    assert seen[-1] == ("end", None, {"state": "accepted"})
    assert [data["state"] for event, _, data in seen if event == "state"][-1] == "accepted"
    stages = {data["progress"]["stage"] for event, _, data in seen if event == "job"}
    assert stages - {None}, "a stage of the run was told"

    replayed = list(events_of(client, f"/verify/{job_id}/events", **{"Last-Event-ID": "0"}))
    assert [data["state"] for event, _, data in replayed if event == "state"] == ["queued", "running", "accepted"]

    waited = waiting.result()
    assert (waited.status_code, waited.json()["id"], waited.json()["verdict"]) == (200, job_id, "accepted")
    assert client.get(f"/verify/{job_id}").json() == waited.json()
    board = client.get("/leaderboard?track=local&valset=tiny").json()
    assert [(row["rank"], row["artifact_name"]) for row in board] == [(1, "tiny entry")]

    raw = client.get(f"/reports/{job_id}.json").content
    assert json.loads(raw) == waited.json()["report"]
    known = [keys.parse_public_key(key["pem"].encode()) for key in client.get("/keys").json()]
    signed = attestation.verify(client.get(f"/reports/{job_id}.dsse").content, known)
    assert signed.report.to_bytes() == raw
