"""Which workers answer: the class that a submitter wishes, that the server prefers, and that a machine can be."""

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from sqlalchemy import insert, text
from sqlalchemy.ext.asyncio import AsyncEngine

from api.cli import worker
from api.hardware_class import HardwareClass
from api.settings import Settings
from api.states import State
from api.store import tables
from api.submit_cli import submit
from tests.api import desk as desks
from tests.api.desk import ACCEPTS, Desk
from tests.api.processes import environment, in_thread
from tests.api.service import HTML, Service, bearer, new_token, publish
from tests.verifier.entries import Arena
from verifier.report_assembly import verifier_version

NO_GPU = {"CUDA_VISIBLE_DEVICES": ""}
REFUSAL = "worker class gpu: expected a GPU that torch computes float32 on, got device cuda: no CUDA device"


@pytest.fixture
def desk(engine: AsyncEngine, dsn: str, tmp_path: Path) -> Iterator[Desk]:
    with desks.open_desk(engine, dsn, tmp_path) as opened:
        yield opened


def gpu_question(data: bytes) -> dict[str, Any]:
    return {"question": replace(desks.question(data), hardware_class=HardwareClass.GPU)}


def test_a_job_of_class_gpu_waits_for_a_gpu_worker_and_no_cpu_worker_takes_it(desk: Desk) -> None:
    async def story() -> None:
        gpu = (await desk.submit(b"gpu", **gpu_question(b"gpu"))).job_id
        cpu = (await desk.submit(b"cpu")).job_id
        desk.start_worker(ACCEPTS)
        await desk.until(cpu, lambda view: view.verdict is not None)
        view = await desk.job(gpu)
        assert (view.state, view.attempt, view.position, view.workers_alive) == (State.QUEUED, 0, 1, 0)
        desk.start_worker(ACCEPTS, environ={"SEEDGOLF_WORKER_CLASS": "gpu"})
        view = await desk.until(gpu, lambda view: view.verdict is not None)
        assert (view.state, view.attempt, view.hardware_class) == (State.ACCEPTED, 1, "gpu")

    asyncio.run(story())


def test_a_judge_of_a_gpu_worker_is_told_to_use_cuda(desk: Desk) -> None:
    async def story() -> None:
        job = (await desk.submit(b"one", **gpu_question(b"one"))).job_id
        judge = "note(json.loads(open(folder + '/job.json').read())['settings']['device']); answer()"
        desk.start_worker(judge, environ={"SEEDGOLF_WORKER_CLASS": "gpu"})
        await desk.until(job, lambda view: view.verdict is not None)
        assert desk.notes[-1] == "cuda"

    asyncio.run(story())


@pytest.mark.parametrize("how", ["query", "form"])
def test_a_submitter_may_choose_the_class_and_reads_that_no_worker_of_it_is_there(
    service: Service, arena: Arena, how: str
) -> None:
    if how == "query":
        answer = service.post("/verify?class=gpu", arena.entry())
    else:
        files, fields = {"file": ("a.sgolf", arena.entry())}, {"class": "gpu"}
        answer = service.client.post("/verify", files=files, data=fields, headers=bearer(service.alice))
    assert answer.status_code == 202, answer.text
    job = answer.json()
    assert (job["hardware_class"], job["state"], job["position"], job["workers_alive"]) == ("gpu", "queued", 1, 0)
    assert job["id"] != service.submit(arena.entry())["id"], "another class is another question"
    page = service.get(f"/verify/{job['id']}", **HTML).text
    assert f"No gpu worker of version {verifier_version()} is there" in page


def test_a_job_whose_class_has_a_worker_says_nothing_of_waiting_for_one(service: Service, arena: Arena) -> None:
    alive = {"name": "w", "host": "h", "process_id": 1, "verifier_version": verifier_version(), "keyid": "k"}
    service.execute(insert(tables.workers).values(alive | {"hardware_class": "cpu"}))
    job = service.submit(arena.entry())
    assert (job["hardware_class"], job["workers_alive"]) == ("cpu", 1)
    assert "worker of version" not in service.get(f"/verify/{job['id']}", **HTML).text


@pytest.mark.parametrize("how", ["query", "form"])
def test_a_class_that_there_is_not_is_refused_and_no_job_is_made(service: Service, arena: Arena, how: str) -> None:
    if how == "query":
        answer = service.post("/verify?class=tpu", arena.entry())
    else:
        files, fields = {"file": ("a.sgolf", arena.entry())}, {"class": "tpu"}
        answer = service.client.post("/verify", files=files, data=fields, headers=bearer(service.alice))
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid-request")
    assert "tpu" in answer.json()["got"]
    assert service.get("/submissions").json() == []


def test_an_empty_class_is_the_servers_choice(service: Service, arena: Arena) -> None:
    assert service.submit(arena.entry(), "?class=")["hardware_class"] == "cpu"
    with service.configured(worker_class=HardwareClass.GPU):
        assert service.submit(arena.entry())["hardware_class"] == "cpu", "no gpu worker has announced the set"
        service.execute(text("UPDATE valsets SET hardware_class = 'gpu'"))
        assert service.submit(arena.entry())["hardware_class"] == "gpu"


def test_a_gpu_worker_without_a_gpu_ends_before_it_takes_a_job(desk: Desk) -> None:
    settings = Settings(data=desk.folder, database=desk.dsn, worker_class=HardwareClass.GPU)
    program = [sys.executable, "-m", "api.worker"]
    done = subprocess.run(
        program, env=environment(settings) | NO_GPU, cwd=desks.ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2, done.stderr
    assert REFUSAL in done.stderr
    assert "Traceback" not in done.stderr

    async def story() -> None:
        async with desk.engine.connect() as connection:
            assert await desks.scalar(connection, "SELECT count(*) FROM workers") == 0

    asyncio.run(story())


def test_the_command_says_in_one_line_that_there_is_no_gpu(dsn: str, tmp_path: Path) -> None:
    arguments = ["--class", "gpu", "--data", str(tmp_path)]
    result = CliRunner().invoke(worker, arguments, env=NO_GPU | {"SEEDGOLF_DATABASE": dsn})
    assert result.exit_code == 2
    assert result.stderr.startswith(f"Error: {REFUSAL}")
    assert len(result.stderr.splitlines()) == 1


def test_the_submit_command_chooses_the_class_and_says_that_no_worker_of_it_is_there(
    dsn: str, arena: Arena, tmp_path: Path
) -> None:
    publish(dsn, arena)
    file = tmp_path / "entry.sgolf"
    file.write_bytes(arena.entry())
    with in_thread(Settings(data=tmp_path / "data", database=dsn)) as (port, _):
        arguments = [str(file), "--class", "gpu", "--server", f"http://127.0.0.1:{port}", "--json"]
        result = CliRunner().invoke(submit, arguments, env={"SEEDGOLF_TOKEN": new_token(dsn, "ann").text})
    assert result.exit_code == 0, result.output
    assert "no gpu worker is there now; the job waits for one" in result.stderr
    job = json.loads(result.stdout)
    assert (job["hardware_class"], job["workers_alive"], job["state"]) == ("gpu", 0, "queued")
