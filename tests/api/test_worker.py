"""Real worker processes on a real database: verdicts, failures, kills, shutdowns, cancels."""

import asyncio
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from api.states import State
from api.store import jobs, keys
from tests.api import desk as desks
from tests.api.desk import ACCEPTS, NEVER_ENDS, Desk, is_alive
from verifier import attestation
from verifier.keys import parse_public_key


@pytest.fixture
def desk(engine: AsyncEngine, dsn: str, tmp_path: Path) -> Iterator[Desk]:
    with desks.open_desk(engine, dsn, tmp_path) as opened:
        yield opened


def test_a_job_ends_with_a_verdict_and_a_report_whose_signature_holds(desk: Desk) -> None:
    async def story() -> None:
        job = (await desk.submit(b"one")).job_id
        desk.start_worker(ACCEPTS)
        view = await desk.until(job, lambda view: view.verdict is not None)
        assert (view.state, view.attempt, view.position) == (State.ACCEPTED, 1, None)
        async with desk.engine.connect() as connection:
            report = await jobs.report(connection, job)
            known = await keys.all_keys(connection)
        assert report is not None
        assert report.envelope is not None
        signed = attestation.verify(report.envelope, [parse_public_key(key.pem.encode()) for key in known])
        assert signed.report.to_bytes() == report.raw
        assert signed.report.score is not None
        assert (view.val_bpb, view.artifact_sha256) == (signed.report.score.val_bpb, signed.report.artifact.sha256)
        assert [state for state, _ in await desk.history(job)] == ["queued", "running", "accepted"]

    asyncio.run(story())


def test_the_judge_of_this_package_judges_in_a_worker(desk: Desk) -> None:
    async def story() -> None:
        job = (await desk.submit(b"no artifact at all")).job_id
        desk.start_worker()
        view = await desk.until(job, lambda view: view.verdict is not None)
        assert (view.state, view.code, view.val_bpb) == (State.REJECTED, "bad-magic", None)

    asyncio.run(story())


def test_progress_is_shown_while_a_job_runs(desk: Desk) -> None:
    async def story() -> None:
        job = (await desk.submit(b"one")).job_id
        desk.start_worker("begin('score'); progress(3, 7); time.sleep(600)")
        view = await desk.until(job, lambda view: view.done is not None)
        assert (view.state, view.stage, view.done, view.total) == (State.RUNNING, "score", 3, 7)
        first = view.sign_of_life_at
        assert first is not None
        await desk.until(job, lambda view: view.sign_of_life_at is not None and view.sign_of_life_at > first)

    asyncio.run(story())


def test_a_cancel_reaches_the_running_child_long_before_the_next_heartbeat(desk: Desk) -> None:
    async def story() -> None:
        job = (await desk.submit(b"one")).job_id
        worker = desk.start_worker(NEVER_ENDS, poll=30, heartbeat=60)  # neither a poll nor the fence is that quick
        await desk.until(job, lambda view: view.stage == "score")
        (pid,) = desk.judge_pids
        started = time.monotonic()
        assert await desk.withdraw(job) is State.CANCELLED
        while is_alive(pid):
            assert time.monotonic() - started < 20  # 0.07 to 0.12 s on a loaded 2-core AMD EPYC
            await asyncio.sleep(0.01)
        other = (await desk.submit(b"two")).job_id
        assert (await desk.until(other, lambda view: view.state is State.RUNNING)).worker
        assert worker.poll() is None
        assert (await desk.job(job)).state is State.CANCELLED

    asyncio.run(story())


def test_a_workers_shutdown_is_no_cancel_and_another_worker_takes_the_job_at_once(desk: Desk) -> None:
    async def story() -> None:
        job = (await desk.submit(b"one")).job_id
        first = desk.start_worker(NEVER_ENDS, lost=600)
        running = await desk.until(job, lambda view: view.stage == "score")
        second = desk.start_worker(ACCEPTS, lost=600)
        (pid,) = desk.judge_pids
        first.send_signal(signal.SIGTERM)
        assert first.wait(timeout=desks.DEADLINE_SECONDS) == 0
        view = await desk.until(job, lambda view: view.verdict is not None)
        assert (view.state, view.attempt, view.lost_workers) == (State.ACCEPTED, 2, ())
        assert view.worker != running.worker
        assert not is_alive(pid)
        assert ("queued", f"{running.worker} was shut down") in await desk.history(job)
        assert second.poll() is None

    asyncio.run(story())


def test_a_killed_workers_judge_dies_with_it_and_another_worker_takes_the_job(desk: Desk) -> None:
    async def story() -> None:
        job = (await desk.submit(b"one")).job_id
        first = desk.start_worker(NEVER_ENDS)
        running = await desk.until(job, lambda view: view.stage == "score")
        (pid,) = desk.judge_pids
        first.kill()
        first.wait()
        deadline = time.monotonic() + desks.DEADLINE_SECONDS
        while is_alive(pid):
            assert time.monotonic() < deadline
            await asyncio.sleep(0.01)
        desk.start_worker(ACCEPTS)
        view = await desk.until(job, lambda view: view.verdict is not None)
        assert (view.state, view.attempt, view.lost_workers) == (State.ACCEPTED, 2, (running.worker,))

    asyncio.run(story())


def test_a_job_that_kills_three_workers_fails_and_names_them(desk: Desk) -> None:
    async def story() -> None:
        job = (await desk.submit(b"one")).job_id
        view = await desk.killed_three_times(job)
        assert (view.code, len(set(view.lost_workers)), view.attempt) == ("worker-lost", 3, 3)
        assert view.message is not None
        assert all(worker in view.message for worker in view.lost_workers)

    asyncio.run(story())


def test_a_failure_of_the_judge_is_tried_three_times(desk: Desk) -> None:
    async def story() -> None:
        job = (await desk.submit(b"one")).job_id
        desk.start_worker("sys.exit(7)")
        view = await desk.until(job, lambda view: view.state is State.FAILED)
        assert (view.code, view.message) == ("judge-died", "the judging process ended with exit code 7")
        assert len(desk.judge_pids) == 3
        assert [state for state, _ in await desk.history(job)] == ["queued", "running"] * 3 + ["failed"]
        again = await desk.submit(b"one")
        assert (again.created, again.run) == (True, 2)

    asyncio.run(story())


def test_a_judge_that_recovers_gives_a_verdict(desk: Desk) -> None:
    async def story() -> None:
        job = (await desk.submit(b"one")).job_id
        desk.start_worker("answer() if len(open(notes).readlines()) == 3 else sys.exit(1)")
        view = await desk.until(job, lambda view: view.verdict is not None)
        assert (view.state, view.attempt) == (State.ACCEPTED, 3)

    asyncio.run(story())


def test_no_secret_of_the_worker_reaches_the_judge(desk: Desk) -> None:
    async def story() -> None:
        job = (await desk.submit(b"one")).job_id
        desk.start_worker("note(json.dumps(dict(os.environ))); answer()", environ={"AWS_SECRET_ACCESS_KEY": "s3cret"})
        await desk.until(job, lambda view: view.verdict is not None)
        seen = desk.notes[-1]
        assert "PATH" in seen
        secrets = ("SEEDGOLF", "s3cret", "AWS", "postgres", "signing")
        assert not [secret for secret in secrets if secret in seen]

    asyncio.run(story())


def test_a_blob_that_has_changed_fails_the_job_and_the_next_upload_heals_it(desk: Desk) -> None:
    async def story() -> None:
        job = (await desk.submit(b"one")).job_id
        (desk.folder / "blobs" / "sha256" / desks.digest(b"one")).write_bytes(b"eno")
        desk.start_worker(ACCEPTS)
        view = await desk.until(job, lambda view: view.state is State.FAILED)
        assert view.code == "blob-broken"
        await desk.submit(b"one")
        await desk.until(job, lambda view: view.state is State.ACCEPTED)

    asyncio.run(story())


def test_a_report_of_the_pre_check_is_signed_by_a_worker(desk: Desk) -> None:
    async def story() -> None:
        desk.start_worker(ACCEPTS)
        outcome = await desk.submit(b"one", rejected=desks.rejection(b"one"))
        assert outcome.state is State.REJECTED
        deadline = time.monotonic() + desks.DEADLINE_SECONDS
        while (stored := await desk.report(outcome.job_id)).envelope is None:
            assert time.monotonic() < deadline
        async with desk.engine.connect() as connection:
            known = await keys.all_keys(connection)
        signed = attestation.verify(stored.envelope, [parse_public_key(key.pem.encode()) for key in known])
        assert signed.report.to_bytes() == stored.raw
        assert stored.keyid == known[0].keyid

    asyncio.run(story())


def test_a_set_that_no_worker_has_fails_the_job_after_three_tries(desk: Desk) -> None:
    async def story() -> None:
        job = (await desk.submit(b"one", valset="ab" * 32)).job_id
        desk.start_worker(ACCEPTS)
        view = await desk.until(job, lambda view: view.state is State.FAILED)
        assert (view.code, view.attempt, desk.judge_pids) == ("valset-missing", 3, [])

    asyncio.run(story())


def test_a_judge_that_speaks_of_another_file_is_not_believed(desk: Desk) -> None:
    async def story() -> None:
        job = (await desk.submit(b"one")).job_id
        desk.start_worker("open(folder + '/report.json', 'w').write(json.dumps(report))")
        view = await desk.until(job, lambda view: view.state is State.FAILED)
        assert view.code == "self-check-failed"

    asyncio.run(story())


def test_an_idle_worker_publishes_key_and_life_and_ends_at_once_on_sigterm(desk: Desk) -> None:
    async def story() -> None:
        worker = desk.start_worker(ACCEPTS)
        deadline = time.monotonic() + desks.DEADLINE_SECONDS
        while not (desk.folder / "worker-alive").exists():
            assert time.monotonic() < deadline
        async with desk.engine.connect() as connection:
            assert len(await keys.all_keys(connection)) == 1
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(timeout=desks.DEADLINE_SECONDS) == 0

    asyncio.run(story())


def test_a_worker_needs_no_torch() -> None:
    code = "import sys, api.worker; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=desks.ROOT, check=False).returncode == 0
