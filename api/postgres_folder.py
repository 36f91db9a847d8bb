"""What lies in the folder of the embedded PostgreSQL, and who still works there: no process is started here.

    <data>/postgres/           PostgreSQL's own folder
    <data>/postgres.log        what it said
    <data>/postgres-socket     the path of the folder with its socket, kept when it stops so that its address stays

A socket path holds 107 bytes, so the socket lies in a short folder of its own under the system's temporary folder,
0700: whoever may enter it is the owner, and no password is needed.
"""

import os
import signal
import stat
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import quote

from api.postgres_errors import ServerBusy
from verifier.atomic_file import write_atomically

SOCKET_PREFIX: Final = "seedgolf-pg-"
SOCKET_NAME: Final = ".s.PGSQL.5432"
SOCKET_PATH_BYTES: Final = 107
"""Linux: sockaddr_un.sun_path has 108 with the closing zero."""
USER: Final = "seedgolf"
DATABASE: Final = "seedgolf"
READY_LINE: Final = 7
"""Of postmaster.pid, counted from 0; PostgreSQL keeps its state there."""

POLL_SECONDS: Final = 0.02
POLITE_SECONDS: Final = 20.0
FIRM_SECONDS: Final = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class PostgresFolder:
    """The embedded PostgreSQL's files under the server's folder `data`."""

    data: Path

    @property
    def cluster(self) -> Path:
        """PostgreSQL's own folder."""
        return self.data / "postgres"

    @property
    def log(self) -> Path:
        """What PostgreSQL says."""
        return self.data / "postgres.log"

    @property
    def socket_record(self) -> Path:
        """The file that names the socket's folder."""
        return self.data / "postgres-socket"

    @property
    def major(self) -> int | None:
        """The release that made the folder, None before the first start."""
        version = self.cluster / "PG_VERSION"
        return int(version.read_text()) if version.is_file() else None

    def socket_folder(self) -> Path | None:
        """Where the socket lies, or lay when the server last ran."""
        return Path(self.socket_record.read_text()) if self.socket_record.is_file() else None

    def dsn(self) -> str | None:
        """The address of the server that runs here, None while none is ready."""
        socket = self.socket_folder()
        return address(socket) if socket and is_ready(self.cluster, self.postmaster()) else None

    def postmaster(self) -> int | None:
        """The process id that PostgreSQL wrote down, of a living or a dead server."""
        lines = _pid_file_lines(self.cluster)
        return int(lines[0]) if lines and lines[0].isdecimal() else None

    def make_socket_folder(self) -> Path:
        """Make the folder of the socket, empty, under its recorded name if it can be ours: the address stays then.

        A killed server leaves its socket and a lock file with its process id; `stop_orphans` came before.
        """
        folder = self.socket_folder()
        if folder is None or not _own(folder):
            base = tempfile.gettempdir()
            if len(os.fsencode(f"{base}/{SOCKET_PREFIX}12345678/{SOCKET_NAME}")) > SOCKET_PATH_BYTES:
                base = "/tmp"  # noqa: S108 - mkdtemp makes a private folder in it
            folder = Path(tempfile.mkdtemp(prefix=SOCKET_PREFIX, dir=base))
        for name in (SOCKET_NAME, f"{SOCKET_NAME}.lock"):
            (folder / name).unlink(missing_ok=True)
        write_atomically(self.socket_record, os.fsencode(folder))
        return folder

    def stop_orphans(self) -> None:
        """End what a killed server left running here, and remove its stale process id.

        The caller holds the server folder's lock, so whatever runs here has lost its supervisor. PostgreSQL's own
        check trusts the recorded process id, which after a restart of a container may be any process; ours looks at
        who has the folder as his working directory, which every process of PostgreSQL has.

        Raises:
            ServerBusy: they do not end.
        """
        main = self.postmaster()
        if main in processes_in(self.cluster):
            _signal(main, signal.SIGINT)
            _wait_until_empty(self.cluster, POLITE_SECONDS)
        for signum in (signal.SIGQUIT, signal.SIGKILL):  # without its main process the others finish nothing
            for pid in processes_in(self.cluster):
                _signal(pid, signum)
            if _wait_until_empty(self.cluster, FIRM_SECONDS):
                (self.cluster / "postmaster.pid").unlink(missing_ok=True)
                return
        raise ServerBusy(f"{self.cluster}: expected no running PostgreSQL, got processes {processes_in(self.cluster)}")


def address(socket_folder: Path) -> str:
    """The DSN of a server whose socket lies in `socket_folder`."""
    return f"postgresql://{USER}@/{DATABASE}?host={quote(str(socket_folder), safe='')}"


def is_ready(cluster: Path, pid: int | None) -> bool:
    """Whether the server with the process id `pid` runs in `cluster` and takes connections."""
    lines = _pid_file_lines(cluster)
    if pid is None or len(lines) <= READY_LINE or lines[0] != str(pid) or lines[READY_LINE].strip() != "ready":
        return False
    return _works_in(pid, cluster.resolve())


def processes_in(folder: Path) -> list[int]:
    """The processes whose working directory is `folder` or below."""
    resolved = folder.resolve()
    pids = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdecimal()]
    return [pid for pid in pids if pid != os.getpid() and _works_in(pid, resolved)]


def _works_in(pid: int, folder: Path) -> bool:
    try:
        return Path(f"/proc/{pid}/cwd").readlink().is_relative_to(folder)
    except OSError:  # gone, a zombie, or somebody else's
        return False


def _pid_file_lines(cluster: Path) -> list[str]:
    try:
        return (cluster / "postmaster.pid").read_text().splitlines()
    except OSError:
        return []


def _own(folder: Path) -> bool:
    """Make `folder` unless it is there; whether it is a private folder of ours now."""
    try:
        folder.mkdir(mode=0o700)
    except FileExistsError:
        pass
    except OSError:
        return False
    found = folder.lstat()
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid() and stat.S_IMODE(found.st_mode) == 0o700


def _signal(pid: int | None, signum: signal.Signals) -> None:
    try:
        if pid:
            os.kill(pid, signum)
    except ProcessLookupError:
        pass  # it ended by itself


def _wait_until_empty(folder: Path, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while processes_in(folder):
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_SECONDS)
    return True
