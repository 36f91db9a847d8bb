"""How far a run is, in a terminal: the running check, a bar for the scoring, the time it still needs."""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn, TimeRemainingColumn

from verifier.case import Unwatched, Watch
from verifier.report import CheckName, Report


class Bar:
    """A Watch that draws."""

    def __init__(self, progress: Progress, task: TaskID) -> None:
        self._progress = progress
        self._task = task

    def begins(self, name: CheckName) -> None:
        """Show the check; a new one starts without a known length."""
        self._progress.reset(self._task, description=name.value, total=None)

    def scoring_begins(self, if_stopped: Report) -> None:
        """Nothing to draw: the check itself begins next."""

    def progress(self, done: int, total: int, /) -> None:
        """Move the bar."""
        self._progress.update(self._task, completed=done, total=total)


@contextmanager
def watching(console: Console, *, draw: bool) -> Iterator[Watch]:
    """A bar that vanishes at the end; nothing where the console is no terminal or `draw` is false."""
    if not (draw and console.is_terminal):
        yield Unwatched()
        return
    columns = (TextColumn("{task.description:<14}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        yield Bar(progress, progress.add_task("starting", total=None))
