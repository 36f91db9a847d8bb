"""One program that shall run: noticed when it ends, started again after a pause that grows while it keeps failing."""

import signal
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from api.postgres_errors import PostgresError

FIRST_PAUSE_SECONDS: Final = 0.1
LONGEST_PAUSE_SECONDS: Final = 30.0
STEADY_SECONDS: Final = 10.0
"""A program that ran this long is not failing; its next pause is the first again."""


@dataclass(slots=True, kw_only=True)
class Supervised:
    """A program and its history.

    Attributes:
        name: for the operator.
        begin: starts it.
        say: told what happens, a sentence.
        process: runs, or has ended without anyone having looked; None during a pause.
        failures: ends since it was last steady.
        exit_code: of its last end, negative for a signal.
        started_at, due_at: seconds of the caller's clock.
    """

    name: str
    begin: Callable[[], subprocess.Popen[bytes]]
    say: Callable[[str], None]
    process: subprocess.Popen[bytes] | None = None
    failures: int = 0
    exit_code: int | None = None
    started_at: float = 0.0
    due_at: float = 0.0

    def tend(self, now: float) -> None:
        """Notice an end, and start what is due."""
        if self.process is not None and self.process.poll() is not None:
            if now - self.started_at >= STEADY_SECONDS:
                self.failures = 0
            self.exit_code = self.process.returncode
            self._failed(now, ending(self.exit_code))
            self.process = None
        if self.process is None and now >= self.due_at:
            try:
                self.process, self.started_at = self.begin(), now
            except (OSError, PostgresError) as error:
                self._failed(now, f"cannot start: {error}")

    def _failed(self, now: float, how: str) -> None:
        self.failures += 1
        pause = min(FIRST_PAUSE_SECONDS * 2 ** (self.failures - 1), LONGEST_PAUSE_SECONDS)
        self.due_at = now + pause
        self.say(f"{self.name} {how}; starts again in {pause:.1f} s")


def ending(returncode: int) -> str:
    """How a process ended, for people."""
    if returncode >= 0:
        return f"ended with exit code {returncode}"
    try:
        return f"was ended by {signal.Signals(-returncode).name}"
    except ValueError:
        return f"was ended by signal {-returncode}"
