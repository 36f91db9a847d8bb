"""What the sandbox and the judging process say to each other: one job in, events and one outcome back.

A folder of the child's own holds the job, the file to judge and the outcome; events are lines of JSON on the child's
standard output. Whatever else a library prints there is no event and is ignored.
"""

from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import Field, ValidationError

from verifier.report import CheckName, Count, Value
from verifier.settings import Settings
from verifier.tracks import Track

JOB_FILE: Final = "job.json"
ARTIFACT_FILE: Final = "artifact.sgolf"
REPORT_FILE: Final = "report.json"
STOPPED_FILE: Final = "stopped.json"
ERROR_FILE: Final = "error.json"
LOG_FILE: Final = "log.txt"
MAX_EVENT_BYTES: Final = 1024

ALONE: Final = "alone"
FIRST_RANK: Final = "first"
OTHER_RANK: Final = "other"
"""A child's place among the processes that score."""


class Job(Value):
    """One run: everything that the child needs to know.

    Attributes:
        valset_folder: the registered set; absent where none could be chosen.
        memory_bytes: the limit of the process on a CPU; a GPU has its own.
    """

    track: Track
    valset_folder: str | None = None
    settings: Settings
    memory_bytes: Annotated[int, Field(ge=1)]


class Event(Value):
    """What happened: a check began, the score began with `stopped.json` written, or `done` of `total` units."""

    kind: Literal["begins", "scoring", "progress"]
    check: CheckName = CheckName.CONTAINER
    done: Count = 0
    total: Count = 0


class Failure(Value):
    """Why there is no report: a VerifierError's code and message."""

    code: str
    message: str


def parse_event(line: bytes) -> Event | None:
    """The event of a line, or None for anything else."""
    try:
        return Event.model_validate_json(line) if len(line) <= MAX_EVENT_BYTES else None
    except ValidationError:
        return None


def write(folder: Path, name: str, value: Value) -> None:
    """Put a value into the folder, whole or not at all."""
    partial = folder / f".{name}"
    partial.write_text(value.model_dump_json(exclude_none=True))
    partial.replace(folder / name)
