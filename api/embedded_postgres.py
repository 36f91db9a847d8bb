"""A real PostgreSQL as our child process: made on the first start, without TCP port and password, gone with us.

Strategy: `initdb` into a folder beside the final one and a rename, so a start that is cut off leaves nothing half-made.
PostgreSQL refuses uid 0; when we are root it runs under another uid inside a user namespace, where everything may stay
in a 0700 folder of root; where namespaces are refused it runs as `nobody`, which must then be able to reach its folder.
It gets SIGINT (a fast, clean shutdown) when the thread that called `start` ends, however that happens.

The caller holds the lock of the server's folder (`api/data_folder.py`): two servers never start in one folder.
"""

import os
import pwd
import shutil
import signal
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from api import child
from api.launch import Identity
from api.postgres_binaries import SERVER, Binaries, find
from api.postgres_errors import PostgresFailed
from api.postgres_folder import DATABASE, POLL_SECONDS, USER, PostgresFolder, address, is_ready

START_SECONDS: Final = 120.0
"""Recovery after a crash replays at most some minutes' writes; a loaded machine takes longer."""
STOP_SECONDS: Final = 30.0
LOG_TAIL_BYTES: Final = 1500
LOG_KEPT_BYTES: Final = 10_000_000
SEARCHABLE: Final = 0o001

SETTINGS: Final = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "max_connections": "300",  # the API's pool and a handful for each worker
    "max_parallel_workers_per_gather": "0",  # queries are small; spares /dev/shm, which containers keep tiny
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_checkpoints": "off",
    "lc_messages": "C",
}
THROWAWAY: Final = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
"""For a server whose data may be lost: tests."""


class EmbeddedPostgres:
    """The server in the folder `data`; a context that starts and stops it.

    Attributes:
        folder: its files.
        dsn: its address, from the first start on.
        process: the server, running or ended; None before the first start and after a stop.
    """

    def __init__(
        self,
        data: Path,
        *,
        binaries: Path | None = None,
        identity: Identity | None = None,
        throwaway: bool = False,
    ) -> None:
        """Name the folder; nothing happens yet.

        Args:
            data: the server's folder.
            binaries: where PostgreSQL's programs are; searched for without it.
            identity: as whom it runs; chosen without it.
            throwaway: whether a crash of the machine may cost data, for speed.
        """
        self.folder = PostgresFolder(data=data.absolute())
        self.dsn = ""
        self._setting = binaries
        self._identity = identity
        self._settings = SETTINGS | (THROWAWAY if throwaway else {})
        self._throwaway = throwaway
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """The process id of the server while it runs."""
        return self.process.pid if self.process and self.process.poll() is None else None

    def start(self) -> None:
        """Start the server, made if needed, and wait until it takes connections. Call it from a thread that lives on.

        Raises:
            PostgresError, OSError: it does not start; says why.
        """
        process = self.begin()
        deadline = time.monotonic() + START_SECONDS
        while not is_ready(self.folder.cluster, process.pid):
            if process.poll() is not None:
                raise PostgresFailed(f"PostgreSQL ended at its start: {_tail(self.folder.log.read_bytes())}")
            if time.monotonic() > deadline:
                raise PostgresFailed(f"PostgreSQL is not ready after {START_SECONDS:.0f} s; see {self.folder.log}")
            time.sleep(POLL_SECONDS)

    def begin(self) -> subprocess.Popen[bytes]:
        """Start the server without waiting for it; raises like `start`."""
        folder = self.folder
        folder.data.mkdir(parents=True, exist_ok=True, mode=0o700)
        binaries = self._binaries()
        identity = self._identity or choose_identity(binaries, folder)
        if folder.major is None:
            self._initialise(binaries, identity)
        folder.stop_orphans()
        if self.process:
            self.process.wait()  # ours, killed, is among them; it must not linger as a zombie
        self.process = self._run(binaries, identity)
        return self.process

    def stop(self) -> None:
        """Stop the server cleanly, at once if it lingers, and remove the socket's folder."""
        if self.process:
            for signum in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
                self.process.send_signal(signum)
                try:
                    self.process.wait(STOP_SECONDS)
                    break
                except subprocess.TimeoutExpired:
                    continue
            self.process = None
        socket = self.folder.socket_folder()
        if socket:
            shutil.rmtree(socket, ignore_errors=True)

    def __enter__(self) -> Self:
        """Start."""
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop."""
        self.stop()

    def _binaries(self) -> Binaries:
        major = self.folder.major
        if major is None:
            return find(SERVER, setting=self._setting)
        wanted = f"release {major}, which made {self.folder.cluster}"
        return find(SERVER, setting=self._setting, fits=lambda found: found == major, wanted=wanted)

    def _initialise(self, binaries: Binaries, identity: Identity) -> None:
        draft = self.folder.data / "postgres.new"
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(mode=0o700)
        if identity is Identity.NOBODY:
            _give_to_nobody(draft)
        options = ["-U", USER, "-A", "trust", "-E", "UTF8", "--locale=C", "--data-checksums"]
        options += ["--no-sync", "--wal-segsize=1"] if self._throwaway else []
        made = child.call([binaries.path("initdb"), "-D", str(draft), *options], identity=identity)
        if made.returncode != 0:
            raise PostgresFailed(f"initdb in {draft}: {_tail(made.stdout)}")
        settings = [option for name, value in self._settings.items() for option in ("-c", f"{name}={value}")]
        single = [binaries.path("postgres"), "--single", "-D", str(draft), *settings, "postgres"]
        made = child.call(single, identity=identity, stdin=f"CREATE DATABASE {DATABASE};\n".encode())
        if made.returncode != 0:
            raise PostgresFailed(f"create database in {draft}: {_tail(made.stdout)}")
        draft.rename(self.folder.cluster)

    def _run(self, binaries: Binaries, identity: Identity) -> subprocess.Popen[bytes]:
        socket = self.folder.make_socket_folder()
        if identity is Identity.NOBODY:
            _give_to_nobody(socket)
        self.dsn = address(socket)
        settings = self._settings | {"unix_socket_directories": str(socket)}
        options = [option for name, value in settings.items() for option in ("-c", f"{name}={value}")]
        self._keep_log_small()
        with self.folder.log.open("ab") as log:
            program = [binaries.path("postgres"), "-D", str(self.folder.cluster), *options]
            return child.start(program, signum=signal.SIGINT, identity=identity, output=log)

    def _keep_log_small(self) -> None:
        log = self.folder.log
        if log.is_file() and log.stat().st_size > LOG_KEPT_BYTES:
            log.replace(log.with_name(f"{log.name}.old"))


def choose_identity(binaries: Binaries, folder: PostgresFolder) -> Identity:
    """As whom PostgreSQL can run here.

    Raises:
        PostgresFailed: we are root, user namespaces are refused and `nobody` cannot reach the folder.
    """
    if os.geteuid() != 0:
        return Identity.SELF
    made_by_nobody = folder.major is not None and folder.cluster.stat().st_uid != 0
    if not made_by_nobody and namespace_works(binaries):
        return Identity.NAMESPACE
    closed = [path for path in [folder.data, *folder.data.parents] if not path.stat().st_mode & SEARCHABLE]
    if closed:
        raise PostgresFailed(
            "PostgreSQL does not run as root: expected user namespaces, or a data folder that the user nobody can "
            f"reach, got {closed[0]} closed to others; run the server as an ordinary user"
        )
    return Identity.NOBODY


def namespace_works(binaries: Binaries) -> bool:
    """Whether this machine lets root enter a user namespace and run PostgreSQL in it."""
    return child.call([binaries.path("postgres"), "--version"], identity=Identity.NAMESPACE).returncode == 0


def _give_to_nobody(folder: Path) -> None:
    nobody = pwd.getpwnam("nobody")
    os.chown(folder, nobody.pw_uid, nobody.pw_gid)


def _tail(said: bytes) -> str:
    return said[-LOG_TAIL_BYTES:].decode(errors="replace").strip() or "it said nothing"
