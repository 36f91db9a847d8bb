"""What the judging process does once it is confined: read its job, verify, leave the outcome in the job's folder.

The outcome is report.json, or error.json where the fault is ours; ranks of torchrun but the first leave neither. Any
other exception ends the process with a traceback in its log, which the sandbox reports as `judge-died`.
"""

import json
import time
from datetime import timedelta
from pathlib import Path
from typing import Final

import torch
from torch import distributed

from verifier import confinement, job
from verifier.confinement import Network
from verifier.errors import VerifierError
from verifier.job import Failure, Job
from verifier.report import CheckName, Report
from verifier.verify import verify

RANK_TIMEOUT: Final = timedelta(minutes=30)
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


def run(folder: Path, *, network: Network) -> None:
    """Judge the job in `folder` and leave the outcome there."""
    todo = Job.model_validate_json((folder / job.JOB_FILE).read_bytes())
    _join_ranks(todo)
    on_gpu = todo.settings.device != "cpu" and torch.cuda.is_available()
    if not on_gpu:
        confinement.limit_memory(todo.memory_bytes)
    try:
        report = verify(
            (folder / job.ARTIFACT_FILE).read_bytes(),
            track=todo.track,
            valset_folder=Path(todo.valset_folder) if todo.valset_folder else None,
            settings=todo.settings,
            watch=Telling(folder),
            network=network.value,
            memory_bytes=None if on_gpu else todo.memory_bytes,
        )
    except VerifierError as error:
        job.write(folder, job.ERROR_FILE, Failure(code=error.code, message=str(error)))
        return
    if not distributed.is_initialized() or distributed.get_rank() == 0:
        job.write(folder, job.REPORT_FILE, report)
    if distributed.is_initialized():
        distributed.destroy_process_group()


def _join_ranks(todo: Job) -> None:
    """Join the processes that torchrun started; torch reads its variables itself."""
    if distributed.is_torchelastic_launched():
        on_cpu = todo.settings.device == "cpu" or not torch.cuda.is_available()
        distributed.init_process_group("gloo" if on_cpu else "nccl", timeout=RANK_TIMEOUT)
