"""The files of the pages: open to everybody, revalidated by browsers."""

from os import PathLike, stat_result

from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope


class CachedFiles(StaticFiles):
    """Static files that a browser may keep and has to ask about."""

    def file_response(
        self, full_path: str | PathLike[str], stat: stat_result, scope: Scope, status_code: int = 200
    ) -> Response:
        """A file, or that it has not changed."""
        response = super().file_response(full_path, stat, scope, status_code)
        response.headers["Cache-Control"] = "public, no-cache"
        return response
