"""Real processes for tests: the API under uvicorn, and a worker with the real judge, with the environment they get."""

import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import uvicorn
from fastapi import FastAPI

from api.app import create_app
from api.settings import Settings

ROOT = Path(__file__).parents[2]
START_SECONDS = 90
STOP_SECONDS = 40  # shorter than the longest wait of a request, which a test must not mistake for an answer
POLL_SECONDS = 0.02


@contextmanager
def program(
    module: str, settings: Settings, log: Path, environ: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """`python -m module` in a session of its own, ended by SIGTERM; `environ` are further variables."""
    environ = environment(settings) | dict(environ or {})
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", module], env=environ, cwd=ROOT, stdout=output, stderr=output, start_new_session=True
        )
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_SECONDS)
        finally:
            process.kill()
            process.wait()


def environment(settings: Settings) -> dict[str, str]:
    """The variables of a process of the service, and no others."""
    return settings.environ() | {"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])}


@contextmanager
def api_server(
    settings: Settings, log: Path, environ: Mapping[str, str] | None = None
) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """The API on a free port; its address and its process."""
    with program("api.server", settings.replaced(port=0), log, environ) as process:
        yield f"http://127.0.0.1:{_port(log, process)}", process


def _port(log: Path, process: subprocess.Popen[bytes]) -> int:
    """The port that uvicorn has logged."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        if found := re.search(r"running on http://[0-9.]+:(\d+)", log.read_text()):
            return int(found[1])
        time.sleep(POLL_SECONDS)
    raise AssertionError(f"the API did not start: {log.read_text()}")


@contextmanager
def in_thread(settings: Settings) -> Iterator[tuple[int, FastAPI]]:
    """The API under uvicorn in a thread of this process, so that a test can set its clocks; its port."""
    app = create_app(settings)
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_config=None, access_log=False))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        deadline = time.monotonic() + START_SECONDS
        while not server.started:
            assert time.monotonic() < deadline
            time.sleep(POLL_SECONDS)
        yield server.servers[0].sockets[0].getsockname()[1], app
    finally:
        app.state.resources.hub.close()
        server.should_exit = True
        thread.join()


def send(port: int, data: bytes) -> socket.socket:
    """A connection over which `data` has gone."""
    connection = socket.create_connection(("127.0.0.1", port), timeout=STOP_SECONDS)
    connection.sendall(data)
    return connection


def answer_of(connection: socket.socket) -> bytes:
    """Everything that comes until the other side closes."""
    with connection:
        return b"".join(iter(lambda: connection.recv(65_536), b""))
