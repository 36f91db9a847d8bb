"""The whole way with real processes: uvicorn, a worker, the real judge; upload, events, report, signature."""

import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import pytest

from api.settings import Settings
from tests.api.processes import api_server, program
from tests.api.service import RAW, bearer, new_token
from tests.verifier.entries import Arena
from verifier import attestation, keys
from verifier.report import parse


@dataclass(frozen=True, slots=True, kw_only=True)
class Live:
    """A service with one worker."""

    client: httpx2.Client
    server: subprocess.Popen[bytes]
    log: Path
    events: list[tuple[str, Any]] = field(default_factory=list)


@pytest.fixture
def live(dsn: str, arena: Arena, tmp_path: Path) -> Iterator[Live]:
    settings = Settings(data=tmp_path / "data", database=dsn, valsets=arena.registry.folder, threads=1)
    log = tmp_path / "api.log"
    with (
        program("api.worker", settings, tmp_path / "worker.log"),
        api_server(settings, log) as (url, server),
        httpx2.Client(base_url=url, headers=bearer(new_token(dsn, "alice").text), timeout=60) as client,
    ):
        while not client.get("/valsets").json():
            pass  # the worker has not announced its sets yet
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


def test_an_upload_ends_in_a_signed_report_that_its_events_announced(live: Live, arena: Arena) -> None:
    client = live.client
    answer = client.post("/verify", content=arena.entry(), headers=RAW)
    assert answer.status_code == 202, answer.text
    job_id = answer.json()["id"]

    seen = list(events_of(client, f"/verify/{job_id}/events"))
    assert seen[0][0] == "job"
    assert seen[-1] == ("end", None, {"state": "accepted"})
    states = [data["state"] for event, _, data in seen if event == "state"]
    assert states[-1] == "accepted"
    stages = {data["progress"]["stage"] for event, _, data in seen if event == "job"}
    assert stages - {None}, "a stage of the run was told"

    replayed = list(events_of(client, f"/verify/{job_id}/events", **{"Last-Event-ID": "0"}))
    assert [data["state"] for event, _, data in replayed if event == "state"] == ["queued", "running", "accepted"]

    job = client.get(f"/verify/{job_id}").json()
    assert (job["verdict"], job["report"]["verdict"]) == ("accepted", "accepted")
    raw = client.get(f"/reports/{job_id}.json").content
    assert parse(raw).score == arena.judge(arena.entry()).score.model_copy(update={"seconds": parse(raw).score.seconds})
    public = [keys.parse_public_key(key["pem"].encode()) for key in client.get("/keys").json()]
    envelope = client.get(f"/reports/{job_id}.dsse").content
    assert attestation.verify(envelope, public).report.to_bytes() == raw


def test_waiting_gives_the_verdict_in_the_answer_to_the_upload(live: Live, arena: Arena) -> None:
    answer = live.client.post("/verify?wait=60", content=arena.entry(), headers=RAW)
    assert answer.status_code == 200, answer.text
    assert answer.json()["report"]["verdict"] == "accepted"
    board = live.client.get("/leaderboard?track=local&valset=tiny").json()
    assert [(row["rank"], row["artifact_name"]) for row in board] == [(1, "tiny entry")]
