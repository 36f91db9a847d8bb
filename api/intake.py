"""One upload from its first byte to its place in the queue, top to bottom.

The order keeps two promises: what was acknowledged is in the store and in the database, and what was refused left
nothing behind that anybody is told of.
"""

from collections.abc import Sequence
from typing import Any, Final

from fastapi import Request
from sqlalchemy.ext.asyncio import AsyncConnection

from api import upload
from api.access import CSRF_FIELD, CSRF_HEADER, Access
from api.errors import DataRefused
from api.hardware_class import HardwareClass
from api.precheck_messages import Ask, Checked, Chosen
from api.question import Question
from api.resources import Resources
from api.states import UNFINISHED, VERDICTS
from api.store import jobs, quota, submitting, valsets
from api.store.submitting import NewSubmission, Outcome
from api.store.valsets import KnownValset
from api.upload import Upload
from verifier.choice import NoValsetClaimed
from verifier.data_errors import DataError
from verifier.report import ScoreDtype
from verifier.report_assembly import verifier_version
from verifier.tracks import Track, UnknownTrack
from verifier.valset_registry import UnknownValset

REFUSALS: Final = {kind.code: kind for kind in (NoValsetClaimed, UnknownTrack, UnknownValset)}


async def take(
    request: Request, held: Resources, access: Access, *, track_name: str | None, valset_name: str | None
) -> Outcome:
    """Read, look at, store and enqueue an upload; its bytes are forgotten afterwards.

    Raises:
        ApiError: it is refused.
        OverQuota: the owner may not start a run now.
    """
    async with held.slots.taken():
        body = await upload.read(request, cap=held.cap_bytes, pace=held.pace)
        access.check_csrf(request.headers.get(CSRF_HEADER) or body.fields.get(CSRF_FIELD))
        new = await _examined(
            body,
            held,
            access,
            track_name=track_name or body.fields.get("track") or None,
            valset_name=valset_name or body.fields.get("valset") or None,
        )
        if await _needs_bytes(new, held):
            await held.blobs.put(body.sha256, body.data)
        async with held.engine.begin() as connection:
            outcome = await submitting.submit(connection, new, held.quota)
        held.metrics.upload_bytes.inc(len(body.data))
        return outcome


async def _examined(
    body: Upload, held: Resources, access: Access, *, track_name: str | None, valset_name: str | None
) -> NewSubmission:
    """By what the file is judged and whether it is rejected at once, as the pre-check child says."""
    async with held.engine.connect() as connection:
        known = await valsets.known(connection)
    ask = Ask(
        size_bytes=len(body.data),
        tracks=tuple(held.tracks.values()),
        valsets=tuple(_preferred(known, held.settings.worker_class)),
        track_name=track_name,
        valset_name=valset_name,
    )
    found = await held.prechecker.check(body.data, ask)
    held.metrics.prechecks.labels(_outcome(found.checked)).inc()
    chosen = found.chosen or Chosen()
    if chosen.refusal:
        raise _refused(chosen, ask)
    track = _track(held, chosen.track_name or track_name)
    valset = next((one for one in known if one.sha256 == chosen.valset_sha256), None)
    manifest = chosen.manifest
    question = Question(
        artifact_sha256=body.sha256,
        valset_sha256=valset.sha256 if valset else "",
        track_sha256=track.sha256,
        verifier_version=verifier_version(),
        hardware_class=_hardware_class(valset, known, held.settings.worker_class),
        dtype=ScoreDtype.FLOAT32,
    )
    return NewSubmission(
        owner=access.holder.owner,
        token_id=access.holder.id,
        question=question,
        size_bytes=len(body.data),
        artifact_name=_name(manifest),
        manifest=manifest,
        valset_name=valset.name if valset else None,
        track=track,
        rejected=found.checked.report if found.checked else None,
    )


async def _needs_bytes(new: NewSubmission, held: Resources) -> bool:
    """Whether the store needs the file; refuses one that is over the quota before it fills the store.

    Raises:
        OverQuota: a new run would be.
    """
    async with held.engine.connect() as connection:
        if await _is_answered(connection, new.question.job_id):
            return False
        await quota.check(connection, new.owner, held.quota)
    return True


async def _is_answered(connection: AsyncConnection, job_id: str) -> bool:
    job = await jobs.view(connection, job_id)
    return job is not None and job.state in VERDICTS | UNFINISHED


def _preferred(known: Sequence[KnownValset], wanted: HardwareClass) -> list[Any]:
    """Each set once, those that workers of the server's own class have first."""
    ordered = sorted(known, key=lambda one: one.hardware_class is not wanted)
    return list({one.sha256: one.registration for one in reversed(ordered)}.values())[::-1]


def _hardware_class(valset: KnownValset | None, known: Sequence[KnownValset], wanted: HardwareClass) -> HardwareClass:
    """The server's own class where its workers have the set, else one whose workers have."""
    having = [one.hardware_class for one in known if valset and one.sha256 == valset.sha256]
    return wanted if wanted in having or not having else having[0]


def _track(held: Resources, name: str | None) -> Track:
    """The chosen track; where the child died before it chose, the named one or the first that takes every set."""
    anything = next(track for track in held.tracks.values() if track.any_valset)
    return held.tracks.get(name or "", anything)


def _name(manifest: dict[str, Any] | None) -> str | None:
    return str(manifest["name"]) if manifest else None


def _outcome(checked: Checked | None) -> str:
    if checked is None:
        return "unknown"
    return "rejected" if checked.report else "passed"


def _refused(chosen: Chosen, ask: Ask) -> DataRefused:
    """Why nothing can be judged: the verifier's own code, with what the client can do here."""
    assert chosen.refusal is not None
    refusal = chosen.refusal
    kind = REFUSALS.get(refusal.code, DataError)
    names = ", ".join(valset.name for valset in ask.valsets) or "none yet: no worker has announced one"
    hint = f"name a validation set with valset=: {names}" if kind is not UnknownTrack else "GET /tracks lists them"
    return DataRefused(kind(refusal.where, expected=refusal.expected, got=refusal.got), hint=hint)
