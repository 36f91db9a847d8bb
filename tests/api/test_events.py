"""Event streams over real connections: places, keep-alives, reconnects, tokens that end; and the hub behind them."""

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import httpx2
import psycopg
import pytest
from sqlalchemy import update

from api import database
from api.places import Places
from api.settings import Settings
from api.states import State
from api.store import tables
from api.store.journal import CHANNEL
from api.streaming import last_event_id
from tests.api.processes import in_thread
from tests.api.service import RAW, bearer, execute, new_token, publish
from tests.verifier.entries import Arena


@pytest.fixture
def api(dsn: str, arena: Arena, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Any, httpx2.Client, str]]:
    """(state, alice's client, the id of her queued job)."""
    publish(dsn, arena)
    settings = Settings(data=tmp_path_factory.mktemp("data"), database=dsn)
    with (
        in_thread(settings) as (port, app),
        httpx2.Client(base_url=f"http://localhost:{port}", headers=bearer(new_token(dsn, "alice").text)) as client,
    ):
        client.timeout = 20
        app.state.resources = replace(app.state.resources, keep_alive_seconds=0.1)
        job = client.post("/verify", content=arena.entry(), headers=RAW).json()
        yield app.state, client, job["id"]


def lines(answer: httpx2.Response) -> Iterator[str]:
    return (line for line in answer.iter_lines() if line)


def test_a_stream_tells_the_job_at_once_keeps_alive_and_ends_with_the_run(api: tuple[Any, httpx2.Client, str]) -> None:
    _, client, job_id = api
    with client.stream("GET", f"/verify/{job_id}/events") as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert answer.headers["cache-control"] == "no-store"
        told = lines(answer)
        assert next(told) == "event: job"
        assert json.loads(next(told).removeprefix("data: ")) == client.get(f"/verify/{job_id}").json()
        assert next(told).startswith("id: ")
        assert next(told) == ": ping"
        client.delete(f"/verify/{job_id}")
        rest = [line for line in told if line != ": ping"]
    assert [line for line in rest if line.startswith("event")] == ["event: state", "event: job", "event: end"]
    assert rest[-1] == 'data: {"state": "cancelled"}'


def test_a_reader_that_comes_again_is_told_what_it_missed_and_nothing_twice(
    api: tuple[Any, httpx2.Client, str],
) -> None:
    _, client, job_id = api
    client.delete(f"/verify/{job_id}")
    whole = client.get(f"/verify/{job_id}/events", headers={"Last-Event-ID": "0"}).text
    ids = [int(line.removeprefix("id: ")) for line in whole.splitlines() if line.startswith("id: ")]
    assert [part.split("\n")[0] for part in whole.split("\n\n")[:2]] == ["event: state", "event: state"]
    again = client.get(f"/verify/{job_id}/events", headers={"Last-Event-ID": str(ids[0])}).text
    assert again.count("event: state") == 1
    last = client.get(f"/verify/{job_id}/events", headers={"Last-Event-ID": str(ids[-1])}).text
    assert last.count("event: state") == 0


@pytest.mark.parametrize(
    ("header", "event"),
    [
        (None, None),
        ("7", 7),
        ("x", None),
        ("-1", None),
        ("٣", None),
        ("9" * 19, 2**63 - 1),
        ("9" * 20, None),
        ("", None),
    ],
)
def test_what_is_no_event_id_starts_anew(header: str | None, event: int | None) -> None:
    assert last_event_id(header) == event


def test_a_revoked_token_ends_its_streams_at_the_next_keep_alive(api: tuple[Any, httpx2.Client, str], dsn: str) -> None:
    _, client, job_id = api
    with client.stream("GET", f"/verify/{job_id}/events") as answer:
        told = lines(answer)
        assert next(told) == "event: job"
        execute(dsn, update(tables.tokens).values(revoked_at=tables.tokens.c.created_at))
        assert "event: end" not in list(told)
    assert client.get("/tracks").status_code == 401


def test_a_revoked_token_ends_its_streams_however_much_there_is_to_tell(
    api: tuple[Any, httpx2.Client, str], dsn: str
) -> None:
    state, client, job_id = api
    state.resources = replace(state.resources, keep_alive_seconds=1.0)
    deadline = time.monotonic() + 60
    with (
        psycopg.connect(database.psycopg_dsn(dsn), autocommit=True) as connection,
        client.stream("GET", f"/verify/{job_id}/events") as answer,
    ):
        told = lines(answer)
        next(told)
        connection.execute("UPDATE tokens SET revoked_at = now()")
        connection.execute("UPDATE jobs SET done = 0")
        while time.monotonic() < deadline:
            connection.execute("UPDATE jobs SET done = done + 1")
            connection.execute("SELECT pg_notify(%s, %s)", [CHANNEL, job_id])
            if "event: job" not in told:  # each comes sooner after the last than a keep-alive would
                break
    assert time.monotonic() < deadline, "it goes on"


def test_one_token_has_so_many_streams_and_a_process_so_many(api: tuple[Any, httpx2.Client, str], dsn: str) -> None:
    state, client, job_id = api
    path = f"/verify/{job_id}/events"
    bob = bearer(new_token(dsn, "bob").text)
    state.resources = replace(state.resources, streams=Places(2, per_client=1))
    with client.stream("GET", path) as first:
        told = lines(first)
        next(told)
        refused = client.get(path)
        assert (refused.status_code, refused.json()["code"]) == (429, "too-many-streams")
        assert int(refused.headers["retry-after"]) > 0
        with client.stream("GET", path, headers=bob) as second:
            also_told = lines(second)
            next(also_told)
            full = client.get(path, headers=bearer(new_token(dsn, "carol").text))
            assert (full.status_code, full.json()["code"]) == (503, "busy")
    deadline = time.monotonic() + 60
    while state.resources.streams.taken:
        assert time.monotonic() < deadline, "readers that left have given their places back"
        time.sleep(0.01)


def test_listeners_outlive_a_restart_of_the_connection(api: tuple[Any, httpx2.Client, str], dsn: str) -> None:
    state, client, job_id = api
    state.resources = replace(state.resources, keep_alive_seconds=30.0)
    with client.stream("GET", f"/verify/{job_id}/events") as answer:
        told = lines(answer)
        next(told)
        with psycopg.connect(database.psycopg_dsn(dsn), autocommit=True) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE pid <> pg_backend_pid() AND datname = current_database()"
            )
            connection.execute("UPDATE jobs SET state = %s", [State.FAILED])
        assert list(told)[-1] == 'data: {"state": "failed"}', "seen when the listener is back, without a notification"


def test_the_end_of_the_process_ends_open_streams(api: tuple[Any, httpx2.Client, str]) -> None:
    state, client, job_id = api
    with client.stream("GET", f"/verify/{job_id}/events") as answer:
        told = lines(answer)
        next(told)
        state.resources.hub.close()
        assert "event: end" not in list(told)
    assert client.get("/readyz").status_code == 503
