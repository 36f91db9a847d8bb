"""What there is: leaderboard, comparison, artifacts, tracks, validation sets, keys, one's own submissions."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import asdict
from functools import partial
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import Response
from pydantic import TypeAdapter

from api import errors, pages
from api.accept import prefers_html
from api.access import Asked, Reader, TokenReader, viewer
from api.openapi import also_page, of_type, read_refusals, refusals
from api.paced import PacedResponse
from api.pages import Filters
from api.parameters import ArtifactDigest, TrackName, ValsetName
from api.resources import Held
from api.schemas import ArtifactViewJson, JobLineJson, KeyJson, LeaderboardJson, ValsetJson
from api.store import keys, leaderboard, valsets
from api.store.valsets import KnownValset
from verifier.tracks import Track

router = APIRouter(tags=["catalogue"])

Limit = Annotated[int, Query(ge=1, le=500)]
Offset = Annotated[int, Query(ge=0, le=1_000_000)]
LAST: Final = 50


def json_of(model: Any, values: Any) -> Response:  # noqa: ANN401 - any type that pydantic knows
    """Values of the store as an answer of the declared type."""
    return Response(TypeAdapter(model).dump_json(values), media_type="application/json")


@router.get("/", response_model=tuple[JobLineJson, ...], responses=read_refusals(422) | also_page("One's submissions."))
@router.get(
    "/submissions",
    response_model=tuple[JobLineJson, ...],
    responses=read_refusals(422) | also_page("One's submissions."),
)
async def home(request: Request, held: Held, access: Reader, limit: Limit = LAST, offset: Offset = 0) -> Response:
    """One's own last submissions; for a browser the home page with the form to upload, for its operator with all."""
    found = partial(leaderboard.last_submitted, limit=limit + 1, offset=offset)
    async with held.engine.connect() as connection:
        mine = await found(connection, access.token.owner) if access.token else []
        everyones = await found(connection, None) if access.is_admin else None
        known = await valsets.known(connection)
    if not prefers_html(request):
        return json_of(list[JobLineJson], [JobLineJson(**asdict(line)) for line in mine[:limit]])
    return pages.home(
        viewer(access, held),
        mine=mine[:limit],
        everyones=None if everyones is None else everyones[:limit],
        offset=offset,
        older=offset + limit if max(len(mine), len(everyones or ())) > limit else None,
        tracks=list(held.tracks),
        valsets=sorted({one.name for one in known}),
    )


@router.get(
    "/leaderboard",
    response_model=tuple[LeaderboardJson, ...],
    responses=read_refusals(422) | also_page("The accepted jobs, the best first."),
)
async def show_leaderboard(
    request: Request,
    held: Held,
    access: Reader,
    track: TrackName = None,
    valset: ValsetName = None,
    history: Annotated[bool, Query(description="All runs instead of the best of each name.")] = False,
    limit: Limit = 100,
    offset: Offset = 0,
) -> Response:
    """The accepted jobs, the best first: of each name the best, or all of them."""
    async with held.engine.connect() as connection:
        rows = await leaderboard.leaderboard(
            connection,
            track_name=track,
            valset_name=valset,
            best_per_name=not history,
            limit=limit + 1,
            offset=offset,
        )
        known = await valsets.known(connection)
    shown = rows[:limit]
    if not prefers_html(request):
        return json_of(list[LeaderboardJson], [LeaderboardJson(**asdict(row)) for row in shown])
    filters = Filters(
        track=track,
        valset=valset,
        best_per_name=not history,
        limit=limit,
        offset=offset,
        more=len(rows) > limit,
        tracks=list(held.tracks),
        valsets=sorted({one.name for one in known}),
    )
    return pages.leaderboard(viewer(access, held), shown, filters)


async def download_place(held: Held, access: TokenReader) -> AsyncIterator[None]:
    """A place for an artifact in memory, free again when its reader has it."""
    async with held.downloads.taken(access.holder.owner):
        yield


@router.get(
    "/artifacts/{sha256}.sgolf",
    response_class=Response,
    dependencies=[Depends(download_place)],
    responses=refusals(401, 403, 404) | of_type("The file.", "application/octet-stream"),
)
async def download(held: Held, _: TokenReader, sha256: ArtifactDigest) -> Response:
    """The artifact's bytes; they never become public."""
    async with held.engine.connect() as connection:
        found = await leaderboard.artifact(connection, sha256)
    if found is None:
        raise errors.NotFound(where="artifact", expected="the digest of an artifact", got="another one")
    headers = {"Content-Disposition": f'attachment; filename="{sha256[:16]}.sgolf"'}
    return PacedResponse(await held.blobs.get(sha256), media_type="application/octet-stream", headers=headers)


@router.get(
    "/artifacts/{sha256}",
    response_model=ArtifactViewJson,
    responses=read_refusals(404) | also_page("The artifact with its jobs."),
)
async def show_artifact(request: Request, held: Held, access: Reader, sha256: ArtifactDigest) -> Response:
    """What an artifact says of itself, and its jobs."""
    async with held.engine.connect() as connection:
        found = await leaderboard.artifact(connection, sha256)
        size = await leaderboard.artifact_size(connection, sha256) if prefers_html(request) else None
    if found is None:
        raise errors.NotFound(where="artifact", expected="the digest of an artifact", got="another one")
    if prefers_html(request):
        return pages.artifact(viewer(access, held), found, size)
    return json_of(ArtifactViewJson, ArtifactViewJson(**asdict(found)))


@router.get("/tracks", response_model=tuple[Track, ...], responses=read_refusals() | also_page("The tracks."))
async def show_tracks(request: Request, held: Held, access: Reader) -> Response:
    """The limits that artifacts are judged by."""
    tracks = list(held.tracks.values())
    if prefers_html(request):
        return pages.tracks(viewer(access, held), tracks)
    return json_of(list[Track], tracks)


@router.get(
    "/valsets", response_model=tuple[ValsetJson, ...], responses=read_refusals() | also_page("The validation sets.")
)
async def show_valsets(request: Request, held: Held, access: Reader) -> Response:
    """The validation sets that workers have."""
    async with held.engine.connect() as connection:
        known = await valsets.known(connection)
    if prefers_html(request):
        return pages.valsets(viewer(access, held), known)
    return json_of(list[ValsetJson], _by_digest(known))


@router.get("/keys", response_model=tuple[KeyJson, ...], responses=refusals(401) | also_page("The keys."))
async def show_keys(request: Request, held: Held, access: Asked) -> Response:
    """The public keys that sign reports, the one in use first; open to everybody."""
    async with held.engine.connect() as connection:
        known = await keys.all_keys(connection)
    if prefers_html(request):
        return pages.keys(viewer(access, held), known)
    return json_of(list[KeyJson], [KeyJson(**asdict(key)) for key in known])


def _by_digest(known: Sequence[KnownValset]) -> list[ValsetJson]:
    """Each set once, with the classes that have it."""
    sets = {one.sha256: one for one in known}
    return [
        ValsetJson(
            hardware_classes=tuple(other.hardware_class for other in known if other.sha256 == one.sha256),
            official=one.official,
            **one.registration.model_dump(include=set(ValsetJson.model_fields) - {"official"}),
        )
        for one in sets.values()
    ]
