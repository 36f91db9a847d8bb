"""Whether this machine has the device that its worker's class promises, asked in a child as the judge would find it.

Without this look a worker of class gpu on a machine without a GPU would take the class's jobs and fail every one.
"""

import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from api.hardware_class import HardwareClass
from verifier.child_environment import child_environment

PATIENCE_SECONDS: Final = 180.0
"""The first import of torch and CUDA's start from a cold disk take half a minute."""
LOOK: Final = """
import sys
from verifier.environment import set_up
from verifier.errors import DeviceUnavailable
from verifier.settings import Settings
try:
    set_up(Settings(device="cuda"))
except DeviceUnavailable as error:
    sys.exit(str(error))
"""
"""A program and no module of ours: no module of this package may lead to torch."""


class NoDevice(RuntimeError):
    """This machine cannot be a worker of the class."""


def check(hardware_class: HardwareClass, environ: Mapping[str, str]) -> None:
    """Check that a worker of the class can work here; class cpu always can.

    Args:
        hardware_class: of the worker.
        environ: the caller's environment, of which the child gets the judge's short list.

    Raises:
        NoDevice: it can't; says why.
    """
    if hardware_class is not HardwareClass.GPU:
        return
    with tempfile.TemporaryDirectory(prefix="seedgolf-device-") as name:
        variables = child_environment(environ, scratch=Path(name), threads=1)
        command = [sys.executable, "-P", "-c", LOOK]
        try:
            found = subprocess.run(  # noqa: S603 - our own program
                command, env=variables, cwd=name, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False
            )
        except subprocess.TimeoutExpired:
            raise NoDevice(_refusal(f"no answer from it within {PATIENCE_SECONDS:.0f} s")) from None
    if found.returncode != 0:
        raise NoDevice(_refusal((found.stderr.strip().splitlines() or ["no word from torch"])[-1]))


def _refusal(got: str) -> str:
    hint = "`seedgolf verify --device cuda FILE` shows what the judge sees, `--class cpu` needs none"
    return f"worker class gpu: expected a GPU that torch computes float32 on, got {got}; {hint}"
