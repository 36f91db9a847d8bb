"""The tables, as SQLAlchemy knows them. Migrations (`api/migrations`) make them; a test keeps the two equal.

Every time is UTC with zone. Reports are kept as the signed bytes; `report` is a JSON copy for queries only.
"""

from typing import Final

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Double,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

CONVENTION: Final = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s",
    "pk": "pk_%(table_name)s",
}
metadata: Final = MetaData(naming_convention=CONVENTION)

TIME: Final = DateTime(timezone=True)
NOW: Final = text("now()")

tokens: Final = Table(
    "tokens",
    metadata,
    Column("id", Text, primary_key=True),  # the public part of sg_<id>_<secret>
    Column("secret_sha256", LargeBinary, nullable=False),
    Column("owner", Text, nullable=False),
    Column("scopes", ARRAY(Text), nullable=False),
    Column("created_at", TIME, nullable=False, server_default=NOW),
    Column("expires_at", TIME),
    Column("revoked_at", TIME),
    Column("last_used_at", TIME),
)

sessions: Final = Table(
    "sessions",
    metadata,
    Column("id_sha256", LargeBinary, primary_key=True),  # of the cookie
    Column("token_id", Text, ForeignKey("tokens.id", ondelete="CASCADE"), nullable=False),
    Column("csrf", Text, nullable=False),
    Column("created_at", TIME, nullable=False, server_default=NOW),
    Column("expires_at", TIME, nullable=False),
)

login_links: Final = Table(
    "login_links",
    metadata,
    Column("code_sha256", LargeBinary, primary_key=True),  # used once, then deleted
    Column("token_id", Text, ForeignKey("tokens.id", ondelete="CASCADE"), nullable=False),
    Column("expires_at", TIME, nullable=False),
)

artifacts: Final = Table(
    "artifacts",
    metadata,
    Column("sha256", Text, primary_key=True),
    Column("size_bytes", BigInteger, nullable=False),
    Column("name", Text),  # what the manifest calls it; absent where it cannot be read
    Column("manifest", JSONB),
    Column("first_owner", Text, nullable=False),  # for whom it counts on the leaderboard; never shown to others
    Column("first_submitted_at", TIME, nullable=False, server_default=NOW),
)

jobs: Final = Table(
    "jobs",
    metadata,
    Column("id", Text, primary_key=True),  # Question.job_id
    Column("artifact_sha256", Text, ForeignKey("artifacts.sha256"), nullable=False),
    Column("valset_sha256", Text, nullable=False),
    Column("valset_name", Text),
    Column("track_sha256", Text, nullable=False),
    Column("track_name", Text, nullable=False),
    Column("track", JSONB, nullable=False),  # the limits that the worker judges by
    Column("verifier_version", Text, nullable=False),
    Column("hardware_class", Text, nullable=False),
    Column("dtype", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("run", Integer, nullable=False, server_default=text("1")),  # a failed question asked again: a new run
    Column("attempt", Integer, nullable=False, server_default=text("0")),  # raised when a worker takes it: the fence
    Column("queue_id", BigInteger),  # procrastinate's job
    Column("worker", Text),  # who runs it, or did last: a name of `workers`
    Column("lost_workers", ARRAY(Text), nullable=False, server_default=text("'{}'")),  # of this run
    Column("failures", Integer, nullable=False, server_default=text("0")),  # faults of ours that were tried again
    Column("created_at", TIME, nullable=False, server_default=NOW),
    Column("queued_at", TIME, nullable=False, server_default=NOW),
    Column("started_at", TIME),
    Column("finished_at", TIME),
    Column("sign_of_life_at", TIME),
    Column("stage", Text),  # the check that runs
    Column("done", BigInteger),
    Column("total", BigInteger),
    Column("code", Text),  # of a rejection, or of our failure
    Column("message", Text),  # of our failure, safe to show
    Column("val_bpb", Double),
    Column("val_loss", Double),
    Index(None, "state", "queued_at"),
    Index(None, "artifact_sha256"),
    Index(None, "track_sha256", "valset_sha256", "val_bpb"),
)

reports: Final = Table(
    "reports",
    metadata,
    Column("job_id", Text, ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True),
    Column("raw", LargeBinary, nullable=False),  # the report's bytes, as served
    Column("report", JSONB, nullable=False),
    Column("envelope", LargeBinary),  # DSSE; absent until a worker has signed a report of the pre-check
    Column("keyid", Text),
    Column("created_at", TIME, nullable=False, server_default=NOW),
)

submissions: Final = Table(
    "submissions",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("job_id", Text, ForeignKey("jobs.id", ondelete="CASCADE"), nullable=False),
    Column("run", Integer, nullable=False),
    Column("owner", Text, nullable=False),
    Column("token_id", Text, nullable=False),
    Column("submitted_at", TIME, nullable=False, server_default=NOW),
    Column("withdrawn_at", TIME),
    Column("counts", Boolean, nullable=False),  # against the quota; false for an answer from store and after a refund
    Index(None, "owner", "submitted_at"),
    Index(None, "job_id"),
)

events: Final = Table(
    "events",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),  # SSE's event id
    Column("job_id", Text, ForeignKey("jobs.id", ondelete="CASCADE"), nullable=False),
    Column("run", Integer, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("state", Text, nullable=False),
    Column("at", TIME, nullable=False, server_default=NOW),
    Column("detail", Text),  # a short sentence: which worker, why
    Index(None, "job_id", "id"),
)

valsets: Final = Table(
    "valsets",  # what the workers can score on; each worker writes its own at its start
    metadata,
    Column("sha256", Text, primary_key=True),
    Column("hardware_class", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("registration", JSONB, nullable=False),
    Column("seen_at", TIME, nullable=False, server_default=NOW),
)

keys: Final = Table(
    "keys",  # public halves of the keys that sign reports, or did; retired ones stay, old reports need them
    metadata,
    Column("keyid", Text, primary_key=True),
    Column("pem", Text, nullable=False),
    Column("created_at", TIME, nullable=False, server_default=NOW),
    Column("retired_at", TIME),
)

workers: Final = Table(
    "workers",  # worker processes of the last weeks; host and process are for administrators only
    metadata,
    Column("name", Text, primary_key=True),  # what readers of a job see
    Column("host", Text, nullable=False),
    Column("process_id", Integer, nullable=False),
    Column("hardware_class", Text, nullable=False),
    Column("verifier_version", Text, nullable=False),
    Column("keyid", Text, nullable=False),  # of the key that it signs with
    Column("started_at", TIME, nullable=False, server_default=NOW),
    Column("heard_at", TIME, nullable=False, server_default=NOW),
    Column("ended_at", TIME),
)

shares: Final = Table(
    "shares",  # badges: a random id that the owner makes and revokes
    metadata,
    Column("id", Text, primary_key=True),
    Column("job_id", Text, ForeignKey("jobs.id", ondelete="CASCADE"), nullable=False),
    Column("owner", Text, nullable=False),
    Column("created_at", TIME, nullable=False, server_default=NOW),
    Column("revoked_at", TIME),
)
