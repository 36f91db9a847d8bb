"""Types of parameters that several routes share."""

from typing import Annotated, Final

from fastapi import Path, Query
from pydantic import AfterValidator, StringConstraints

from api.waiting import MAX_WAIT_SECONDS
from verifier.tracks import NAME_PATTERN

DIGEST_PATTERN: Final = r"^[0-9a-f]{64}$"

JobId = Annotated[str, Path(pattern=DIGEST_PATTERN, description="A job's id.")]
ArtifactDigest = Annotated[str, Path(pattern=DIGEST_PATTERN, description="SHA-256 of an artifact.")]
ShareId = Annotated[str, Path(pattern=r"^[A-Za-z0-9_-]{1,64}$", description="A badge's id.")]


def _none_for_empty(name: str | None) -> str | None:
    return name or None


NameOrEmpty = Annotated[str, StringConstraints(pattern=rf"^({NAME_PATTERN[1:-1]})?$")]
Choice = Annotated[NameOrEmpty | None, AfterValidator(_none_for_empty)]
"""What a form's `select` sends: its first line is empty and chooses nothing."""
TrackName = Annotated[Choice, Query(description="A track's name.")]
ValsetName = Annotated[Choice, Query(description="A validation set's name.")]
Wait = Annotated[
    int, Query(ge=0, le=MAX_WAIT_SECONDS, description="Seconds to wait for the verdict before the answer.")
]
