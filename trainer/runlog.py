"""metrics.jsonl: everything a run says, one JSON object a line, appended and flushed as it happens.

A line has a `kind`: `step`, `validation` or `note`; the other fields are those of `trainer.metrics`. A run that
goes on drops the lines after the step it goes on from, so that a curve never runs twice through the same steps.
"""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TextIO

from trainer.errors import RunFolderError
from trainer.metrics import StepMetrics, ValidationMetrics
from trainer.runfolder import write_text

Line = dict[str, object]


class RunLog:
    """The listener that writes metrics.jsonl."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: TextIO | None = None  # opened by the first line: a run that never starts leaves no log

    def on_step(self, metrics: StepMetrics) -> None:
        """Write one `step` line."""
        self._write("step", {key: value for key, value in asdict(metrics).items() if value is not None})

    def on_validation(self, metrics: ValidationMetrics) -> None:
        """Write one `validation` line."""
        self._write("validation", asdict(metrics))

    def on_scoring(self, what: str, done: int, total: int) -> None:
        """How far a score is, is nothing to keep."""

    def note(self, text: str) -> None:
        """Write one `note` line."""
        self._write("note", {"text": text})

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()

    def _write(self, kind: str, fields: Line) -> None:
        if self._file is None:
            self._file = self._path.open("a", encoding="utf-8")
        self._file.write(json.dumps({"kind": kind} | fields) + "\n")
        self._file.flush()


def read_log(path: Path) -> list[Line]:
    """The lines of a run's log.

    Raises:
        RunFolderError: there is no such log, or a line is no JSON object with a kind.
    """
    try:
        text = path.read_text("utf-8", errors="replace")
    except OSError as error:
        raise RunFolderError(f"{path}: cannot be read ({error.strerror}); give the folder of a run") from None
    return [_parsed(path, number, line) for number, line in enumerate(text.splitlines(), 1)]


def _parsed(path: Path, number: int, line: str) -> Line:
    try:
        value = json.loads(line)
    except json.JSONDecodeError:
        value = None
    if not isinstance(value, dict) or "kind" not in value:
        raise RunFolderError(f"{path}: line {number}: expected a JSON object with a kind, got {line[:40]!r}")
    return value


def rewind_log(path: Path, *, step: int) -> None:
    """Drop what was said after `step` steps were made, and a last line that a crash cut off."""
    if not path.exists():
        return
    text = path.read_text("utf-8", errors="replace")
    whole = [line for line in text.splitlines(keepends=True) if line.endswith("\n")]
    kept = [text for number, text in enumerate(whole, 1) if _is_before(_parsed(path, number, text), step)]
    write_text(path, "".join(kept))


def _is_before(line: Line, step: int) -> bool:
    """Whether a line belongs to a run of `step` steps; its last validation is made again."""
    made = line.get("step", 0)
    assert isinstance(made, int)
    return made < step or (made == step and line["kind"] == "step")
