"""The leaderboard, one's own submissions, and one artifact with its jobs. Nobody is told who submitted what."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Select, func, select
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.ext.asyncio import AsyncConnection

from api.hardware_class import HardwareClass
from api.states import State
from api.store.tables import artifacts, jobs, reports, submissions
from verifier.report import BadReport, SizeRecord, parse


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaderboardRow:
    """One accepted job; `rank` is its place under the filter, 1 is the best."""

    rank: int
    job_id: str
    artifact_sha256: str
    artifact_name: str | None
    artifact_size_bytes: int
    val_bpb: float
    val_loss: float
    track_name: str
    track_sha256: str
    valset_name: str | None
    valset_sha256: str
    verifier_version: str
    hardware_class: HardwareClass
    submitted_at: datetime
    finished_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class JobLine:
    """One job in a list; `submitted_at` is the viewer's own last submission, or the first of all."""

    job_id: str
    state: State
    code: str | None
    val_bpb: float | None
    artifact_sha256: str
    artifact_name: str | None
    track_name: str
    valset_name: str | None
    hardware_class: HardwareClass
    submitted_at: datetime
    finished_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ArtifactView:
    """An artifact with its jobs, the youngest first."""

    sha256: str
    size_bytes: int
    name: str | None
    manifest: dict[str, Any] | None
    first_submitted_at: datetime
    jobs: tuple[JobLine, ...]


async def leaderboard(
    connection: AsyncConnection,
    *,
    track_name: str | None = None,
    valset_name: str | None = None,
    best_per_name: bool = True,
    limit: int = 100,
    offset: int = 0,
) -> list[LeaderboardRow]:
    """The accepted jobs, the best first.

    Args:
        connection: to the database.
        track_name: only of this track; None for all.
        valset_name: only on this validation set; None for all.
        best_per_name: of artifacts with one name and one first submitter only the best, on each validation set: scores
            on different sets do not compare.
        limit: how many.
        offset: after so many.
    """
    accepted = _accepted(track_name, valset_name)
    if best_per_name:
        key = tuple(accepted.selected_columns[name] for name in ("first_owner", "artifact_name", "valset_sha256"))
        accepted = accepted.ext(distinct_on(*key)).order_by(*key, jobs.c.val_bpb, jobs.c.finished_at, jobs.c.id)
    best = accepted.subquery()
    order = (best.c.val_bpb, best.c.finished_at, best.c.job_id)
    shown = [column for column in best.c if column.name != "first_owner"]
    query = select(func.row_number().over(order_by=order).label("rank"), *shown)
    rows = await connection.execute(query.order_by(*order).limit(limit).offset(offset))
    return [
        LeaderboardRow(**row | {"hardware_class": HardwareClass(row["hardware_class"])})
        for row in map(dict, rows.mappings())
    ]


def _accepted(track_name: str | None, valset_name: str | None) -> Select[Any]:
    names = ("artifact_sha256", "val_bpb", "val_loss", "track_name", "track_sha256", "valset_name", "valset_sha256")
    query = select(
        jobs.c.id.label("job_id"),
        *jobs.c[*names, "verifier_version", "hardware_class", "finished_at"],
        artifacts.c.name.label("artifact_name"),
        artifacts.c.size_bytes.label("artifact_size_bytes"),
        artifacts.c.first_submitted_at.label("submitted_at"),
        artifacts.c.first_owner,
    ).join(artifacts, artifacts.c.sha256 == jobs.c.artifact_sha256)
    query = query.where(jobs.c.state == State.ACCEPTED)
    if track_name is not None:
        query = query.where(jobs.c.track_name == track_name)
    return query if valset_name is None else query.where(jobs.c.valset_name == valset_name)


async def last_submitted(
    connection: AsyncConnection, owner: str | None, *, limit: int = 50, offset: int = 0
) -> list[JobLine]:
    """The jobs that an owner, or for None anybody, has submitted, the last submitted first, from the `offset`-th on."""
    last = select(submissions.c.job_id, func.max(submissions.c.submitted_at).label("at"))
    if owner is not None:
        last = last.where(submissions.c.owner == owner)
    found = last.group_by(submissions.c.job_id).subquery()
    query = _lines(found.c.at).join(found, found.c.job_id == jobs.c.id)
    return await _read_lines(connection, query.order_by(found.c.at.desc(), jobs.c.id).limit(limit).offset(offset))


async def artifact(connection: AsyncConnection, sha256: str) -> ArtifactView | None:
    """An artifact, or None."""
    columns = artifacts.c["sha256", "size_bytes", "name", "manifest", "first_submitted_at"]
    row = (await connection.execute(select(*columns).where(artifacts.c.sha256 == sha256))).mappings().one_or_none()
    if row is None:
        return None
    query = _lines(jobs.c.created_at).where(jobs.c.artifact_sha256 == sha256)
    lines = await _read_lines(connection, query.order_by(jobs.c.created_at.desc(), jobs.c.id))
    return ArtifactView(**row, jobs=tuple(lines))


async def artifact_size(connection: AsyncConnection, sha256: str) -> SizeRecord | None:
    """Where an artifact's bytes went, by its last report; None before there is one, and of another release's."""
    of_artifact = (
        select(reports.c.raw).join(jobs, jobs.c.id == reports.c.job_id).where(jobs.c.artifact_sha256 == sha256)
    )
    raw = (await connection.execute(of_artifact.order_by(jobs.c.finished_at.desc()).limit(1))).scalar_one_or_none()
    try:
        return None if raw is None else parse(raw).size
    except BadReport:
        return None


def _lines(submitted_at: Any) -> Select[Any]:  # noqa: ANN401 - a column
    names = ("state", "code", "val_bpb", "artifact_sha256", "track_name", "valset_name", "hardware_class")
    return select(
        jobs.c.id.label("job_id"),
        *jobs.c[*names, "finished_at"],
        artifacts.c.name.label("artifact_name"),
        submitted_at.label("submitted_at"),
    ).join(artifacts, artifacts.c.sha256 == jobs.c.artifact_sha256)


async def _read_lines(connection: AsyncConnection, query: Select[Any]) -> list[JobLine]:
    rows = map(dict, (await connection.execute(query)).mappings())
    return [
        JobLine(**row | {"state": State(row["state"]), "hardware_class": HardwareClass(row["hardware_class"])})
        for row in rows
    ]
