"""`seedgolf serve` as a user runs it: real processes and signals; what dies comes back, and nothing is left behind."""

import json
import os
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

import psycopg
import pytest

from api.postgres_folder import PostgresFolder, processes_in

SERVE = [sys.executable, "-c", "from api.cli import serve; serve()"]
SECONDS = 180


class Server:
    """A running `seedgolf serve` and what it prints."""

    def __init__(self, data: Path, *arguments: str) -> None:
        self.data = data
        environ = {name: value for name, value in os.environ.items() if not name.startswith("SEEDGOLF_")}
        self.process = subprocess.Popen(
            [*SERVE, "--data", str(data), "--port", "0", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environ,
            bufsize=0,  # select sees what is not read yet
        )

    def greeting(self) -> str:
        return self.lines(self.process.stdout, "or            curl")

    def lines(self, stream: IO[bytes] | None, last: str) -> str:
        """Everything up to the line that contains `last`."""
        assert stream
        said = ""
        while last not in said:
            assert select.select([stream], [], [], SECONDS)[0], said
            line = stream.readline().decode()
            assert line, f"ended after {said}"
            said += line
        return said

    def told(self, last: str) -> str:
        return self.lines(self.process.stderr, last)

    @property
    def address(self) -> str:
        return (self.data / "address").read_text().strip()

    def children(self, wanted: str) -> list[int]:
        """The supervisor's children whose command line contains `wanted`."""
        pids = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return [int(pid) for pid in pids if wanted.encode() in Path(f"/proc/{pid}/cmdline").read_bytes()]

    def stop(self, signum: signal.Signals) -> tuple[int, str]:
        self.process.send_signal(signum)
        _, errors = self.process.communicate(timeout=SECONDS)
        return self.process.returncode, errors.decode()


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder for the module: the first start makes it, the later ones find it."""
    return tmp_path_factory.mktemp("serve") / "data"


@pytest.fixture
def serve(data: Path) -> Iterator[Callable[..., Server]]:
    started: list[Server] = []

    def start(*arguments: str) -> Server:
        started.append(Server(data, *arguments))
        return started[-1]

    yield start
    for server in started:
        if server.process.poll() is None:
            server.stop(signal.SIGTERM)
        for stream in (server.process.stdout, server.process.stderr):
            if stream:
                stream.close()


def wait_for_end(pids: list[int]) -> None:
    for pid in pids:
        try:
            handle = os.pidfd_open(pid)
        except ProcessLookupError:
            continue
        try:
            assert select.select([handle], [], [], SECONDS)[0], f"process {pid} did not end"
        finally:
            os.close(handle)


def tried(said: str, folder: Path) -> dict[str, Any]:
    """The job that the printed curl command is answered with, for a file that is no artifact."""
    (folder / "FILE").write_bytes(b"no artifact")
    command = said.partition("or            ")[2].splitlines()[0]
    done = subprocess.run(["bash", "-c", command], cwd=folder, capture_output=True, timeout=SECONDS, check=True)
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def test_it_answers_says_how_to_use_it_and_a_stop_leaves_nothing(serve: Callable[..., Server], data: Path) -> None:
    server = serve()
    said = server.greeting()
    assert server.address == re.findall(r"http://127\.0\.0\.1:\d+", said)[0]
    assert f"Bearer $(cat {data}/admin-token)" in said
    assert f"{server.address}/login?link=" in said
    assert (data / "admin-token").stat().st_mode & 0o777 == 0o600
    token = (data / "admin-token").read_text().strip()
    assert token not in said
    asked = urllib.request.Request(f"{server.address}/valsets", headers={"Authorization": f"Bearer {token}"})
    with urllib.request.urlopen(asked, timeout=SECONDS) as answer:
        known = json.load(answer)
    assert [each["name"] for each in known] == ["demo"], "whoever submits at once finds the set, workers up or not"
    if shutil.which("curl"):
        assert tried(said, data.parent)["code"] == "bad-magic", "what it says to try works"
    while len(pids := server.children("")) < 3:  # the worker starts when the API answers
        assert server.process.poll() is None
    returncode, errors = server.stop(signal.SIGINT)
    assert returncode == 0, errors
    assert errors.endswith("seedgolf serve: stopped\n")
    wait_for_end(pids)
    assert processes_in(data) == []
    assert not (data / "address").exists()
    socket_folder = PostgresFolder(data=data).socket_folder()
    assert socket_folder
    assert not socket_folder.exists()


def test_whatever_is_killed_starts_again(serve: Callable[..., Server], data: Path) -> None:
    server = serve("--workers", "2")
    server.greeting()
    while len(server.children("")) < 4:  # the workers start when the API answers
        assert server.process.poll() is None
    pids = [server.children(name)[0] for name in ("api.server", "api.worker", "postgres")]
    for pid in pids:  # all were looked up before: the supervisor reaps a dead child while one looks for the next
        os.kill(pid, signal.SIGKILL)
    told = "".join(server.told("was ended by SIGKILL") for _ in range(3))
    assert {"the API", "worker 1", "PostgreSQL"} <= set(re.findall(r"serve: (.*) was ended by SIGKILL", told))
    returncode, errors = server.stop(signal.SIGTERM)
    assert returncode == 0, errors
    assert processes_in(data) == []


def test_kill_9_of_the_supervisor_takes_every_child_down_and_the_next_start_works(serve: Callable[..., Server]) -> None:
    server = serve()
    server.greeting()
    pids = server.children("")
    server.stop(signal.SIGKILL)
    wait_for_end(pids)
    assert server.address, "left behind"
    again = serve()
    again.greeting()
    assert again.stop(signal.SIGTERM)[0] == 0


def test_a_second_server_on_the_folder_is_refused_while_the_first_goes_on(serve: Callable[..., Server]) -> None:
    first = serve("--workers", "0")
    first.greeting()
    second = serve()
    _, errors = second.process.communicate(timeout=SECONDS)
    assert second.process.returncode == 2
    assert f"got one of process {first.process.pid}" in errors.decode()
    assert first.process.poll() is None


def test_a_port_that_is_taken_is_named_before_anything_starts(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = subprocess.run([*SERVE, "--data", str(tmp_path), "--port", port], capture_output=True, check=False)
    assert done.returncode == 2
    assert f"Error: 127.0.0.1 port {port}: expected a free address".encode() in done.stderr
    assert not (tmp_path / "postgres").exists()


def test_a_worker_joins_a_running_server_and_leaves_at_sigterm(serve: Callable[..., Server], data: Path) -> None:
    serve("--workers", "0").greeting()
    environ = {name: value for name, value in os.environ.items() if not name.startswith("SEEDGOLF_")}
    joining = [sys.executable, "-c", "from api.cli import worker; worker()", "--class", "cpu", "--data", str(data)]
    dsn = PostgresFolder(data=data).dsn()
    assert dsn
    with (
        subprocess.Popen(joining, env=environ, stderr=subprocess.PIPE) as worker,
        psycopg.connect(dsn, autocommit=True) as connection,
    ):
        while connection.execute("SELECT count(*) FROM procrastinate_workers").fetchone() != (1,):
            assert worker.poll() is None
        worker.terminate()
        worker.communicate(timeout=SECONDS)
    assert worker.returncode == 0


def test_an_api_that_cannot_start_ends_the_server_with_a_word_of_it(tmp_path: Path) -> None:
    environ = os.environ | {"SEEDGOLF_TRACKS": str(tmp_path / "none")}
    command = [*SERVE, "--data", str(tmp_path / "data"), "--port", "0", "--workers", "0"]
    done = subprocess.run(command, env=environ, capture_output=True, check=False)
    assert done.returncode == 2, done.stderr
    assert b"Error: the API: expected it to start" in done.stderr
    assert b"SEEDGOLF_TRACKS: [Errno 2] No such file or directory" in done.stderr
    assert b"Traceback" not in done.stderr, "a wrong setting is told in a line"
    assert done.stderr.count(b"ended with exit code 2") == 1, "and not tried again"
    assert processes_in(tmp_path) == []
