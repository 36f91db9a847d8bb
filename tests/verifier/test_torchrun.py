"""`torchrun -m seedgolf verify`: the same bits as one process, one report, one exit code. Minutes on a busy machine."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.verifier.entries import Arena
from tests.verifier.gallery.scenarios import false_claim
from verifier.report import parse

pytestmark = pytest.mark.slow


def torchrun(arena: Arena, file: Path) -> subprocess.CompletedProcess[bytes]:
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    options = ["--valset-dir", str(arena.registry.folder), "--device", "cpu", "--threads", "1", "--json"]
    command = [*launcher, "-m", "seedgolf", "verify", str(file), *options]
    environ = {"PYTHONPATH": ":".join(filter(None, sys.path)), "OMP_NUM_THREADS": "1"}
    return subprocess.run(command, env=environ, capture_output=True, timeout=300, check=False)


def test_two_processes_give_the_bits_of_one(arena: Arena, tmp_path: Path) -> None:
    (tmp_path / "good.sgolf").write_bytes(arena.entry())
    done = torchrun(arena, tmp_path / "good.sgolf")
    assert done.returncode == 0, done.stderr.decode()
    report, alone = parse(done.stdout), arena.judge(arena.entry())
    assert report.score is not None
    assert alone.score is not None
    assert (report.score.nats_sha256, report.score.val_bpb) == (alone.score.nats_sha256, alone.score.val_bpb)
    assert report.score.curve == alone.score.curve
    assert report.score.curve is not None
    assert report.environment is not None
    assert (report.environment.world_size, report.environment.hardware[:11]) == (2, "2 CPU cores")


def test_a_rejected_file_fails_the_launch_with_the_first_process_alone(arena: Arena, tmp_path: Path) -> None:
    (tmp_path / "false.sgolf").write_bytes(false_claim(arena))
    done = torchrun(arena, tmp_path / "false.sgolf")
    assert done.returncode == 1
    assert parse(done.stdout).code == "claim-mismatch"
