"""Files that appear whole or not at all: written beside their place, synced to the disk, then moved over it."""

import os
from pathlib import Path


def write_atomically(path: Path, *parts: bytes | memoryview) -> None:
    """Make the file `path` hold `parts` one after the other; a reader sees the old file or the whole new one.

    Processes that write the same file at once do not disturb each other; the last one wins.

    Raises:
        OSError: the file cannot be written; nothing is left of it.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with partial.open("wb") as file:
            file.writelines(parts)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
