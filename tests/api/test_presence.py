"""What is known of a worker: readers see a name that says nothing of its machine, administrators see the machine."""

import asyncio
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from api.hardware_class import HardwareClass
from api.keyring import load_or_make, rotate
from api.states import State
from api.store import keys, workers
from api.store.tokens import Scope
from api.store.workers import KnownWorker
from tests.api import desk as desks
from tests.api.desk import ACCEPTS, DEADLINE_SECONDS, NEVER_ENDS, Desk
from tests.api.processes import environment
from tests.api.service import Service
from verifier import attestation
from verifier.keys import parse_public_key
from verifier.report_assembly import verifier_version


@pytest.fixture
def desk(engine: AsyncEngine, dsn: str, tmp_path: Path) -> Iterator[Desk]:
    with desks.open_desk(engine, dsn, tmp_path) as opened:
        yield opened


async def known(desk: Desk, count: int = 1) -> list[KnownWorker]:
    """The workers, once there are so many."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while True:
        async with desk.engine.connect() as connection:
            found = await workers.all_workers(connection)
        if len(found) >= count:
            return found
        assert time.monotonic() < deadline, found
        await asyncio.sleep(0.02)


async def signer(desk: Desk, job: str) -> str:
    """The key that signed a job's report, whose signature holds."""
    stored = await desk.report(job)
    assert stored.envelope is not None
    async with desk.engine.connect() as connection:
        pems = [key.pem for key in await keys.all_keys(connection)]
    attestation.verify(stored.envelope, [parse_public_key(pem.encode()) for pem in pems])
    assert stored.keyid is not None
    return stored.keyid


def test_readers_of_a_job_never_see_on_which_machine_a_worker_runs(desk: Desk) -> None:
    async def story() -> None:
        job = (await desk.submit(b"one")).job_id
        view = await desk.killed_three_times(job)
        names = {worker.name: worker for worker in await known(desk, 3)}
        assert set(view.lost_workers) == set(names), "an administrator finds every named worker"
        assert {worker.host for worker in names.values()} == {socket.gethostname()}
        assert {worker.process_id for worker in names.values()} == {process.pid for process in desk.processes}
        seen = f"{asdict(view)} {await desk.history(job)}"
        assert view.lost_workers[0] in seen
        assert socket.gethostname() not in seen
        log = (desk.folder / "workers.log").read_text()
        assert f"{view.lost_workers[0]} is process " in log, "the log says which process it is"

    asyncio.run(story())


def test_a_worker_is_known_with_its_machine_while_it_lives_and_after_it_has_left(desk: Desk) -> None:
    async def story() -> None:
        process = desk.start_worker(ACCEPTS)
        (worker,) = await known(desk)
        assert (worker.host, worker.process_id) == (socket.gethostname(), process.pid)
        assert (worker.hardware_class, worker.verifier_version) == ("cpu", verifier_version())
        assert (worker.is_alive, worker.ended_at) == (True, None)
        assert worker.keyid == load_or_make(desk.settings.key_file).public.keyid
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=DEADLINE_SECONDS) == 0
        (worker,) = await known(desk)
        assert (worker.is_alive, worker.ended_at is None) == (False, False)

    asyncio.run(story())


def test_only_an_administrator_reads_where_workers_run(service: Service) -> None:
    for answer in (service.client.get("/workers"), service.get("/workers")):
        assert answer.status_code in {401, 403}
    with service.configured(public_read=True):
        assert service.client.get("/workers").status_code == 401
    identity = workers.Identity(
        name="worker-0", host="golf-7", process_id=4, hardware_class=HardwareClass.CPU, verifier_version="1", keyid="k"
    )
    asyncio.run(beat(service, identity))
    (shown,) = service.get("/workers", service.token("root", Scope.ADMIN)).json()
    assert (shown["name"], shown["host"], shown["process_id"], shown["is_alive"]) == ("worker-0", "golf-7", 4, True)


async def beat(service: Service, identity: workers.Identity) -> None:
    async with service.held.engine.begin() as connection:
        await workers.beat(connection, identity)


def test_two_machines_with_keys_of_their_own_sign_side_by_side_and_each_report_names_its_key(desk: Desk) -> None:
    async def story() -> None:
        signers = []
        for data, name in ((b"one", "a.pem"), (b"two", "b.pem")):
            worker = desk.start_worker(ACCEPTS, environ={"SEEDGOLF_SIGNING_KEY": str(desk.folder / name)})
            job = (await desk.submit(data)).job_id
            await desk.until(job, lambda view: view.verdict is not None)
            signers.append(await signer(desk, job))
            worker.send_signal(signal.SIGSTOP)  # alive, and takes no more
        assert signers == [load_or_make(desk.folder / name).public.keyid for name in ("a.pem", "b.pem")]
        async with desk.engine.connect() as connection:
            assert {key.keyid: key.retired_at for key in await keys.all_keys(connection)} == dict.fromkeys(signers)

    asyncio.run(story())


def test_a_running_worker_signs_with_the_new_key_once_the_old_one_is_retired(desk: Desk) -> None:
    async def story() -> None:
        worker = desk.start_worker(ACCEPTS)
        (before,) = await known(desk)
        new = rotate(desk.settings.key_file).new.public.keyid
        async with desk.engine.begin() as connection:
            assert await keys.retire(connection, before.keyid)
        deadline = time.monotonic() + DEADLINE_SECONDS
        while (await known(desk))[0].keyid != new:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.02)
        job = (await desk.submit(b"one")).job_id
        await desk.until(job, lambda view: view.verdict is not None)
        assert await signer(desk, job) == new != before.keyid
        assert worker.poll() is None

    asyncio.run(story())


def test_a_worker_whose_key_is_retired_gives_its_job_back_and_ends(desk: Desk) -> None:
    async def story() -> None:
        worker = desk.start_worker(NEVER_ENDS)
        job = (await desk.submit(b"one")).job_id
        await desk.until(job, lambda view: view.stage == "score")
        (held,) = await known(desk)
        async with desk.engine.begin() as connection:
            await keys.retire(connection, held.keyid)
        assert worker.wait(timeout=DEADLINE_SECONDS) != 0
        view = await desk.job(job)
        assert (view.state, view.lost_workers) == (State.QUEUED, ())

    asyncio.run(story())


def test_a_retired_key_is_refused_at_a_workers_start_with_what_to_do(desk: Desk) -> None:
    key = load_or_make(desk.settings.key_file).public

    async def story() -> None:
        for step in (partial(keys.publish, public_key=key), partial(keys.retire, keyid=key.keyid)):
            async with desk.engine.begin() as connection:
                assert await step(connection)

    asyncio.run(story())
    program = [sys.executable, "-m", "api.worker"]
    done = subprocess.run(
        program, env=environment(desk.settings), cwd=desks.ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2, done.stderr
    assert (
        f"expected a key in use, got {key.keyid}, which is retired; `seedgolf rotate-key` makes another" in done.stderr
    )
    assert "Traceback" not in done.stderr
