"""The payload is a pickle that would run a command, with sizes and digest that fit.

Hoped for: a loader that falls back to torch.load.
"""

from tests.forge import Draft

EXPECTED = "bad-tensor-header"
PICKLE = b"cos\nsystem\n(S'echo owned'\ntR."


def build() -> bytes:
    """The file."""
    return Draft(inflated=PICKLE.ljust(len(Draft().inner()), b"\0")).build()
