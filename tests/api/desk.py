"""What the tests of the queue and the worker share: submissions with a blob behind them, worker processes, judges.

A judge is a short script that stands for the judging program; the real one judges in two tests.
"""

import asyncio
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from psycopg import AsyncConnection as AsyncPsycopg
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from api import database
from api.blobs import Blobs
from api.hardware_class import HardwareClass
from api.question import Question
from api.settings import Settings
from api.states import State
from api.store import jobs, journal, transitions
from api.store.jobs import JobView, StoredReport
from api.store.submitting import NewSubmission, Outcome, Quota, submit
from api.store.transitions import Claim
from api.store.withdrawing import withdraw
from api.sweep import sweep_forever
from tests.verifier import judged
from verifier.report import Report, ScoreDtype
from verifier.report_assembly import verifier_version
from verifier.tracks import Track, load_tracks

ROOT = Path(__file__).parents[2]
TRACK = load_tracks()["local"]
PLENTY = Quota(verdicts=1000, window_seconds=86_400, unfinished=1000)
DEADLINE_SECONDS = 120

ACCEPTS = "answer()"
"""A judge that accepts at once."""
NEVER_ENDS = "begin('score'); time.sleep(600)"
PREAMBLE = """
import hashlib, json, os, signal, sys, time
folder, notes, report = sys.argv[1], sys.argv[-1], json.loads(sys.argv[-2])
def begin(check):
    print(json.dumps({"kind": "begins", "check": check}), flush=True)
def progress(done, total):
    print(json.dumps({"kind": "progress", "done": done, "total": total}), flush=True)
def answer():
    report["artifact"]["sha256"] = hashlib.sha256(open(folder + "/artifact.sgolf", "rb").read()).hexdigest()
    open(folder + "/report.json", "w").write(json.dumps(report))
def note(text):
    with open(notes, "a") as file:
        file.write(text + "\\n")
from verifier.confinement import die_with_parent
die_with_parent(int(sys.argv[2]))
note(f"pid {os.getpid()}")
"""


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def question(data: bytes, *, valset: str = "", track: Track = TRACK) -> Question:
    return Question(
        artifact_sha256=digest(data),
        valset_sha256=valset,
        track_sha256=track.sha256,
        verifier_version=verifier_version(),
        hardware_class=HardwareClass.CPU,
        dtype=ScoreDtype.FLOAT32,
    )


def new_submission(data: bytes, *, owner: str = "ann", valset: str = "", **changes: Any) -> NewSubmission:
    fields: dict[str, Any] = {
        "owner": owner,
        "token_id": f"token of {owner}",
        "question": question(data, valset=valset),
        "size_bytes": len(data),
        "artifact_name": "entry",
        "track": TRACK,
    }
    return NewSubmission(**fields | changes)


def rejection(data: bytes) -> Report:
    """A pre-check's report about these bytes."""
    report = judged.rejected("entry")
    return report.model_copy(update={"artifact": report.artifact.model_copy(update={"sha256": digest(data)})})


@dataclass(kw_only=True)
class Desk:
    """A service without its web half: database, blobs, and workers as processes."""

    engine: AsyncEngine
    dsn: str
    folder: Path
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def settings(self) -> Settings:
        return Settings(data=self.folder, database=self.dsn, threads=1)

    @property
    def notes(self) -> list[str]:
        """What judges have noted."""
        path = self.folder / "notes"
        return path.read_text().splitlines() if path.exists() else []

    def note(self, line: str) -> None:
        """Tell the judges that wait for a word."""
        with (self.folder / "notes").open("a") as file:
            file.write(f"{line}\n")

    @property
    def judge_pids(self) -> list[int]:
        return [int(line.removeprefix("pid ")) for line in self.notes if line.startswith("pid ")]

    async def submit(self, data: bytes, *, limits: Quota = PLENTY, **changes: Any) -> Outcome:
        """Put the blob and take the submission, as the API does."""
        await Blobs(self.settings.blob_url).put(digest(data), data)
        async with self.engine.begin() as connection:
            return await submit(connection, new_submission(data, **changes), limits)

    async def job(self, job_id: str) -> JobView:
        async with self.engine.connect() as connection:
            view = await jobs.view(connection, job_id)
        assert view is not None
        return view

    async def history(self, job_id: str) -> list[tuple[str, str | None]]:
        async with self.engine.connect() as connection:
            return [(str(event.state), event.detail) for event in await jobs.events_after(connection, job_id, 0)]

    async def until(
        self, job_id: str, holds: Callable[[JobView], bool], *, seconds: float = DEADLINE_SECONDS
    ) -> JobView:
        """The job once a condition holds, asked every 20 ms."""
        deadline = time.monotonic() + seconds
        while not holds(view := await self.job(job_id)):
            assert time.monotonic() < deadline, f"still {view}"
            await asyncio.sleep(0.02)
        return view

    async def withdraw(self, job_id: str, *, owner: str = "ann", admin: bool = False) -> State:
        async with self.engine.begin() as connection:
            return await withdraw(connection, job_id=job_id, owner=owner, admin=admin)

    async def claim(self, job_id: str, worker: str = "machine/1") -> Claim:
        """Fetch the ticket and take the job, as a worker does."""
        async with self.engine.begin() as connection:
            fetched = "UPDATE procrastinate_jobs SET status = 'doing' FROM jobs WHERE queue_id = procrastinate_jobs.id"
            ticket = await scalar(connection, f"{fetched} AND jobs.id = '{job_id}' RETURNING queue_id")
            held = await transitions.claim(connection, job_id, ticket=ticket, worker=worker)
        assert held is not None
        return held

    async def finish(self, held: Claim, data: bytes, **changes: Any) -> bool:
        """End a job with an accepting report."""
        report = judged.accepted("entry", **changes)
        report = report.model_copy(update={"artifact": report.artifact.model_copy(update={"sha256": digest(data)})})
        async with self.engine.begin() as connection:
            return await transitions.finish(connection, held.fence, report, envelope=b"signed", keyid="key")

    async def report(self, job_id: str) -> StoredReport:
        async with self.engine.connect() as connection:
            stored = await jobs.report(connection, job_id)
        assert stored is not None
        return stored

    def judge_command(self, judge: str) -> list[str]:
        """The command of a judge that is a script."""
        script = self.folder / f"judge{len(list(self.folder.glob('judge*.py')))}.py"
        script.write_text(PREAMBLE + judge)
        report = json.dumps(json.loads(judged.accepted("entry").to_bytes()))
        # what the sandbox appends (folder, parent, place) comes first for the script
        return [sys.executable, "-P", "-c", _SWAP, str(script), report, str(self.folder / "notes")]

    async def killed_three_times(self, job_id: str) -> JobView:
        """The job once it has failed, for it killed three workers of which nobody heard again."""
        killer = "begin('score'); os.kill(int(sys.argv[2]), signal.SIGKILL); time.sleep(600)"
        for _ in range(3):
            self.start_worker(killer)
        async with asyncio.TaskGroup() as group:
            sweeping = group.create_task(sweep_forever(self.engine, lost_seconds=2, every_seconds=0.2))
            view = await self.until(job_id, lambda view: view.state is State.FAILED)
            sweeping.cancel()
        return view

    def start_worker(
        self, judge: str | None = None, *, environ: Mapping[str, str] | None = None, **timing: float
    ) -> subprocess.Popen[bytes]:
        """Start a worker process whose judge is a script, or the real one."""
        clocks = {"heartbeat": 0.3, "lost": 4.0, "sweep": 0.2, "poll": 0.2, "retry": [0.0, 0.0]} | timing
        command = [] if judge is None else self.judge_command(judge)
        arguments = json.dumps({"timing": clocks, "command": command})
        environ = self.settings.environ() | {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)} | dict(environ or {})
        program = [sys.executable, "-m", "tests.api.worker_process", arguments]
        with (self.folder / "workers.log").open("ab") as log:
            process = subprocess.Popen(program, env=environ, stderr=log, start_new_session=True, cwd=ROOT)
        self.processes.append(process)
        return process

    def stop_all(self) -> None:
        for process in self.processes:
            if process.poll() is None:
                process.send_signal(signal.SIGKILL)
            process.wait()


_SWAP = (
    "import sys; a = sys.argv; sys.argv = [a[1], *a[4:], a[2], a[3]]; exec(compile(open(a[1]).read(), a[1], 'exec'))"
)


@contextmanager
def open_desk(engine: AsyncEngine, dsn: str, folder: Path) -> Iterator[Desk]:
    desk = Desk(engine=engine, dsn=dsn, folder=folder)
    try:
        yield desk
    finally:
        desk.stop_all()


def is_alive(pid: int) -> bool:
    """Whether a process runs and is no zombie."""
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


async def listening(dsn: str) -> AsyncPsycopg:
    """A connection that hears what is told of jobs."""
    connection = await AsyncPsycopg.connect(database.psycopg_dsn(dsn), autocommit=True)
    await connection.execute(f"LISTEN {journal.CHANNEL}")  # a name of ours
    return connection


async def scalar(connection: AsyncConnection, query: str) -> Any:
    return (await connection.execute(text(query))).scalar_one()
