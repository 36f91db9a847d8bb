"""A worker's own place for temporary files, so that what a killed worker leaves is found and removed by the next one.

Each place holds a lock file that its process keeps locked; the kernel gives the lock back however the process ends.
"""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

PREFIX: Final = "seedgolf-worker-"
LOCK_FILE: Final = "lock"


@contextmanager
def own_place() -> Iterator[Path]:
    """Let every temporary file of this process lie in a new folder, which goes with it; those of dead workers go."""
    before = tempfile.gettempdir()
    for place in Path(before).glob(f"{PREFIX}*"):
        if _is_left(place):
            shutil.rmtree(place, ignore_errors=True)
    new = Path(tempfile.mkdtemp(prefix=f"new-{PREFIX}"))
    descriptor = os.open(new / LOCK_FILE, os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    # only now under the name that others look for: one without a lock would be taken for a dead worker's
    folder = new.rename(new.with_name(new.name.removeprefix("new-")))
    try:
        tempfile.tempdir = str(folder)
        yield folder
    finally:
        tempfile.tempdir = before
        shutil.rmtree(folder, ignore_errors=True)
        os.close(descriptor)


def _is_left(place: Path) -> bool:
    """Whether a worker's place has no worker."""
    try:
        descriptor = os.open(place / LOCK_FILE, os.O_RDWR | os.O_NOFOLLOW)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return True
