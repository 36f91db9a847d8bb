"""A name with a right-to-left override: a report would show another name than it holds.

Hoped for: a reviewer who reads something else than a machine.
"""

from tests.forge import Draft, good_manifest

EXPECTED = "manifest-not-canonical"


def build() -> bytes:
    """The file."""
    return Draft(manifest=good_manifest() | {"name": "\u202eflog-dees"}).build()
