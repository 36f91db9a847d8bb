"""The states of a job and the only ways between them.

    queued -> running -> accepted | rejected | failed | cancelled

`accepted` and `rejected` are verdicts and final. `failed` is our fault and says what happened; a failed or cancelled
question that is asked again starts a new run. A running job is queued again when its worker was lost or is shut down.
A file that fails a cheap check is rejected in the transaction that queues it. A test holds the store against the table.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final


class State(StrEnum):
    """Where a job stands."""

    QUEUED = "queued"
    RUNNING = "running"
    ACCEPTED = "accepted"
    REJECTED = "rejected"
    FAILED = "failed"
    CANCELLED = "cancelled"


TRANSITIONS: Final[Mapping[State, frozenset[State]]] = {
    State.QUEUED: frozenset({State.RUNNING, State.REJECTED, State.CANCELLED}),
    State.RUNNING: frozenset({State.ACCEPTED, State.REJECTED, State.FAILED, State.CANCELLED, State.QUEUED}),
    State.ACCEPTED: frozenset(),
    State.REJECTED: frozenset(),
    State.FAILED: frozenset({State.QUEUED}),
    State.CANCELLED: frozenset({State.QUEUED}),
}

VERDICTS: Final = frozenset({State.ACCEPTED, State.REJECTED})
UNFINISHED: Final = frozenset({State.QUEUED, State.RUNNING})
"""All others are ends."""


def sources(target: State) -> frozenset[State]:
    """The states from which `target` can be reached."""
    return frozenset(state for state, targets in TRANSITIONS.items() if target in targets)
