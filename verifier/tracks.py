"""Tracks: the limits that artifacts are judged by, as data.

A track is a frozen value read from a TOML file: the three of this package, and those of an operator's folder. Its
digest is part of a report, so two reports under one digest were judged by the same limits. A track names the
validation sets it accepts; nothing a submitter writes can add one.
"""

import hashlib
import json
import tomllib
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, StringConstraints, ValidationError, model_validator

from artifact.format import limits
from artifact.format.errors import shown, wanted
from verifier.data_errors import DataError
from verifier.official_sets import OFFICIAL_SETS
from verifier.report import Count, Seconds, Sha256, Value

NAME_PATTERN = r"^[a-z0-9][a-z0-9_.-]{0,63}$"
MAX_TRACK_BYTES = 65_536

Name = Annotated[str, StringConstraints(pattern=NAME_PATTERN)]
PositiveSeconds = Annotated[Seconds, Field(gt=0)]


class BadTrack(DataError):
    """A track file is no track, or two files have one name."""

    code = "bad-track"


class UnknownTrack(DataError):
    """No track has the wanted name."""

    code = "unknown-track"


class ReferenceHardware(Value):
    """The machine on whose clock the times of a track are meant: `device` is part of the device's name."""

    shown: str
    device: str
    count: Annotated[int, Field(ge=1)]

    def is_met_by(self, *, device: str, count: int) -> bool:
        """Whether `count` devices of that name are this hardware."""
        return self.device in device and self.count == count


class CostLimits(Value):
    """What a declaration may cost before anything is built; memory with the fixed batch of `cost.py`."""

    max_parameters: Annotated[Count, Field(le=limits.MAX_PARAMETERS)]
    max_memory_bytes: Annotated[int, Field(ge=1)]
    max_eval_flops: Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Track(Value):
    """One track.

    Attributes:
        limit_bytes: artifact and counted code together.
        train_seconds: limit of the claimed training time; absent for none.
        eval_seconds: limit of the measured scoring time.
        reference_hardware: absent when any machine's clock counts.
        requires_training: the manifest must say how the artifact was trained.
        official_valsets: published sets (`official_sets.py`) that are accepted.
        valset_sha256: further sets that are accepted, by digest.
        any_valset: every registered set is accepted.
        counted_code_bytes: replaces the size of the code of this installation.
    """

    name: Name
    description: str
    limit_bytes: Annotated[Count, Field(le=limits.MAX_FILE_BYTES)]
    train_seconds: PositiveSeconds | None = None
    eval_seconds: PositiveSeconds
    requires_training: bool
    official_valsets: tuple[str, ...]
    valset_sha256: tuple[Sha256, ...]
    any_valset: bool
    counted_code_bytes: Count | None = None
    reference_hardware: ReferenceHardware | None = None
    cost: CostLimits

    @model_validator(mode="after")
    def _official_sets_exist(self) -> Self:
        if unknown := sorted(set(self.official_valsets) - {known.name for known in OFFICIAL_SETS}):
            raise ValueError(f"official_valsets: no published set is called {shown(unknown[0])}")
        return self

    @property
    def sha256(self) -> str:
        """The identity of the limits: SHA-256 of the track as sorted compact JSON, in hex."""
        text = json.dumps(self.model_dump(mode="json", exclude_none=True), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()

    def lists(self, *, valset_sha256: str, official: str | None) -> bool:
        """Whether the track names this set."""
        return valset_sha256 in self.valset_sha256 or (official is not None and official in self.official_valsets)

    def accepts(self, *, valset_sha256: str, official: str | None) -> bool:
        """Whether a score on this set counts in the track."""
        return self.any_valset or self.lists(valset_sha256=valset_sha256, official=official)


def load_tracks(folder: Path | None = None) -> dict[str, Track]:
    """The tracks of this package and those of an operator's `folder`, by name.

    Raises:
        BadTrack: a file is no track, or a name stands twice.
        OSError: the folder cannot be read.
    """
    files: list[Traversable | Path] = sorted(_built_in().iterdir(), key=lambda file: file.name)
    files += sorted(folder.iterdir()) if folder else []
    tracks: dict[str, Track] = {}
    for file in files:
        if file.name.endswith(".toml"):
            track = parse_track(file.read_bytes(), where=file.name)
            if track.name in tracks:
                raise BadTrack(file.name, expected="a name of its own", got=f"{track.name}, which another file has")
            tracks[track.name] = track
    return tracks


def parse_track(raw: bytes, *, where: str = "track") -> Track:
    """Read one track file; `where` names it in errors.

    Raises:
        BadTrack: it is no track.
    """
    if len(raw) > MAX_TRACK_BYTES:
        raise BadTrack(where, expected=f"at most {MAX_TRACK_BYTES} bytes", got=f"{len(raw)} bytes")
    try:
        return Track.model_validate_json(json.dumps(tomllib.loads(raw.decode())))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join([where, *map(str, first["loc"])])
        raise BadTrack(place, expected=wanted(first["msg"]), got=shown(first["input"])) from None
    except (ValueError, TypeError, RecursionError) as error:  # no TOML, no UTF-8, an endless number; a date; nesting
        raise BadTrack(where, expected="a TOML file of plain values", got=shown(str(error))) from None


def named(tracks: dict[str, Track], name: str) -> Track:
    """The track of that name.

    Raises:
        UnknownTrack: there is none.
    """
    if name not in tracks:
        raise UnknownTrack("track", expected=f"one of {', '.join(tracks)}", got=shown(name))
    return tracks[name]


def track_for(tracks: dict[str, Track], *, valset_sha256: str, official: str | None) -> Track:
    """The first track that names this set, else the first that accepts every set (`local`)."""
    for track in tracks.values():
        if track.lists(valset_sha256=valset_sha256, official=official):
            return track
    return next(track for track in tracks.values() if track.any_valset)


def _built_in() -> Traversable:
    return resources.files("verifier").joinpath("data", "tracks")
