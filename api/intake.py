"""One upload from its first byte to its place in the queue, top to bottom.

The order keeps two promises: what was acknowledged is in the store and in the database, and what was refused left
nothing behind that anybody is told of.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from fastapi import Request
from sqlalchemy.ext.asyncio import AsyncConnection

from api import upload
from api.access import CSRF_FIELD, CSRF_HEADER, Access
from api.blobs import STORE_AWAY
from api.errors import Busy, DataRefused, InvalidRequest
from api.hardware_class import HardwareClass
from api.precheck_messages import Ask, Checked, Chosen, Refusal
from api.prechecking import Prechecked
from api.question import Question
from api.resources import Resources
from api.states import UNFINISHED, VERDICTS
from api.store import jobs, quota, submitting, valsets
from api.store.submitting import NewSubmission, Outcome
from api.store.valsets import KnownValset
from api.upload import Upload
from artifact.format.errors import shown
from verifier.choice import NoValsetClaimed
from verifier.data_errors import DataError
from verifier.report import ScoreDtype
from verifier.report_assembly import verifier_version
from verifier.tracks import UnknownTrack
from verifier.valset_registry import UnknownValset


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """What the submitter chooses; None leaves it to the artifact's claim and to the server."""

    track_name: str | None = None
    valset_name: str | None = None
    hardware_class: HardwareClass | None = None

    def or_of(self, fields: Mapping[str, str]) -> "Wishes":
        """These wishes, and those of a form's fields where there is none.

        Raises:
            InvalidRequest: a class that there is not.
        """
        return Wishes(
            track_name=self.track_name or fields.get("track") or None,
            valset_name=self.valset_name or fields.get("valset") or None,
            hardware_class=self.hardware_class or _class_named(fields.get("class", "")),
        )


REFUSALS: Final = {kind.code: kind for kind in (NoValsetClaimed, UnknownTrack, UnknownValset)}


async def take(request: Request, held: Resources, access: Access, wishes: Wishes) -> Outcome:
    """Read, look at, store and enqueue an upload; its bytes are forgotten afterwards.

    Raises:
        ApiError: it is refused.
        OverQuota: the owner may not start a run now.
    """
    async with held.slots.taken(access.holder.owner):
        body = await upload.read(request, cap=held.cap_bytes, pace=held.pace)
        access.check_csrf(request.headers.get(CSRF_HEADER) or body.fields.get(CSRF_FIELD))
        new = await _examined(body, held, access, wishes.or_of(body.fields))
        if await _needs_bytes(new, held):
            await held.blobs.put(body.sha256, body.data)
        async with held.engine.begin() as connection:
            outcome = await submitting.submit(connection, new, held.quota)
        held.metrics.upload_bytes.inc(len(body.data))
        return outcome


async def _examined(body: Upload, held: Resources, access: Access, wishes: Wishes) -> NewSubmission:
    """By what the file is judged and whether it is rejected at once, as the pre-check child says."""
    async with held.engine.connect() as connection:
        known = await valsets.known(connection)
    wanted = wishes.hardware_class or held.settings.worker_class
    ask = Ask(
        size_bytes=len(body.data),
        tracks=tuple(held.tracks.values()),
        valsets=tuple(_preferred(known, wanted)),
        track_name=wishes.track_name,
        valset_name=wishes.valset_name,
    )
    found = await held.prechecker.check(body.data, ask)
    held.metrics.prechecks.labels(_outcome(found.checked)).inc()
    chosen = _chosen(found, ask)
    track = held.tracks[chosen.track_name or ""]
    valset = next((one for one in known if one.sha256 == chosen.valset_sha256), None)
    manifest = chosen.manifest
    question = Question(
        artifact_sha256=body.sha256,
        valset_sha256=valset.sha256 if valset else "",
        track_sha256=track.sha256,
        verifier_version=verifier_version(),
        hardware_class=wishes.hardware_class or _hardware_class(valset, known, wanted),
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

    A file whose answer is known is put again where the store has lost it: who downloads it is told to submit it again.
    A store that is away is no reason to refuse a known answer.

    Raises:
        OverQuota: a new run would be.
    """
    async with held.engine.connect() as connection:
        is_answered = await _is_answered(connection, new.question.job_id)
        if not is_answered:
            await quota.check(connection, new.owner, held.quota)
    try:
        return not (is_answered and await held.blobs.exists(new.question.artifact_sha256))
    except STORE_AWAY:
        return False


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


def _class_named(name: str) -> HardwareClass | None:
    """The class that a form's `select` sends; its first line is empty and chooses none."""
    if name and name not in set(HardwareClass):
        raise InvalidRequest(where="form.class", expected=" or ".join(HardwareClass), got=shown(name))
    return HardwareClass(name) if name else None


def _name(manifest: dict[str, Any] | None) -> str | None:
    return str(manifest["name"]) if manifest else None


def _outcome(checked: Checked | None) -> str:
    if checked is None:
        return "unknown"
    return "rejected" if checked.report else "passed"


def _chosen(found: Prechecked, ask: Ask) -> Chosen:
    """By what the file is judged.

    Raises:
        Busy: the child was lost before it could say, so there is no question to ask a worker.
        DataRefused: it cannot be judged by what is named or claimed.
    """
    if found.chosen is None:
        raise Busy("the pre-check did not come to an end", hint="nothing was taken; try again", retry_after_seconds=10)
    if found.chosen.refusal:
        raise _refused(found.chosen.refusal, ask)
    return found.chosen


def _refused(refusal: Refusal, ask: Ask) -> DataRefused:
    """Why nothing can be judged: the verifier's own code, with what the client can do here."""
    kind = REFUSALS.get(refusal.code, DataError)
    names = ", ".join(valset.name for valset in ask.valsets) or "none yet: no worker has announced one"
    hint = f"name a validation set (valset): {names}" if kind is not UnknownTrack else "GET /tracks lists them"
    return DataRefused(kind(refusal.where, expected=refusal.expected, got=refusal.got), hint=hint)
