"""Which validation set and which track judge a file, where whoever runs the verifier does not say.

The set is the registered one whose digest the manifest claims, the track the first that lists that set. A claim only
selects: whether the track accepts the set is a check.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from artifact.format import container
from artifact.format.errors import ArtifactError
from artifact.format.manifest import Manifest
from verifier.data_errors import DataError
from verifier.tracks import Track, named, track_for
from verifier.valset import Registration
from verifier.valset_registry import Registry


class NoValsetClaimed(DataError):
    """The manifest claims no score, so it names no validation set."""

    code = "no-valset-claimed"


class Sets(Protocol):
    """Whoever knows registered sets: a folder on this machine, or a service about its workers."""

    def registrations(self) -> Sequence[Registration]:
        """Every set, by name."""

    def named(self, name: str) -> Registration:
        """The set of that name, or UnknownValset."""

    def with_digest(self, sha256: str) -> Registration:
        """The set of that digest, or UnknownValset."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """By what a file is judged; no validation set where its manifest cannot be read."""

    track: Track
    registration: Registration | None
    valset_folder: Path | None


def choose(
    data: bytes, *, tracks: dict[str, Track], registry: Registry, track_name: str | None, valset_name: str | None
) -> Choice:
    """Choose set and track for a file.

    Raises:
        UnknownTrack, UnknownValset, NoValsetClaimed: what is named or claimed is not there.
        DataError: the built-in set or a registration is broken.
        OSError: the registry cannot be read.
    """
    track, registration = rules(data, tracks=tracks, sets=registry, track_name=track_name, valset_name=valset_name)
    folder = registry.folder_of(registration) if registration else None
    return Choice(track=track, registration=registration, valset_folder=folder)


def rules(
    data: bytes, *, tracks: dict[str, Track], sets: Sets, track_name: str | None, valset_name: str | None
) -> tuple[Track, Registration | None]:
    """Choose set and track for a file, wherever the set's files are.

    Raises:
        UnknownTrack, UnknownValset, NoValsetClaimed: what is named or claimed is not there.
    """
    registration = _registration(data, sets, valset_name)
    if track_name:
        return named(tracks, track_name), registration
    if registration:
        return track_for(tracks, valset_sha256=registration.sha256, official=registration.official), registration
    return track_for(tracks, valset_sha256="", official=None), None


def _registration(data: bytes, sets: Sets, name: str | None) -> Registration | None:
    if name:
        return sets.named(name)
    manifest = _manifest(data)
    if manifest is None:
        return None
    if manifest.claims is None:
        names = ", ".join(["demo", *(s.name for s in sets.registrations() if s.name != "demo")])
        raise NoValsetClaimed(
            "manifest",
            expected="a claimed score, which names its validation set",
            got="none",
            next_step=f"name a set with --valset: {names}",
        )
    return sets.with_digest(manifest.claims.valset_sha256)


def _manifest(data: bytes) -> Manifest | None:
    """The manifest where it can be read; its faults are the verifier's to tell."""
    try:
        return container.read_manifest(data)
    except ArtifactError:
        return None
