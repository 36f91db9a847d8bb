"""The case file: what is judged, by which rules, and everything that the checks have found out so far.

Checks write their findings here; the report is read off it. Knows no torch: what only scoring needs lies behind
`bench.py`.
"""

from dataclasses import dataclass, field
from typing import Protocol

from artifact.format.container import Artifact
from artifact.format.errors import ArtifactError
from artifact.format.manifest import Manifest
from verifier.report import (
    BackboneRecord,
    CheckName,
    EnvironmentRecord,
    EvalRecord,
    Report,
    ScoreRecord,
    ScreeningRecord,
    SizeRecord,
)
from verifier.settings import Settings
from verifier.tracks import Track
from verifier.valset import Registration


class Watch(Protocol):
    """Whoever follows a run: told which check begins, and how far a long one is."""

    def begins(self, name: CheckName) -> None:
        """A check begins."""

    def scoring_begins(self, if_stopped: Report) -> None:
        """Everything before the score passed; `if_stopped` is the report should the clock end the scoring."""

    def progress(self, done: int, total: int, /) -> None:
        """The running check has done `done` of `total` units."""


class Unwatched:
    """Nobody follows."""

    def begins(self, name: CheckName) -> None:
        """Say nothing."""

    def scoring_begins(self, if_stopped: Report) -> None:
        """Say nothing."""

    def progress(self, done: int, total: int, /) -> None:
        """Say nothing."""


@dataclass(slots=True, kw_only=True)
class Case:
    """One artifact before its judge.

    Attributes:
        data: the whole file.
        track: the limits.
        registration: the validation set; None where none could be chosen because the manifest cannot be read.
        settings: of this run.
        network: how the network is kept from this process.
        memory_bytes: the limit that this process runs under, None without one.
        fault: what the reader refused the file for.
    """

    data: bytes = field(repr=False)
    track: Track
    registration: Registration | None
    settings: Settings
    network: str = "reachable"
    memory_bytes: int | None = None
    fault: ArtifactError | None = None
    artifact: Artifact | None = None
    manifest: Manifest | None = None
    size: SizeRecord | None = None
    backbone: BackboneRecord | None = None
    environment: EnvironmentRecord | None = None
    eval: EvalRecord | None = None
    score: ScoreRecord | None = None
    screening: ScreeningRecord | None = None
