"""`seedgolf serve`: the parent of PostgreSQL, the API and the workers; restarts what ends, stops all of it at its end.

Strategy: one thread that waits for signals (`api/stop_signals.py`), so a child's end or a stop wakes it at once.
The API is started first and held (`api/server.py`): it needs most of a start's time to get ready, and the database is
prepared meanwhile; the workers, who compete for the same cores, start when it answers.
Children die with this process whatever kills it (`api/child.py`). At a stop the API and the workers get SIGTERM
together, finish what they answer or hand their job back, and PostgreSQL is stopped last.
"""

import asyncio
import ctypes
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator, Sequence, Set
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from api import child
from api.data_folder import locked
from api.embedded_postgres import EmbeddedPostgres
from api.settings import PREFIX, Settings, inherited
from api.stop_signals import STOP, StopSignals
from api.supervised import Supervised
from artifact.usage_fault import USAGE
from verifier.atomic_file import write_atomically

PORT_SECONDS: Final = 1.0
"""A killed server's API holds its port for a moment longer than the supervisor holds the folder."""
READY_SECONDS: Final = 60.0
START_FAILURES: Final = 4
"""An API that ends so often before its first answer will not answer."""
STOP_SECONDS: Final = 20.0
TICK_SECONDS: Final = 1.0
READY_TICK_SECONDS: Final = 0.05
PR_SET_CHILD_SUBREAPER: Final = 36
API: Final = "api.server"
WORKER: Final = "api.worker"


class ServeFailed(RuntimeError):
    """The server cannot start."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Serving:
    """A server that answers: its settings as its children have them, and a code for one login, good for a while."""

    settings: Settings
    workers: int
    login_code: str = field(repr=False)
    login_seconds: int


def serve(settings: Settings, *, workers: int, ready: Callable[[Serving], None], say: Callable[[str], None]) -> None:
    """Serve until SIGINT, SIGTERM or SIGHUP. Call it from the main thread of a process that does nothing else.

    Args:
        settings: port 0 takes a free one.
        workers: processes beside the API that verify.
        ready: told once, when the API answers.
        say: told what happens to the children, a sentence each.

    Raises:
        ServeFailed: the address is taken, or the API does not come up.
        FolderInUse, PostgresError, SchemaTooNew, DataError, OSError, sqlalchemy.exc.DBAPIError: it cannot start.
    """
    for signum in STOP:
        signal.signal(signum, signal.default_int_handler)  # while nothing runs yet, leaving is enough
    with locked(settings.data):
        settings = settings.replaced(port=free_port(settings.host, settings.port))
        with _database(settings) as (settings, postgres), _gate() as (gate, open_gate):
            ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)  # what a killed child leaves becomes ours
            api, others = _children(settings, workers, say, gate)
            needed = [*_databases(postgres, say), api]
            api.tend(time.monotonic())
            try:
                serving = _prepared(settings, workers)
            except BaseException:
                _kill(api)
                raise
            open_gate()
            with StopSignals() as signals:
                try:
                    if _run(needed, signals, until=lambda: _is_up(api, settings)):
                        write_atomically(settings.address_file, f"{settings.url}\n".encode())
                        ready(serving)
                        _run([*needed, *others], signals)
                finally:
                    settings.address_file.unlink(missing_ok=True)
                    _stop([api, *others], signals)


def free_port(host: str, port: int, *, seconds: float = PORT_SECONDS) -> int:
    """The port to listen at: `port` itself, or a free one for 0.

    Raises:
        ServeFailed: it stays taken, or the host is none of this machine.
    """
    last = time.monotonic() + seconds
    while True:
        try:
            with _listener(host, port) as found:
                return int(found.getsockname()[1])
        except OSError as error:
            if time.monotonic() > last:
                raise ServeFailed(
                    f"{host} port {port}: expected a free address of this machine, got {error.strerror}; "
                    "choose another with --host and --port"
                ) from None
        time.sleep(READY_TICK_SECONDS)


def hand_on(settings: Settings) -> dict[str, str]:
    """The variables of a process that shall have `settings`: theirs, and ours that are no settings."""
    others = {name: value for name, value in inherited().items() if not name.startswith(PREFIX)}
    return others | settings.environ()


def answers(host: str, port: int) -> bool:
    """Whether something takes connections there."""
    try:
        with socket.create_connection((host, port), timeout=1.0):
            return True
    except OSError:
        return False


@contextmanager
def _database(settings: Settings) -> Iterator[tuple[Settings, EmbeddedPostgres | None]]:
    """The settings with a database: the external one, or one of our own that runs meanwhile."""
    if settings.database:
        yield settings, None
        return
    with EmbeddedPostgres(settings.data, binaries=settings.postgres) as postgres:
        yield settings.replaced(database=postgres.dsn), postgres


def _databases(postgres: EmbeddedPostgres | None, say: Callable[[str], None]) -> list[Supervised]:
    return [Supervised(name="PostgreSQL", begin=postgres.begin, say=say, process=postgres.process)] if postgres else []


@contextmanager
def _gate() -> Iterator[tuple[int, Callable[[], None]]]:
    """A file descriptor, and what ends it for whoever reads it."""
    reading, writing = os.pipe()
    with open(reading, "rb"), open(writing, "wb") as gate:  # noqa: PTH123 - descriptors
        yield reading, gate.close


def _prepared(settings: Settings, workers: int) -> Serving:
    from api import first_start  # noqa: PLC0415 - 0.8 s, in which the API gets ready too

    code = asyncio.run(first_start.prepare(settings))
    first_start.add_demo(settings, announce=workers > 0)
    return Serving(settings=settings, workers=workers, login_code=code, login_seconds=first_start.LINK_SECONDS)


def _children(
    settings: Settings, workers: int, say: Callable[[str], None], gate: int
) -> tuple[Supervised, list[Supervised]]:
    """The API, which serves when `gate` ends, and the workers."""
    cores = len(os.sched_getaffinity(0))
    settings = settings.replaced(threads=settings.threads or max(1, cores // max(1, workers)))
    run = partial(child.start, environ=hand_on(settings))
    python = [sys.executable, "-P", "-m"]
    api = Supervised(name="the API", begin=partial(run, [*python, API, "--held"], stdin=gate), say=say)
    return api, [
        Supervised(name=f"worker {number}", begin=partial(run, [*python, WORKER]), say=say)
        for number in range(1, workers + 1)
    ]


def _is_up(api: Supervised, settings: Settings) -> bool:
    if api.exit_code == USAGE or api.failures >= START_FAILURES:  # a wrong setting stays wrong
        raise ServeFailed("the API: expected it to start; it says above why it does not")
    return answers(settings.host, settings.port)


def _run(children: Sequence[Supervised], signals: StopSignals, until: Callable[[], bool] | None = None) -> bool:
    """Keep the children running until a stop signal (False), or until something is so (True).

    Raises:
        ServeFailed: it is not so in time.
    """
    last = time.monotonic() + READY_SECONDS
    while True:
        now = time.monotonic()
        for each in children:
            each.tend(now)
        _reap_strays({each.process.pid for each in children if each.process})
        if until and until():
            return True
        if until and now > last:
            raise ServeFailed(f"the API: expected an answer within {READY_SECONDS:.0f} s, got none; see what it says")
        due = min((each.due_at for each in children if each.process is None), default=now + TICK_SECONDS)
        pause = min(due - now, READY_TICK_SECONDS if until else TICK_SECONDS)
        if signals.wait(pause):
            return False


def _stop(children: Sequence[Supervised], signals: StopSignals) -> None:
    """Ask the children to end; end those that do not within `STOP_SECONDS`, or before a second stop signal."""
    running = [each.process for each in children if each.process]
    for process in running:
        process.terminate()
    deadline = time.monotonic() + STOP_SECONDS
    while any(process.poll() is None for process in running) and time.monotonic() < deadline:
        if signals.wait(deadline - time.monotonic()):
            break
    for each in children:
        _kill(each)


def _kill(each: Supervised) -> None:
    """End a child with its whole process group, and wait for it."""
    if each.process:
        with suppress(ProcessLookupError):
            os.killpg(each.process.pid, signal.SIGKILL)
        each.process.wait()


def _reap_strays(own: Set[int]) -> None:
    """Collect the ends of processes that were left to us; as first process of a container nobody else does it."""
    with suppress(ChildProcessError):
        while (ended := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)) and ended.si_pid not in own:
            os.waitpid(ended.si_pid, 0)


def _listener(host: str, port: int) -> socket.socket:
    return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
