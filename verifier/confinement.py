"""What the judging process gives up before it looks at a stranger's file: standard library and system calls only.

- The network: a network namespace of its own, by itself or inside a user namespace, holds no interface that is up.
  Where the kernel or a container refuses both, an audit hook refuses every address that Python code would connect,
  bind or look up; native code is then not held back, and the report says which of the two it was.
- Life after its parent: the kernel kills it when the thread that started it ends (PR_SET_PDEATHSIG).
- Memory: RLIMIT_DATA counts private writable memory, so address space that torch or CUDA only reserves is free, which
  RLIMIT_AS would count; an allocation beyond it fails instead of waking the kernel's killer.
- Core dumps and new privileges.
"""

import ctypes
import os
import resource
import signal
import sys
from enum import StrEnum
from typing import Any, Final

CLONE_NEWUSER: Final = 0x1000_0000
CLONE_NEWNET: Final = 0x4000_0000
PR_SET_PDEATHSIG: Final = 1
PR_SET_NO_NEW_PRIVS: Final = 38
ORPHANED: Final = 4
"""Exit code of a child whose parent is gone."""

NETWORK_EVENTS: Final = frozenset(
    {"socket.connect", "socket.bind", "socket.sendto", "socket.sendmsg", "socket.getaddrinfo", "socket.gethostbyname"}
)


class Network(StrEnum):
    """How the network is kept from the judge."""

    NAMESPACE = "network namespace"
    AUDIT_HOOK = "audit hook"
    RANKS = "reachable, for the ranks of torchrun"


def leave_network() -> Network:
    """Cut this process off the network. Must run while it has one thread."""
    libc = ctypes.CDLL(None, use_errno=True)
    uid, gid = os.getuid(), os.getgid()
    if libc.unshare(CLONE_NEWNET) == 0:
        return Network.NAMESPACE
    if libc.unshare(CLONE_NEWUSER | CLONE_NEWNET) == 0:
        _keep_own_ids(uid, gid)
        return Network.NAMESPACE
    sys.addaudithook(_refuse_network)
    return Network.AUDIT_HOOK


def die_with_parent(parent_pid: int) -> None:
    """Be killed when the thread that started this process ends; end now if it is gone already."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent_pid:
        os._exit(ORPHANED)


def drop_privileges() -> None:
    """No core dumps, and nothing that this process may start gets more rights than it has."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    ctypes.CDLL(None).prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)


def limit_memory(memory_bytes: int) -> None:
    """Let every allocation beyond `memory_bytes` of private writable memory fail."""
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    limit = memory_bytes if hard == resource.RLIM_INFINITY else min(memory_bytes, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))


def _keep_own_ids(uid: int, gid: int) -> None:
    """Be the same user inside the new user namespace; without it files look like those of nobody."""
    for name, text in {"setgroups": "deny", "uid_map": f"{uid} {uid} 1", "gid_map": f"{gid} {gid} 1"}.items():
        try:
            with open(f"/proc/self/{name}", "w") as file:  # noqa: PTH123 - nothing else is imported before confinement
                file.write(text)
        except OSError:
            return  # ids stay unmapped, which reads files as well


def _refuse_network(event: str, args: tuple[Any, ...]) -> None:
    if event in NETWORK_EVENTS and not (event == "socket.bind" and isinstance(args[1], str | bytes)):
        raise PermissionError(f"{event}: the judge has no network")
