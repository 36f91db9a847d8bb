"""A disk of a few megabytes that can be filled and freed: a tmpfs, which only root may mount."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

MEBIBYTE = 1024 * 1024


@dataclass(frozen=True, slots=True)
class SmallDisk:
    """A mounted file system of its own."""

    path: Path

    @property
    def free_bytes(self) -> int:
        found = os.statvfs(self.path)
        return found.f_bavail * found.f_frsize

    def fill(self, *, leave_bytes: int = 0) -> None:
        """Let no more than so many bytes be free."""
        with (self.path / "ballast").open("ab", buffering=0) as file, suppress(OSError):
            while (size := min(MEBIBYTE, self.free_bytes - leave_bytes)) > 0:
                file.write(bytes(size))

    def free(self) -> None:
        """Give the room back."""
        (self.path / "ballast").unlink()


@contextmanager
def small_disk(path: Path, *, mebibytes: int) -> Iterator[SmallDisk]:
    """Mount one at `path`; skips the test where that is not allowed."""
    path.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={mebibytes}m,mode=0700", "seedgolf-test", str(path)]
    mounted = subprocess.run(command, capture_output=True, text=True, check=False)
    if mounted.returncode != 0:
        pytest.skip(f"a small disk needs the right to mount a tmpfs: {mounted.stderr.strip()}")
    try:
        yield SmallDisk(path)
    finally:
        subprocess.run(["umount", "--lazy", str(path)], check=True)
