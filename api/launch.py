"""Become a program that dies with its parent: run as a file of its own by `api/child.py`, standard library alone.

    python -I -S launch.py PARENT_PID SIGNAL IDENTITY -- PROGRAM ARGUMENT...

The program replaces this one, so it keeps the process id. Before that: signals are unblocked, the user is changed
(PostgreSQL refuses uid 0), and the kernel is asked to send SIGNAL when the thread that started us ends. That request
comes last, for a change of user withdraws it, and is followed by a look at the parent: one that was gone before the
request would never be noticed (seen: 5 of 40 children leaked).
"""

import ctypes
import os
import signal
import sys
from enum import StrEnum
from pathlib import Path
from typing import Final

PR_SET_PDEATHSIG: Final = 1
CLONE_NEWUSER: Final = 0x1000_0000
NAMESPACE_UID: Final = 1000
"""What root is called inside the user namespace; any number but 0."""

ORPHANED: Final = 4
REFUSED: Final = 5
"""Exit codes: the parent is gone; the system refuses the wanted user."""


class Identity(StrEnum):
    """As whom the program runs."""

    SELF = "self"
    NAMESPACE = "namespace"
    """Root, under another uid inside a user namespace: every file of root is its own."""
    NOBODY = "nobody"


def enter_namespace() -> None:
    """Become another uid than 0 without giving up any file: root is mapped to `NAMESPACE_UID`.

    Raises:
        OSError: the kernel or a container refuses user namespaces.
    """
    uid, gid = os.geteuid(), os.getegid()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWUSER) != 0:
        raise OSError(ctypes.get_errno(), "unshare")
    maps = {"setgroups": "deny", "uid_map": f"{NAMESPACE_UID} {uid} 1", "gid_map": f"{NAMESPACE_UID} {gid} 1"}
    for name, text in maps.items():
        Path("/proc/self", name).write_text(text)


def become_nobody() -> None:
    """Give root up for the user `nobody`.

    Raises:
        KeyError, OSError: there is none, or we may not become it.
    """
    import pwd  # noqa: PLC0415 - one path of three needs it

    nobody = pwd.getpwnam("nobody")
    os.setgroups([])
    os.setgid(nobody.pw_gid)
    os.setuid(nobody.pw_uid)


def main(arguments: list[str]) -> None:
    """Change the user, tie this process to its parent and become the program."""
    parent, signum, identity, _, *program = arguments
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    try:
        if identity == Identity.NAMESPACE:
            enter_namespace()
        elif identity == Identity.NOBODY:
            become_nobody()
    except (KeyError, OSError) as error:
        sys.stderr.write(f"cannot become {identity}: {error}\n")
        sys.exit(REFUSED)
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(signum))
    if os.getppid() != int(parent):
        sys.exit(ORPHANED)
    os.execvp(program[0], program)  # noqa: S606 - the caller's own arguments, no shell


if __name__ == "__main__":
    main(sys.argv[1:])
