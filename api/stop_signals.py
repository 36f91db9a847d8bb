"""Signals as something to wait for: they interrupt nothing, and none is lost while the waiter does something else.

Python writes the number of each caught signal into a pipe. Blocking signals and `sigtimedwait` would not do: libraries
(numpy's BLAS) have threads, and the kernel hands a signal that the main thread blocks to any of them.
"""

import os
import select
import signal
from types import FrameType, TracebackType
from typing import Final, Self

STOP: Final = frozenset({signal.SIGINT, signal.SIGTERM, signal.SIGHUP})
READ_BYTES: Final = 4096


class StopSignals:
    """A context of the main thread in which stop signals and ends of children wake `wait`."""

    def __enter__(self) -> Self:
        """Catch the signals."""
        self._read, self._write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)
        self._before = {signum: signal.signal(signum, _caught) for signum in STOP | {signal.SIGCHLD}}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give the signals back."""
        for signum, handler in self._before.items():
            signal.signal(signum, handler)
        signal.set_wakeup_fd(-1)
        os.close(self._read)
        os.close(self._write)

    def wait(self, seconds: float) -> bool:
        """Sleep for `seconds`, or until a signal comes or had come; whether it was one that says stop."""
        select.select([self._read], [], [], max(0.0, seconds))
        try:
            return not STOP.isdisjoint(os.read(self._read, READ_BYTES))
        except BlockingIOError:
            return False


def _caught(signum: int, frame: FrameType | None) -> None:
    """Do nothing; that the signal has a handler makes Python write its number into the pipe."""
