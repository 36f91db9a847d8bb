"""The chaos benchmark in small: nothing that was acknowledged is lost while processes are killed."""

import subprocess
import sys

import pytest

from tests.api.desk import ROOT


@pytest.mark.slow
def test_nothing_acknowledged_is_lost_while_processes_are_killed() -> None:
    program = [sys.executable, "-m", "benchmarks.chaos", "--submissions", "12", "--workers", "2", "--gap", "6"]
    done = subprocess.run(program, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
