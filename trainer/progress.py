"""The terminal while a run goes on: one live line on a terminal, a plain line now and then elsewhere."""

from collections.abc import Callable
from typing import Final

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn

from trainer.metrics import StepMetrics, ValidationMetrics

PLAIN_SECONDS: Final = 10.0


class Terminal:
    """The listener for people: loss, val_bpb, tokens per second, MFU where it is known, time left."""

    def __init__(self, console: Console, *, now: Callable[[], float]) -> None:
        self._console = console
        self._now = now
        self._last_line = float("-inf")
        self._val_bpb: float | None = None
        self._live: Progress | None = None
        self._task = TaskID(0)

    def on_step(self, metrics: StepMetrics) -> None:
        """Redraw the live line, or print a plain one if the last is old enough."""
        self._show(self._line(metrics), metrics.fraction)

    def on_validation(self, metrics: ValidationMetrics) -> None:
        """Remember the score for the line."""
        self._val_bpb = metrics.val_bpb
        if not self._console.is_terminal:
            self.note(f"step {metrics.step:,}  val_bpb {metrics.val_bpb:.4f}  ({metrics.targets:,} targets)")

    def on_scoring(self, what: str, done: int, total: int) -> None:
        """Redraw the live line, or print a plain one if the last is old enough."""
        self._show(f"scoring {what}: {done:,} of {total:,} targets", done / total)

    def note(self, text: str) -> None:
        """Print one line above the live one."""
        self._console.print(text, highlight=False, markup=False, soft_wrap=True)

    def close(self) -> None:
        """Leave the last line standing."""
        if self._live is not None:
            self._live.stop()
            self._live = None

    def _show(self, text: str, fraction: float) -> None:
        if self._console.is_terminal:
            self._draw(text, fraction)
        elif self._now() - self._last_line >= PLAIN_SECONDS:
            self._last_line = self._now()
            self.note(text)

    def _draw(self, text: str, fraction: float) -> None:
        if self._live is None:
            columns = (BarColumn(bar_width=20), TextColumn("{task.description}", markup=False))
            self._live = Progress(*columns, console=self._console, refresh_per_second=4)
            self._task = self._live.add_task("", total=1.0)
            self._live.start()
        self._live.update(self._task, description=text, completed=fraction)

    def _line(self, metrics: StepMetrics) -> str:
        parts = [f"step {metrics.step:,}", f"loss {metrics.train_loss:.4f}"]
        if self._val_bpb is not None:
            parts.append(f"val_bpb {self._val_bpb:.4f}")
        parts.append(f"{_short(metrics.tokens_per_second)} tok/s")
        if metrics.mfu is not None:
            parts.append(f"MFU {metrics.mfu:.1%}")
        parts.append(f"{clock(metrics.seconds_left)} left")
        return "  ".join(parts)


def _short(number: float) -> str:
    """Three digits and a unit."""
    for factor, unit in ((1e6, "M"), (1e3, "k")):
        if number >= factor:
            return f"{number / factor:.3g}{unit}"
    return f"{number:.3g}"


def clock(seconds: float) -> str:
    """Minutes and seconds, hours where there are any."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
