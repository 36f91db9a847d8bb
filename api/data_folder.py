"""The lock of a server's folder: one supervisor, or one maintenance command, at a time."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class FolderInUse(RuntimeError):
    """Another server, or a command that maintains one, has the folder."""


@contextmanager
def locked(data: Path) -> Iterator[None]:
    """Hold the folder `data`, made when missing. The kernel lets go of it when this process ends, however it ends.

    Raises:
        FolderInUse: another process holds it; names it.
        OSError: the folder cannot be made or written.
    """
    data.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (data / "lock").open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise FolderInUse(
                f"{data}: expected a folder that no server uses, got one of process {file.read().strip()}; "
                "stop that server, or name another folder with --data"
            ) from None
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        yield
