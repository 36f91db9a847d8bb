"""Types of parameters that several routes share."""

from typing import Annotated, Final

from fastapi import Path, Query
from pydantic import AfterValidator, BeforeValidator, StringConstraints
from pydantic_core import PydanticCustomError

from api.hardware_class import HardwareClass
from api.waiting import MAX_WAIT_SECONDS
from verifier.tracks import NAME_PATTERN

MAX_NEXT_CHARACTERS: Final = 8192
"""Of the path to go on to after a login; a comparison of many reports has a long one."""
DIGEST_PATTERN: Final = r"^[0-9a-f]{64}$"

JobId = Annotated[str, Path(pattern=DIGEST_PATTERN, description="A job's id.")]
ArtifactDigest = Annotated[str, Path(pattern=DIGEST_PATTERN, description="SHA-256 of an artifact.")]
ShareId = Annotated[str, Path(pattern=r"^[A-Za-z0-9_-]{1,64}$", description="A badge's id.")]


def _none_for_empty(name: object) -> object:
    return name or None


NameOrEmpty = Annotated[str, StringConstraints(pattern=rf"^({NAME_PATTERN[1:-1]})?$")]
Choice = Annotated[NameOrEmpty | None, AfterValidator(_none_for_empty)]
"""What a form's `select` sends: its first line is empty and chooses nothing."""
TrackName = Annotated[Choice, Query(description="A track's name.")]
ValsetName = Annotated[Choice, Query(description="A validation set's name.")]
WorkerClass = Annotated[
    HardwareClass | None,
    BeforeValidator(_none_for_empty),
    Query(alias="class", description="Which workers shall answer; the server's choice without it."),
]


def _digits(text: object) -> object:
    """Refuse what Python reads as an integer and nobody writes as one: `1_0`, ` 1`, `1.0`."""
    if isinstance(text, str) and not (text.isascii() and text.isdecimal()):
        raise PydanticCustomError("int_parsing", "Input should be a whole number of seconds")
    return text


Wait = Annotated[
    int,
    BeforeValidator(_digits),
    Query(ge=0, le=MAX_WAIT_SECONDS, description="Seconds to wait for the verdict before the answer."),
]
