"""Is one design better than another, over several seeds: /compare."""

from collections.abc import Iterable
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse, Response
from sqlalchemy.ext.asyncio import AsyncConnection

from api import errors, pages
from api.accept import prefers_html
from api.access import Reader, viewer
from api.openapi import also_page, read_refusals
from api.parameters import DIGEST_PATTERN
from api.resources import Held
from api.store import jobs, leaderboard
from verifier.compare import Comparison, compare
from verifier.compare_cli import to_json
from verifier.compare_errors import Incomparable
from verifier.report import parse
from verifier.scored_run import Entry

router = APIRouter(tags=["catalogue"])

MAX_RUNS: Final = 40
MAX_TEXT: Final = 65 * MAX_RUNS
LABEL_CHARACTERS: Final = 16
CHOICES: Final = 200
ID_LIST: Final = rf"{DIGEST_PATTERN[:-1]}(,{DIGEST_PATTERN[1:-1]})*,?$"

Id = Annotated[str, Query(pattern=ID_LIST, max_length=MAX_TEXT)]
Ids = Annotated[list[Id], Query(max_length=MAX_RUNS, description="Job ids, repeated or separated by commas.")]


@router.get(
    "/compare",
    response_model=dict[str, Any],
    responses=read_refusals(404, 422) | also_page("The comparison, as `seedgolf compare --json` prints it."),
)
async def show(request: Request, held: Held, access: Reader, ids: Ids = [], baseline: Ids = []) -> Response:  # noqa: B006 - FastAPI copies defaults
    """Hold runs of one configuration together, and against those of a baseline: a one-sided Welch test."""
    async with held.engine.connect() as connection:
        candidates = [await _entry(connection, job_id) for job_id in _split(ids)]
        beaten = [await _entry(connection, job_id) for job_id in _split(baseline)]
        choices = await leaderboard.leaderboard(connection, best_per_name=False, limit=CHOICES, offset=0)
    if not prefers_html(request):
        return JSONResponse(to_json(_compared(candidates, beaten)))
    found: Comparison | None = None
    refusal: str | None = None
    try:
        found = compare(candidates, beaten) if candidates else None
    except Incomparable as error:
        refusal = str(error)
    return pages.compare(
        viewer(access, held), choices=choices, candidates=candidates, baseline=beaten, found=found, refusal=refusal
    )


def _compared(candidates: list[Entry], baseline: list[Entry]) -> Comparison:
    if not candidates:
        raise errors.InvalidRequest(where="query.ids", expected="at least three job ids", got="none")
    return compare(candidates, baseline)


def _split(ids: Iterable[str]) -> list[str]:
    """The ids of a list that may hold several in one text.

    Raises:
        InvalidRequest: they are too many.
    """
    found = [one for text in ids for one in text.split(",") if one]
    if len(found) > MAX_RUNS:
        raise errors.InvalidRequest(where="query.ids", expected=f"at most {MAX_RUNS} ids", got=str(len(found)))
    return found


async def _entry(connection: AsyncConnection, job_id: str) -> Entry:
    stored = await jobs.report(connection, job_id)
    if stored is None:
        raise errors.NotFound(where=job_id[:LABEL_CHARACTERS], expected="a job with a report", got="none")
    return Entry(label=job_id, report=parse(stored.raw))
