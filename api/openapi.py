"""What the OpenAPI document says of every route besides its answer: refusals, bodies, other forms of the answer."""

from typing import Any, Final

from api.hardware_class import HardwareClass
from api.schemas import Problem

Responses = dict[int | str, dict[str, Any]]

WHY: Final = {
    400: "The body is no form that can be read, or ended early.",
    401: "No token or session that holds.",
    403: "The token lacks a scope, or a change came from another site.",
    404: "There is no such thing, or it is not yours to know.",
    405: "The method is not allowed here.",
    408: "The upload was too slow.",
    413: "The body is larger than any track allows.",
    415: "The kind of body is not supported.",
    421: "The Host header names an unknown host.",
    422: "A parameter is not valid, or the data cannot be used.",
    429: "A quota or a rate limit is used up; Retry-After says when to ask again.",
    500: "A fault of ours; the log has it under the request's id.",
    503: "The database or the store is away, or all places are taken; Retry-After says when to ask again.",
}
EVERYWHERE: Final = (421, 429, 500, 503)
PAGE: Final = {"text/html": {"schema": {"type": "string"}}}
RETRY: Final = {"Retry-After": {"description": "Seconds.", "schema": {"type": "integer"}}}
REDIRECT: Final = {"description": "A browser is sent to a page.", "content": {}}


def refusals(*statuses: int) -> Responses:
    """Refusals of a route, with those that every route has."""
    schema = {"$ref": f"#/components/schemas/{Problem.__name__}"}
    content = {"application/problem+json": {"schema": schema}} | PAGE
    return {
        status: {"description": WHY[status], "content": content} | ({"headers": RETRY} if status in {429, 503} else {})
        for status in sorted({*statuses, *EVERYWHERE})
    }


def read_refusals(*statuses: int) -> Responses:
    """Refusals of a route that needs `read`; a browser without a session is sent to the login page."""
    return refusals(401, 403, *statuses) | {303: REDIRECT}


def also_page(description: str) -> Responses:
    """An answer that is JSON, or a page for a browser."""
    return {200: {"description": description, "content": PAGE}}


def of_type(description: str, media_type: str) -> Responses:
    """An answer of one media type that is no JSON of a model."""
    binary = media_type == "application/octet-stream"
    schema = {"type": "string", "format": "binary"} if binary else {"type": "string"}
    return {200: {"description": description, "content": {media_type: {"schema": schema}}}}


FIELD: Final = {"type": "string", "maxLength": 64}
UPLOAD: Final[dict[str, Any]] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/octet-stream": {"schema": {"type": "string", "format": "binary"}},
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "properties": {
                        "file": {"type": "string", "format": "binary"},
                        "valset": FIELD,
                        "track": FIELD,
                        "class": {"enum": ["", *HardwareClass]},
                        "csrf": {"type": "string", "maxLength": 128},
                    },
                }
            },
        },
    }
}
"""The body of POST /verify."""
