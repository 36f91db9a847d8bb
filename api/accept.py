"""Which form of an answer the reader wants: HTML for browsers, JSON for everything else."""

from typing import Final

from starlette.requests import Request

HTML: Final = "text/html"
JSON: Final = "application/json"
MAX_RANGES: Final = 32


def prefers_html(request: Request) -> bool:
    """Whether the Accept header ranks HTML above JSON; without a preference it is JSON."""
    accept = request.headers.get("accept", "")
    return _quality(accept, HTML) > _quality(accept, JSON)


def _quality(accept: str, media_type: str) -> float:
    """The weight of a media type in an Accept header, the most specific range deciding (RFC 9110, 12.5.1)."""
    kind = media_type.partition("/")[0]
    best, found = -1, 0.0
    for item in accept.split(",")[:MAX_RANGES]:
        name, *parameters = (part.strip() for part in item.split(";"))
        rank = {media_type: 2, f"{kind}/*": 1, "*/*": 0}.get(name.lower(), -1)
        if rank > best:
            best, found = rank, _weight(parameters)
    return found


def _weight(parameters: list[str]) -> float:
    """The `q` among the parameters of a range; 1 without one, 0 for a malformed one."""
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "q":
            digits = value.strip()
            return float(digits) if digits.replace(".", "", 1).isdecimal() and digits.isascii() else 0.0
    return 1.0
