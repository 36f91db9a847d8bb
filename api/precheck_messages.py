"""What the API and its pre-check child say to each other: frames of length-prefixed JSON over a pipe.

    API -> child    Ask, then the file's bytes
    child -> API    Chosen, then Checked unless nothing could be chosen

Chosen comes before anything of the payload is looked at: a file that kills the child afterwards can still be queued.
"""

from typing import Any, Final

from pydantic import BaseModel, ConfigDict

from verifier.report import Count, Report, Value
from verifier.tracks import Track
from verifier.valset import Registration

LENGTH_BYTES: Final = 4
MAX_FRAME_BYTES: Final = 16 * 1024 * 1024


class Ask(Value):
    """A file to look at; its `size_bytes` bytes follow."""

    size_bytes: Count
    tracks: tuple[Track, ...]
    valsets: tuple[Registration, ...]
    track_name: str | None = None
    valset_name: str | None = None


class Refusal(Value):
    """Why no set or track could be chosen: a DataError."""

    code: str
    where: str
    expected: str
    got: str


class Chosen(BaseModel):
    """By what the file is judged; no set where its manifest cannot be read, nothing where the choice was refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    refusal: Refusal | None = None
    track_name: str | None = None
    valset_sha256: str | None = None
    manifest: dict[str, Any] | None = None


class Checked(Value):
    """The rejecting report of a file that fails a cheap check."""

    report: Report | None = None


def frame(message: BaseModel) -> bytes:
    """A message as it is sent."""
    text = message.model_dump_json(exclude_none=True).encode()
    return len(text).to_bytes(LENGTH_BYTES, "big") + text
