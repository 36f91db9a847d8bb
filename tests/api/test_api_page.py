"""docs/api.md against the code: every error code, limit and route stands there."""

import re
from pathlib import Path

from api import errors, floods, middleware, paced, resources, slots, upload, waiting
from api.app import create_app
from api.settings import Settings
from verifier import choice, compare_errors, report, tracks, valset_registry

DOCS = Path(__file__).parents[2] / "docs" / "api.md"


def test_error_codes_are_distinct_and_the_documents_name_them_all() -> None:
    codes = [error.code for error in errors.ERRORS]
    assert len(set(codes)) == len(codes)
    chosen = (tracks.UnknownTrack, valset_registry.UnknownValset, choice.NoValsetClaimed)
    data = (*chosen, report.BadReport, compare_errors.Incomparable)
    text = DOCS.read_text()
    documented = set(re.findall(r"^\| `([a-z-]+)` \| \d{3} \|", text, re.MULTILINE))
    assert documented == {*codes, *(error.code for error in data), *_incomparable()}
    for error in errors.ERRORS:
        assert f"{error.status} {error.code}" in str(errors.__doc__)
        assert f"| `{error.code}` | {error.status} |" in text


def _incomparable() -> set[str]:
    return {error.code for error in compare_errors.Incomparable.__subclasses__()}


def test_the_documents_name_every_limit() -> None:
    text, pace = DOCS.read_text(), upload.Pace()
    slow = f"less than {paced.PART_BYTES:,} bytes in {paced.PATIENCE_SECONDS:g} s"
    places = f"{slots.SLOTS}, of one owner {slots.SLOTS // 2}; others wait up to {slots.PATIENCE_SECONDS:g} s"
    for line in (
        f"| body of an upload | the largest track's limit + {upload.FRAMING_BYTES:,} bytes |",
        f"| rate of an upload | at least {pace.bytes_per_second:,} bytes/s over {pace.window_seconds:g} s |",
        f"| uploads in memory of a process | {places} |",
        f"| downloads of artifacts from a process | {places}. A reader who takes {slow} is left |",
        f"| body of any other request | {middleware.FORM_BYTES:,} bytes |",
        f"| requests that `wait` | {resources.MAX_WAITERS} a process, {resources.MAX_PER_CLIENT} a token;",
        f"| event streams | {resources.MAX_STREAMS} a process, {resources.MAX_PER_CLIENT} a token |",
        f"| wrong credentials | {floods.WRONG_PER_MINUTE} a minute and address (IPv6: /64 network);",
        f"| requests | {floods.REQUESTS_PER_MINUTE:,} a minute and token,",
        f"`wait=` (0 to {waiting.MAX_WAIT_SECONDS} s)",
    ):
        assert line in text, line


def test_the_documents_name_every_route() -> None:
    document = create_app(Settings(database="host=x")).openapi()
    text = DOCS.read_text()
    for path, methods in document["paths"].items():
        for method in methods:
            assert f"`{method.upper()} {path}`" in text, f"{method.upper()} {path}"
