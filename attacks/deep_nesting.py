"""Sixty thousand opening brackets.

Hoped for: a recursive parser that overflows its stack.
"""

from tests.forge import Draft

EXPECTED = "manifest-not-canonical"


def build() -> bytes:
    """The file."""
    return Draft(manifest_bytes=lambda _: b"[" * 60_000).build()
