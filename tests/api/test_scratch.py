"""Temporary files of workers: a killed one's are removed, a living one's are not."""

import fcntl
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from api.scratch import PREFIX, own_place

HOLDS = """
import time
from api.scratch import own_place
with own_place() as place:
    print(place, flush=True)
    time.sleep(600)
"""


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_temporary_files_lie_in_the_workers_own_place_and_go_with_it(temporary: Path) -> None:
    with own_place() as place:
        assert place.parent == temporary
        assert Path(tempfile.mkdtemp()).parent == place
    assert not place.exists()
    assert tempfile.gettempdir() == str(temporary)


def test_what_a_killed_worker_leaves_goes_at_the_next_start_and_not_before(temporary: Path) -> None:
    environ = {"TMPDIR": str(temporary), "PYTHONPATH": str(Path(__file__).parents[2])}
    holder = subprocess.Popen([sys.executable, "-c", HOLDS], env=environ, stdout=subprocess.PIPE)
    assert holder.stdout is not None
    with holder.stdout:
        left = Path(holder.stdout.readline().decode().strip())
        (left / "seedgolf-judge-x").mkdir()
        with own_place():
            assert left.is_dir()
        holder.kill()
        holder.wait()
    assert left.is_dir()
    with own_place():
        assert not left.exists()


def test_a_place_is_locked_before_another_start_can_take_it_for_a_dead_workers(
    temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[list[Path]] = []
    lock = fcntl.flock

    def looked_at(descriptor: int, operation: int) -> None:
        seen.append(list(temporary.glob(f"{PREFIX}*")))
        lock(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", looked_at)
    with own_place() as place:
        assert list(temporary.glob(f"{PREFIX}*")) == [place]
    assert seen == [[]]
