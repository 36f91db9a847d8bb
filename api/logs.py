"""Structured logs: one JSON object a line on standard error, with the ids of the request and the job it is about.

Secrets have no way in: headers, query strings and bodies are never logged.
"""

import json
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any, Final

_REQUEST: ContextVar[str | None] = ContextVar("request_id", default=None)
_JOB: ContextVar[str | None] = ContextVar("job_id", default=None)

FIELDS: Final = "fields"
"""The key of `extra` under which a record carries further fields."""


def request_id() -> str | None:
    """The id of the request that is being answered."""
    return _REQUEST.get()


def note_job(job_id: str) -> None:
    """Say which job the rest of this request is about."""
    _JOB.set(job_id)


@contextmanager
def about_request(identity: str) -> Iterator[None]:
    """Put an id into every record that is logged inside."""
    request, job = _REQUEST.set(identity), _JOB.set(None)
    try:
        yield
    finally:
        _REQUEST.reset(request)
        _JOB.reset(job)


@contextmanager
def about_job(identity: str) -> Iterator[None]:
    """Put a job's id into every record that is logged inside."""
    job = _JOB.set(identity)
    try:
        yield
    finally:
        _JOB.reset(job)


class JsonFormatter(logging.Formatter):
    """A record as one line of JSON."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its end."""
        line: dict[str, Any] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        ids = {"request_id": _REQUEST.get(), "job_id": _JOB.get()}
        line |= {name: value for name, value in ids.items() if value} | getattr(record, FIELDS, {})
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=True, default=str)


def set_up(level: int = logging.INFO) -> None:
    """Send every record of this process to standard error as JSON; for the first lines of a program."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    logging.getLogger("procrastinate").setLevel(logging.WARNING)
    logging.getLogger("python_multipart").setLevel(logging.ERROR)  # it quotes what is wrong in a body
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = name != "uvicorn.access"  # the middleware logs requests, without their query
