"""The sandbox: judge a stranger's file in a child process that can be stopped, starved and thrown away.

The child runs in a process group and a folder of its own, with a clean environment (`child_environment`) and without
network (`confinement`); the folder is removed whatever happens. The clock is this process's: from the moment the
child says that scoring begins, the group is killed at the limit, and the report that the child left for that case
stands. A crash, a kill from outside or silence becomes a VerifierError, never a hang and never a verdict.

The child dies with the thread that called `judge`: call it from a thread that lives as long as the run.
"""

import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import IO, Final

from verifier import job
from verifier.case import Unwatched, Watch
from verifier.child_environment import child_environment, is_first_process, under_torchrun
from verifier.errors import ERRORS, Inconclusive, JudgeCancelled, JudgeDied, JudgeStuck, VerifierError
from verifier.job import ALONE, FIRST_RANK, OTHER_RANK, Event, Failure, Job
from verifier.machine_memory import machine_memory_bytes
from verifier.report import BadReport, CheckName, Report, parse
from verifier.settings import Settings
from verifier.tracks import Track

PREPARATION_SECONDS: Final = 600.0
"""From the start to the scoring: reading, building, probing. Enough for every artifact within the limits."""
GRACE_SECONDS: Final = 1.0
"""A scoring that ends at the limit is judged by its own clock."""
FINISH_SECONDS: Final = 60.0
POLL_SECONDS: Final = 0.05
LOG_TAIL_BYTES: Final = 4096
READ_BYTES: Final = 65_536


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """The judging program.

    Attributes:
        command: gets the job's folder, this process's id, and `alone`, `first` or `other` as its arguments.
        preparation_seconds: how long it may take before it scores.
    """

    command: Sequence[str]
    preparation_seconds: float = PREPARATION_SECONDS


JUDGE: Final = Program(command=(sys.executable, "-P", "-m", "verifier.judge"))


def judge(
    data: bytes,
    *,
    track: Track,
    valset_folder: Path | None,
    settings: Settings,
    environ: Mapping[str, str],
    watch: Watch | None = None,
    cancelled: Callable[[], bool] = lambda: False,
    program: Program = JUDGE,
) -> Report | None:
    """Judge an artifact in a child process.

    Args:
        data: the whole file.
        track: the limits.
        valset_folder: the registered validation set; None only where the manifest cannot be read.
        settings: of the run; `wall_seconds` replaces the track's scoring limit, `memory_bytes` lowers its memory.
        environ: the caller's environment, of which a short list is handed on.
        watch: told which check begins and how far it is.
        cancelled: asked twenty times a second; true ends the run.
        program: what judges.

    Returns:
        The report; None in a process of torchrun other than the first.

    Raises:
        VerifierError: no verdict. `JudgeDied` and `JudgeStuck` are worth another try.
    """
    allowed = min(settings.memory_bytes or track.cost.max_memory_bytes, track.cost.max_memory_bytes)
    with tempfile.TemporaryDirectory(prefix="seedgolf-judge-") as name:
        folder = Path(name)
        (folder / job.ARTIFACT_FILE).write_bytes(data)
        todo = Job(
            track=track,
            valset_folder=str(valset_folder) if valset_folder else None,
            settings=settings,
            memory_bytes=min(allowed, machine_memory_bytes()),
        )
        job.write(folder, job.JOB_FILE, todo)
        with _started(program.command, folder, environ, threads=settings.threads) as child:
            clock = Clock(program.preparation_seconds, scoring_seconds=settings.wall_seconds or track.eval_seconds)
            end = _follow(child, watch or Unwatched(), clock, cancelled)
        speaks = is_first_process(environ)
        match end:
            case End.OVER_TIME:
                report = _over_time(folder, track, settings)
                return report if speaks else None
            case End.CANCELLED:
                raise JudgeCancelled("the run was cancelled")
            case End.STUCK:
                raise JudgeStuck("the judging process did not come to an end in time outside the scoring")
        return _outcome(folder, child.process.returncode, speaks=speaks)


class End(StrEnum):
    """How a run ended."""

    EXITED = "exited"
    OVER_TIME = "over time"
    STUCK = "stuck"
    CANCELLED = "cancelled"


@dataclass(slots=True, kw_only=True)
class Child:
    """The judging process, the leader of its group, with its events."""

    process: subprocess.Popen[bytes]
    output: IO[bytes]
    rest: bytes = b""

    def is_running(self) -> bool:
        """Whether it has not exited. It is not reaped by asking, so its number stays its own until `kill_group`."""
        return os.waitid(os.P_PID, self.process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None

    def events(self) -> Iterator[Event]:
        """The events of the next moment; waits at most `POLL_SECONDS`."""
        readable, _, _ = select.select([self.output], [], [], POLL_SECONDS)
        data = os.read(self.output.fileno(), READ_BYTES) if readable else b""
        if readable and not data:  # the child closed its end: it is about to exit
            time.sleep(POLL_SECONDS)
        *lines, self.rest = (self.rest + data).split(b"\n")
        self.rest = self.rest[: job.MAX_EVENT_BYTES]
        yield from (event for event in map(job.parse_event, lines) if event)

    def kill_group(self) -> int:
        """Kill whatever is left of the group, and return how the child ended."""
        os.killpg(self.process.pid, signal.SIGKILL)
        return self.process.wait()


@contextmanager
def _started(command: Sequence[str], folder: Path, environ: Mapping[str, str], *, threads: int) -> Iterator[Child]:
    """The child, whose whole group is dead afterwards."""
    place = ALONE if not under_torchrun(environ) else FIRST_RANK if is_first_process(environ) else OTHER_RANK
    with (folder / job.LOG_FILE).open("wb") as log:
        process = subprocess.Popen(  # noqa: S603 - a program of ours, arguments of ours
            [*command, str(folder), str(os.getpid()), place],
            cwd=folder,
            env=child_environment(environ, scratch=folder, threads=threads),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            start_new_session=True,
        )
    assert process.stdout is not None
    with process.stdout as output:
        child = Child(process=process, output=output)
        try:
            yield child
        finally:
            child.kill_group()


class Clock:
    """The deadline of the stage that the child is in, and what it means to miss it."""

    def __init__(self, preparation_seconds: float, *, scoring_seconds: float) -> None:
        self._scoring_seconds = scoring_seconds
        self._set(preparation_seconds, End.STUCK)

    def note(self, event: Event) -> None:
        """Change the stage: scoring begins and ends with an event of the child."""
        if event.kind == "scoring":
            self._set(self._scoring_seconds + GRACE_SECONDS, End.OVER_TIME)
        elif event.kind == "begins" and self.late is End.OVER_TIME and event.check is not CheckName.SCORE:
            self._set(FINISH_SECONDS, End.STUCK)

    def has_run_out(self) -> bool:
        """Whether the deadline has passed."""
        return time.monotonic() > self._deadline

    def _set(self, seconds: float, late: "End") -> None:
        self._deadline = time.monotonic() + seconds
        self.late = late


def _follow(child: Child, watch: Watch, clock: Clock, cancelled: Callable[[], bool]) -> End:
    """Pass the child's events on until it exits or the clock of its stage has run out."""
    while child.is_running():
        if cancelled():
            return End.CANCELLED
        if clock.has_run_out():
            return clock.late
        for event in child.events():
            clock.note(event)
            if event.kind == "progress":
                watch.progress(event.done, event.total)
            elif event.kind == "begins":
                watch.begins(event.check)
    return End.EXITED


def _over_time(folder: Path, track: Track, settings: Settings) -> Report:
    """The report that the child left for this case, unless it was an operator's shorter limit that ended the run."""
    report = _read_report(folder / job.STOPPED_FILE)
    assert report.environment is not None
    limit, reference = settings.wall_seconds, report.environment.is_reference
    if limit is None or (reference and limit >= track.eval_seconds):
        return report
    raise Inconclusive(
        f"the scoring was stopped after {limit:g} s on {report.environment.hardware}, by this run's limit and not by "
        f"the track's {track.eval_seconds:g} s; that is no verdict"
    )


def _read_report(path: Path) -> Report:
    try:
        return parse(path.read_bytes())
    except (BadReport, OSError) as error:
        raise JudgeDied("the judging process left no report that can be read", log_tail=str(error)) from None


def _outcome(folder: Path, exit_code: int, *, speaks: bool) -> Report | None:
    """What a child that exited by itself has left."""
    if (folder / job.REPORT_FILE).is_file():
        return _read_report(folder / job.REPORT_FILE)
    if (folder / job.ERROR_FILE).is_file():
        failure = Failure.model_validate_json((folder / job.ERROR_FILE).read_bytes())
        kinds = {error.code: error for error in ERRORS}
        raise kinds.get(failure.code, VerifierError)(failure.message)
    if exit_code == 0 and not speaks:
        return None
    how = f"was killed by signal {-exit_code}" if exit_code < 0 else f"ended with exit code {exit_code}"
    with (folder / job.LOG_FILE).open("rb") as log:
        log.seek(max(0, log.seek(0, os.SEEK_END) - LOG_TAIL_BYTES))
        tail = log.read().decode(errors="replace")
    hint = "; the machine may have run out of memory" if exit_code == -signal.SIGKILL else ""
    raise JudgeDied(f"the judging process {how}{hint}", log_tail=tail)
