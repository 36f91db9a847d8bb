"""A server as its operator starts it, for the benchmarks that measure or mistreat one: `seedgolf serve` and HTTP."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2

from tests.forge import Draft
from tests.verifier.entries import manifest, register

START_SECONDS = 90.0
STOP_SECONDS = 60.0
ROOT = Path(__file__).parents[1]


@dataclass(frozen=True, kw_only=True)
class Server:
    """A running `seedgolf serve` and its folder."""

    process: subprocess.Popen[bytes]
    folder: Path

    @property
    def client(self) -> httpx2.Client:
        """A client with the administrator's token; made anew each time."""
        token = (self.folder / "admin-token").read_text().strip()
        address = (self.folder / "address").read_text().strip()
        return httpx2.Client(base_url=address, headers={"Authorization": f"Bearer {token}"}, timeout=90)

    def children(self) -> dict[str, list[int]]:
        """Process ids of what `serve` has started, by kind."""
        found: dict[str, list[int]] = {"worker": [], "API": [], "PostgreSQL": []}
        for pid in _children_of(self.process.pid):
            line = _command_line(pid)
            kinds = {"api.worker": "worker", "api.server": "API", "postgres": "PostgreSQL"}
            for mark, kind in kinds.items():
                if mark in line:
                    found[kind].append(pid)
                    break
        return found

    def leftovers(self) -> list[int]:
        """Processes that work in this server's folder or name it."""
        pids = (int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdecimal())
        mark = str(self.folder)
        return [pid for pid in pids if pid != os.getpid() and (mark in _command_line(pid) or mark in _folder_of(pid))]


@contextmanager
def serving(folder: Path, *, workers: int) -> Iterator[Server]:
    """A server whose temporary files lie in its folder too, stopped as ctrl-C does."""
    scratch = folder / "tmp"
    scratch.mkdir(parents=True)
    limits = {"SEEDGOLF_QUOTA_VERDICTS": "1000000", "SEEDGOLF_QUOTA_UNFINISHED": "1000000"}
    environ = os.environ | limits | {"TMPDIR": str(scratch), "OMP_NUM_THREADS": "1"}
    program = [sys.executable, "-m", "seedgolf", "serve", "--data", str(folder), "--port", "0"]
    with (folder / "serve.log").open("wb") as log:
        process = subprocess.Popen(
            [*program, "--workers", str(workers)], env=environ, stdout=log, stderr=log, cwd=ROOT, start_new_session=True
        )
    try:
        _wait_for(folder / "address", process)
        yield Server(process=process, folder=folder)
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(STOP_SECONDS)


@contextmanager
def serving_tiny_set() -> Iterator[tuple[Server, str]]:
    """A server with one worker in a folder of its own, and the name of the tiny set that it has."""
    with tempfile.TemporaryDirectory(prefix="seedgolf-benchmark-") as name:
        folder = Path(name) / "data"
        folder.mkdir()
        valset = tiny_set(folder)
        with serving(folder, workers=1) as server:
            yield server, valset


def tiny_set(folder: Path) -> str:
    """Register the tests' tiny validation set for a server in `folder`; returns its name."""
    return register(folder).name


def tiny_draft(name: str) -> Draft:
    """The parts of a tiny artifact for that set."""
    return Draft(manifest=manifest() | {"name": name})


def tiny_entry(name: str) -> bytes:
    """A tiny artifact for that set; files of different names differ and score the same."""
    return tiny_draft(name).build()


def _wait_for(file: Path, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not file.exists():
        if process.poll() is not None or time.monotonic() > deadline:
            raise SystemExit(f"the server did not start: {(file.parent / 'serve.log').read_text()[-2000:]}")
        time.sleep(0.05)


def _children_of(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _command_line(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text(errors="replace").replace("\0", " ")
    except OSError:
        return ""


def _folder_of(pid: int) -> str:
    try:
        return str(Path(f"/proc/{pid}/cwd").readlink())
    except OSError:
        return ""
