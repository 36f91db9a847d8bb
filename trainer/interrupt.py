"""SIGTERM and ctrl-C as a wish that the loop reads between steps: stop, save, pack.

The first signal is noted. A second ctrl-C ends the process at once; a second SIGTERM does nothing, since a launcher and
a scheduler may both send one. Under torchrun the launcher forwards SIGTERM to its own processes and kills what is left
after 30 s, so what follows a wish must be quick, and one process's wish is all processes' (`trainer.run`).
"""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final

SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)
SIGNAL_EXIT_BASE: Final = 128


class Interrupted(Exception):
    """Raised out of long work that is not worth finishing once a signal came."""


class Interrupt:
    """Whether someone asked the run to stop."""

    def __init__(self) -> None:
        self.signal: signal.Signals | None = None

    @property
    def requested(self) -> bool:
        """Whether a signal came."""
        return self.signal is not None

    @property
    def exit_code(self) -> int:
        """What a shell expects of a process that a signal ended; 0 without one."""
        return 0 if self.signal is None else SIGNAL_EXIT_BASE + self.signal

    def hear(self, number: int) -> None:
        """Another process's signal counts like one of this process; 0 is none."""
        if number and self.signal is None:
            self.signal = signal.Signals(number)

    def check(self) -> None:
        """End long work early.

        Raises:
            Interrupted: a signal came.
        """
        if self.requested:
            raise Interrupted

    @contextmanager
    def listening(self) -> Iterator["Interrupt"]:
        """Note the first signal inside; the earlier handlers stand again afterwards."""
        earlier = {number: signal.signal(number, self._note) for number in SIGNALS}
        try:
            yield self
        finally:
            for number, handler in earlier.items():
                signal.signal(number, handler)

    def _note(self, number: int, _frame: FrameType | None) -> None:
        if self.signal is None:
            self.signal = signal.Signals(number)
        signal.signal(signal.SIGINT, signal.SIG_DFL)
