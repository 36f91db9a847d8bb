"""What the judging process does once it is confined: read its job, verify, leave the outcome in the job's folder.

The outcome is report.json, or error.json where the fault is ours; ranks of torchrun but the first leave neither. Any
other exception ends the process with a traceback in its log, which the sandbox reports as `judge-died`.
"""

import json
import time
from pathlib import Path
from typing import Final

from verifier import confinement, job, precheck, static_checks, valset
from verifier.case import Case
from verifier.checks import Docket
from verifier.confinement import Network
from verifier.errors import VerifierError
from verifier.job import Failure, Job
from verifier.report import CheckName, Report

EVENT_SECONDS: Final = 0.2


class Telling:
    """A Watch that prints one line of JSON an event; `progress` at most five times a second."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._last_seconds = 0.0

    def begins(self, name: CheckName) -> None:
        """A check begins."""
        self._tell({"kind": "begins", "check": name.value})

    def scoring_begins(self, if_stopped: Report) -> None:
        """Leave the report that stands if this process is stopped from now on, then say so."""
        job.write(self._folder, job.STOPPED_FILE, if_stopped)
        self._tell({"kind": "scoring"})

    def progress(self, done: int, total: int, /) -> None:
        """Some units are done."""
        now = time.monotonic()
        if done == total or now - self._last_seconds >= EVENT_SECONDS:
            self._last_seconds = now
            self._tell({"kind": "progress", "done": done, "total": total})

    def _tell(self, event: dict[str, str | int]) -> None:
        print(json.dumps(event), flush=True)


def run(folder: Path, *, network: Network, speaks: bool) -> None:
    """Judge the job in `folder` and leave the outcome there, unless another process `speaks`."""
    todo = Job.model_validate_json((folder / job.JOB_FILE).read_bytes())
    try:
        report = _judged(todo, folder, network)
    except VerifierError as error:
        job.write(folder, job.ERROR_FILE, Failure(code=error.code, message=str(error)))
        return
    if speaks:
        job.write(folder, job.REPORT_FILE, report)


def _judged(todo: Job, folder: Path, network: Network) -> Report:
    """As `verify.verify`, with torch imported only for what has passed the first checks."""
    watch, data = Telling(folder), (folder / job.ARTIFACT_FILE).read_bytes()
    valset_folder = Path(todo.valset_folder) if todo.valset_folder else None
    registration = valset.registration_in(valset_folder) if valset_folder else None
    case = Case(data=data, track=todo.track, registration=registration, settings=todo.settings, network=network.value)
    docket = Docket(watch.begins)
    precheck.run(case, docket, precheck.FIRST)
    if rejected := precheck.rejected(case, docket):
        return rejected
    from verifier import ranks, verify  # noqa: PLC0415 - torch takes seconds, and a bad file needs none of it

    if not ranks.computes_on_gpu(todo.settings):
        case.memory_bytes = todo.memory_bytes
        static_checks.check_fits(case, memory_bytes=todo.memory_bytes)
        confinement.limit_memory(todo.memory_bytes)
    with ranks.joined(todo.settings):
        return verify.judge(case, docket, valset_folder, watch)
