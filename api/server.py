"""The API process (`python -m api.server`): one application under uvicorn, ended gracefully by SIGTERM or ctrl-C.

With `--held` it gets ready and serves only when its standard input ends: `seedgolf serve` prepares the database then.

Ending: no new connection is taken, `wait` and event streams are answered at once, other requests are finished.
"""

import argparse
import logging
import sys
from types import FrameType
from typing import Final

import uvicorn
from fastapi import FastAPI

from api import logs
from api.app import create_app
from api.settings import BadSetting, Settings, load
from artifact.usage_fault import USAGE
from verifier.data_errors import DataError

LOG: Final = logging.getLogger(__name__)

OK: Final = 0
FINISH_SECONDS: Final = 15
KEEP_ALIVE_SECONDS: Final = 30
MAX_HEAD_BYTES: Final = 32 * 1024


class Server(uvicorn.Server):
    """uvicorn that tells who waits that the process is about to end."""

    def __init__(self, config: uvicorn.Config, app: FastAPI) -> None:
        super().__init__(config)
        self._app = app

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """A signal to end has come."""
        super().handle_exit(sig, frame)
        resources = getattr(self._app.state, "resources", None)
        if resources is not None:
            resources.hub.close()


def main() -> int:
    """Serve until a signal comes; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--held", action="store_true", help="serve only when standard input ends")
    held = parser.parse_args().held
    logs.set_up()
    try:
        settings = load()
        app = create_app(settings)
    except (BadSetting, DataError, OSError) as error:
        LOG.error("%s", error)  # noqa: TRY400 - the message says it all
        return USAGE
    if settings.database is None:
        LOG.error("SEEDGOLF_DATABASE: expected the DSN of the service's database, got nothing")
        return USAGE
    if held:
        sys.stdin.buffer.read()
    serve(app, settings)
    return OK


def serve(app: FastAPI, settings: Settings) -> None:
    """Serve until a signal comes; with port 0 uvicorn logs the one it got."""
    config = uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        log_config=None,
        access_log=False,
        server_header=False,
        h11_max_incomplete_event_size=MAX_HEAD_BYTES,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=FINISH_SECONDS,
    )
    Server(config, app).run()


if __name__ == "__main__":
    sys.exit(main())
