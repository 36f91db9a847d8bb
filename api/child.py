"""Start programs that cannot outlive us: through `api/launch.py`, in a session of their own.

A session of its own keeps a terminal's ctrl-C from the program, which is ours to stop, in our order. The kernel's
promise is tied to the calling thread: call these from one that lives as long as the program shall.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import IO

from api import launch
from api.launch import Identity


def start(
    program: Sequence[str],
    *,
    signum: signal.Signals = signal.SIGKILL,
    identity: Identity = Identity.SELF,
    stdin: int = subprocess.DEVNULL,
    output: IO[bytes] | None = None,
    environ: Mapping[str, str] | None = None,
) -> subprocess.Popen[bytes]:
    """Start `program` and return at once.

    Args:
        program: with its arguments.
        signum: what it gets when we end.
        identity: as whom it runs.
        stdin: file descriptor that it reads.
        output: where it writes; our own output without it.
        environ: its variables; ours without it.
    """
    return subprocess.Popen(  # noqa: S603 - our own programs, no shell
        _command(program, signum, identity),
        stdin=stdin,
        stdout=output,
        stderr=output,
        env=environ,
        start_new_session=True,
    )


def call(
    program: Sequence[str],
    *,
    stdin: bytes = b"",
    identity: Identity = Identity.SELF,
    environ: Mapping[str, str] | None = None,
) -> subprocess.CompletedProcess[bytes]:
    """Run `program` to its end; what it wrote, errors too, is `stdout` of the answer."""
    return subprocess.run(  # noqa: S603 - our own programs, no shell
        _command(program, signal.SIGKILL, identity),
        input=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=environ,
        start_new_session=True,
        check=False,
    )


def _command(program: Sequence[str], signum: signal.Signals, identity: Identity) -> list[str]:
    # -I and -S: nothing but the standard library is read, 15 ms on a 2-core AMD EPYC
    return [sys.executable, "-I", "-S", launch.__file__, str(os.getpid()), str(int(signum)), identity, "--", *program]
