"""The pre-check child (`python -m api.precheck_child PARENT_PID MEMORY_BYTES`): reads strangers' files for the API.

It chooses set and track and runs the verifier's first five checks, one file after the other, in a process without
network, without secrets and with bounded memory. It imports no torch. What a library prints goes to standard error.
"""

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import IO

from api.precheck_messages import LENGTH_BYTES, Ask, Checked, Chosen, Refusal, frame
from artifact.format import container
from artifact.format.errors import ArtifactError, shown
from verifier import choice, confinement
from verifier.data_errors import DataError
from verifier.precheck import precheck
from verifier.tracks import Track
from verifier.valset import Registration
from verifier.valset_registry import UnknownValset


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkersSets:
    """The validation sets that the service's workers have."""

    known: tuple[Registration, ...]

    def registrations(self) -> Sequence[Registration]:
        """Every set."""
        return self.known

    def named(self, name: str) -> Registration:
        """The set of that name, or UnknownValset."""
        names = ", ".join(known.name for known in self.known) or "none"
        return self._first("name", name, expected=f"one that a worker has ({names})", got=shown(name))

    def with_digest(self, sha256: str) -> Registration:
        """The set of that digest, or UnknownValset."""
        return self._first("sha256", sha256, expected=f"the claimed one, {sha256}", got="no worker with it")

    def _first(self, field: str, value: str, *, expected: str, got: str) -> Registration:
        for known in self.known:
            if getattr(known, field) == value:
                return known
        raise UnknownValset("validation set", expected=expected, got=got)


def main() -> None:
    """Answer until the API closes the pipe."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    confinement.die_with_parent(int(sys.argv[1]))
    confinement.drop_privileges()
    confinement.leave_network()
    confinement.limit_memory(int(sys.argv[2]))
    while head := sys.stdin.buffer.read(LENGTH_BYTES):
        ask = Ask.model_validate_json(sys.stdin.buffer.read(int.from_bytes(head, "big")))
        answer(sys.stdin.buffer.read(ask.size_bytes), ask, answers)


def answer(data: bytes, ask: Ask, answers: IO[bytes]) -> None:
    """Say by what the file is judged, then whether the cheap checks reject it."""
    tracks = {track.name: track for track in ask.tracks}
    try:
        track, registration = choice.rules(
            data,
            tracks=tracks,
            sets=WorkersSets(known=ask.valsets),
            track_name=ask.track_name,
            valset_name=ask.valset_name,
        )
    except DataError as error:
        refusal = Refusal(code=error.code, where=error.where, expected=error.expected, got=error.got)
        _send(answers, frame(Chosen(refusal=refusal)))
        return
    _send(answers, frame(_chosen(data, track, registration)))
    _send(answers, frame(Checked(report=precheck(data, track=track, registration=registration))))


def _chosen(data: bytes, track: Track, registration: Registration | None) -> Chosen:
    try:
        manifest = container.read_manifest(data).model_dump(mode="json", exclude_none=True)
    except ArtifactError:
        manifest = None
    sha256 = registration.sha256 if registration else None
    return Chosen(track_name=track.name, valset_sha256=sha256, manifest=manifest)


def _send(answers: IO[bytes], message: bytes) -> None:
    answers.write(message)
    answers.flush()


if __name__ == "__main__":
    main()
