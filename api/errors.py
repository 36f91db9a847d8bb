"""Everything that the API refuses: one class, one status and one stable code per reason.

    ApiError                       a refusal, safe to show
      Unauthenticated              401 unauthenticated
      MissingScope                 403 missing-scope
      ForeignOrigin                403 foreign-origin
      BadCsrf                      403 bad-csrf
      NotFound                     404 not-found
      ReportNotReady               404 report-not-ready
      NotSigned                    404 not-signed
      MethodNotAllowed             405 method-not-allowed
      UploadTooSlow                408 upload-too-slow
      UploadAborted                400 upload-aborted
      BadForm                      400 bad-form
      OverSize                     413 over-size
      UnsupportedMediaType         415 unsupported-media-type
      UnknownHost                  421 unknown-host
      InvalidRequest               422 invalid-request
      DataRefused                  422 the data's own code
      OverQuotaError               429 over-quota
      TooManyRequests              429 too-many-requests
      TooManyStreams               429 too-many-streams
      InternalError                500 internal-error
      Busy                         503 busy
      DatabaseDown                 503 database-down
      StorageDown                  503 storage-down
      StorageFull                  503 storage-full

`DataRefused` wraps the verifier's faults of data: unknown-track, unknown-valset, no-valset-claimed, incomparable and
its kinds. docs/api.md lists all; a test keeps the two equal.
"""

from typing import ClassVar, Final

from verifier.data_errors import DataError


class ApiError(Exception):
    """A refusal: `status` and `code` are stable; the rest is for people and names no path, payload or secret."""

    status: ClassVar[int] = 500
    code: str = "api-error"
    title: ClassVar[str] = "The request was refused"

    def __init__(
        self,
        detail: str = "",
        *,
        where: str | None = None,
        expected: str | None = None,
        got: str | None = None,
        hint: str | None = None,
        retry_after_seconds: int | None = None,
    ) -> None:
        super().__init__(detail or self.title)
        self.detail = detail or self.title
        self.where = where
        self.expected = expected
        self.got = got
        self.hint = hint
        self.retry_after_seconds = retry_after_seconds


class Unauthenticated(ApiError):
    """No token or session, or one that is unknown, expired or revoked; the answer does not say which."""

    status, code, title = 401, "unauthenticated", "A valid token is needed"


class MissingScope(ApiError):
    """The token is good, but not for this."""

    status, code, title = 403, "missing-scope", "The token lacks a scope"


class ForeignOrigin(ApiError):
    """A browser sends a change from another site's page."""

    status, code, title = 403, "foreign-origin", "The request comes from another site"


class BadCsrf(ApiError):
    """A change with a session cookie lacks the session's CSRF field."""

    status, code, title = 403, "bad-csrf", "The CSRF field is missing or wrong"


class NotFound(ApiError):
    """There is no such thing, or it is not yours to know."""

    status, code, title = 404, "not-found", "There is no such thing here"


class ReportNotReady(ApiError):
    """The job has no verdict yet, or ended without one."""

    status, code, title = 404, "report-not-ready", "The job has no report"


class NotSigned(ApiError):
    """The report is there, and a worker has not signed it yet."""

    status, code, title = 404, "not-signed", "The report is not signed yet"


class MethodNotAllowed(ApiError):
    """The path is known, the method is not."""

    status, code, title = 405, "method-not-allowed", "The method is not allowed here"


class UploadTooSlow(ApiError):
    """The body came more slowly than the lowest rate."""

    status, code, title = 408, "upload-too-slow", "The upload was too slow"


class UploadAborted(ApiError):
    """The client left before the body was whole."""

    status, code, title = 400, "upload-aborted", "The upload ended early"


class BadForm(ApiError):
    """The body is no well-formed form with one file."""

    status, code, title = 400, "bad-form", "The form cannot be read"


class OverSize(ApiError):
    """The body is larger than any track allows."""

    status, code, title = 413, "over-size", "The upload is too large"


class UnsupportedMediaType(ApiError):
    """The body is of a kind that this route does not take."""

    status, code, title = 415, "unsupported-media-type", "The kind of body is not supported"


class UnknownHost(ApiError):
    """The Host header names a host that this server is not known by."""

    status, code, title = 421, "unknown-host", "The request names an unknown host"


class InvalidRequest(ApiError):
    """A parameter or field has a value that it cannot have."""

    status, code, title = 422, "invalid-request", "A parameter is not valid"


class OverQuotaError(ApiError):
    """The owner has used up the verdicts or the unfinished jobs of the window."""

    status, code, title = 429, "over-quota", "The quota is used up"


class TooManyRequests(ApiError):
    """One client floods the server."""

    status, code, title = 429, "too-many-requests", "Too many requests"


class TooManyStreams(ApiError):
    """One token holds as many event streams open as it may."""

    status, code, title = 429, "too-many-streams", "Too many open event streams"


class DataRefused(ApiError):
    """A fault of somebody's data, under the data's own code."""

    status, title = 422, "The data cannot be used"

    def __init__(self, error: DataError, *, hint: str | None = None) -> None:
        shown_hint = hint or error.next_step or None
        super().__init__(str(error), where=error.where, expected=error.expected, got=error.got, hint=shown_hint)
        self.code = error.code


class InternalError(ApiError):
    """A fault of ours; the log has it under the request's id."""

    status, code, title = 500, "internal-error", "Something went wrong here"


class Busy(ApiError):
    """No free place for this request within the time that it may wait, or nobody to look at its file."""

    status, code, title = 503, "busy", "The server is busy"


class DatabaseDown(ApiError):
    """The database does not answer."""

    status, code, title = 503, "database-down", "The database does not answer"


class StorageDown(ApiError):
    """The store of artifacts does not answer, or not with the bytes it was given."""

    status, code, title = 503, "storage-down", "The store of artifacts does not answer"


class StorageFull(ApiError):
    """No room for another artifact or row."""

    status, code, title = 503, "storage-full", "The server has no room left"


ERRORS: Final[tuple[type[ApiError], ...]] = (
    Unauthenticated,
    MissingScope,
    ForeignOrigin,
    BadCsrf,
    NotFound,
    ReportNotReady,
    NotSigned,
    MethodNotAllowed,
    UploadTooSlow,
    UploadAborted,
    BadForm,
    OverSize,
    UnsupportedMediaType,
    UnknownHost,
    InvalidRequest,
    OverQuotaError,
    TooManyRequests,
    TooManyStreams,
    InternalError,
    Busy,
    DatabaseDown,
    StorageDown,
    StorageFull,
)
"""Every class with a code of its own; the docstring above and docs/api.md list the same."""
