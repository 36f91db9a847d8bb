"""Every test confines a real child process: a few lines of Python that import nothing but the confinement."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from verifier.confinement import ORPHANED
from verifier.machine_memory import machine_memory_bytes

ROOT = str(Path(__file__).parents[2])


def confined(code: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run `code` with the confinement imported."""
    preamble = f"import sys; sys.path.insert(0, {ROOT!r}); from verifier import confinement\n"
    command = [sys.executable, "-P", "-c", preamble + code, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


CONNECT = """
import socket
try:
    socket.create_connection(("127.0.0.1", int(sys.argv[1])), timeout=5)
except OSError as error:
    print(type(error).__name__)
else:
    print("connected")
"""


@pytest.fixture
def port() -> object:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_without_confinement_the_child_reaches_the_server(port: int) -> None:
    assert confined(CONNECT, port).stdout.split() == ["connected"]


def test_a_child_that_left_the_network_reaches_nothing(port: int) -> None:
    done = confined("print(confinement.leave_network().name)" + CONNECT, port)
    assert done.stdout.split()[0] in {"NAMESPACE", "AUDIT_HOOK"}
    assert "connected" not in done.stdout


@pytest.mark.parametrize("call", ["connect", "bind", "sendto", "lookup"])
def test_the_fallback_refuses_every_address(call: str, port: int) -> None:
    calls = {
        "connect": f"socket.create_connection(('127.0.0.1', {port}))",
        "bind": "socket.socket().bind(('127.0.0.1', 0))",
        "sendto": f"socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('127.0.0.1', {port}))",
        "lookup": "socket.getaddrinfo('localhost', 80)",
    }
    done = confined(f"import socket; sys.addaudithook(confinement._refuse_network); {calls[call]}")
    assert "PermissionError" in done.stderr
    assert "the judge has no network" in done.stderr


def test_the_user_stays_the_same_inside_a_namespace(tmp_path: Path) -> None:
    secret = tmp_path / "mine.txt"
    secret.write_text("readable")
    done = confined("import os; confinement.leave_network(); print(os.getuid(), open(sys.argv[1]).read())", secret)
    assert done.stdout.split() == [str(os.getuid()), "readable"]


def test_memory_beyond_the_limit_is_refused_and_reserved_addresses_are_free() -> None:
    code = """
import mmap
confinement.limit_memory(256 << 20)
reserved = mmap.mmap(-1, 8 << 30, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, prot=0)
held = bytearray(100 << 20)
print("held")
try:
    bytearray(300 << 20)
except MemoryError:
    print("refused")
"""
    assert confined(code).stdout.split() == ["held", "refused"]


def test_a_child_leaves_no_core_and_gains_no_privileges() -> None:
    code = """
import resource
confinement.drop_privileges()
print(resource.getrlimit(resource.RLIMIT_CORE), [line for line in open("/proc/self/status") if "NoNewPrivs" in line])
"""
    assert confined(code).stdout.split() == ["(0,", "0)", "['NoNewPrivs:\\t1\\n']"]


def test_a_child_whose_parent_is_gone_does_not_even_start() -> None:
    assert confined("confinement.die_with_parent(1 << 22); print('alive')").returncode == ORPHANED


def test_a_child_dies_when_its_parent_is_killed(tmp_path: Path) -> None:
    child = f"""
import os, sys, time
sys.path.insert(0, {ROOT!r})
from verifier import confinement
confinement.leave_network()
confinement.die_with_parent(int(sys.argv[1]))
open({str(tmp_path / "pid")!r} + ".part", "w").write(str(os.getpid()))
os.rename({str(tmp_path / "pid")!r} + ".part", {str(tmp_path / "pid")!r})
time.sleep(120)
"""
    parent = f"import os, subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}, str(os.getpid())])"
    with subprocess.Popen([sys.executable, "-c", parent]) as process:
        wait_until((tmp_path / "pid").exists)
        pid = int((tmp_path / "pid").read_text())
        process.send_signal(signal.SIGKILL)
    wait_until(lambda: not is_alive(pid))


def is_alive(pid: int) -> bool:
    """Whether a process runs; one that waits for its reaper does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def wait_until(condition: object, *, seconds: float = 60) -> None:
    """Return as soon as the condition holds."""
    deadline = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < deadline
        os.sched_yield()


def test_a_containers_limit_is_its_memory(tmp_path: Path) -> None:
    physical = machine_memory_bytes(tmp_path / "none")
    for text, expected in {"max\n": physical, "1073741824\n": min(physical, 1 << 30), f"{1 << 60}\n": physical}.items():
        (tmp_path / "memory.max").write_text(text)
        assert machine_memory_bytes(tmp_path / "memory.max") == expected
