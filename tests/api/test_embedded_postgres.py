"""The embedded PostgreSQL: made, stopped, killed, orphaned; with every release that is installed, as root and not."""

import os
import select
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from api import launch
from api.embedded_postgres import EmbeddedPostgres, choose_identity
from api.launch import Identity
from api.postgres_binaries import SERVER, Binaries, candidates, find
from api.postgres_errors import NoPostgres, PostgresFailed
from api.postgres_folder import SOCKET_NAME, SOCKET_PATH_BYTES, PostgresFolder, processes_in

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root has to change its user")
APP = """
import sys
from pathlib import Path
import psycopg
from api.embedded_postgres import EmbeddedPostgres

server = EmbeddedPostgres(Path(sys.argv[1]))
server.start()
with psycopg.connect(server.dsn, autocommit=True) as connection:
    connection.execute("CREATE TABLE acknowledged (number int)")
    for number in range(1_000_000):
        connection.execute("INSERT INTO acknowledged VALUES (%s)", [number])
        print(number, server.pid, flush=True)
"""


def ask(dsn: str, question: str) -> object:
    with psycopg.connect(dsn) as connection:
        row = connection.execute(question).fetchone()  # type: ignore[arg-type]
    assert row
    return row[0]


def wait_for_end(pid: int) -> None:
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        assert select.select([handle], [], [], 30)[0], f"process {pid} did not end"
    finally:
        os.close(handle)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder whose server ran and was stopped."""
    data = tmp_path_factory.mktemp("made")
    with EmbeddedPostgres(data, throwaway=True):
        return data


@pytest.fixture
def stopped(made: Path, tmp_path: Path) -> EmbeddedPostgres:
    """A server of its own that is not the first in its folder."""
    data = tmp_path / "data"
    data.mkdir(mode=0o700)
    shutil.copytree(made / "postgres", data / "postgres")
    return EmbeddedPostgres(data, throwaway=True)


@pytest.fixture
def server(stopped: EmbeddedPostgres) -> Iterator[EmbeddedPostgres]:
    with stopped as running:
        yield running


@pytest.mark.parametrize("folder", list(candidates()), ids=lambda folder: folder.parent.name)
def test_it_runs_with_the_programs_of(folder: Path, tmp_path: Path) -> None:
    binaries = find(SERVER, setting=folder)
    with EmbeddedPostgres(tmp_path, binaries=folder, throwaway=True) as server:
        assert ask(server.dsn, "SHOW server_version_num").startswith(str(binaries.major))  # type: ignore[attr-defined]
        with psycopg.connect(server.dsn) as connection:
            connection.execute("CREATE TABLE kept ()")
    with EmbeddedPostgres(tmp_path, throwaway=True) as again:  # finds the release that made the folder by itself
        assert again.folder.major == binaries.major
        assert ask(again.dsn, "SELECT to_regclass('kept')::text") == "kept"


def test_nobody_else_can_reach_it(server: EmbeddedPostgres) -> None:
    socket = server.folder.socket_folder()
    assert socket
    assert stat.S_IMODE(socket.stat().st_mode) == 0o700
    assert stat.S_IMODE(server.folder.data.stat().st_mode) == 0o700
    assert ask(server.dsn, "SHOW listen_addresses") == ""


def test_a_stop_leaves_neither_process_nor_socket_and_the_address_stays(stopped: EmbeddedPostgres) -> None:
    with stopped as server:
        dsn, socket = server.dsn, server.folder.socket_folder()
        assert server.folder.dsn() == dsn
    assert socket
    assert not socket.exists()
    assert processes_in(stopped.folder.data) == []
    assert stopped.folder.dsn() is None
    with stopped as again:
        assert again.dsn == dsn


def test_a_data_folder_may_have_a_path_longer_than_a_sockets(made: Path, tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 100) / ("e" * 100)
    shutil.copytree(made, deep)
    with EmbeddedPostgres(deep, throwaway=True) as server:
        socket = server.folder.socket_folder()
        assert socket
        assert len(os.fsencode(socket / SOCKET_NAME)) <= SOCKET_PATH_BYTES
        assert ask(server.dsn, "SELECT 1") == 1


def test_a_long_temporary_folder_is_not_used_for_the_socket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    long = tmp_path / ("t" * 100)
    long.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(long))
    socket = PostgresFolder(data=tmp_path).make_socket_folder()
    socket.rmdir()
    assert not socket.is_relative_to(long)


def test_a_socket_folder_that_others_can_enter_is_not_used_again(tmp_path: Path) -> None:
    folder = PostgresFolder(data=tmp_path)
    open_to_all = tmp_path / "open"
    open_to_all.mkdir()
    open_to_all.chmod(0o755)
    for planted in (open_to_all, tmp_path / "link"):
        if planted.name == "link":
            planted.symlink_to(open_to_all)
        folder.socket_record.write_text(str(planted))
        made = folder.make_socket_folder()
        made.rmdir()
        assert made != planted


def test_kill_9_of_app_and_server_loses_no_acknowledged_row(tmp_path: Path) -> None:
    app = subprocess.Popen([sys.executable, "-c", APP, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert app.stdout
    for line in app.stdout:
        number, pid = map(int, line.split())
        if number == 200:
            os.kill(pid, signal.SIGKILL)
            app.kill()
            break
    acknowledged = max([number, *(int(line.split()[0]) for line in app.stdout if line.endswith("\n"))])
    app.wait()
    app.stdout.close()
    with EmbeddedPostgres(tmp_path) as server:
        kept = ask(server.dsn, "SELECT count(*) FROM acknowledged")
    assert isinstance(kept, int)
    assert kept > acknowledged >= 200


def test_it_stops_when_its_parent_is_killed(tmp_path: Path) -> None:
    app = subprocess.Popen([sys.executable, "-c", APP, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert app.stdout
    pid = int(app.stdout.readline().split()[1])
    os.kill(app.pid, signal.SIGKILL)
    wait_for_end(pid)
    app.wait()
    app.stdout.close()
    assert "database system is shut down" in PostgresFolder(data=tmp_path).log.read_text()
    PostgresFolder(data=tmp_path).stop_orphans()
    shutil.rmtree(PostgresFolder(data=tmp_path).socket_folder() or "")


def test_a_server_that_lost_its_supervisor_is_ended_before_the_next_start(server: EmbeddedPostgres) -> None:
    orphan, dsn = server.pid, server.dsn
    with EmbeddedPostgres(server.folder.data, throwaway=True) as successor:
        assert server.pid is None
        assert successor.pid not in {None, orphan}
        assert ask(successor.dsn, "SELECT 1") == 1
        assert successor.dsn == dsn


def test_it_starts_again_after_its_main_process_was_killed(server: EmbeddedPostgres) -> None:
    with psycopg.connect(server.dsn) as connection:  # its process outlives the main one for a moment
        assert server.pid
        os.kill(server.pid, signal.SIGKILL)
        server.start()
        with pytest.raises(psycopg.OperationalError):
            connection.execute("SELECT 1")
        connection.close()
    assert ask(server.dsn, "SELECT 1") == 1


def test_a_stale_process_id_that_is_now_another_program_is_no_obstacle(stopped: EmbeddedPostgres) -> None:
    record = stopped.folder.cluster / "postmaster.pid"
    with stopped:
        recorded = record.read_text().splitlines()
    record.write_text("\n".join([str(os.getpid()), *recorded[1:], ""]))
    assert stopped.folder.dsn() is None
    with stopped as again:
        assert ask(again.dsn, "SELECT 1") == 1


def test_a_first_start_that_was_cut_off_is_made_again(tmp_path: Path) -> None:
    draft = tmp_path / "postgres.new"
    draft.mkdir()
    (draft / "PG_VERSION").write_text("15\n")
    with EmbeddedPostgres(tmp_path, throwaway=True) as server:
        assert ask(server.dsn, "SELECT 1") == 1
    assert not draft.exists()


def test_a_folder_of_a_release_that_is_not_installed_is_refused(tmp_path: Path) -> None:
    cluster = PostgresFolder(data=tmp_path).cluster
    cluster.mkdir()
    (cluster / "PG_VERSION").write_text("9\n")
    with pytest.raises(NoPostgres, match=r"expected release 9, which made .*postgres, got .*release \d\d"):
        EmbeddedPostgres(tmp_path).start()


def test_a_folder_without_programs_is_named(tmp_path: Path) -> None:
    with pytest.raises(NoPostgres, match=f"got {tmp_path} .without postgres or initdb"):
        EmbeddedPostgres(tmp_path, binaries=tmp_path).start()


def test_a_broken_cluster_is_told_in_postgresqls_own_words(stopped: EmbeddedPostgres) -> None:
    (stopped.folder.cluster / "global" / "pg_control").unlink()
    with pytest.raises(PostgresFailed, match="pg_control"), stopped:
        pass


@pytest.fixture
def reachable() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@as_root
def test_root_runs_it_as_nobody_where_namespaces_are_refused(reachable: Path) -> None:
    data = reachable / "data"
    data.mkdir(mode=0o755)
    with EmbeddedPostgres(data, binaries=find(SERVER).folder, identity=Identity.NOBODY, throwaway=True) as server:
        assert server.pid
        assert Path(f"/proc/{server.pid}").stat().st_uid != 0
        assert ask(server.dsn, "SELECT 1") == 1
    with EmbeddedPostgres(data, throwaway=True) as again:  # the folder's owner decides
        assert again.pid
        assert Path(f"/proc/{again.pid}").stat().st_uid == server.folder.cluster.stat().st_uid != 0


@as_root
def test_a_folder_that_nobody_cannot_reach_is_named(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    missing = Binaries(folder=tmp_path / "none", major=15)  # a program that namespaces cannot run either
    with pytest.raises(PostgresFailed, match=r"expected user namespaces, or a data folder .* closed to others"):
        choose_identity(missing, PostgresFolder(data=tmp_path))


def test_a_program_whose_parent_is_gone_does_not_run(tmp_path: Path) -> None:
    made = tmp_path / "made"
    arguments = [sys.executable, "-I", "-S", launch.__file__, "1", "9", "self", "--", "touch", str(made)]
    assert subprocess.run(arguments, check=False).returncode == launch.ORPHANED
    assert not made.exists()
