"""From values to HTML: the Jinja environment of the pages, with the few words that all templates share.

Everything is escaped, a name that a template gets wrong is an error, and no template reads a file or a request.
"""

from datetime import UTC, datetime
from functools import cache
from importlib import metadata, resources
from typing import Any, Final

from fastapi.responses import HTMLResponse
from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup

from api.viewer import Viewer

SHORT_DIGEST: Final = 12
FOLDER: Final = "templates"
STEPS: Final = (("day", 86_400), ("hour", 3600), ("minute", 60), ("second", 1))


def page(name: str, viewer: Viewer, *, status: int = 200, **values: Any) -> HTMLResponse:  # noqa: ANN401 - a template's
    """The template `name` filled in; pages differ by reader, so nothing keeps them."""
    text = environment().get_template(name).render(viewer=viewer, here=name.removesuffix(".html"), **values)
    return HTMLResponse(text, status, headers={"Cache-Control": "no-store", "Vary": "Accept, Cookie"})


@cache
def environment() -> Environment:
    """The one environment of a process."""
    made = Environment(
        loader=FunctionLoader(_source), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    made.filters.update(count=count, short=short, when=when, age=age, bpb=bpb)
    made.globals["version"] = metadata.version("seedgolf")
    return made


def _source(name: str) -> str:
    return resources.files("api").joinpath(FOLDER, name).read_text()


def count(number: int | None) -> str:
    """A number with its thousands apart; nothing for nothing."""
    return "" if number is None else f"{number:,}"


def bpb(value: float | None) -> str:
    """A score with the digits that a leaderboard needs."""
    return "" if value is None else f"{value:.6f}"


def short(digest: str) -> str:
    """A digest cut to what a person compares."""
    return digest[:SHORT_DIGEST]


def when(moment: datetime | None) -> Markup:
    """A moment for people and for machines."""
    if moment is None:
        return Markup("")
    utc = moment.astimezone(UTC)
    return Markup('<time datetime="{}">{}</time>').format(utc.isoformat(), f"{utc:%Y-%m-%d %H:%M:%S} UTC")


def age(moment: datetime | None, now: datetime) -> str:
    """How long ago, in its largest unit."""
    if moment is None:
        return ""
    seconds = max(0.0, (now - moment).total_seconds())
    for unit, length in STEPS:
        if seconds >= length:
            number = int(seconds // length)
            return f"{number} {unit}{'' if number == 1 else 's'} ago"
    return "just now"
