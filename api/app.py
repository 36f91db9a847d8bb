"""The API as an ASGI application: its parts, put together."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from importlib import metadata
from pathlib import Path
from typing import Final

from fastapi import FastAPI
from fastapi.middleware import Middleware

from api import problems, upload
from api.draining import Draining
from api.metrics import Metrics
from api.middleware import Gate, LastHandler, Surroundings, known_hosts, response_headers
from api.resources import opened
from api.routes import badges, catalogue, comparison, login, operations, reports, verify
from api.schemas import Problem
from api.settings import BadSetting, Settings
from api.static_files import CachedFiles
from verifier.data_errors import DataError
from verifier.tracks import Track, load_tracks

STATIC: Final = Path(__file__).parent / "static"
ROUTERS: Final = (
    verify.router,
    reports.router,
    catalogue.router,
    comparison.router,
    badges.router,
    login.router,
    operations.router,
)


def create_app(settings: Settings) -> FastAPI:
    """The application of one API process.

    Raises:
        BadSetting: an operator's folder of tracks is none, or a file in it.
    """
    tracks, metrics = _tracks(settings), Metrics()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with opened(settings, tracks, metrics) as resources:
            app.state.resources = resources
            yield

    app = FastAPI(
        title="seedgolf",
        version=metadata.version("seedgolf"),
        lifespan=lifespan,
        openapi_url=None,  # served by a route of our own, which asks for `read`
        responses={422: {"model": Problem}},
        middleware=[
            Middleware(Surroundings, metrics=metrics, headers=response_headers(settings)),
            Middleware(Draining),
            Middleware(LastHandler),
            Middleware(Gate, hosts=known_hosts(settings), upload_bytes=upload.cap_bytes(tracks.values())),
        ],
        exception_handlers=dict.fromkeys(problems.HANDLED, problems.handle),
        strict_content_type=False,
    )
    app.state.settings = settings
    for router in ROUTERS:
        app.include_router(router)
    app.mount("/static", CachedFiles(directory=STATIC), name="static")
    return app


def _tracks(settings: Settings) -> Mapping[str, Track]:
    try:
        return load_tracks(settings.tracks)
    except (DataError, OSError) as error:
        raise BadSetting(f"SEEDGOLF_TRACKS: {error}") from None
