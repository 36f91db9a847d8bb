"""Whether a fault means that a disk is full: the database's, the store's or a process's own."""

import errno
from typing import Final

import psycopg.errors

FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})


def is_full(error: BaseException) -> bool:
    """Whether the error, or the driver's error under SQLAlchemy's, is that of a full disk."""
    cause = getattr(error, "orig", error)
    return isinstance(cause, psycopg.errors.DiskFull) or (isinstance(cause, OSError) and cause.errno in FULL)
