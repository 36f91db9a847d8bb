"""The tables of procrastinate that we read; it owns and migrates them itself."""

from typing import Final

from sqlalchemy import ColumnElement, column, literal_column, table

tickets: Final = table(
    "procrastinate_jobs",
    column("id"),
    column("queue_name"),
    column("priority"),
    column("status"),
    column("worker_id"),
)
TODO: Final[ColumnElement[str]] = literal_column("'todo'::procrastinate_job_status")
DOING: Final[ColumnElement[str]] = literal_column("'doing'::procrastinate_job_status")
ticket_events: Final = table("procrastinate_events", column("job_id"), column("type"), column("at"))
STARTED: Final[ColumnElement[str]] = literal_column("'started'::procrastinate_job_event_type")
workers: Final = table("procrastinate_workers", column("id"), column("last_heartbeat"))
