"""A real server for the end-to-end tests: `seedgolf serve` with embedded PostgreSQL, uvicorn and one worker process."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.trainer.tiny import SETTINGS

START_SECONDS = 90
STOP_SECONDS = 30


def seedgolf(*arguments: str | Path, data: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run the command as a user does."""
    environ = {key: value for key, value in os.environ.items() if not key.startswith("SEEDGOLF_")}
    if data is not None:
        environ["SEEDGOLF_DATA"] = str(data)
    command = [sys.executable, "-m", "seedgolf", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, env=environ, timeout=300, check=False)


def train_tiny(folder: Path) -> Path:
    """A network of 2 layers x 32, six steps on the built-in corpus, packed by `seedgolf train`."""
    settings = [part for setting in SETTINGS for part in ("--set", setting)]
    done = seedgolf("train", "--preset", "smoke", "--out", folder, *settings)
    assert done.returncode == 0, done.stderr
    return folder / "artifact.sgolf"


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """A running server."""

    data: Path
    url: str
    process: "subprocess.Popen[str]"
    log: Path


@contextmanager
def serving(data: Path, *options: str) -> Iterator[Server]:
    """Start a server with its data in `data`; it is stopped afterwards, and has to leave nothing running."""
    log = data.parent / "server.log"
    command = [sys.executable, "-m", "seedgolf", "serve", "--data", str(data), "--port", "0", *options]
    with log.open("w") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, text=True, start_new_session=True)
    try:
        yield Server(data=data, url=_address(data, process, log), process=process, log=log)
    finally:
        _stop(process)
    assert not left_running(data), "the server left processes behind"


def left_running(data: Path) -> Sequence[str]:
    """The command lines of processes that name the data folder."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            line = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if str(data) in line and int(folder.name) != os.getpid():
            found.append(line)
    return found


def _address(data: Path, process: "subprocess.Popen[str]", log: Path) -> str:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if (data / "address").is_file() and (text := (data / "address").read_text().strip()):
            return text
        assert process.poll() is None, log.read_text()
        time.sleep(0.1)
    raise AssertionError(f"no address within {START_SECONDS} s: {log.read_text()}")


def _stop(process: "subprocess.Popen[str]") -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    try:
        process.wait(STOP_SECONDS)
    finally:
        process.kill()
